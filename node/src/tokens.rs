//! Who may do what through a node's API: tokens, what each permits, and the files that hold them.
//!
//! A token is a secret that a client shows with its requests. A node keeps its operator's own token as it is, in
//! [`OPERATOR_FILE`], which only the operator can read; of every other token it keeps the hash, in [`ISSUED_FILE`]. A client
//! keeps the tokens that it was given beside its keys, one file for each node: see [`path_for`].
//!
//! A token never reaches a log, an error or an argument list, and its memory is zeroed.

use crate::keys;
use allod_protocol::ground::ids::{ContentHash, Timestamp};
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use std::{
    fmt, fs,
    io::{ErrorKind, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Mutex, PoisonError},
};
use zeroize::Zeroizing;

/// The file of the operator's own token, in the data directory of a node.
pub const OPERATOR_FILE: &str = "api.token";
/// The file of the hashes of all other tokens, in the data directory of a node.
pub const ISSUED_FILE: &str = "api-tokens.json";
/// Maximum number of tokens that a node issues.
pub const ISSUED: usize = 256;
/// Maximum bytes of a token's name.
const NAME_SIZE_BYTES: usize = 64;
/// Bytes of randomness in a token.
const SECRET_BYTES: usize = 32;
/// What every token begins with, so that a scan for leaked secrets finds it.
const PREFIX: &str = "allod_";
/// Maximum size of a file of tokens, in bytes.
const FILE_SIZE_BYTES: u64 = 256 * 1024;

/// What a token permits; each permits what those before it do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Read everything that the API shows.
    Read,
    /// Submit transactions too. The ledger judges whose they are by their own signatures.
    Submit,
    /// Also act on the node and on its machine's files: publish, fetch, pin, remove.
    Operate,
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Submit => "submit",
            Self::Operate => "operate",
        })
    }
}

/// A secret that permits something.
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

impl Token {
    /// Makes a token from the system's randomness.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn generate() -> Result<Self> {
        let mut secret = Zeroizing::new([0u8; SECRET_BYTES]);
        getrandom::fill(secret.as_mut_slice()).map_err(|error| anyhow!("the system gives no randomness: {error}"))?;
        Ok(Self(Zeroizing::new(format!("{PREFIX}{}", HEXLOWER.encode(secret.as_slice())))))
    }

    /// The token itself. Show it to nobody but the node that it is for, and to whom it is made for, once.
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// What a node keeps of it. The token is random, so that no slow hash is needed.
    fn hash(&self) -> blake3::Hash {
        blake3::hash(self.0.as_bytes())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl FromStr for Token {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let digits = text.strip_prefix(PREFIX).filter(|digits| digits.len() == 2 * SECRET_BYTES);
        let is_hex = |digits: &str| digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        ensure!(
            digits.is_some_and(is_hex),
            "this is not a token, which is {PREFIX} and {} hexadecimal digits",
            2 * SECRET_BYTES
        );
        Ok(Self(Zeroizing::new(text.to_owned())))
    }
}

/// What a node keeps of a token that it issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issued {
    /// Its name, which its operator chose: who it is for.
    pub name: String,
    /// What it permits.
    pub permits: Permission,
    /// When it was issued, in milliseconds since 1970.
    pub since: Timestamp,
    /// The BLAKE3 hash of the token.
    pub hash: ContentHash,
}

/// Reads a token from a file.
///
/// # Errors
/// When the file cannot be read, when others can read it, or when it holds no token.
pub fn read(path: &Path) -> Result<Token> {
    let shown = path.display();
    let metadata = fs::metadata(path).with_context(|| format!("cannot read the token {shown}"))?;
    keys::require_private(path, &metadata)?;
    ensure!(metadata.len() <= FILE_SIZE_BYTES, "{shown} is not a file of a token");
    let text = Zeroizing::new(fs::read_to_string(path).with_context(|| format!("cannot read the token {shown}"))?);
    text.trim().parse().with_context(|| format!("{shown} holds no token"))
}

/// Writes a token to a new file that only its owner can read.
///
/// # Errors
/// When the file exists or cannot be written.
pub fn write(path: &Path, token: &Token) -> Result<()> {
    let text = Zeroizing::new(format!("{}\n", token.secret()));
    keys::write_private(path, text.as_bytes())
}

/// The file in which a client keeps its token for a node, beside its keys. The node is named by its API's authority,
/// such as `127.0.0.1:7640`.
pub fn path_for(keys_directory: &Path, authority: &str) -> PathBuf {
    keys_directory.join("tokens").join(authority.replace(['/', '\\'], "_"))
}

/// The issued tokens of a data directory, oldest first.
///
/// # Errors
/// When the file cannot be read or is damaged.
pub fn issued(data_dir: &Path) -> Result<Vec<Issued>> {
    let path = data_dir.join(ISSUED_FILE);
    let shown = path.display();
    let size = match fs::metadata(&path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {shown}")),
    };
    ensure!(size <= FILE_SIZE_BYTES, "{shown} is larger than any list of tokens");
    let text = fs::read(&path).with_context(|| format!("cannot read {shown}"))?;
    serde_json::from_slice(&text)
        .with_context(|| format!("{shown} is damaged; remove it, and issue the tokens again with: allod token create"))
}

/// Issues a token. The node accepts it from its next request on.
///
/// # Errors
/// When the name is taken or is not a line of text, when there are too many tokens, or when the file cannot be written.
pub fn issue(data_dir: &Path, name: &str, permits: Permission, since: Timestamp) -> Result<Token> {
    let is_line = !name.is_empty() && name.len() <= NAME_SIZE_BYTES && !name.chars().any(char::is_control);
    ensure!(is_line, "the name of a token is one line of 1 to {NAME_SIZE_BYTES} bytes");
    let mut all = issued(data_dir)?;
    if all.iter().any(|issued| issued.name == name) {
        bail!("there is a token {name:?} already; choose another name, or remove it: allod token remove {name:?}");
    }
    ensure!(all.len() < ISSUED, "there are {ISSUED} tokens already, the most that there may be; remove one");
    let token = Token::generate()?;
    let hash = ContentHash::from_bytes(*token.hash().as_bytes());
    all.push(Issued { name: name.to_owned(), permits, since, hash });
    store(data_dir, &all)?;
    Ok(token)
}

/// Removes a token by its name. The node refuses it from its next request on.
///
/// # Errors
/// When there is none of that name, or the file cannot be written.
pub fn remove(data_dir: &Path, name: &str) -> Result<Issued> {
    let mut all = issued(data_dir)?;
    let place = all.iter().position(|issued| issued.name == name);
    let place = place.ok_or_else(|| anyhow!("there is no token {name:?}; see them with: allod token list"))?;
    let removed = all.remove(place);
    store(data_dir, &all)?;
    Ok(removed)
}

/// Replaces the list of issued tokens, atomically and durably.
fn store(data_dir: &Path, all: &[Issued]) -> Result<()> {
    let path = data_dir.join(ISSUED_FILE);
    let failed = || format!("cannot write {}", path.display());
    let mut file = tempfile::NamedTempFile::new_in(data_dir).with_context(failed)?;
    serde_json::to_writer_pretty(&mut file, all).with_context(failed)?;
    file.write_all(b"\n").with_context(failed)?;
    file.as_file().sync_all().with_context(failed)?;
    file.persist(&path).map_err(|error| error.error).with_context(failed)?;
    fs::File::open(data_dir).and_then(|directory| directory.sync_all()).with_context(failed)
}

/// The tokens that a running node accepts.
#[derive(Debug)]
pub struct Accepted {
    data_dir: PathBuf,
    /// The hash of the operator's own.
    operator: blake3::Hash,
    read: Mutex<Read>,
}

/// The issued tokens as they were read last.
#[derive(Debug, Default)]
struct Read {
    /// Which file it was: its inode, its size, and its times. `None` if there was none.
    version: Option<FileVersion>,
    issued: Vec<Issued>,
}

/// Tells whether a file has been replaced or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileVersion {
    inode: u64,
    size_bytes: u64,
    changed: (i64, i64),
}

impl Accepted {
    /// Reads the tokens of a data directory. Makes the operator's if there is none yet.
    ///
    /// # Errors
    /// When a file cannot be read, can be read by others, or is damaged.
    pub fn open(data_dir: &Path) -> Result<Self> {
        let path = data_dir.join(OPERATOR_FILE);
        if !path.exists() {
            write(&path, &Token::generate()?)?;
        }
        let operator = read(&path)?.hash();
        let accepted = Self { data_dir: data_dir.to_owned(), operator, read: Mutex::default() };
        issued(data_dir)?;
        Ok(accepted)
    }

    /// What a token permits. `None` if it is not one of this node's. Notices at once what was issued or removed.
    pub fn permission_of(&self, token: &Token) -> Option<Permission> {
        // Hashes are compared in constant time.
        let shown = token.hash();
        if shown == self.operator {
            return Some(Permission::Operate);
        }
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let version = version_of(&self.data_dir.join(ISSUED_FILE));
        if version != read.version {
            // A list that cannot be read permits nothing.
            let issued = issued(&self.data_dir).unwrap_or_else(|error| {
                tracing::error!(error = format!("{error:#}"), "no issued token is accepted");
                Vec::new()
            });
            *read = Read { version, issued };
        }
        let known = |issued: &&Issued| blake3::Hash::from_bytes(*issued.hash.as_bytes()) == shown;
        read.issued.iter().find(known).map(|issued| issued.permits)
    }
}

fn version_of(path: &Path) -> Option<FileVersion> {
    let metadata = fs::metadata(path).ok()?;
    let changed = (metadata.ctime(), metadata.ctime_nsec());
    Some(FileVersion { inode: metadata.ino(), size_bytes: metadata.len(), changed })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test may panic")]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const NOW: Timestamp = Timestamp::new(1_000);

    #[test]
    fn a_node_accepts_its_operators_token_and_those_it_issued_until_they_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        let accepted = Accepted::open(directory.path()).unwrap();
        let operator = read(&directory.path().join(OPERATOR_FILE)).unwrap();
        assert_eq!(accepted.permission_of(&operator), Some(Permission::Operate));
        assert_eq!(accepted.permission_of(&Token::generate().unwrap()), None);
        let app = issue(directory.path(), "app", Permission::Submit, NOW).unwrap();
        let auditor = issue(directory.path(), "auditor", Permission::Read, NOW).unwrap();
        assert_eq!(accepted.permission_of(&app), Some(Permission::Submit));
        assert_eq!(accepted.permission_of(&auditor), Some(Permission::Read));
        assert_eq!(remove(directory.path(), "app").unwrap().name, "app");
        assert_eq!(accepted.permission_of(&app), None, "at once");
        assert_eq!(accepted.permission_of(&auditor), Some(Permission::Read));
        let again = Accepted::open(directory.path()).unwrap();
        assert_eq!(again.permission_of(&operator), Some(Permission::Operate), "the same after a restart");
        assert_eq!(again.permission_of(&auditor), Some(Permission::Read));
    }

    #[test]
    fn a_damaged_list_permits_nothing_and_stops_a_start() {
        let directory = tempfile::tempdir().unwrap();
        let accepted = Accepted::open(directory.path()).unwrap();
        let app = issue(directory.path(), "app", Permission::Operate, NOW).unwrap();
        assert_eq!(accepted.permission_of(&app), Some(Permission::Operate));
        fs::write(directory.path().join(ISSUED_FILE), b"[{").unwrap();
        assert_eq!(accepted.permission_of(&app), None);
        let error = format!("{:#}", Accepted::open(directory.path()).unwrap_err());
        assert!(error.contains(ISSUED_FILE) && error.contains("allod token create"), "{error}");
    }

    #[test]
    fn no_secret_is_kept_of_an_issued_token_nor_shown() {
        let directory = tempfile::tempdir().unwrap();
        let token = issue(directory.path(), "app", Permission::Read, NOW).unwrap();
        let kept = fs::read_to_string(directory.path().join(ISSUED_FILE)).unwrap();
        assert!(!kept.contains(&token.secret()[PREFIX.len()..]), "{kept}");
        assert!(!format!("{token:?}").contains(&token.secret()[PREFIX.len()..]));
        let twice = issue(directory.path(), "app", Permission::Read, NOW).unwrap_err().to_string();
        assert!(twice.contains("remove"), "{twice}");
        assert!(issue(directory.path(), "two\nlines", Permission::Read, NOW).is_err());
        assert!(remove(directory.path(), "nobody").unwrap_err().to_string().contains("allod token list"));
    }

    #[test]
    fn a_token_that_others_can_read_or_that_is_none_is_refused_with_the_remedy() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let token = Token::generate().unwrap();
        write(&path, &token).unwrap();
        assert_eq!(read(&path).unwrap().secret(), token.secret());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("chmod 600"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "hunter2").unwrap();
        let error = format!("{:#}", read(&path).unwrap_err());
        assert!(error.contains("holds no token") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn permissions_include_those_before_them() {
        assert!(Permission::Operate > Permission::Submit && Permission::Submit > Permission::Read);
    }
}

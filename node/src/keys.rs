//! Secret keys in files: PKCS#8 PEM, either readable by the owner alone or encrypted with a passphrase.
//!
//! A key file starts with its public key, in the explanatory text that RFC 7468 allows, so that a client can find the
//! right key without a passphrase. It is checked against the secret whenever the key is opened. A secret never reaches
//! a log, an error or an argument list, and its memory is zeroed.

use allod_protocol::ground::{crypto::SigningKey, ids::PublicKey};
use anyhow::{Context as _, Result, anyhow, bail};
use pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, LineEnding, SecretDocument};
use std::{
    fs,
    io::{IsTerminal as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// The environment variable that holds the passphrase when nobody can be asked for it.
pub const PASSPHRASE_VARIABLE: &str = "ALLOD_PASSPHRASE";
const PUBLIC_KEY_LINE: &str = "allod public key: ";
const ENCRYPTED_LABEL: &str = "ENCRYPTED PRIVATE KEY";
/// The user that may read everything.
const ROOT: u32 = 0;
/// Maximum size of a key file, in bytes: a PEM of an ed25519 key has a few hundred.
const FILE_SIZE_BYTES: u64 = 16 * 1024;

/// A passphrase, zeroed when dropped.
pub type Passphrase = Zeroizing<String>;

/// Generates a key from the system's randomness.
///
/// # Errors
/// When the system has no randomness.
pub fn generate() -> Result<SigningKey> {
    let mut seed = Zeroizing::new([0u8; 32]);
    getrandom::fill(seed.as_mut_slice()).map_err(|error| anyhow!("the system gives no randomness: {error}"))?;
    Ok(SigningKey::from_seed(&seed))
}

/// The peer id on the swarm that belongs to a key.
///
/// # Errors
/// Never for an ed25519 key of the right length.
pub fn peer_id(key: &SigningKey) -> Result<libp2p::PeerId> {
    let mut secret = Zeroizing::new(key.as_dalek().to_bytes());
    Ok(libp2p::identity::Keypair::ed25519_from_bytes(secret.as_mut_slice())?.public().to_peer_id())
}

/// A key as a `did:key` identifier (W3C CCG, "The did:key Method"): the multicodec of an ed25519 public key, then the
/// key, in base58.
pub fn did_key(key: &PublicKey) -> String {
    const ED25519_PUBLIC: [u8; 2] = [0xed, 0x01];
    let bytes = [ED25519_PUBLIC.as_slice(), key.as_bytes()].concat();
    format!("did:key:{}", multibase::encode(multibase::Base::Base58Btc, bytes))
}

/// Writes a key to a new file, atomically and readable by its owner alone.
///
/// # Errors
/// When the file already exists: a key is never overwritten.
pub fn create(path: &Path, key: &SigningKey, passphrase: Option<&Passphrase>) -> Result<()> {
    write_private(path, pem(key, passphrase)?.as_bytes())
}

/// Writes a secret to a new file, atomically and readable by its owner alone. It is durable when this returns.
///
/// # Errors
/// When the file already exists: a secret is never overwritten.
pub(crate) fn write_private(path: &Path, secret: &[u8]) -> Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let is_new = !directory.exists();
    create_private_dir(directory)?;
    // A temporary file has mode 0600, so others can read the secret at no moment.
    let mut file = tempfile::NamedTempFile::new_in(directory)
        .with_context(|| format!("cannot write to {}", directory.display()))?;
    file.write_all(secret)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|error| match error.error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            anyhow!(
                "{} already exists; a key is never overwritten: choose another name, or move it away",
                path.display()
            )
        }
        _ => anyhow!("cannot write {}: {}", path.display(), error.error),
    })?;
    fs::File::open(directory)?.sync_all()?;
    if let Some(above) = directory.parent().filter(|above| is_new && !above.as_os_str().is_empty()) {
        fs::File::open(above)?.sync_all()?;
    }
    Ok(())
}

/// Creates a directory, and its parents, that only its owner can read. An existing directory is left as it is.
pub(crate) fn create_private_dir(path: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot make the directory {}", path.display()))
}

fn pem(key: &SigningKey, passphrase: Option<&Passphrase>) -> Result<Zeroizing<String>> {
    // Without the public half, the document is PKCS#8 version 1, which other tools read; with it, many refuse it.
    let pair = ed25519_dalek::pkcs8::KeypairBytes { secret_key: key.as_dalek().to_bytes(), public_key: None };
    let secret = Zeroizing::new(pair.secret_key);
    let text = match passphrase {
        Some(passphrase) => pair.to_pkcs8_encrypted_pem(passphrase.as_bytes(), LineEnding::LF),
        None => pair.to_pkcs8_pem(LineEnding::LF),
    };
    drop(secret);
    let text = text.map_err(|error| anyhow!("cannot encode the key: {error}"))?;
    Ok(Zeroizing::new(format!("{PUBLIC_KEY_LINE}{}\n{}", key.public_key(), *text)))
}

/// What a key file shows without a passphrase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Its name in the key store: the file name without `.pem`.
    pub name: String,
    /// The path of the file.
    pub path: PathBuf,
    /// The public key.
    pub public_key: PublicKey,
    /// Whether opening it needs a passphrase.
    pub encrypted: bool,
}

/// Opens a key file. Asks for its passphrase if it is encrypted.
///
/// # Errors
/// When others can read the file, when it is not a key, or when the passphrase is wrong.
pub fn load(path: &Path) -> Result<SigningKey> {
    load_with(path, || ask_passphrase(&format!("Passphrase of {}: ", path.display())))
}

/// As [`load`], with another way of asking for the passphrase.
///
/// # Errors
/// As [`load`].
pub fn load_with(path: &Path, passphrase: impl FnOnce() -> Result<Passphrase>) -> Result<SigningKey> {
    let text = read(path)?;
    let key = if is_encrypted(&text) {
        let passphrase = passphrase()?;
        ed25519_dalek::SigningKey::from_pkcs8_encrypted_pem(&text, passphrase.as_bytes())
            .map_err(|_| anyhow!("{}: the passphrase is wrong, or the file is damaged", path.display()))?
    } else {
        ed25519_dalek::SigningKey::from_pkcs8_pem(&text)
            .map_err(|error| anyhow!("{} is not an ed25519 key in PKCS#8 PEM: {error}", path.display()))?
    };
    let key = SigningKey::from_dalek(key);
    if stated_public_key(&text).is_some_and(|stated| stated != key.public_key()) {
        bail!("{} states a public key that does not match the secret; somebody changed the file", path.display());
    }
    Ok(key)
}

fn read(path: &Path) -> Result<Zeroizing<String>> {
    let metadata = fs::metadata(path).with_context(|| format!("cannot open the key {}", path.display()))?;
    if metadata.len() > FILE_SIZE_BYTES {
        bail!("{} has {} bytes; that is not a key", path.display(), metadata.len());
    }
    require_private(path, &metadata)?;
    let text = fs::read_to_string(path).with_context(|| format!("cannot read the key {}", path.display()))?;
    Ok(Zeroizing::new(text))
}

/// Refuses the file of a secret that others can read.
///
/// # Errors
/// Names the file, its owner and mode, and the remedy.
pub(crate) fn require_private(path: &Path, metadata: &fs::Metadata) -> Result<()> {
    let (owner, mode) = (metadata.uid(), metadata.mode() & 0o777);
    let me = rustix::process::geteuid().as_raw();
    if is_private(owner, mode, me) {
        return Ok(());
    }
    let shown = path.display();
    if owner != me && owner != ROOT {
        bail!("{shown} belongs to another user (uid {owner}, not {me}); make it your own: chown {me} {shown}");
    }
    bail!("others can read {shown} (mode {mode:04o}); run: chmod 600 {shown}");
}

/// Whether a file of this owner and mode is a secret of the user `me`. The rule is PostgreSQL's for its keys: nobody else
/// has a right to a file of the user's own. A file of root's may also be readable by a group, which is how systemd and
/// Kubernetes hand secrets over.
const fn is_private(owner: u32, mode: u32, me: u32) -> bool {
    (owner == me && mode & 0o077 == 0) || (owner == ROOT && owner != me && mode & 0o037 == 0)
}

fn is_encrypted(text: &str) -> bool {
    text.contains(&format!("-----BEGIN {ENCRYPTED_LABEL}-----"))
}

fn stated_public_key(text: &str) -> Option<PublicKey> {
    text.lines().next()?.strip_prefix(PUBLIC_KEY_LINE)?.parse().ok()
}

fn describe(path: &Path) -> Result<Description> {
    let text = read(path)?;
    let encrypted = is_encrypted(&text);
    let public_key = match stated_public_key(&text) {
        Some(key) => key,
        None if encrypted => bail!(
            "{} is encrypted and states no public key; its first line is `{PUBLIC_KEY_LINE}` and the key",
            path.display()
        ),
        None => load(path)?.public_key(),
    };
    if !encrypted && SecretDocument::from_pem(&text).is_err() {
        bail!("{} is not PEM", path.display());
    }
    let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(Description { name, path: path.to_owned(), public_key, encrypted })
}

/// The passphrase for a key that replaces the one in a file. `None` if that one is not encrypted; otherwise the one in
/// the environment, because nobody may be there to be asked.
///
/// # Errors
/// When the file is encrypted and the environment has no passphrase.
pub(crate) fn passphrase_for(path: &Path) -> Result<Option<Passphrase>> {
    if !is_encrypted(&read(path)?) {
        return Ok(None);
    }
    let passphrase = std::env::var(PASSPHRASE_VARIABLE).map_err(|_| {
        anyhow!(
            "{} is encrypted, so its successor must be too: set {PASSPHRASE_VARIABLE} and start the node again",
            path.display()
        )
    })?;
    Ok(Some(Zeroizing::new(passphrase)))
}

/// The passphrase from the environment, otherwise the one typed at the terminal.
///
/// # Errors
/// When there is neither.
pub fn ask_passphrase(prompt: &str) -> Result<Passphrase> {
    if let Ok(passphrase) = std::env::var(PASSPHRASE_VARIABLE) {
        return Ok(Zeroizing::new(passphrase));
    }
    if !std::io::stdin().is_terminal() {
        bail!("the key needs a passphrase and nobody can be asked: set {PASSPHRASE_VARIABLE}");
    }
    Ok(Zeroizing::new(rpassword::prompt_password(prompt)?))
}

/// Asks for a new passphrase, twice.
///
/// # Errors
/// When it is empty, or the two do not match.
pub fn ask_new_passphrase(name: &str) -> Result<Passphrase> {
    let first = ask_passphrase(&format!("New passphrase for {name}: "))?;
    if first.is_empty() {
        bail!("an empty passphrase protects nothing; choose one, or omit --encrypt");
    }
    if std::env::var_os(PASSPHRASE_VARIABLE).is_none() && first != ask_passphrase("The same again: ")? {
        bail!("the two passphrases do not match; nothing was written");
    }
    Ok(first)
}

/// A client's keys: one file each, `NAME.pem`, in one directory.
#[derive(Clone, Debug)]
pub struct KeyStore {
    directory: PathBuf,
}

impl KeyStore {
    /// The keys in a directory, which need not exist yet.
    pub fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// The directory of the keys.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The file for a key name.
    ///
    /// # Errors
    /// When the name could lead out of the directory.
    pub fn path(&self, name: &str) -> Result<PathBuf> {
        let sound = (1..=64).contains(&name.len())
            && !name.starts_with('.')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        if !sound {
            bail!("{name:?} is not a name for a key: up to 64 letters, digits and - _ . inside");
        }
        Ok(self.directory.join(format!("{name}.pem")))
    }

    /// Generates a key and stores it under a name.
    ///
    /// # Errors
    /// When the name is taken.
    pub fn create(&self, name: &str, passphrase: Option<&Passphrase>) -> Result<SigningKey> {
        let key = generate()?;
        create(&self.path(name)?, &key, passphrase)?;
        Ok(key)
    }

    /// The description of a key, by name.
    ///
    /// # Errors
    /// When there is no such key.
    pub fn describe(&self, name: &str) -> Result<Description> {
        describe(&self.path(name)?)
            .with_context(|| format!("there is no usable key {name:?}; `allod key list` lists the existing ones"))
    }

    /// Every key, sorted by name. Files that are not keys are skipped, and returned with the reason.
    ///
    /// # Errors
    /// When the directory exists but cannot be read.
    pub fn list(&self) -> Result<(Vec<Description>, Vec<String>)> {
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((Vec::new(), Vec::new())),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", self.directory.display())),
        };
        let (mut keys, mut refused) = (Vec::new(), Vec::new());
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "pem") {
                match describe(&path) {
                    Ok(key) => keys.push(key),
                    Err(error) => refused.push(format!("{error:#}")),
                }
            }
        }
        keys.sort_by(|one, two| one.name.cmp(&two.name));
        refused.sort();
        Ok((keys, refused))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test may panic")]
mod tests {
    use super::*;
    use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

    fn no_passphrase() -> Result<Passphrase> {
        bail!("nobody should be asked")
    }

    #[test]
    fn a_key_has_the_did_that_others_give_it() {
        // The example of the did:key specification.
        let text = "2e6fcce36701dc791488e0d0b1745cc1e33a4c1c9fcc41c63bd343dbbe0970e6";
        let did = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK";
        assert_eq!(did_key(&text.parse().unwrap()), did);
    }

    #[test]
    fn a_key_reads_back_and_only_its_owner_can_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deeper/alice.pem");
        let key = generate().unwrap();
        create(&path, &key, None).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(load_with(&path, no_passphrase).unwrap().public_key(), key.public_key());
        assert_eq!(describe(&path).unwrap().public_key, key.public_key());
    }

    #[test]
    fn a_key_is_never_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("alice.pem");
        let key = generate().unwrap();
        create(&path, &key, None).unwrap();
        let error = create(&path, &generate().unwrap(), None).unwrap_err().to_string();
        assert!(error.contains("never overwritten"), "{error}");
        assert_eq!(load_with(&path, no_passphrase).unwrap().public_key(), key.public_key());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn a_key_that_others_can_read_is_refused_with_the_remedy() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("alice.pem");
        create(&path, &generate().unwrap(), None).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let error = load_with(&path, no_passphrase).unwrap_err().to_string();
        assert!(error.contains(&format!("chmod 600 {}", path.display())), "{error}");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert!(load_with(&path, no_passphrase).is_ok());
    }

    #[test]
    fn a_secret_is_private_by_the_rule_of_postgresql() {
        const ME: u32 = 1_000;
        for (owner, mode, private) in [
            (ME, 0o600, true),
            (ME, 0o400, true),
            (ME, 0o640, false),
            (ME, 0o604, false),
            (ROOT, 0o640, true),
            (ROOT, 0o440, true),
            (ROOT, 0o600, true),
            (ROOT, 0o660, false),
            (ROOT, 0o644, false),
            (ME + 1, 0o600, false),
        ] {
            assert_eq!(is_private(owner, mode, ME), private, "{owner} {mode:o}");
        }
        assert!(is_private(ROOT, 0o600, ROOT) && !is_private(ROOT, 0o640, ROOT), "root's own");
    }

    #[test]
    fn an_encrypted_key_opens_with_its_passphrase_only_and_names_itself_without() {
        let directory = tempfile::tempdir().unwrap();
        let store = KeyStore::new(directory.path().to_owned());
        let passphrase = Zeroizing::new("correct horse".to_owned());
        let key = store.create("alice", Some(&passphrase)).unwrap();
        let path = store.path("alice").unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("BEGIN ENCRYPTED PRIVATE KEY"), "{text}");
        assert_eq!(load_with(&path, || Ok(passphrase)).unwrap().public_key(), key.public_key());
        let error = load_with(&path, || Ok(Zeroizing::new("wrong".into()))).unwrap_err().to_string();
        assert!(error.contains("passphrase is wrong"), "{error}");
        let description = store.describe("alice").unwrap();
        assert_eq!((description.public_key, description.encrypted), (key.public_key(), true));
    }

    #[test]
    fn a_file_that_lies_about_its_public_key_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("alice.pem");
        create(&path, &generate().unwrap(), None).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let other = generate().unwrap().public_key();
        let body = text.split_once('\n').unwrap().1;
        fs::write(&path, format!("{PUBLIC_KEY_LINE}{other}\n{body}")).unwrap();
        assert!(
            load_with(&path, no_passphrase)
                .unwrap_err()
                .to_string()
                .contains("states a public key that does not match")
        );
    }

    #[test]
    fn names_stay_in_the_directory_and_lists_are_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let store = KeyStore::new(directory.path().join("keys"));
        for bad in ["", "../x", "a/b", ".hidden"] {
            assert!(store.path(bad).is_err(), "{bad:?}");
        }
        assert_eq!(store.list().unwrap(), (vec![], vec![]));
        store.create("bob", None).unwrap();
        store.create("alice", None).unwrap();
        fs::write(store.directory().join("junk.pem"), "no key").unwrap();
        let (keys, refused) = store.list().unwrap();
        assert_eq!(keys.iter().map(|key| key.name.as_str()).collect::<Vec<_>>(), ["alice", "bob"]);
        assert_eq!(refused.len(), 1);
    }
}

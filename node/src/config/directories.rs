//! Where data and keys are, if no flag says.

use anyhow::{Result, anyhow};
use std::{
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// The data directory if no flag names one: `$ALLOD_HOME`, else `$XDG_DATA_HOME/allod`, else `~/.local/share/allod`.
///
/// # Errors
/// When none of the three variables is set.
pub fn default_data_dir() -> Result<PathBuf> {
    directory_from("ALLOD_HOME", "XDG_DATA_HOME", Path::new(".local/share"), "")
        .ok_or_else(|| anyhow!("there is no home directory to keep data in; set ALLOD_HOME or give --data DIR"))
}

/// Whether a directory is a node's.
///
/// # Errors
/// When this process may not look into it: then nobody can say.
pub fn is_nodes(directory: &Path) -> Result<bool> {
    directory.join("node.key").try_exists().map_err(|error| {
        let shown = directory.display();
        if error.kind() != io::ErrorKind::PermissionDenied {
            return anyhow!("{shown} cannot be read: {error}");
        }
        let me = rustix::process::geteuid().as_raw();
        let owner = directory.metadata().map(|metadata| format!("it belongs to uid {}, and ", metadata.uid()));
        let owner = owner.unwrap_or_default();
        anyhow!(
            "permission denied: {owner}this process, which runs as uid {me}, may not look into {shown}; run allod as the user \
             that owns the node, or make the directory this one's: chown -R {me} {shown}"
        )
    })
}

/// The directory of the client's keys if no flag names one: `$ALLOD_KEYS`, else `$XDG_CONFIG_HOME/allod/keys`, else
/// `~/.config/allod/keys`.
///
/// # Errors
/// When none of the three variables is set.
pub fn default_keys_dir() -> Result<PathBuf> {
    directory_from("ALLOD_KEYS", "XDG_CONFIG_HOME", Path::new(".config"), "keys")
        .ok_or_else(|| anyhow!("there is no home directory to keep keys in; set ALLOD_KEYS or give --keys DIR"))
}

fn directory_from(own: &str, xdg: &str, below_home: &Path, part: &str) -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(directory) = set(own) {
        return Some(directory);
    }
    let base = set(xdg).or_else(|| set("HOME").map(|home| home.join(below_home)))?;
    let directory = base.join("allod");
    Some(if part.is_empty() { directory } else { directory.join(part) })
}

//! `allod init`: creates the data directory of a node for an existing network.

use super::{context::Context, output::Fields, token};
use crate::{
    config, keys, run, tls,
    tokens::{self, Token},
};
use allod_protocol::{ground::ids::PublicKey, ledger::genesis::Genesis};
use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

/// Make the data directory of a node for an existing network.
#[derive(Debug, clap::Args)]
pub(super) struct Init {
    /// The network's genesis, from one of its members
    #[arg(long, value_name = "FILE")]
    genesis: PathBuf,
    /// The directory to make [default: ~/.local/share/allod]
    #[arg(long, value_name = "DIR", env = "ALLOD_HOME")]
    data: Option<PathBuf>,
    /// Make a certificate for the HTTP API, for this name or IP address by which clients reach it; may be repeated
    #[arg(long = "tls", value_name = "NAME", conflicts_with_all = ["tls_certificate", "tls_key"])]
    names: Vec<String>,
    #[command(flatten)]
    settings: config::Flags,
}

/// The node that was created.
#[derive(Debug, Serialize)]
pub(super) struct NodeMade {
    pub(super) data_dir: PathBuf,
    pub(super) network: String,
    pub(super) peer_id: String,
    pub(super) validator_key: PublicKey,
    /// The operator's token.
    #[serde(skip)]
    pub(super) token: Token,
}

impl Init {
    pub(super) fn execute(self, context: &Context) -> Result<()> {
        let genesis = run::read_genesis(&self.genesis)?;
        let data_dir = match self.data {
            Some(directory) => directory,
            None => config::default_data_dir()?,
        };
        let mut settings: Vec<_> = self.settings.given().into_iter().map(|(name, _, texts)| (name, texts)).collect();
        // A wrong address is refused now, not when the node starts.
        let sources =
            config::Sources { data_dir: data_dir.clone(), flags: self.settings, ..config::Sources::default() };
        let api = sources.load()?.config.api_address;
        let certificate = if self.names.is_empty() { None } else { Some(tls::make(&self.names)?) };
        if certificate.is_some() {
            let file = |name: &str| vec![absolute(&data_dir.join(name))];
            settings.push(("tls_certificate", file(tls::CERTIFICATE_FILE)));
            settings.push(("tls_key", file(tls::KEY_FILE)));
        }
        let made = make_node(&data_dir, &genesis, &keys::generate()?, &keys::generate()?, &settings)?;
        if let Some(certificate) = certificate {
            keys::write_private(&data_dir.join(tls::KEY_FILE), certificate.key.as_bytes())?;
            write_new(&data_dir.join(tls::CERTIFICATE_FILE), certificate.certificate.as_bytes())?;
        }
        token::keep(&context.keys()?, &api.to_string(), &made.token)?;
        context.answer(&made, |made| {
            let mut fields = Fields::default();
            fields.add("network", format!("{}\n{}", genesis.name, made.network));
            fields.add("data directory", made.data_dir.display());
            fields.add("peer id", &made.peer_id).add("validator key", made.validator_key);
            fields.add("next", format!("allod run --data {}", made.data_dir.display()));
            fields.show()
        })
    }
}

/// A path as it is valid from anywhere.
fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

/// Creates a node's directory with its keys, genesis and settings. Never overwrites anything.
pub(super) fn make_node(
    data_dir: &Path,
    genesis: &Genesis,
    node_key: &allod_protocol::ground::crypto::SigningKey,
    validator_key: &allod_protocol::ground::crypto::SigningKey,
    settings: &[(&'static str, Vec<String>)],
) -> Result<NodeMade> {
    refuse_used(data_dir)?;
    keys::create(&data_dir.join("node.key"), node_key, None)?;
    keys::create(&data_dir.join("validator.key"), validator_key, None)?;
    let token = Token::generate()?;
    tokens::write(&data_dir.join(tokens::OPERATOR_FILE), &token)?;
    write_new(&data_dir.join(config::FILE), config::file_text(settings).as_bytes())?;
    write_genesis(&data_dir.join("genesis.json"), genesis)?;
    Ok(NodeMade {
        data_dir: data_dir.to_owned(),
        network: genesis.network_id().to_string(),
        peer_id: keys::peer_id(node_key)?.to_string(),
        validator_key: validator_key.public_key(),
        token,
    })
}

/// Refuses a directory that is not empty.
pub(super) fn refuse_used(directory: &Path) -> Result<()> {
    match std::fs::read_dir(directory) {
        Ok(mut entries) => match entries.next() {
            Some(_) => bail!("{} is not empty; name another directory, or move it away", directory.display()),
            None => Ok(()),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot use {}", directory.display())),
    }
}

/// Writes a genesis in readable form. Its id depends on its content, not on the text.
pub(super) fn write_genesis(path: &Path, genesis: &Genesis) -> Result<()> {
    let mut text = crate::json::to_string_pretty(genesis)?;
    text.push('\n');
    write_new(path, text.as_bytes())
}

/// Writes a file that must not exist yet.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let written = std::fs::OpenOptions::new().write(true).create_new(true).open(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;
    use crate::cli::testnet;

    #[test]
    fn a_node_is_made_once() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("node");
        let (genesis, _) = testnet::local_genesis_for_tests(1);
        let key = keys::generate().unwrap();
        let settings = [("api_address", vec!["127.0.0.1:1".to_owned()])];
        let made = make_node(&data, &genesis, &key, &key, &settings).unwrap();
        assert_eq!(made.validator_key, key.public_key());
        let read = run::read_genesis(&data.join("genesis.json")).unwrap();
        assert_eq!(read.network_id(), genesis.network_id());
        let error = make_node(&data, &genesis, &key, &key, &settings).unwrap_err().to_string();
        assert!(error.contains("not empty"), "{error}");
        let loaded = config::Sources { data_dir: data.clone(), ..config::Sources::default() };
        let file = std::fs::read_to_string(data.join(config::FILE)).unwrap();
        let loaded = config::Sources { file: Some(file), ..loaded }.load().unwrap();
        assert_eq!(loaded.config.api_address.port(), 1);
    }
}

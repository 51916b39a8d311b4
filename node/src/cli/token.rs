//! `allod token`: who may do what through a node's API.
//!
//! What issues and removes works on the files of a data directory, so it takes no running node, and a running node
//! notices at once. What keeps a token works on the files of the client.

use super::{
    context::{Context, authority},
    output::Table,
    units::{now, show_time},
};
use crate::{
    config,
    keys::KeyStore,
    tokens::{self, Issued, Permission, Token},
};
use allod_protocol::ground::ids::Timestamp;
use anyhow::{Context as _, Result, ensure};
use serde::Serialize;
use std::{
    io::{IsTerminal as _, Read as _},
    path::PathBuf,
};
use zeroize::Zeroizing;

/// Maximum bytes read in search of a token.
const INPUT_SIZE_BYTES: u64 = 4_096;

/// Say who may do what through a node's API: issue and remove tokens, keep those you were given.
#[derive(Debug, clap::Subcommand)]
pub(super) enum TokenCommand {
    /// Issue a token for a client of this node, and print it; it is shown only this once
    Create {
        /// Whom or what it is for
        name: String,
        /// What it permits: read (needed where the API does not listen on loopback), submit transactions too, or operate
        /// the node and act on its files too
        #[arg(long, value_enum)]
        permits: Permission,
        #[command(flatten)]
        node: DataDir,
    },
    /// List the tokens that this node issued
    List {
        #[command(flatten)]
        node: DataDir,
    },
    /// Remove a token: the node refuses it from then on
    Remove {
        /// Its name
        name: String,
        #[command(flatten)]
        node: DataDir,
    },
    /// Keep a token that you were given for the node of --api; it is read from standard input
    Keep,
}

/// Which node's files.
#[derive(Debug, clap::Args)]
pub(super) struct DataDir {
    /// The node's data directory [default: ~/.local/share/allod]
    #[arg(long = "data", value_name = "DIR", env = "ALLOD_HOME")]
    directory: Option<PathBuf>,
}

impl DataDir {
    fn find(self) -> Result<PathBuf> {
        let directory = self.directory.map_or_else(config::default_data_dir, Ok)?;
        let is_nodes = config::is_nodes(&directory)?;
        ensure!(is_nodes, "{} is no node's directory; make it with `allod init`, or name another", directory.display());
        Ok(directory)
    }
}

/// A token that was issued.
#[derive(Debug, Serialize)]
struct TokenMade<'a> {
    name: &'a str,
    permits: Permission,
    token: &'a str,
}

/// A token in a list.
#[derive(Debug, Serialize)]
struct TokenView {
    name: String,
    permits: Permission,
    since: Timestamp,
}

impl From<Issued> for TokenView {
    fn from(issued: Issued) -> Self {
        Self { name: issued.name, permits: issued.permits, since: issued.since }
    }
}

/// A token that the client keeps.
#[derive(Debug, Serialize)]
struct TokenKept {
    file: PathBuf,
}

impl TokenCommand {
    pub(super) fn execute(self, context: &Context) -> Result<()> {
        match self {
            Self::Create { name, permits, node } => {
                let token = tokens::issue(&node.find()?, &name, permits, now())?;
                let made = TokenMade { name: &name, permits, token: token.secret() };
                context.answer(&made, |made| made.token.to_owned())
            }
            Self::List { node } => {
                let views: Vec<TokenView> = tokens::issued(&node.find()?)?.into_iter().map(TokenView::from).collect();
                context.answer(&views, |views| {
                    let mut table = Table::new(&["NAME", "PERMITS", "SINCE"]);
                    for view in views {
                        table.row([view.name.clone(), view.permits.to_string(), show_time(view.since)]);
                    }
                    table.show("only the operator's own token, in api.token; issue others with: allod token create")
                })
            }
            Self::Remove { name, node } => {
                let removed = TokenView::from(tokens::remove(&node.find()?, &name)?);
                context.answer(&removed, |removed| {
                    format!("removed {}, which permitted to {}", removed.name, removed.permits)
                })
            }
            Self::Keep => {
                let file = keep(&context.keys()?, authority(context.url()?), &ask()?)?;
                context.answer(&TokenKept { file }, |kept| format!("kept in {}", kept.file.display()))
            }
        }
    }
}

/// Reads a token from standard input.
fn ask() -> Result<Token> {
    if std::io::stdin().is_terminal() {
        return Zeroizing::new(rpassword::prompt_password("Token: ")?).trim().parse();
    }
    let mut text = Zeroizing::new(String::new());
    std::io::stdin().take(INPUT_SIZE_BYTES).read_to_string(&mut text).context("cannot read standard input")?;
    text.trim().parse()
}

/// Keeps a token for a node beside the client's keys, in place of an older one. Gives the file.
pub(super) fn keep(store: &KeyStore, authority: &str, token: &Token) -> Result<PathBuf> {
    let path = tokens::path_for(store.directory(), authority);
    if path.exists() {
        std::fs::remove_file(&path).with_context(|| format!("cannot replace {}", path.display()))?;
    }
    tokens::write(&path, token)?;
    Ok(path)
}

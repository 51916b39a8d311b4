//! `allod key`: the client's keys. Their secrets are never shown.

use super::{
    context::Context,
    output::{Fields, Table},
};
use crate::keys;
use allod_protocol::ground::ids::PublicKey;
use anyhow::Result;
use serde::Serialize;
use std::path::PathBuf;

/// Make and show your keys.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Key {
    /// Make a new key
    New {
        /// Its name
        name: String,
        /// Protect it with a passphrase (asked for, or ALLOD_PASSPHRASE)
        #[arg(long)]
        encrypt: bool,
    },
    /// List the keys in the directory
    List,
    /// Show a key's public half
    Show {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Serialize)]
struct KeyView {
    name: String,
    public_key: PublicKey,
    encrypted: bool,
    path: PathBuf,
}

impl From<keys::Description> for KeyView {
    fn from(key: keys::Description) -> Self {
        Self { name: key.name, public_key: key.public_key, encrypted: key.encrypted, path: key.path }
    }
}

impl Key {
    pub(super) fn execute(self, context: &Context) -> Result<()> {
        let store = context.keys()?;
        match self {
            Self::New { name, encrypt } => {
                // Refuses a bad name before anybody types a passphrase.
                store.path(&name)?;
                let passphrase = if encrypt { Some(keys::ask_new_passphrase(&name)?) } else { None };
                store.create(&name, passphrase.as_ref())?;
                context.answer(&KeyView::from(store.describe(&name)?), show)
            }
            Self::Show { name } => context.answer(&KeyView::from(store.describe(&name)?), show),
            Self::List => {
                let (keys, refused) = store.list()?;
                for reason in refused {
                    context.note(format!("skipped: {reason}"));
                }
                let views: Vec<KeyView> = keys.into_iter().map(KeyView::from).collect();
                context.answer(&views, |views| {
                    let mut table = Table::new(&["NAME", "PUBLIC KEY"]);
                    for view in views {
                        table.row([view.name.clone(), view.public_key.to_string()]);
                    }
                    let directory = store.directory().display();
                    table.show(&format!("no keys in {directory}; make one: allod key new NAME"))
                })
            }
        }
    }
}

fn show(key: &KeyView) -> String {
    let mut fields = Fields::default();
    fields.add("name", &key.name).add("public key", key.public_key).add("file", key.path.display());
    fields.add("protection", if key.encrypted { "passphrase" } else { "file mode 0600" });
    fields.show()
}

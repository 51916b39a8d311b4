//! `allod verify`: a deed, checked offline against a genesis, asking nobody.

use super::{
    context::Context,
    output::Fields,
    units::{show_count, show_size, show_time},
    words::version_status,
};
use crate::{
    api::{claims, views::ClaimView},
    run::read_genesis,
};
use allod_protocol::{
    account::Account,
    genesis::Genesis,
    ids::{AccountId, Height, ModelId, NetworkId, Timestamp},
    limits,
    model::{Model, VersionStatus},
    proof::Deed,
    share::Share,
    state::Record,
};
use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use std::path::PathBuf;

/// Check a deed offline against a genesis.
#[derive(Debug, clap::Args)]
pub(super) struct Verify {
    /// The deed
    deed: PathBuf,
    /// The genesis that you trust, from a source of your own
    #[arg(long, value_name = "FILE")]
    genesis: PathBuf,
}

/// What a deed proves.
#[derive(Debug, Serialize)]
struct Verified {
    network: NetworkId,
    network_name: String,
    /// The height after which what it proves stood so.
    height: Height,
    /// The time of the block that certifies it.
    certified: Timestamp,
    validator_changes: usize,
    claims: Vec<ClaimView>,
}

impl Verify {
    pub(super) fn execute(self, context: &Context) -> Result<()> {
        let genesis = read_genesis(&self.genesis)?;
        let size = std::fs::metadata(&self.deed).map(|metadata| metadata.len());
        if size.is_ok_and(|size| size > limits::RECORD_SIZE_BYTES as u64) {
            bail!("{} is larger than any deed", self.deed.display());
        }
        let bytes = std::fs::read(&self.deed).with_context(|| format!("cannot read {}", self.deed.display()))?;
        let verified = verify(&bytes, &genesis).with_context(|| format!("{} proves nothing", self.deed.display()))?;
        context.answer(&verified, show)
    }
}

fn verify(bytes: &[u8], genesis: &Genesis) -> Result<Verified> {
    let deed = Deed::decode(bytes)?;
    let height = deed.verify(genesis)?;
    let claims = deed
        .proofs
        .iter()
        .map(|proof| claims::claim(&proof.key, proof.value.as_deref()))
        .collect::<Result<Vec<_>>>()?;
    Ok(Verified {
        network: genesis.network_id(),
        network_name: genesis.name.clone(),
        height,
        certified: deed.header.header.time,
        validator_changes: deed.changes.len(),
        claims,
    })
}

/// The names that a deed's own claims give to ids.
struct Names<'a>(&'a [ClaimView]);

impl Names<'_> {
    fn model(&self, id: ModelId) -> Option<&Model> {
        self.0.iter().find_map(|claim| match claim {
            ClaimView::Model(model) if model.id == id => Some(model.as_ref()),
            _ => None,
        })
    }

    fn total(&self, id: ModelId) -> Option<String> {
        self.0.iter().find_map(|claim| match claim {
            ClaimView::Register(register) if register.model == id => Some(show_count(register.total_units.get())),
            _ => None,
        })
    }

    fn account(&self, id: AccountId) -> Option<&Account> {
        self.0.iter().find_map(|claim| match claim {
            ClaimView::Account(account) if account.id == id => Some(account.as_ref()),
            _ => None,
        })
    }

    /// The model and the account of whose line a key is, if both are in the deed.
    fn line(&self, key: &str) -> Option<(&Model, &Account)> {
        let models = self.0.iter().filter_map(|claim| match claim {
            ClaimView::Model(model) => Some(model.as_ref()),
            _ => None,
        });
        let accounts = self.0.iter().filter_map(|claim| match claim {
            ClaimView::Account(account) => Some(account.as_ref()),
            _ => None,
        });
        let is_line = |model: &Model, account: &Account| {
            data_encoding::HEXLOWER.encode(&Share::key_bytes(&(model.id, account.id))) == key
        };
        let pairs = models.flat_map(|model| accounts.clone().map(move |account| (model, account)));
        pairs.into_iter().find(|(model, account)| is_line(model, account))
    }
}

fn show(verified: &Verified) -> String {
    let mut fields = Fields::default();
    fields.add("valid", "yes, decided by more than two thirds of the validators");
    fields.add("network", format!("{}\n{}", verified.network_name, verified.network));
    fields.add("as of", format!("block {}, certified {}", verified.height, show_time(verified.certified)));
    let names = Names(&verified.claims);
    for claim in &verified.claims {
        add_claim(&mut fields, &names, claim);
    }
    fields.show()
}

fn add_claim(fields: &mut Fields, names: &Names<'_>, claim: &ClaimView) {
    let model_name = |id| names.model(id).map_or_else(|| format!("{id}"), |model| model.name.to_string());
    match claim {
        ClaimView::Share(share) => {
            let holder = names.account(share.account).map(|account| account.handle.to_string());
            let total = names.total(share.model).map(|total| format!(" of {total}"));
            fields.add("model", model_name(share.model));
            fields.add("holder", holder.unwrap_or_else(|| share.account.to_string()));
            fields.add("units", format!("{}{}", show_count(share.units.get()), total.unwrap_or_default()));
        }
        ClaimView::Version(version) => {
            fields.add("version", format!("{}@{}", model_name(version.model), version.label));
            fields.add("artifact", version.artifact.address).add("size", show_size(version.artifact.size_bytes));
            fields.add(
                "status",
                match &version.status {
                    VersionStatus::Released { proposal, height } => {
                        format!("released in block {height} by proposal\n{proposal}")
                    }
                    status => version_status(status),
                },
            );
        }
        ClaimView::Absent(key) => match names.line(key) {
            Some((model, account)) => {
                fields.add("model", &model.name).add("holder", &account.handle);
                fields.add("units", format!("none of {}", names.total(model.id).unwrap_or_else(|| "0".into())));
            }
            None => {
                fields.add("absent", format!("nothing stands under key\n{key}"));
            }
        },
        // They give the names; nothing more is claimed of them.
        ClaimView::Model(_) | ClaimView::Register(_) | ClaimView::Account(_) => {}
        ClaimView::Other(key) => {
            fields.add("other", format!("a record stands under key\n{key}"));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_deed_proves_nothing() {
        let (genesis, _) = crate::cli::testnet::local_genesis_for_tests(1);
        assert!(verify(b"", &genesis).is_err());
        assert!(verify(&[1; 100], &genesis).is_err());
    }
}

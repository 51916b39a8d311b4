//! `allod verify`: a deed, checked offline against a genesis, asking nobody.

use super::{
    context::Context,
    output::Fields,
    units::{show_count, show_size},
};
use crate::{api::views::ClaimView, run::read_genesis};
use allod_protocol::{
    account::Account,
    codec,
    genesis::Genesis,
    ids::{Height, NetworkId, Timestamp},
    limits,
    model::{Model, Version, VersionStatus},
    proof::{Deed, StateProof},
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
        let verified = verify(&bytes, &genesis)
            .with_context(|| format!("{} proves nothing", self.deed.display()))?;
        context.answer(&verified, show)
    }
}

fn verify(bytes: &[u8], genesis: &Genesis) -> Result<Verified> {
    let deed = Deed::decode(bytes)?;
    let height = deed.verify(genesis)?;
    let claims = deed.proofs.iter().map(claim).collect::<Result<Vec<_>>>()?;
    Ok(Verified {
        network: genesis.network_id(),
        network_name: genesis.name.clone(),
        height,
        certified: deed.header.header.time,
        validator_changes: deed.changes.len(),
        claims,
    })
}

/// What a proven key and value say. A record must stand under its own key: a value says nothing by itself.
fn claim(proof: &StateProof) -> Result<ClaimView> {
    let hex = || data_encoding::HEXLOWER.encode(&proof.key);
    let Some(value) = &proof.value else { return Ok(ClaimView::Absent(hex())) };
    let family = proof.key.first().copied();
    if family == Some(Model::FAMILY as u8) {
        let model: Model = record(value)?;
        own_key::<Model>(proof, &model.id)?;
        return Ok(ClaimView::Model(Box::new(model)));
    }
    if family == Some(Share::FAMILY as u8) {
        let share: Share = record(value)?;
        own_key::<Share>(proof, &(share.model, share.account))?;
        return Ok(ClaimView::Share(share));
    }
    if family == Some(Account::FAMILY as u8) {
        let account: Account = record(value)?;
        own_key::<Account>(proof, &account.id)?;
        return Ok(ClaimView::Account(Box::new(account)));
    }
    if family == Some(Version::FAMILY as u8) {
        let version: Version = record(value)?;
        own_key::<Version>(proof, &(version.model, version.label.clone()))?;
        return Ok(ClaimView::Version(Box::new(version)));
    }
    Ok(ClaimView::Other(hex()))
}

fn record<R: Record>(value: &[u8]) -> Result<R> {
    codec::decode(value, limits::RECORD_SIZE_BYTES).context("a proven value is not the record that its key names")
}

fn own_key<R: Record>(proof: &StateProof, key: &R::Key) -> Result<()> {
    if proof.key != R::key_bytes(key) {
        bail!("a proven record stands under another key than its own");
    }
    Ok(())
}

fn show(verified: &Verified) -> String {
    let find_model = |id| {
        verified.claims.iter().find_map(|claim| match claim {
            ClaimView::Model(model) if model.id == id => Some(model),
            _ => None,
        })
    };
    let find_account = |id| {
        verified.claims.iter().find_map(|claim| match claim {
            ClaimView::Account(account) if account.id == id => Some(account.handle.to_string()),
            _ => None,
        })
    };
    let model_name = |id| find_model(id).map_or_else(|| format!("{id}"), |model| model.name.to_string());
    let account_name = |id| find_account(id).unwrap_or_else(|| format!("{id}"));
    let mut fields = Fields::default();
    fields.add("valid", "yes, decided by more than two thirds of the validators");
    fields.add("network", format!("{}\n{}", verified.network_name, verified.network));
    fields.add("as of", format!("block {}, certified {}", verified.height, super::units::show_time(verified.certified)));
    for claim in &verified.claims {
        match claim {
            ClaimView::Share(share) => {
                fields.add("model", model_name(share.model)).add("holder", account_name(share.account));
                let of = find_model(share.model).map(|model| format!(" of {}", show_count(model.total_units.get())));
                fields.add("units", format!("{}{}", show_count(share.units.get()), of.unwrap_or_default()));
            }
            ClaimView::Version(version) => {
                fields.add("version", format!("{}@{}", model_name(version.model), version.label));
                fields.add("artifact", version.artifact.address);
                fields.add("size", show_size(version.artifact.size_bytes));
                fields.add("status", match &version.status {
                    VersionStatus::Published => "published, not released".to_owned(),
                    VersionStatus::Released { proposal, height } => {
                        format!("released in block {height} by proposal\n{proposal}")
                    }
                });
            }
            ClaimView::Absent(key) => {
                fields.add("absent", format!("nothing stands under key {key}"));
            }
            // They give the names above; nothing more is claimed of them.
            ClaimView::Model(_) | ClaimView::Account(_) => {}
            ClaimView::Other(key) => {
                fields.add("other", format!("a record under key {key}"));
            }
        }
    }
    fields.show()
}

//! `allod verify`: checks a deed offline against a genesis and a checkpoint, without asking anybody.

mod facts;

use super::{
    Exit, Failure,
    context::Context,
    output::Fields,
    units::{self, milliseconds, now, show_count, show_duration, show_time},
};
use crate::run::read_genesis;
use allod_protocol::{
    ground::{ids::Timestamp, limits},
    ledger::genesis::Genesis,
    proof::{
        Checkpoint, Deed, Subject, Trust,
        deed::Facts,
        root::{Signers, TrustedRoot},
    },
};
use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use std::{path::PathBuf, time::Duration};

/// Check a deed offline against a genesis and a checkpoint.
#[derive(Debug, clap::Args)]
pub(super) struct Verify {
    /// The deed
    deed: PathBuf,
    /// The genesis that you trust, from a source of your own
    #[arg(long, value_name = "FILE")]
    genesis: PathBuf,
    /// A block that you trust, from a source of your own and as new as you can get it, as `allod status` prints it.
    /// Without it, every set of validators since genesis is trusted
    #[arg(long, value_name = "HEIGHT:HASH")]
    checkpoint: Option<Checkpoint>,
    /// Refuse a deed whose block is older than this by your clock, such as 7d
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    max_age: Option<Duration>,
}

/// What a deed proves, and what that rests on.
#[derive(Debug, Serialize)]
struct Verified {
    network_name: String,
    #[serde(flatten)]
    root: TrustedRoot,
    /// Age of the block that certifies it by this machine's clock, in milliseconds; 0 if the block is ahead of the
    /// clock.
    age_ms: u64,
    subject: Subject,
    facts: Facts,
}

impl Verify {
    pub(super) fn execute(self, context: &Context) -> Result<()> {
        let genesis = read_genesis(&self.genesis)?;
        let size = std::fs::metadata(&self.deed).map(|metadata| metadata.len());
        if size.is_ok_and(|size| size > limits::DEED_SIZE_BYTES as u64) {
            bail!("{} is larger than any deed", self.deed.display());
        }
        let bytes = std::fs::read(&self.deed).with_context(|| format!("cannot read {}", self.deed.display()))?;
        let verified = verify(&bytes, &genesis, self.checkpoint, now())
            .with_context(|| format!("{} proves nothing", self.deed.display()))?;
        if let Some(max_age) = self.max_age {
            require_age(&verified, max_age, now())?;
        }
        if verified.root.trust == Trust::GenesisOnly {
            context.note(
                "WARNING: without --checkpoint this rests on the keys of every validator since genesis, retired ones \
                 too; see `trust`",
            );
        }
        context.answer(&verified, show)
    }
}

fn verify(bytes: &[u8], genesis: &Genesis, checkpoint: Option<Checkpoint>, now: Timestamp) -> Result<Verified> {
    let deed = Deed::decode(bytes)?;
    let verified = deed.verify(genesis, checkpoint)?;
    Ok(Verified {
        network_name: genesis.name.clone(),
        age_ms: now.get().saturating_sub(verified.root.time.get()),
        root: verified.root,
        subject: deed.subject,
        facts: verified.facts,
    })
}

/// Refuses a deed that is too old, or that no honest validator can have signed yet.
fn require_age(verified: &Verified, max_age: Duration, now: Timestamp) -> Result<()> {
    /// How far a validator's clock may be ahead, in milliseconds: the largest value that the parameter can have.
    const AHEAD_MS: u64 = 10 * 60 * 1_000;
    let time = verified.root.time;
    let message = if verified.age_ms > milliseconds(max_age) {
        format!(
            "the deed is valid, but its block is {} old by this machine's clock, older than --max-age {}: ask for a new one",
            show_duration(verified.age_ms),
            show_duration(milliseconds(max_age))
        )
    } else if time.get().saturating_sub(now.get()) > AHEAD_MS {
        format!(
            "the deed's block has the time {}, which is in the future by this machine's clock: correct the clock, or do not \
            trust the deed",
            show_time(time)
        )
    } else {
        return Ok(());
    };
    Err(Failure::new(Exit::TooOld, message).into())
}

fn show(verified: &Verified) -> String {
    let root = &verified.root;
    let mut fields = Fields::default();
    fields.add("valid", format!("yes, {}", signed_by(&root.signers)));
    fields.add("trust", trust(root));
    fields.add("network", format!("{}\n{}", verified.network_name, root.network));
    let age = match root.time.get().saturating_sub(now().get()) {
        0 => format!("{} ago by this machine's clock", show_duration(verified.age_ms)),
        ahead => format!("{} ahead of this machine's clock", show_duration(ahead)),
    };
    let (height, block) = (show_count(root.height.get()), show_count(root.block.height.get()));
    fields.add("as of", format!("block {height}; certified by block {block} at {}, {age}", show_time(root.time)));
    fields.add("certified by", root.block);
    facts::add(&mut fields, &verified.subject, &verified.facts, root.time);
    fields.show()
}

/// Who signed a block.
fn signed_by(signers: &Signers) -> String {
    let Signers { signed, validators, signed_power, total_power } = *signers;
    if validators == 1 {
        return "signed by the only validator that there was: nobody else answers for it".into();
    }
    let count = match signed == validators {
        true => format!("all {validators} validators"),
        false => format!("{signed} of {validators} validators"),
    };
    // If each has power one, a second number adds nothing.
    match signed_power.get() == signed && total_power.get() == validators {
        true => format!("signed by {count}"),
        false => format!("signed by {count}, with {signed_power} of {total_power} of the power"),
    }
}

/// What had to be trusted.
fn trust(root: &TrustedRoot) -> String {
    let changes = |since: &str| match root.believed_changes {
        0 => format!("no change of the validators {since}"),
        1 => format!("1 change of the validators {since}"),
        count => format!("{} changes of the validators {since}", show_count(count)),
    };
    match root.trust {
        Trust::Checkpoint(checkpoint) if checkpoint.height >= root.block.height => {
            format!("checkpoint {checkpoint}\nwhich settles it: no signature had to be trusted")
        }
        Trust::Checkpoint(checkpoint) => {
            format!("checkpoint {checkpoint}\nand the validators from there on: {}", changes("since the checkpoint"))
        }
        Trust::GenesisOnly => format!(
            "GENESIS ONLY: every set of validators since genesis, {}.\nAnyone with keys of more than two thirds of any \
             of these sets, retired ones too,\ncan forge a deed like this one. Give --checkpoint HEIGHT:HASH, from a \
             peer that\nyou trust: as its `allod status` prints it, or its hash of block {} (`allod block {}`)",
            changes("in all"),
            root.block.height,
            root.block.height
        ),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;
    use allod_protocol::ground::ids::{BlockHash, Height, NetworkId, Power, StateRoot};

    #[test]
    fn what_is_no_deed_proves_nothing() {
        let (genesis, _) = crate::cli::testnet::local_genesis_for_tests(1);
        assert!(verify(b"", &genesis, None, now()).is_err());
        assert!(verify(&[1; 100], &genesis, None, now()).is_err());
    }

    #[test]
    fn the_validators_behind_it_are_counted_in_words_that_are_true() {
        let signers = |signed, validators, signed_power, total_power| {
            let (signed_power, total_power) = (Power::new(signed_power), Power::new(total_power));
            signed_by(&Signers { signed, validators, signed_power, total_power })
        };
        assert_eq!(signers(1, 1, 1, 1), "signed by the only validator that there was: nobody else answers for it");
        assert_eq!(signers(3, 4, 3, 4), "signed by 3 of 4 validators");
        assert_eq!(signers(4, 4, 4, 4), "signed by all 4 validators");
        assert_eq!(signers(1, 3, 10, 12), "signed by 1 of 3 validators, with 10 of 12 of the power");
    }

    fn root(trust: Trust, believed_changes: u64) -> TrustedRoot {
        TrustedRoot {
            network: NetworkId::from_bytes([1; 32]),
            height: Height::new(9),
            state_root: StateRoot::from_bytes([2; 32]),
            block: Checkpoint { height: Height::new(10), block: BlockHash::from_bytes([3; 32]) },
            time: Timestamp::new(5_000_000),
            signers: Signers { signed: 1, validators: 1, signed_power: Power::new(1), total_power: Power::new(1) },
            trust,
            believed_changes,
        }
    }

    #[test]
    fn what_is_trusted_is_said_loudly_where_it_is_much() {
        let words = trust(&root(Trust::GenesisOnly, 2));
        assert!(words.starts_with("GENESIS ONLY: every set of validators since genesis, 2 changes"), "{words}");
        assert!(words.contains("retired ones too") && words.contains("`allod block 10`"), "{words}");
        let checkpoint = |height| Checkpoint { height: Height::new(height), block: BlockHash::from_bytes([3; 32]) };
        let words = trust(&root(Trust::Checkpoint(checkpoint(4)), 1));
        assert!(words.starts_with("checkpoint 4:0303"), "{words}");
        assert!(words.ends_with("1 change of the validators since the checkpoint"), "{words}");
        assert!(trust(&root(Trust::Checkpoint(checkpoint(10)), 0)).contains("no signature had to be trusted"));
    }

    #[test]
    fn a_maximum_age_is_held_by_the_clock_of_the_verifier() {
        let (genesis, _) = crate::cli::testnet::local_genesis_for_tests(1);
        let account = genesis.account_id(&genesis.accounts[0].handle);
        let subject = Subject::Licence { model: allod_protocol::ground::ids::ModelId::from_bytes([1; 32]), account };
        let held = |age_ms, now| {
            let facts = facts::tests::nothing_attested(account);
            let root = root(Trust::GenesisOnly, 0);
            let verified = Verified { network_name: String::new(), root, age_ms, subject: subject.clone(), facts };
            require_age(&verified, Duration::from_secs(60), Timestamp::new(now))
        };
        assert!(held(60_000, 5_060_000).is_ok());
        let refused = held(60_001, 5_060_001).unwrap_err();
        assert_eq!(crate::cli::exit_of(&refused), Exit::TooOld);
        assert!(refused.to_string().contains("older than --max-age 1 min"), "{refused}");
        assert!(held(0, 4_400_000).is_ok(), "ten minutes ahead may be a clock");
        assert!(held(0, 4_399_999).unwrap_err().to_string().contains("in the future"));
    }
}

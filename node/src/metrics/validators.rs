//! What each validator did and did not do, counted from the certificates of decided blocks.
//!
//! Validators are few and settled by the ledger, so they are the one thing that labels name: by the beginning of their
//! address, and the handle of their operator. Those of the set in force are there from the start, at zero; one that leaves
//! the set leaves the metrics.

use super::families::ValidatorMetrics;
use allod_protocol::{
    ground::{
        ids::{Height, ValidatorAddress},
        state::{StateError, StateRead, read},
    },
    ledger::block::CommitCertificate,
    rules::{
        account::Account,
        validator::{Validator, ValidatorSet},
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

/// After how many blocks in a row without its precommit a validator that is not connected either counts as absent. One
/// that is far away is often late, and blocks do not wait for it.
const ABSENT_AFTER: u64 = 10;
/// Digits of an address that a label has.
const DIGITS: usize = 8;

/// The validators' metrics.
#[derive(Debug)]
pub(super) struct Validators {
    metrics: ValidatorMetrics,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// Blocks in a row without the validator's precommit.
    in_a_row: BTreeMap<ValidatorAddress, u64>,
    labels: BTreeSet<[String; 2]>,
    /// Those whose votes the height under way has lacked for long.
    awaited: Vec<ValidatorAddress>,
    /// Those that do not hear this peer.
    unheard: Vec<ValidatorAddress>,
}

impl Validators {
    pub(super) fn new(metrics: ValidatorMetrics) -> Self {
        Self { metrics, seen: Mutex::default() }
    }

    /// Sets whom the height under way waits for, and who does not hear this peer.
    pub(super) fn set_missing(&self, awaited: &[ValidatorAddress], unheard: &[ValidatorAddress]) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        awaited.clone_into(&mut seen.awaited);
        unheard.clone_into(&mut seen.unheard);
    }

    /// Counts what validators did not do for a block: this set decided it.
    pub(super) fn on_block(
        &self,
        (set, height): (&ValidatorSet, Height),
        certificate: &CommitCertificate,
        state: &impl StateRead,
    ) -> Result<(), StateError> {
        let signed: BTreeSet<_> = certificate.signatures.iter().map(|signature| signature.validator).collect();
        for validator in set.iter() {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let in_a_row = seen.in_a_row.entry(validator.address).or_default();
            if signed.contains(&validator.address) {
                *in_a_row = 0;
                continue;
            }
            *in_a_row = in_a_row.saturating_add(1);
            drop(seen);
            self.metrics.missed_precommits.with_label_values(&labels(validator, state)?).inc();
        }
        for round in 0..certificate.round {
            let proposer = set.proposer(height, round);
            self.metrics.missed_proposals.with_label_values(&labels(proposer, state)?).inc();
        }
        Ok(())
    }

    /// Shows every validator of a set, and nobody else.
    pub(super) fn show(&self, set: &ValidatorSet, state: &impl StateRead) -> Result<(), StateError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut shown = BTreeSet::new();
        for validator in set.iter() {
            let (address, labels) = (validator.address, labels(validator, state)?);
            let missed = seen.in_a_row.get(&address).copied().unwrap_or(0);
            let is_gone = missed >= ABSENT_AFTER && seen.unheard.contains(&address);
            let is_absent = is_gone || seen.awaited.contains(&address);
            self.metrics.missed_precommits.with_label_values(&labels);
            self.metrics.missed_proposals.with_label_values(&labels);
            self.metrics.absent.with_label_values(&labels).set(i64::from(is_absent));
            shown.insert(labels);
        }
        for left in seen.labels.difference(&shown) {
            // They were there when they were shown.
            let _ = self.metrics.missed_precommits.remove_label_values(left);
            let _ = self.metrics.missed_proposals.remove_label_values(left);
            let _ = self.metrics.absent.remove_label_values(left);
        }
        seen.labels = shown;
        seen.in_a_row.retain(|address, _| set.by_address(address).is_some());
        Ok(())
    }
}

fn labels(validator: &Validator, state: &impl StateRead) -> Result<[String; 2], StateError> {
    let address = validator.address.to_string().chars().take(DIGITS).collect();
    let operator = read::<Account>(state, &validator.operator)?.map(|account| account.handle.to_string());
    Ok([address, operator.unwrap_or_default()])
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::{super::families::Make, *};
    use allod_protocol::{
        ground::{
            crypto::SigningKey,
            ids::{AccountId, BlockHash, Power, PublicKey, Signature},
            state::{Direction, Entry},
        },
        ledger::block::CommitSignature,
    };
    use prometheus::{Encoder as _, Registry, TextEncoder};

    /// A state in which there is nothing.
    struct Empty;

    impl StateRead for Empty {
        fn get(&self, _: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
            Ok(None)
        }
        fn range(&self, _: &[u8], _: &[u8], _: Direction, _: usize) -> Result<Vec<Entry>, StateError> {
            Ok(Vec::new())
        }
    }

    fn key(seed: u8) -> PublicKey {
        SigningKey::from_seed(&[seed; 32]).public_key()
    }

    fn address(seed: u8) -> ValidatorAddress {
        key(seed).validator_address()
    }

    fn set(seeds: &[u8]) -> ValidatorSet {
        let one = |seed: &u8| Validator::new(key(*seed), Power::new(1), AccountId::from_bytes([0; 32]));
        ValidatorSet::try_from(seeds.iter().map(one).collect::<Vec<_>>()).unwrap()
    }

    fn certificate(round: u32, seeds: &[u8]) -> CommitCertificate {
        let signature =
            |seed: &u8| CommitSignature { validator: address(*seed), signature: Signature::from_bytes([0; 64]) };
        let signatures = seeds.iter().map(signature).collect();
        CommitCertificate { height: Height::new(1), round, block: BlockHash::from_bytes([0; 32]), signatures }
    }

    fn value(registry: &Registry, name: &str, seed: u8) -> Option<String> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&registry.gather(), &mut text).unwrap();
        let begin = format!("{name}{{operator=\"\",validator=\"{}\"}} ", &address(seed).to_string()[..DIGITS]);
        String::from_utf8(text).unwrap().lines().find_map(|line| Some(line.strip_prefix(&begin)?.to_owned()))
    }

    #[test]
    fn who_does_not_sign_is_counted_and_who_is_not_there_either_is_absent() {
        let registry = Registry::new();
        let validators = Validators::new(Make(&registry).validators().unwrap());
        let four = set(&[1, 2, 3, 4]);
        validators.show(&four, &Empty).unwrap();
        let missed = |seed| value(&registry, "allod_validator_missed_precommits_total", seed);
        let absent = |seed| value(&registry, "allod_validator_absent", seed);
        for seed in 1..=4 {
            assert_eq!(
                (missed(seed).as_deref(), absent(seed).as_deref()),
                (Some("0"), Some("0")),
                "there from the start"
            );
        }
        for _ in 0..ABSENT_AFTER {
            validators.on_block((&four, Height::new(1)), &certificate(0, &[1, 2]), &Empty).unwrap();
        }
        validators.set_missing(&[], &[address(4)]);
        validators.show(&four, &Empty).unwrap();
        assert_eq!(
            (missed(2).as_deref(), missed(3).as_deref(), missed(4).as_deref()),
            (Some("0"), Some("10"), Some("10"))
        );
        assert_eq!((absent(3).as_deref(), absent(4).as_deref()), (Some("0"), Some("1")), "3 may only be far away");
        validators.set_missing(&[address(3)], &[]);
        validators.show(&four, &Empty).unwrap();
        assert_eq!((absent(3).as_deref(), absent(4).as_deref()), (Some("1"), Some("0")));
        validators.on_block((&four, Height::new(1)), &certificate(0, &[1, 3, 4]), &Empty).unwrap();
        validators.set_missing(&[], &[address(4)]);
        validators.show(&set(&[1, 2, 4]), &Empty).unwrap();
        assert_eq!((missed(3), absent(3)), (None, None), "who left the set leaves the metrics");
        assert_eq!(absent(4).as_deref(), Some("0"), "it signed again");
    }

    #[test]
    fn a_round_that_decided_nothing_is_its_proposers() {
        let registry = Registry::new();
        let validators = Validators::new(Make(&registry).validators().unwrap());
        let four = set(&[1, 2, 3, 4]);
        validators.show(&four, &Empty).unwrap();
        let height = Height::new(7);
        validators.on_block((&four, height), &certificate(2, &[1, 2, 3, 4]), &Empty).unwrap();
        let missed = |seed| value(&registry, "allod_validator_missed_proposals_total", seed).unwrap();
        for seed in 1..=4 {
            let turns = (0..2).filter(|round| four.proposer(height, *round).address == address(seed)).count();
            assert_eq!(missed(seed), turns.to_string());
        }
    }
}

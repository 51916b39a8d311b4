//! The accounts of a history by their handles, and the keys that they have at one time or another.

use crate::ledger::key;
use allod_protocol::{
    ground::{crypto::SigningKey, ids::Handle},
    rules::account::{KeyPolicy, WeightedKey},
};

/// Who founds a network.
pub const FOUNDERS: [&str; 6] = ["northfield", "lakeside", "hilltop", "riverbend", "seafront", "oldbridge"];

/// Who founds a network beside them where many are wanted.
pub const MORE: [&str; 18] = [
    "alder", "ash", "aspen", "beech", "birch", "cedar", "elm", "fir", "hazel", "juniper", "larch", "maple", "oak",
    "pine", "rowan", "spruce", "willow", "yew",
];

/// Handles of accounts to admit; some look alike, and one is taken.
pub(super) const GUESTS: [&str; 6] = ["guest", "meadow", "rneadow", "mill-01", "lakeside", "weir"];

/// How many key policies an account has at one time or another.
const KEYS: u8 = 6;

/// The keys that an account of a handle ever has, the one that it begins with first.
fn ring(handle: &Handle) -> [SigningKey; 3] {
    let place = FOUNDERS.iter().chain(&MORE).chain(&GUESTS).position(|known| *known == handle.as_str());
    let place = place.and_then(|place| u8::try_from(place).ok()).expect("a handle of this history");
    [key(place), key(60 + place), key(150 + place)]
}

/// Keys that an account of a handle can have, each with a weight of 1; number 0 is what it begins with.
pub(super) fn keys(handle: &Handle, number: u8) -> KeyPolicy {
    let [first, second, third] = ring(handle).map(|key| WeightedKey { key: key.public_key(), weight: 1 });
    let (threshold, keys) = match number % KEYS {
        0 => (1, vec![first]),
        1 => (1, vec![second]),
        2 => (1, vec![first, second]),
        3 => (2, vec![first, second]),
        4 => (2, vec![second, third]),
        _ => (2, vec![third, first, second]),
    };
    KeyPolicy { threshold, keys }
}

/// Which of its keys an account signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hand {
    /// As many as are needed, the first ones.
    First,
    /// The same, the last ones.
    Last,
    /// All of them.
    All,
    /// One of those that it had before the block.
    Late,
}

impl Hand {
    pub(super) const fn of(bits: u64) -> Self {
        match bits {
            0..=3 => Self::First,
            4 | 5 => Self::Last,
            6 => Self::All,
            _ => Self::Late,
        }
    }

    pub(super) fn signers(self, handle: &Handle, keys: &KeyPolicy) -> Vec<SigningKey> {
        let mut held: Vec<SigningKey> = ring(handle).into_iter().filter(|one| keys.has(&one.public_key())).collect();
        let needed = keys.threshold as usize;
        match self {
            Self::First => held.truncate(needed),
            Self::Last => drop(held.drain(..held.len() - needed)),
            Self::All => {}
            Self::Late => held.truncate(1),
        }
        held
    }
}

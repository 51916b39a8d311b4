//! A virtual network: delay, loss, duplication, corruption and partition, all from the run's seed.

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use std::{ops::Range, sync::Arc};

/// A stretch of virtual time in which some peers are cut off from the others (and not from each other).
#[derive(Clone, Debug)]
pub struct Partition {
    /// When, in virtual milliseconds.
    pub during_ms: Range<u64>,
    /// Who is on the smaller side.
    pub isolated: Vec<usize>,
    /// Whether they hear the others all the same, who do not hear them.
    pub one_way: bool,
    /// If it flaps: how long it is there, then how long it is not, and so on, in milliseconds.
    pub flaps_ms: Option<u64>,
}

impl Partition {
    fn cuts(&self, now_ms: u64, from: usize, to: usize) -> bool {
        let is_open = |flap_ms: u64| ((now_ms - self.during_ms.start) / flap_ms) % 2 == 1;
        self.during_ms.contains(&now_ms)
            && !self.flaps_ms.is_some_and(is_open)
            && self.isolated.contains(&from) != self.isolated.contains(&to)
            && (!self.one_way || self.isolated.contains(&from))
    }
}

/// How badly the network behaves.
#[derive(Clone, Debug)]
pub struct NetworkConditions {
    /// How long a packet takes, in virtual microseconds. Packets overtake each other.
    pub delay_us: Range<u64>,
    /// How many packets are lost, 0 to 1.
    pub loss: f64,
    /// How many packets arrive twice, 0 to 1.
    pub duplication: f64,
    /// How many gossip messages arrive with another byte somewhere, 0 to 1.
    pub corruption: f64,
    /// Who is cut off when.
    pub partitions: Vec<Partition>,
}

impl Default for NetworkConditions {
    fn default() -> Self {
        Self { delay_us: 1_000..20_000, loss: 0.0, duplication: 0.0, corruption: 0.0, partitions: Vec::new() }
    }
}

impl NetworkConditions {
    /// After how long each copy of a packet arrives; none if it is lost.
    pub fn arrivals(&self, rng: &mut ChaCha8Rng, now_us: u64, from: usize, to: usize) -> Vec<u64> {
        let cut = self.partitions.iter().any(|partition| partition.cuts(now_us / 1_000, from, to));
        if cut || rng.random_bool(self.loss) {
            return Vec::new();
        }
        let copies = if rng.random_bool(self.duplication) { 2 } else { 1 };
        (0..copies).map(|_| rng.random_range(self.delay_us.clone())).collect()
    }

    /// The bytes of a gossip message as they arrive.
    pub fn corrupt(&self, rng: &mut ChaCha8Rng, bytes: &Arc<[u8]>) -> Arc<[u8]> {
        if bytes.is_empty() || self.corruption == 0.0 || !rng.random_bool(self.corruption) {
            return bytes.clone();
        }
        let mut changed = bytes.to_vec();
        let at = rng.random_range(0..changed.len());
        changed[at] ^= rng.random_range(1..=255u8);
        changed.into()
    }
}

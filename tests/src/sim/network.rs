//! A virtual network: delay, loss, duplication and partition, all from the run's seed.

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use std::ops::Range;

/// A stretch of virtual time in which some peers are cut off from the others (and not from each other).
#[derive(Clone, Debug)]
pub struct Partition {
    /// When, in virtual milliseconds.
    pub during_ms: Range<u64>,
    /// Who is on the smaller side.
    pub isolated: Vec<usize>,
}

/// How badly the network behaves.
#[derive(Clone, Debug)]
pub struct Network {
    /// How long a packet takes, in virtual microseconds. Packets overtake each other.
    pub delay_us: Range<u64>,
    /// How many packets are lost, 0 to 1.
    pub loss: f64,
    /// How many packets arrive twice, 0 to 1.
    pub duplication: f64,
    /// Who is cut off when.
    pub partitions: Vec<Partition>,
}

impl Default for Network {
    fn default() -> Self {
        Self { delay_us: 1_000..20_000, loss: 0.0, duplication: 0.0, partitions: Vec::new() }
    }
}

impl Network {
    /// After how long each copy of a packet arrives; none if it is lost.
    pub fn arrivals(&self, rng: &mut ChaCha8Rng, now_us: u64, from: usize, to: usize) -> Vec<u64> {
        let cut = self.partitions.iter().any(|partition| {
            partition.during_ms.contains(&(now_us / 1_000))
                && partition.isolated.contains(&from) != partition.isolated.contains(&to)
        });
        if cut || rng.random_bool(self.loss) {
            return Vec::new();
        }
        let copies = if rng.random_bool(self.duplication) { 2 } else { 1 };
        (0..copies).map(|_| rng.random_range(self.delay_us.clone())).collect()
    }
}

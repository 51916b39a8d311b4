//! How fast providers are: measured during a fetch, and remembered from one fetch to the next.

use super::fetch::DropReason;
use libp2p::PeerId;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::time::{Duration, Instant};

/// How long arrivals are collected for one sample.
const SAMPLE_TIME: Duration = Duration::from_millis(200);
/// The weight of the old estimate against that of a new sample, which is 1.
const OLD_WEIGHT: u64 = 3;
/// Maximum number of peers remembered.
const REMEMBERED_PEERS: usize = 1_024;
/// How long a provider that was given up as slow, busy or unreachable is asked only when nobody else has the bytes.
const AVOIDED_TIME: Duration = Duration::from_secs(10 * 60);

/// The speed of one provider, over all its streams.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    bytes_per_s: Option<u64>,
    since: Instant,
    bytes: u64,
}

impl Meter {
    /// A meter that starts with a known speed, if there is one.
    pub(super) const fn new(bytes_per_s: Option<u64>, now: Instant) -> Self {
        Self { bytes_per_s, since: now, bytes: 0 }
    }

    /// The provider owed nothing until now.
    pub(super) const fn begin(&mut self, now: Instant) {
        (self.since, self.bytes) = (now, 0);
    }

    /// Counts bytes that have arrived.
    pub(super) fn add(&mut self, bytes: u64, now: Instant) {
        self.bytes = self.bytes.saturating_add(bytes);
        let elapsed = now.saturating_duration_since(self.since);
        if elapsed < SAMPLE_TIME {
            return;
        }
        let sample = rate(self.bytes, elapsed);
        self.bytes_per_s = Some(match self.bytes_per_s {
            Some(old) => old.saturating_mul(OLD_WEIGHT).saturating_add(sample) / OLD_WEIGHT.saturating_add(1),
            None => sample,
        });
        self.begin(now);
    }

    /// The estimated speed in bytes per second, if known. If a provider owes something, the time since its last bytes
    /// lowers the estimate.
    pub(super) fn bytes_per_s(&self, owes: bool, now: Instant) -> Option<u64> {
        let elapsed = now.saturating_duration_since(self.since);
        if !owes || elapsed < SAMPLE_TIME.saturating_mul(2) {
            return self.bytes_per_s;
        }
        let measured = rate(self.bytes, elapsed);
        Some(self.bytes_per_s.map_or(measured, |known| known.min(measured)))
    }
}

fn rate(bytes: u64, elapsed: Duration) -> u64 {
    let per_s = u128::from(bytes).saturating_mul(1_000_000) / elapsed.as_micros().max(1);
    u64::try_from(per_s).unwrap_or(u64::MAX)
}

/// How long `bytes` take at a speed.
pub(super) fn time_for(bytes: u64, bytes_per_s: u64) -> Duration {
    let micros = u128::from(bytes).saturating_mul(1_000_000) / u128::from(bytes_per_s.max(1));
    Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}

#[derive(Clone, Copy, Debug)]
struct Remembered {
    bytes_per_s: Option<u64>,
    avoided_until: Option<Instant>,
    at: Instant,
}

/// What the fetches of a process know about peers. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory(Arc<Mutex<BTreeMap<PeerId, Remembered>>>);

impl Memory {
    fn peers(&self) -> MutexGuard<'_, BTreeMap<PeerId, Remembered>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last known speed of the peer, in bytes per second.
    pub(super) fn bytes_per_s(&self, peer: &PeerId) -> Option<u64> {
        self.peers().get(peer)?.bytes_per_s
    }

    /// Whether the peer was given up recently.
    pub(super) fn avoids(&self, peer: &PeerId, now: Instant) -> bool {
        self.peers().get(peer).and_then(|known| known.avoided_until).is_some_and(|until| until > now)
    }

    /// Stores what a fetch found out.
    pub(super) fn keep(&self, peer: PeerId, bytes_per_s: Option<u64>, dropped: Option<&DropReason>, now: Instant) {
        let mut peers = self.peers();
        let avoided_until = dropped.map(|_| now + AVOIDED_TIME);
        let bytes_per_s = bytes_per_s.or_else(|| peers.get(&peer)?.bytes_per_s);
        peers.insert(peer, Remembered { bytes_per_s, avoided_until, at: now });
        if peers.len() > REMEMBERED_PEERS
            && let Some(oldest) = peers.iter().min_by_key(|(_, known)| known.at).map(|(peer, _)| *peer)
        {
            peers.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_is_that_of_the_samples_and_falls_while_nothing_comes() {
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let mut meter = Meter::new(None, start);
        assert_eq!(meter.bytes_per_s(true, after(100)), None);
        assert_eq!(meter.bytes_per_s(true, after(1_000)), Some(0), "it owes us and sent nothing");
        meter.add(200_000, after(200));
        assert_eq!(meter.bytes_per_s(true, after(200)), Some(1_000_000));
        meter.add(1_000_000, after(400));
        assert_eq!(meter.bytes_per_s(true, after(400)), Some(2_000_000), "three quarters of 1 MB/s and a quarter of 5");
        meter.add(1_000, after(401));
        assert_eq!(meter.bytes_per_s(true, after(1_400)), Some(1_000), "it owes us and sent only this");
        assert_eq!(meter.bytes_per_s(false, after(1_400)), Some(2_000_000), "it owes nothing");
        assert_eq!(time_for(3_000_000, 2_000_000), Duration::from_millis(1_500));
    }

    #[test]
    fn who_was_given_up_is_avoided_for_a_while_and_the_memory_is_bounded() {
        let (start, memory) = (Instant::now(), Memory::default());
        let slow = PeerId::random();
        memory.keep(slow, Some(1_000), Some(&DropReason::Busy), start);
        assert!(memory.avoids(&slow, start));
        assert!(!memory.avoids(&slow, start + AVOIDED_TIME));
        assert_eq!(memory.bytes_per_s(&slow), Some(1_000));
        for number in 1..=REMEMBERED_PEERS {
            memory.keep(PeerId::random(), None, None, start + Duration::from_secs(number as u64));
        }
        assert_eq!(memory.peers().len(), REMEMBERED_PEERS);
        assert_eq!(memory.bytes_per_s(&slow), None, "the oldest was forgotten");
    }
}

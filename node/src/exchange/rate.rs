//! Bounds on bytes per second, shared by all streams of a kind.

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use std::{fmt, num::NonZeroU32, sync::Arc};

/// Bytes that pass together. Slow data is sent in small portions, so that nobody takes it for a stream that has died.
pub(super) const PORTION_BYTES: usize = 8 * 1024;
/// The smallest bound, in bytes per second.
pub const LEAST_BYTES_PER_S: u32 = 64 * 1024;
/// Seconds within which each of the streams that share a bound gets a portion.
const PORTION_TIME_S: u32 = 4;
/// The smallest piece requested under a bound, in bytes; and the fraction of a second that one piece takes at most.
const LEAST_PIECE_BYTES: u64 = 64 * 1024;
const PIECE_PART: u64 = 16;
/// The fraction of a second whose bytes may pass at once.
const BURST_PART: u32 = 8;

/// An optional bound on bytes per second. Clones share it.
#[derive(Clone, Default)]
pub struct RateLimit(Option<Arc<Bound>>);

struct Bound {
    bytes_per_s: NonZeroU32,
    limiter: DefaultDirectRateLimiter,
}

impl fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "RateLimit(bounded)" } else { "RateLimit(none)" })
    }
}

impl RateLimit {
    /// A bound in bytes per second, at least [`LEAST_BYTES_PER_S`]. `None` means no bound.
    pub fn new(bytes_per_s: Option<NonZeroU32>) -> Self {
        let least = NonZeroU32::new(LEAST_BYTES_PER_S).unwrap_or(NonZeroU32::MIN);
        Self(bytes_per_s.map(|bytes_per_s| {
            let bytes_per_s = bytes_per_s.max(least);
            let burst = NonZeroU32::new(bytes_per_s.get() / BURST_PART).unwrap_or(least).max(least);
            let limiter = RateLimiter::direct(Quota::per_second(bytes_per_s).allow_burst(burst));
            Arc::new(Bound { bytes_per_s, limiter })
        }))
    }

    /// Whether there is a bound.
    pub(super) const fn is_bounded(&self) -> bool {
        self.0.is_some()
    }

    /// How many streams can share it so that none waits long for its next portion.
    pub(crate) fn streams(&self) -> usize {
        let fit = |bound: &Arc<Bound>| bound.bytes_per_s.get().saturating_mul(PORTION_TIME_S) / PORTION_BYTES as u32;
        self.0.as_ref().map_or(usize::MAX, |bound| usize::try_from(fit(bound)).unwrap_or(usize::MAX))
    }

    /// Bytes of a piece that passes in a moment.
    pub(super) fn piece_bytes(&self) -> u64 {
        let fit = |bound: &Arc<Bound>| {
            u64::from(bound.bytes_per_s.get()) / PIECE_PART / LEAST_PIECE_BYTES * LEAST_PIECE_BYTES
        };
        self.0.as_ref().map_or(u64::MAX, |bound| fit(bound).max(LEAST_PIECE_BYTES))
    }

    /// Waits until `bytes` may pass.
    pub(super) async fn pass(&self, bytes: u64) {
        let Some(bound) = &self.0 else { return };
        let mut left = bytes;
        while left > 0 {
            let portion = left.min(PORTION_BYTES as u64);
            left = left.saturating_sub(portion);
            if let Some(portion) = u32::try_from(portion).ok().and_then(NonZeroU32::new) {
                // A portion is never larger than the burst.
                let _ = bound.limiter.until_n_ready(portion).await;
            }
        }
    }
}

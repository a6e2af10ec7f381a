//! When the next segment may leave, for controllers that name a rate.

use core::time::Duration;

use switchboard_wire::Instant;

/// Spreads segments over time. Without a rate it is always open.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pacer {
    opens_at: Instant,
}

impl Pacer {
    /// When a segment may leave, if that is later than `now`.
    pub(crate) fn wait(&self, now: Instant, rate: Option<u64>) -> Option<Instant> {
        rate.and_then(|_| (self.opens_at > now).then_some(self.opens_at))
    }

    /// `octets` left at `rate` octets a second.
    pub(crate) fn record(&mut self, now: Instant, octets: u32, rate: Option<u64>) {
        if let Some(rate) = rate {
            let nanos = u64::from(octets).saturating_mul(1_000_000_000) / rate.max(1);
            self.opens_at = self.opens_at.max(now) + Duration::from_nanos(nanos);
        }
    }
}

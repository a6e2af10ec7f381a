//! How long a packet is on the way.

use std::time::Duration;

use switchboard_wire::Instant;

use crate::rng::Rng;

/// A line's length in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delay {
    /// What every packet takes.
    pub base: Duration,
    /// What it may take more: evenly spread from zero. Packets keep their order; what
    /// overtakes is [`Reorder`](super::Reorder)'s business.
    pub jitter: Duration,
}

impl Delay {
    /// The same time for every packet.
    #[must_use]
    pub const fn constant(base: Duration) -> Self {
        Self {
            base,
            jitter: Duration::ZERO,
        }
    }

    /// When a packet that left at `departed` gets there, not before `previous` did.
    pub fn arrival(&self, departed: Instant, previous: Instant, rng: &mut Rng) -> Instant {
        let jitter = rng.up_to(self.jitter);
        (departed + self.base + jitter).max(previous)
    }
}

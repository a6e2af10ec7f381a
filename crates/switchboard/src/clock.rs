//! Where a [`Net`](crate::Net) gets its time from: tokio's clock, so that paused time works.

use std::time::Duration;

use switchboard_core::Instant;

/// A clock that starts at zero and follows [`tokio::time::Instant`].
///
/// Under `tokio::time::pause` it stands still and jumps with tokio's timers, so whole
/// conversations, with their retransmissions and timeouts, run in virtual time. Nets, devices
/// and captures that shall agree on time share one clock: it is `Copy`.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: tokio::time::Instant,
    /// What the clock showed at `origin`.
    shown: Instant,
}

impl Clock {
    /// A clock whose zero is this moment.
    #[must_use]
    pub fn start() -> Self {
        Self::showing(Instant::ZERO)
    }

    /// A clock that shows `now` at this moment: for a host that joins a simulated world late.
    pub(crate) fn showing(now: Instant) -> Self {
        Self {
            origin: tokio::time::Instant::now(),
            shown: now,
        }
    }

    /// The time since the clock started.
    #[must_use]
    pub fn now(&self) -> Instant {
        let elapsed = tokio::time::Instant::now().saturating_duration_since(self.origin);
        self.shown + elapsed
    }

    /// The moment of tokio's clock that `instant` stands for.
    pub(crate) fn to_tokio(self, instant: Instant) -> tokio::time::Instant {
        let since = instant.saturating_since(self.shown);
        self.origin
            .checked_add(since)
            // Beyond what the system's clock can express: never, in practice a month from now.
            .unwrap_or_else(|| tokio::time::Instant::now() + Duration::from_secs(30 * 24 * 3600))
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::start()
    }
}

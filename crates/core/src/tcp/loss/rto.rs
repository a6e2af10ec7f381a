//! The retransmission timeout (RFC 6298), from round trips measured by arrival times.

use core::time::Duration;

use crate::config::TcpConfig;

/// Doublings beyond which nothing changes: the timeout has long been the largest.
const BACKOFF_MAX: u8 = 16;

/// RFC 6298 section 5.7: after a SYN that was lost, the first timeout for text is this.
const RTO_AFTER_LOST_SYN: Duration = Duration::from_secs(3);

/// Smoothed round trip and the timeout that follows from it. Times in microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RttEstimator {
    srtt: u32,
    rttvar: u32,
    min_rtt: u32,
    /// Timeout without backoff.
    base: u32,
    smallest: u32,
    largest: u32,
    backoff: u8,
    measured: bool,
}

fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

fn duration(micros: u32) -> Duration {
    Duration::from_micros(u64::from(micros))
}

impl RttEstimator {
    /// Nothing measured yet.
    pub(crate) fn new(config: &TcpConfig, syn_was_lost: bool) -> Self {
        let initial = if syn_was_lost {
            config.rto_initial.max(RTO_AFTER_LOST_SYN)
        } else {
            config.rto_initial
        };
        Self {
            srtt: 0,
            rttvar: 0,
            min_rtt: u32::MAX,
            base: micros(initial),
            smallest: micros(config.rto_min),
            largest: micros(config.rto_max),
            backoff: 0,
            measured: false,
        }
    }

    /// A round trip that is known to belong to one transmission (Karn): it also ends backoff.
    pub(crate) fn sample(&mut self, rtt: Duration) {
        let rtt = micros(rtt);
        self.min_rtt = self.min_rtt.min(rtt);
        if self.measured {
            // RTTVAR first, with the old SRTT (section 2.3).
            let deviation = self.srtt.abs_diff(rtt);
            self.rttvar = self.rttvar - self.rttvar / 4 + deviation / 4;
            self.srtt = self.srtt - self.srtt / 8 + rtt / 8;
        } else {
            self.srtt = rtt;
            self.rttvar = rtt / 2;
            self.measured = true;
        }
        // The variation has a floor, as Linux has it, rather than the sum: a peer may delay
        // its acknowledgements by this long at any round trip.
        let spread = self.rttvar.saturating_mul(4).max(self.smallest);
        self.base = self.srtt.saturating_add(spread).min(self.largest);
        self.backoff = 0;
    }

    /// The timeout now, backed off.
    pub(crate) fn rto(&self) -> Duration {
        let factor = 1u32 << self.backoff.min(BACKOFF_MAX);
        duration(self.base.saturating_mul(factor).min(self.largest))
    }

    /// Without backoff: what probing starts from.
    pub(crate) fn rto_base(&self) -> Duration {
        duration(self.base.min(self.largest))
    }

    /// The timer expired (section 5.5).
    pub(crate) fn back_off(&mut self) {
        self.backoff = self.backoff.saturating_add(1).min(BACKOFF_MAX);
    }

    pub(crate) fn backoffs(&self) -> u32 {
        u32::from(self.backoff)
    }

    pub(crate) fn srtt(&self) -> Option<Duration> {
        self.measured.then(|| duration(self.srtt))
    }

    pub(crate) fn rttvar(&self) -> Duration {
        duration(self.rttvar)
    }

    pub(crate) fn min_rtt(&self) -> Option<Duration> {
        self.measured.then(|| duration(self.min_rtt))
    }
}

//! Reno (RFC 5681), counted in octets (RFC 3465).

use switchboard_wire::Instant;

use super::{AckSample, CWND_MAX, CongestionController, slow_start, was_limiting};

/// Adds a segment each round trip, halves on loss.
#[derive(Clone, Debug)]
pub(crate) struct Reno {
    cwnd: u32,
    ssthresh: u32,
    /// Octets acknowledged since the window last grew in congestion avoidance.
    credit: u32,
}

impl Reno {
    pub(crate) const fn new(initial_window: u32) -> Self {
        Self::resume(initial_window, CWND_MAX)
    }

    pub(super) const fn resume(cwnd: u32, ssthresh: u32) -> Self {
        Self {
            cwnd,
            ssthresh,
            credit: 0,
        }
    }
}

impl CongestionController for Reno {
    fn cwnd(&self) -> u32 {
        self.cwnd
    }

    fn ssthresh(&self) -> u32 {
        self.ssthresh
    }

    fn on_ack(&mut self, sample: &AckSample) {
        if !was_limiting(sample, self.cwnd, self.ssthresh) {
            return;
        }
        let left = slow_start(&mut self.cwnd, self.ssthresh, sample.acked);
        // Congestion avoidance: one segment for each window acknowledged.
        self.credit = self.credit.saturating_add(left);
        if left > 0 && self.credit >= self.cwnd {
            self.credit -= self.cwnd;
            self.cwnd = self.cwnd.saturating_add(sample.smss).min(CWND_MAX);
        }
    }

    fn on_congestion(&mut self, _now: Instant, flight: u32, smss: u32) {
        self.ssthresh = (flight / 2).max(2 * smss);
        self.cwnd = self.ssthresh;
        self.credit = 0;
    }

    fn on_timeout(&mut self, _now: Instant, flight: u32, smss: u32, again: bool) {
        // RFC 5681 section 3.1, equation 4; a second timeout for the same octets says nothing new.
        if !again {
            self.ssthresh = (flight / 2).max(2 * smss);
        }
        self.cwnd = smss;
        self.credit = 0;
    }

    fn on_recovered(&mut self, _now: Instant) {
        self.cwnd = self.cwnd.min(self.ssthresh);
    }

    fn on_idle(&mut self, restart_window: u32) {
        self.cwnd = self.cwnd.min(restart_window);
        self.credit = 0;
    }
}

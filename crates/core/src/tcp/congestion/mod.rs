//! How much may be under way: congestion control behind one narrow seam.
//!
//! A controller counts in octets, never in segments, knows no sequence numbers and sends
//! nothing. What it hears is an [`AckSample`] for each ACK that delivered something, and the
//! two events that mean congestion; what it is asked is `cwnd`, and `pacing_rate` by those
//! that pace. A model-based controller (BBR) finds its delivery rate in the sample.

pub(crate) mod cubic;
mod reno;

use core::time::Duration;

use switchboard_wire::Instant;

pub(crate) use cubic::Cubic;
pub(crate) use reno::Reno;

use crate::config::CongestionControl;

/// No window grows beyond this: sequence arithmetic wants less than 2^31 under way, and the
/// largest window that a peer can announce is 2^30 (RFC 7323 section 2.2).
pub(crate) const CWND_MAX: u32 = 1 << 30;

/// What one ACK told about the path.
#[derive(Clone, Copy, Debug)]
#[expect(
    dead_code,
    reason = "loss-based controllers read half of it; the delivery rate is for model-based ones"
)]
pub(crate) struct AckSample {
    /// When it arrived.
    pub(crate) arrived: Instant,
    /// Octets that it acknowledged cumulatively.
    pub(crate) acked: u32,
    /// Octets newly known to be delivered, SACKed ones included.
    pub(crate) delivered: u32,
    /// Octets newly thought lost.
    pub(crate) lost: u32,
    /// Octets delivered on this connection so far, and how many of them when the latest octet
    /// delivered now was sent, and how long ago that was: the delivery rate.
    pub(crate) delivered_total: u64,
    pub(crate) delivered_before: u64,
    pub(crate) interval: Option<Duration>,
    /// The round trip that it measured, if it did.
    pub(crate) rtt: Option<Duration>,
    pub(crate) srtt: Option<Duration>,
    /// Octets under way before it arrived.
    pub(crate) flight_before: u32,
    /// It echoed "congestion experienced" (RFC 3168).
    pub(crate) ece: bool,
    /// The sender had nothing more to send when those octets left.
    pub(crate) app_limited: bool,
    /// Payload of a full segment.
    pub(crate) smss: u32,
}

/// Finds out how fast a path can be used.
pub(crate) trait CongestionController {
    /// Octets that may be under way.
    fn cwnd(&self) -> u32;
    /// Above this the window grows slowly.
    fn ssthresh(&self) -> u32;
    /// Something was delivered and nothing is being repaired.
    fn on_ack(&mut self, sample: &AckSample);
    /// A loss that was not a timeout, or an ECN echo: once for each window of data.
    fn on_congestion(&mut self, now: Instant, flight: u32, smss: u32);
    /// The retransmission timer expired. `again` if it had expired for the same octets before.
    fn on_timeout(&mut self, now: Instant, flight: u32, smss: u32, again: bool);
    /// Repair is over: everything up to the recovery point was acknowledged.
    fn on_recovered(&mut self, now: Instant);
    /// Nothing was sent for longer than the retransmission timeout (RFC 5681 section 4.1).
    fn on_idle(&mut self, restart_window: u32);
    /// Octets a second at which segments should leave; `None`: as fast as the window allows.
    fn pacing_rate(&self) -> Option<u64> {
        None
    }
}

/// The controllers that there are, without a heap allocation each.
#[derive(Clone, Debug)]
pub(crate) enum Controller {
    Reno(Reno),
    Cubic(Cubic),
}

impl Controller {
    pub(crate) fn new(which: CongestionControl, initial_window: u32) -> Self {
        match which {
            CongestionControl::Reno => Self::Reno(Reno::new(initial_window)),
            CongestionControl::Cubic => Self::Cubic(Cubic::new(initial_window)),
        }
    }

    /// The same path, judged by another controller from now on.
    pub(crate) fn switch(&mut self, which: CongestionControl) {
        let (cwnd, ssthresh) = (self.cwnd(), self.ssthresh());
        match (which, &self) {
            (CongestionControl::Reno, Self::Cubic(_)) => {
                *self = Self::Reno(Reno::resume(cwnd, ssthresh));
            }
            (CongestionControl::Cubic, Self::Reno(_)) => {
                *self = Self::Cubic(Cubic::resume(cwnd, ssthresh));
            }
            _ => {}
        }
    }

    fn get(&self) -> &dyn CongestionController {
        match self {
            Self::Reno(reno) => reno,
            Self::Cubic(cubic) => cubic,
        }
    }

    fn get_mut(&mut self) -> &mut dyn CongestionController {
        match self {
            Self::Reno(reno) => reno,
            Self::Cubic(cubic) => cubic,
        }
    }
}

impl CongestionController for Controller {
    fn cwnd(&self) -> u32 {
        self.get().cwnd()
    }
    fn ssthresh(&self) -> u32 {
        self.get().ssthresh()
    }
    fn on_ack(&mut self, sample: &AckSample) {
        self.get_mut().on_ack(sample);
    }
    fn on_congestion(&mut self, now: Instant, flight: u32, smss: u32) {
        self.get_mut().on_congestion(now, flight, smss);
    }
    fn on_timeout(&mut self, now: Instant, flight: u32, smss: u32, again: bool) {
        self.get_mut().on_timeout(now, flight, smss, again);
    }
    fn on_recovered(&mut self, now: Instant) {
        self.get_mut().on_recovered(now);
    }
    fn on_idle(&mut self, restart_window: u32) {
        self.get_mut().on_idle(restart_window);
    }
    fn pacing_rate(&self) -> Option<u64> {
        self.get().pacing_rate()
    }
}

/// IW: ten segments, at most 14,600 octets unless two segments are more (RFC 6928 section 2).
/// One segment after a SYN that had to be sent again (RFC 5681 section 3.1).
pub(crate) fn initial_window(smss: u32, syn_was_lost: bool) -> u32 {
    if syn_was_lost {
        return smss;
    }
    (10 * smss).min(14_600.max(2 * smss))
}

/// Growth below `ssthresh` (RFC 5681 section 3.1, with the whole of what was acknowledged, as
/// RFC 3465 with L unlimited and Linux do: super-segments are acknowledged at once).
/// Returns what is left of `acked` once `ssthresh` is reached.
fn slow_start(cwnd: &mut u32, ssthresh: u32, acked: u32) -> u32 {
    let grow = acked.min(ssthresh.saturating_sub(*cwnd));
    *cwnd = cwnd.saturating_add(grow).min(CWND_MAX);
    acked - grow
}

/// Whether the window was what limited the sender: one that is not used is not evidence that
/// the path carries more (RFC 7661 section 4.2, RFC 9438 section 4.1.1). In slow start half
/// the window used is enough, or it could never double.
fn was_limiting(sample: &AckSample, cwnd: u32, ssthresh: u32) -> bool {
    if cwnd < ssthresh {
        sample.flight_before.saturating_mul(2) >= cwnd
    } else {
        sample.flight_before.saturating_add(sample.smss) > cwnd
    }
}

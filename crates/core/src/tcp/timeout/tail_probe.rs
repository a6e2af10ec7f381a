//! The probe timer, PTO (RFC 8985 section 7.3).

use switchboard_wire::Instant;

use crate::tcp::send::Why;
use crate::tcp::tcb::Synchronized;
use crate::tcp::timers::Timer;

impl Synchronized {
    /// A probe is due. The retransmission timeout counts from it, as if nothing had been sent
    /// before.
    pub(super) fn on_tail_probe_timeout(&mut self, now: Instant) {
        if self.timers.take_expired(Timer::TailProbe, now) {
            self.probe = Some(Why::TailProbe);
            self.timers.set(Timer::Retransmit, now + self.rtt.rto());
        }
    }
}

//! The persist timer: zero-window probes, and the override of silly window avoidance (RFC 9293
//! sections 3.8.6.1 and 3.8.6.2.1).

use switchboard_wire::Instant;

use crate::tcp::send::Why;
use crate::tcp::tcb::Synchronized;
use crate::tcp::timers::Timer;

impl Synchronized {
    /// Probes at growing gaps, without end as long as they are answered: the user timeout ends
    /// it, and each answer moves that.
    pub(super) fn on_persist_timeout(&mut self, now: Instant) {
        if !self.timers.take_expired(Timer::Persist, now) {
            return;
        }
        self.persist_backoff = self.persist_backoff.saturating_add(1);
        if self.usable_window() > 0 {
            self.override_sws = true;
        } else {
            self.probe = Some(Why::WindowProbe);
        }
    }
}

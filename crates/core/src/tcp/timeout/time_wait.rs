//! FIN-WAIT-2 of a connection that nobody holds. TIME-WAIT itself is a record of its own
//! (`tcp::time_wait`), which knows when it dies.

use core::ops::ControlFlow;

use switchboard_wire::Instant;

use crate::tcp::tcb::{End, Stop, Synchronized, Verdict};
use crate::tcp::timers::Timer;

impl Synchronized {
    /// The standard has no timeout here: a peer that never closes would keep the connection for
    /// ever, and with it what an attacker likes. Whoever still holds a handle may wait.
    pub(super) fn on_fin_wait_2_timeout(&mut self, now: Instant) -> Verdict {
        if self.timers.take_expired(Timer::FinWait2, now) {
            return ControlFlow::Break(Stop::End(End::default()));
        }
        ControlFlow::Continue(())
    }
}

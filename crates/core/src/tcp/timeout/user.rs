//! USER TIMEOUT (RFC 9293 section 3.10.8): threshold R2 of section 3.8.3.

use core::ops::ControlFlow;

use switchboard_wire::Instant;

use crate::error::Lost;
use crate::tcp::tcb::{End, Stop, Synchronized, Verdict};
use crate::tcp::timers::Timer;

impl Synchronized {
    /// Nothing was acknowledged for too long. The peer is told nothing: it does not hear us.
    pub(super) fn on_user_timeout(&mut self, now: Instant) -> Verdict {
        if self.timers.take_expired(Timer::User, now) {
            return ControlFlow::Break(Stop::End(End {
                lost: Some(Lost::TimedOut { hint: self.hint }),
                ..End::default()
            }));
        }
        ControlFlow::Continue(())
    }
}

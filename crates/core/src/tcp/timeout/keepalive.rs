//! Keep-alive probes (RFC 9293 section 3.8.4).

use core::ops::ControlFlow;

use switchboard_wire::Instant;

use crate::error::Lost;
use crate::tcp::connection::Env;
use crate::tcp::send::Why;
use crate::tcp::tcb::{End, Stop, Synchronized, Verdict};
use crate::tcp::timers::Timer;

impl Synchronized {
    /// One more probe, or the end after `count` unanswered ones.
    pub(super) fn on_keep_alive_timeout(&mut self, now: Instant, env: &Env) -> Verdict {
        if !self.timers.take_expired(Timer::KeepAlive, now) {
            return ControlFlow::Continue(());
        }
        let Some(keep_alive) = env.options.keep_alive else {
            return ControlFlow::Continue(());
        };
        let due = self.heard_at + keep_alive.idle;
        if self.keepalives_sent == 0 && due > now {
            // Something arrived meanwhile; the timer is not moved for each segment.
            self.timers.set(Timer::KeepAlive, due);
            return ControlFlow::Continue(());
        }
        if self.keepalives_sent >= keep_alive.count {
            let reply = self.reset(now, env);
            return ControlFlow::Break(Stop::End(End {
                lost: Some(Lost::TimedOut { hint: self.hint }),
                reply: Some(reply),
                time_wait: false,
            }));
        }
        self.keepalives_sent += 1;
        self.probe = Some(Why::KeepAlive);
        self.timers.set(Timer::KeepAlive, now + keep_alive.interval);
        ControlFlow::Continue(())
    }
}

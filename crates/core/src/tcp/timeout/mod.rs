//! What the clock brings (RFC 9293 section 3.10.8).

mod keepalive;
mod persist;
mod retransmit;
mod tail_probe;
mod time_wait;
mod user;

use core::ops::ControlFlow;

use switchboard_wire::Instant;

use super::connection::Env;
use super::tcb::{Synchronized, Verdict};
use super::timers::Timer;

impl Synchronized {
    /// Some timer expired, or none.
    pub(crate) fn on_timeout(&mut self, now: Instant, env: &Env) -> Verdict {
        self.on_user_timeout(now)?;
        self.on_fin_wait_2_timeout(now)?;
        self.on_keep_alive_timeout(now, env)?;
        self.on_tail_probe_timeout(now);
        self.on_retransmit_timeout(now);
        self.on_persist_timeout(now);
        if self.timers.take_expired(Timer::DelayedAck, now) {
            self.ack.at_once();
        }
        if self.timers.take_expired(Timer::Cork, now) {
            self.override_cork = true;
            self.push.mark = self.data_end();
        }
        if self.timers.take_expired(Timer::Idle, now) {
            self.queue.shrink();
            self.sent.shrink();
            self.buffer.shrink();
        }
        self.settle(now, env);
        ControlFlow::Continue(())
    }
}

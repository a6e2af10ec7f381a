//! Fourth, the SYN bit (RFC 9293 section 3.10.7.4, RFC 5961 section 4).

use core::ops::ControlFlow;

use switchboard_wire::Instant;

use crate::tcp::connection::Env;
use crate::tcp::segment::Segment;
use crate::tcp::tcb::{Stop, Synchronized, Verdict};

impl Synchronized {
    /// A SYN in a synchronized state is a guess, or a peer that has begun anew: it will answer
    /// the challenge with a RST that has the exact number.
    pub(super) fn check_4_syn(&mut self, now: Instant, env: &Env, segment: &Segment) -> Verdict {
        if !segment.flags.syn() {
            return ControlFlow::Continue(());
        }
        self.challenge(now, env);
        ControlFlow::Break(Stop::Drop)
    }
}

//! Second, the RST bit (RFC 9293 section 3.10.7.4, RFC 5961 section 3).

use core::ops::ControlFlow;

use switchboard_wire::Instant;

use crate::error::Lost;
use crate::tcp::connection::Env;
use crate::tcp::segment::Segment;
use crate::tcp::tcb::{End, Stop, Synchronized, Verdict};

impl Synchronized {
    /// Only a RST with the exact number ends a connection. One that is merely in the window may
    /// be a guess: the challenge lets an honest peer send it again with the right number.
    pub(super) fn check_2_rst(&mut self, now: Instant, env: &Env, segment: &Segment) -> Verdict {
        if !segment.flags.rst() {
            return ControlFlow::Continue(());
        }
        if self.is_exact(segment.seq) {
            return ControlFlow::Break(Stop::End(End {
                lost: Some(Lost::Reset),
                ..End::default()
            }));
        }
        let from = self.rcv.last_ack;
        if segment.seq.is_within(from, self.rcv.edge.since(from)) {
            self.challenge(now, env);
        }
        ControlFlow::Break(Stop::Drop)
    }
}

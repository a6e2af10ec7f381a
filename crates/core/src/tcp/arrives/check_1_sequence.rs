//! First, the sequence number (RFC 9293 section 3.10.7.4), after PAWS (RFC 7323 section 5.3).

use core::ops::ControlFlow;

use switchboard_wire::Instant;

use crate::tcp::connection::Env;
use crate::tcp::segment::{SackBlock, Segment};
use crate::tcp::tcb::{Stop, Synchronized, Verdict};

impl Synchronized {
    /// Is any of it in the window? If not, the peer is told what we expect.
    pub(super) fn check_1_sequence(
        &mut self,
        now: Instant,
        env: &Env,
        segment: &Segment,
    ) -> Verdict {
        if segment.flags.rst() {
            // Has a window test of its own, and is never answered here.
            return ControlFlow::Continue(());
        }
        let outdated = self.agreed.timestamps && self.recent.outdates(segment, now);
        if outdated || !self.is_acceptable(segment.seq, segment.len()) {
            self.answer_unacceptable(now, env, segment);
            return ControlFlow::Break(Stop::Drop);
        }
        self.answers.acceptable();
        self.heard(now);
        if self.agreed.timestamps {
            self.recent.update(segment, self.rcv.last_ack, now);
        }
        ControlFlow::Continue(())
    }

    fn answer_unacceptable(&mut self, now: Instant, env: &Env, segment: &Segment) {
        let a_second = env.shared.challenge_acks_per_second;
        if segment.text_len > 0 && !segment.flags.syn() {
            // Text that we have: our acknowledgement was lost, the peer waits for it. No loop
            // can come of it, for our answer has no text.
            let left = segment.text_seq();
            let right = left + segment.text_len;
            if right.is_at_or_before(self.rcv.nxt) {
                self.dsack = Some(SackBlock { left, right });
            }
            self.ack.at_once();
        } else if segment.seq + 1 == self.rcv.nxt && !segment.flags.syn() {
            // A keep-alive, or a FIN again: a peer that lives. It decides how often.
            self.heard(now);
            if self.answers.challenge(now, a_second) {
                self.ack.at_once();
            }
        } else if self.answers.unacceptable(now, a_second) {
            self.ack.at_once();
        }
    }

    /// The peer lives.
    fn heard(&mut self, now: Instant) {
        self.heard_at = now;
        if self.keepalives_sent > 0 {
            self.keepalives_sent = 0;
            self.timers.clear(crate::tcp::timers::Timer::KeepAlive);
        }
    }
}

//! SEGMENT ARRIVES (RFC 9293 section 3.10.7): the checks, in the standard's order.
//!
//! Packet path, step 4 of 6: before this `demux::table`, after this `recv::buffer`.

mod check_1_sequence;
mod check_2_rst;
mod check_4_syn;
mod check_5_ack;
mod check_7_text;
mod check_8_fin;
pub(crate) mod closed;
pub(crate) mod listen;
pub(crate) mod syn_received;
pub(crate) mod syn_sent;

use core::ops::ControlFlow;

use switchboard_wire::Instant;

use super::connection::Env;
use super::segment::{Flags, Segment, Text};
use super::seq::SeqNum;
use super::tcb::{Synchronized, Verdict};

impl Synchronized {
    /// A segment for a synchronized connection (section 3.10.7.4).
    pub(crate) fn on_segment(
        &mut self,
        now: Instant,
        env: &Env,
        segment: &Segment,
        text: Text,
    ) -> Verdict {
        let verdict = self.check(now, env, segment, text);
        if !matches!(verdict, ControlFlow::Break(super::tcb::Stop::End(_))) {
            self.settle(now, env);
        }
        verdict
    }

    fn check(&mut self, now: Instant, env: &Env, segment: &Segment, text: Text) -> Verdict {
        self.check_1_sequence(now, env, segment)?;
        self.check_2_rst(now, env, segment)?;
        // Third, security and compartment: not supported (RFC 9293 appendix A.1 lets us).
        self.check_4_syn(now, env, segment)?;
        self.check_5_ack(now, env, segment)?;
        // Sixth, URG: urgent data stays in line, as RFC 6093 section 6 advises.
        self.note_fin(segment);
        self.check_7_text(now, env, segment, text)?;
        self.check_8_fin(now, env)
    }

    /// Text and FIN that came with the SYN that made this connection.
    pub(crate) fn on_rest_of_syn(
        &mut self,
        now: Instant,
        env: &Env,
        segment: &Segment,
        text: Text,
    ) -> Verdict {
        self.ack.at_once();
        let flags = Flags::from_bits(segment.flags.bits() & !Flags::SYN.bits());
        let rest = Segment {
            seq: segment.seq + 1,
            flags,
            ..segment.clone()
        };
        self.note_fin(&rest);
        let verdict = self
            .check_7_text(now, env, &rest, text)
            .map_continue(|()| self.check_8_fin(now, env));
        self.settle(now, env);
        match verdict {
            ControlFlow::Continue(verdict) => verdict,
            ControlFlow::Break(stop) => ControlFlow::Break(stop),
        }
    }

    /// An acknowledgement that answers what we do not accept, within limits: RFC 5961 section
    /// 7 and section 10 of the same.
    pub(super) fn challenge(&mut self, now: Instant, env: &Env) {
        if self
            .answers
            .challenge(now, env.shared.challenge_acks_per_second)
        {
            self.ack.at_once();
        }
    }

    /// Whether `seq` can be the number of a RST that the peer sent to what it heard from us
    /// last: RCV.NXT, or, while an acknowledgement is delayed, what we acknowledged before.
    fn is_exact(&self, seq: SeqNum) -> bool {
        seq == self.rcv.nxt || seq == self.rcv.last_ack
    }
}

//! SEGMENT ARRIVES in SYN-SENT (RFC 9293 section 3.10.7.3).

use alloc::boxed::Box;

use switchboard_wire::Instant;

use crate::tcp::challenge::AnswerLimit;
use crate::tcp::connection::Env;
use crate::tcp::handshake::{Agreed, Attempt, SynReceived, SynSent};
use crate::tcp::segment::{Reply, Segment};
use crate::tcp::tcb::{Established, SynTextSent};
use crate::tcp::timestamps::Recent;

/// What an answer to our SYN means.
#[derive(Debug)]
pub(crate) enum Opened {
    /// Nothing, or a RST for a stray.
    Stay(Option<Reply>),
    /// The peer does not want us.
    Refused,
    /// It stands.
    Established(Box<Established>),
    /// Both ends opened at once (MUST-10).
    Both(SynReceived),
}

impl SynSent {
    /// The checks of section 3.10.7.3, in the RFC's order.
    pub(crate) fn on_segment(&mut self, now: Instant, env: &Env, segment: &Segment) -> Opened {
        // First, the ACK bit: a range, as text may have gone with the SYN (RFC 7413 section
        // 4.2.2).
        let ack_acceptable = match segment.ack {
            None => false,
            Some(ack) if ack.is_after(self.iss) && ack.is_at_or_before(self.snd_nxt()) => true,
            Some(_) if segment.flags.rst() => return Opened::Stay(None),
            Some(ack) => return Opened::Stay(Some(Reply::reset(ack))),
        };
        // Second, the RST bit. A RST without an acceptable ACK is a guess.
        if segment.flags.rst() {
            return if ack_acceptable {
                Opened::Refused
            } else {
                Opened::Stay(None)
            };
        }
        // Third, security and compartment: not supported. Fourth, the SYN bit; fifth, without
        // SYN or RST the segment is dropped.
        match (segment.flags.syn(), ack_acceptable) {
            (false, _) => Opened::Stay(None),
            (true, true) => Opened::Established(Box::new(self.established(env, segment))),
            (true, false) => Opened::Both(self.open_simultaneously(now, env, segment)),
        }
    }

    fn agreed(env: &Env, segment: &Segment) -> Agreed {
        let options = &segment.options;
        Agreed::between(
            env,
            options.window_scale,
            options.sack_permitted,
            options.timestamps.is_some(),
        )
    }

    fn established(&self, env: &Env, segment: &Segment) -> Established {
        Established {
            iss: self.iss,
            irs: segment.seq,
            agreed: Self::agreed(env, segment),
            peer_mss: segment.options.mss,
            // RFC 7323 section 2.2: not scaled, because it comes with a SYN.
            window: u32::from(segment.window),
            wl1: segment.seq,
            rtt: self.attempt.round_trip(segment.arrived),
            syn_was_lost: self.attempt.retransmits > 0,
            recent: Recent {
                value: segment.options.timestamps.map_or(0, |stamps| stamps.value),
                at: segment.arrived,
            },
            write_closed: self.write_closed,
            read_closed: self.read_closed,
            syn_text: SynTextSent::new(self.iss, self.syn_text.as_deref(), segment.ack),
            learned: self.learned(env, segment),
        }
    }

    fn open_simultaneously(&mut self, now: Instant, env: &Env, segment: &Segment) -> SynReceived {
        SynReceived {
            iss: self.iss,
            irs: segment.seq,
            attempt: Attempt::new(now),
            agreed: Self::agreed(env, segment),
            peer_mss: segment.options.mss,
            ts_recent: segment.options.timestamps.map_or(0, |stamps| stamps.value),
            ts_recent_at: segment.arrived,
            active: true,
            syn_text: self.syn_text.take(),
            write_closed: self.write_closed,
            read_closed: self.read_closed,
            answers: AnswerLimit::new(),
        }
    }
}

//! SEGMENT ARRIVES in SYN-RECEIVED (RFC 9293 section 3.10.7.4, as far as it concerns it).

use alloc::boxed::Box;

use switchboard_wire::Instant;

use crate::tcp::connection::Env;
use crate::tcp::fast_open::SynText;
use crate::tcp::handshake::SynReceived;
use crate::tcp::segment::{Reply, Segment};
use crate::tcp::seq::SeqNum;
use crate::tcp::tcb::{Established, SynTextSent};
use crate::tcp::timestamps::Recent;

/// What a segment means to a connection whose SYN|ACK was not acknowledged yet.
#[derive(Debug)]
pub(crate) enum Received {
    /// It waits on, perhaps with an answer.
    Stay(Option<Reply>),
    /// The peer has given up, or, where we opened too, refuses.
    Reset {
        /// We opened too.
        active: bool,
    },
    /// It stands.
    Established(Box<Established>),
}

impl SynReceived {
    /// The checks of section 3.10.7.4, in the RFC's order.
    pub(crate) fn on_segment(&mut self, now: Instant, env: &Env, segment: &Segment) -> Received {
        let expected = self.rcv_nxt();
        let window = u32::from(env.syn_window()).max(1);
        // Second, before the first: a RST has a window test of its own (RFC 5961 section 3).
        if segment.flags.rst() {
            return if segment.seq == expected {
                Received::Reset {
                    active: self.active,
                }
            } else if segment.seq.is_within(expected, window) {
                self.challenge(now, env)
            } else {
                Received::Stay(None)
            };
        }
        let acknowledges = segment.ack.is_some_and(|ack| self.is_acknowledged_by(ack));
        if segment.flags.syn() && segment.seq == self.irs {
            if acknowledges {
                // The other half of a simultaneous open (RFC 9293 section 3.5, figure 8).
                return Received::Established(Box::new(self.established(segment)));
            }
            // The SYN again: our SYN|ACK was lost, or is late.
            if self
                .answers
                .challenge(now, env.shared.challenge_acks_per_second)
            {
                self.attempt.due = true;
            }
            return Received::Stay(None);
        }
        // First, the sequence number; and PAWS.
        let recent = self.recent();
        let outdated = self.agreed.timestamps && recent.outdates(segment, now);
        let overlaps = segment.seq.is_before(expected + window)
            && (segment.seq + segment.len().max(1)).is_after(expected);
        if outdated || !overlaps {
            return self.challenge(now, env);
        }
        // Fourth, the SYN bit (RFC 5961 section 4).
        if segment.flags.syn() {
            return self.challenge(now, env);
        }
        // Fifth, the ACK field.
        match segment.ack {
            None => Received::Stay(None),
            Some(_) if acknowledges => Received::Established(Box::new(self.established(segment))),
            Some(ack) => Received::Stay(Some(Reply::reset(ack))),
        }
    }

    fn recent(&self) -> Recent {
        Recent {
            value: self.ts_recent,
            at: self.ts_recent_at,
        }
    }

    fn challenge(&mut self, now: Instant, env: &Env) -> Received {
        let a_second = env.shared.challenge_acks_per_second;
        let answer = self.answers.unacceptable(now, a_second);
        Received::Stay(answer.then(|| Reply {
            header: self.bare_ack(now, env),
        }))
    }

    /// Whether `ack` acknowledges our SYN, and any part of the text that went with it.
    fn is_acknowledged_by(&self, ack: SeqNum) -> bool {
        let text = SynText::text_len(self.syn_text.as_deref());
        ack.is_at_or_after(self.snd_nxt()) && ack.is_at_or_before(self.snd_nxt() + text as u32)
    }

    fn established(&self, segment: &Segment) -> Established {
        // RFC 7323 section 2.2: the window of a segment with SYN is not scaled.
        let scale = if segment.flags.syn() {
            0
        } else {
            self.agreed.send_scale
        };
        Established {
            iss: self.iss,
            irs: self.irs,
            agreed: self.agreed,
            peer_mss: self.peer_mss,
            window: u32::from(segment.window) << scale,
            wl1: segment.seq,
            rtt: self.attempt.round_trip(segment.arrived),
            syn_was_lost: self.attempt.retransmits > 0,
            recent: self.recent(),
            write_closed: self.write_closed,
            read_closed: self.read_closed,
            syn_text: SynTextSent::new(self.iss, self.syn_text.as_deref(), segment.ack),
            learned: None,
        }
    }
}

//! Eighth, the FIN bit (RFC 9293 section 3.10.7.4).

use core::ops::ControlFlow;

use switchboard_wire::Instant;

use crate::event::Readiness;
use crate::tcp::connection::Env;
use crate::tcp::segment::Segment;
use crate::tcp::state::{After, Turn};
use crate::tcp::tcb::{End, Stop, Synchronized, Verdict};

impl Synchronized {
    /// Notes where the peer's stream ends. Before the text is kept: what a peer sent beyond its
    /// own FIN, and what waits here out of order, is not part of the stream.
    pub(super) fn note_fin(&mut self, segment: &Segment) {
        if !segment.flags.fin() || !self.phase.receives() {
            return;
        }
        self.ack.at_once();
        let at = segment.text_seq() + segment.text_len;
        // Not where the window ends before it, and only where nothing lies behind it: the
        // first FIN that makes sense stays.
        let fits = at.is_at_or_before(self.rcv.edge) && at.is_at_or_after(self.rcv.nxt);
        if !fits || self.rcv.fin_at.is_some() {
            return;
        }
        self.rcv.fin_at = Some(at);
        if let Some(assembler) = &mut self.assembler {
            assembler.cut(at);
            if assembler.is_empty() {
                self.assembler = None;
            }
        }
    }

    /// The peer's stream has ended for us once all of its text has come.
    pub(super) fn check_8_fin(&mut self, now: Instant, env: &Env) -> Verdict {
        if self.rcv.fin_at != Some(self.rcv.nxt) || !self.phase.receives() {
            return ControlFlow::Continue(());
        }
        self.rcv.nxt += 1;
        self.rcv.edge = self.rcv.edge.later(self.rcv.nxt);
        self.assembler = None;
        self.ack.at_once();
        self.signal |= Readiness::READABLE | Readiness::READ_CLOSED;
        match self.phase.after(Turn::FinReceived) {
            After::Phase(phase) => {
                self.phase = phase;
                ControlFlow::Continue(())
            }
            After::TimeWait | After::Closed => {
                let reply = self.ack_reply(now, env);
                ControlFlow::Break(Stop::End(End {
                    lost: None,
                    reply: Some(reply),
                    time_wait: true,
                }))
            }
        }
    }
}

//! ABORT (RFC 9293 section 3.10.5).

use switchboard_wire::Instant;

use crate::tcp::connection::{Connection, Machine};
use crate::tcp::segment::{Flags, Header, Reply};
use crate::tcp::state::Phase;
use crate::tcp::step::{Next, Step};
use crate::tcp::tcb::End;

impl Connection {
    /// RST, now (no reply where the state wants none). Always `Next::Drop`.
    pub(crate) fn abort(&mut self, now: Instant) -> Step {
        let reply = match &mut self.machine {
            // The peer has heard nothing, or of nothing that it answered.
            Machine::SynSent(_) => None,
            Machine::SynReceived(syn_received) => Some(Reply {
                header: Header {
                    flags: Flags::RST,
                    ..syn_received.bare_ack(now, &self.env)
                },
            }),
            Machine::Synchronized(connection) => match connection.phase {
                // Section 3.10.5 sends none here: both have said that they are done. But what
                // was not acknowledged is lost, and the peer would wait for it.
                Phase::Closing | Phase::LastAck if connection.queue.is_empty() => None,
                _ => Some(connection.reset(now, &self.env)),
            },
            Machine::Ended(_) => return Step::stay().next(Next::Drop),
        };
        self.env.held = false;
        self.end_aborted(
            now,
            End {
                reply,
                ..End::default()
            },
        )
    }
}

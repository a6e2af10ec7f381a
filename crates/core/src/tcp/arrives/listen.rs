//! SEGMENT ARRIVES in LISTEN (RFC 9293 section 3.10.7.2).

use crate::tcp::segment::{Reply, Segment};
use crate::tcp::syn::PendingSyn;

/// What a segment to a listener means.
#[derive(Clone, Debug)]
pub(crate) enum Listened {
    /// Nothing: RST, or neither ACK nor SYN.
    Ignore,
    /// It acknowledges what was never sent.
    Reset(Reply),
    /// Somebody calls.
    Syn(PendingSyn),
}

/// A listener is no connection: it only tells callers from strays.
pub(crate) fn listen(segment: &Segment) -> Listened {
    // First, RST; second, ACK; third, SYN (security and compartment: not supported).
    if segment.flags.rst() {
        return Listened::Ignore;
    }
    if let Some(ack) = segment.ack {
        return Listened::Reset(Reply::reset(ack));
    }
    // SYN and FIN together: nobody's honest stack sends that. Text with a SYN is not kept; we
    // do not acknowledge it, so it comes again (MUST-58 allows the queueing, asks for none).
    if segment.flags.syn() && !segment.flags.fin() {
        return Listened::Syn(PendingSyn::new(segment));
    }
    Listened::Ignore
}

//! SEGMENT ARRIVES where there is no connection (RFC 9293 section 3.10.7.1).

use crate::tcp::segment::{Reply, Segment};

/// What a segment to a four-tuple without connection is answered with: a RST that the sender
/// will accept, and nothing to a RST, or two ends could reset each other for ever.
pub(crate) fn reset_for(segment: &Segment) -> Option<Reply> {
    if segment.flags.rst() {
        return None;
    }
    Some(match segment.ack {
        Some(ack) => Reply::reset(ack),
        None => Reply::reset_ack(segment.end()),
    })
}

//! The passive side before a connection exists: CLOSED, LISTEN, and flows that wait.

use switchboard_wire::Instant;

use super::segment::{Reply, Segment};
use super::seq::SeqNum;

/// What a segment to a four-tuple without connection is answered with: a RST that the sender
/// will accept, and nothing to a RST (RFC 9293 section 3.10.7.1).
pub(crate) fn reset_for(segment: &Segment) -> Option<Reply> {
    unimplemented!()
}

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

/// SEGMENT ARRIVES in LISTEN (RFC 9293 section 3.10.7.2).
pub(crate) fn listen(segment: &Segment) -> Listened {
    unimplemented!()
}

/// A received SYN that was not answered yet: everything that an answer needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PendingSyn {
    /// IRS.
    pub(crate) irs: SeqNum,
    /// SEG.WND, never scaled (RFC 7323 section 2.2).
    pub(crate) window: u16,
    pub(crate) mss: Option<u16>,
    pub(crate) window_scale: Option<u8>,
    pub(crate) sack_permitted: bool,
    /// TSval, if timestamps were offered.
    pub(crate) timestamp: Option<u32>,
    /// ECE and CWR were both set (RFC 3168 section 6.1.1).
    pub(crate) ecn: bool,
    pub(crate) arrived: Instant,
}

/// What another segment means to a flow whose SYN waits unanswered.
#[derive(Clone, Debug)]
pub(crate) enum PendingStep {
    /// Nothing: the SYN again, or a stray.
    Absorb,
    /// A new attempt from the same endpoint: this SYN takes the place of the old one.
    Replace(PendingSyn),
    /// The caller gave up.
    Cancelled,
    /// A stray that is answered; the flow waits on.
    Reply(Reply),
}

impl PendingSyn {
    /// Another segment of the same four-tuple.
    pub(crate) fn on_segment(&self, segment: &Segment) -> PendingStep {
        unimplemented!()
    }
    /// The RST that refuses it.
    pub(crate) fn refuse(&self) -> Reply {
        unimplemented!()
    }
}

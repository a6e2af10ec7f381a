//! The passive side before a connection exists: CLOSED, LISTEN, and flows that wait.

use switchboard_wire::Instant;

use super::segment::{Flags, Reply, Segment};
use super::seq::SeqNum;

/// A received SYN that was not answered yet: everything that an answer needs.
///
/// A flood of SYNs costs this much each, in tables that are bounded, and no buffers.
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
    /// The record of a segment with SYN and without ACK and RST.
    pub(crate) fn new(segment: &Segment) -> Self {
        Self {
            irs: segment.seq,
            window: segment.window,
            mss: segment.options.mss,
            window_scale: segment.options.window_scale,
            sack_permitted: segment.options.sack_permitted,
            timestamp: segment.options.timestamps.map(|stamps| stamps.value),
            ecn: segment.flags.has(Flags::ECE | Flags::CWR),
            arrived: segment.arrived,
        }
    }

    /// Another segment of the same four-tuple. We have sent nothing, so whatever acknowledges
    /// something is a stray, and the only RST that can be the caller's follows its SYN.
    pub(crate) fn on_segment(&self, segment: &Segment) -> PendingStep {
        if segment.flags.rst() {
            // The caller's RST has the number after its SYN, or, where it abandons the SYN
            // before any answer, the SYN's own.
            let theirs = segment.seq == self.irs + 1 || segment.seq == self.irs;
            return if theirs {
                PendingStep::Cancelled
            } else {
                PendingStep::Absorb
            };
        }
        if let Some(ack) = segment.ack {
            return PendingStep::Reply(Reply::reset(ack));
        }
        if segment.flags.syn() && segment.seq != self.irs {
            return PendingStep::Replace(Self::new(segment));
        }
        PendingStep::Absorb
    }

    /// The RST that refuses it (RFC 9293 section 3.10.7.1, first case).
    pub(crate) fn refuse(&self) -> Reply {
        Reply::reset_ack(self.irs + 1)
    }
}

//! TIME-WAIT as a record: what is left of a connection that is over.

use switchboard_wire::Instant;

use super::segment::{Reply, Segment};
use super::seq::SeqNum;
use super::syn::PendingSyn;

/// A connection that is over and whose old segments are left to die (RFC 9293 section 3.6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeWait {}

/// What a segment means to a connection in TIME-WAIT.
#[derive(Clone, Debug)]
pub(crate) enum TimeWaitStep {
    /// Nothing, or an answer; the record stays (its deadline may have moved).
    Stay(Option<Reply>),
    /// The peer opens anew, safely (RFC 6191; RFC 9293 section 3.6.1, MAY-2): drop the record,
    /// treat the SYN as one to a listener, and begin with an ISS of at least this.
    Reopen(PendingSyn, SeqNum),
}

impl TimeWait {
    pub(crate) fn on_segment(&mut self, now: Instant, segment: &Segment) -> TimeWaitStep {
        unimplemented!()
    }
    /// When the record dies.
    pub(crate) fn deadline(&self) -> Instant {
        unimplemented!()
    }
    /// Whether we may open to the same peer although it has not expired (RFC 6191): the ISS
    /// must then be at least this.
    pub(crate) fn may_reopen(&self, now: Instant) -> Option<SeqNum> {
        unimplemented!()
    }
}

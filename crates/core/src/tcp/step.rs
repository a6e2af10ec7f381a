//! What one event did to a connection.

use alloc::boxed::Box;

use super::fast_open::Learned;
use super::segment::Reply;
use super::time_wait::TimeWait;
use crate::event::Readiness;

/// What one event (a segment, a timeout, a call, an ICMP error) did.
#[must_use]
#[derive(Clone, Debug, Default)]
pub(crate) struct Step {
    /// What became true for the application.
    pub(crate) signal: Readiness,
    /// A segment to send at once, before anything that `next_segment` has.
    pub(crate) reply: Option<Reply>,
    /// What becomes of the connection.
    pub(crate) next: Next,
    /// What Fast Open has taught us of the peer.
    pub(crate) learned: Option<Learned>,
}

/// What becomes of a connection after a step.
#[derive(Clone, Debug, Default)]
pub(crate) enum Next {
    /// It goes on.
    #[default]
    Stay,
    /// The network side is over and the four-tuple is free. The object lives on until the
    /// application lets go of it: there may be octets to read, and an error to take.
    Drop,
    /// As `Drop`, but the four-tuple belongs to this record until it expires.
    TimeWait(Box<TimeWait>),
}

impl Step {
    /// Nothing to say.
    pub(crate) const fn stay() -> Self {
        Self {
            signal: Readiness::NONE,
            reply: None,
            next: Next::Stay,
            learned: None,
        }
    }

    /// The same, with news for the application.
    pub(crate) fn signal(mut self, signal: Readiness) -> Self {
        self.signal |= signal;
        self
    }

    /// The same, with an end.
    pub(crate) fn next(mut self, next: Next) -> Self {
        self.next = next;
        self
    }
}

//! Who has something to send, and who has something to say.

use alloc::collections::VecDeque;

use crate::slab::Key;

/// A socket of either kind, or a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// A connection.
    Tcp(Key),
    /// A datagram socket.
    Udp(Key),
    /// A raw or ping socket.
    Packet(Key),
    /// A listener.
    Listener(Key),
    /// A flow that arrived.
    Incoming(Key),
    /// A flow that is gone before anybody decided.
    Expired(Key),
    /// The echo queue.
    Echo,
}

/// A line in which everybody stands at most once: whoever enters has a flag of its own that
/// says so. First come, first served, O(1).
///
/// For transmits, each turn sends one segment (or super-segment) and then goes to the back,
/// so that nobody starves.
#[derive(Debug, Default)]
pub(crate) struct Line {
    queue: VecDeque<Who>,
}

impl Line {
    /// Enters the line unless `is_in_line` says that it stands there already.
    pub(crate) fn enter(&mut self, who: Who, is_in_line: &mut bool) {
        if !*is_in_line {
            *is_in_line = true;
            self.queue.push_back(who);
        }
    }

    /// Enters the line; the caller knows that it is not there.
    pub(crate) fn push(&mut self, who: Who) {
        self.queue.push_back(who);
    }

    /// The first in line. Its flag is the caller's to clear.
    pub(crate) fn pop(&mut self) -> Option<Who> {
        self.queue.pop_front()
    }
}

//! Things that all live equally long, oldest first.

use alloc::collections::VecDeque;

use switchboard_wire::Instant;

use crate::slab::Key;

/// Dead entries that may lie in the queue beside as many live ones.
const DEAD_MAX: usize = 1024;

/// A queue of things by the moment they expire. As they all live equally long, the newest
/// goes to the back and nothing is ever sorted: O(1).
///
/// Lazy: what is removed or lives on stays in the queue until its turn comes; the owner knows.
#[derive(Debug, Default)]
pub(crate) struct Ageing {
    queue: VecDeque<(Instant, Key)>,
}

impl Ageing {
    /// `key` expires at `at`, after everything that is here.
    pub(crate) fn push(&mut self, at: Instant, key: Key) {
        self.queue.push_back((at, key));
    }

    /// When to look again.
    pub(crate) fn earliest(&self) -> Option<Instant> {
        self.queue.front().map(|(at, _)| *at)
    }

    /// Takes the oldest out if its time has come.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Key> {
        let (at, _) = self.queue.front()?;
        if *at > now {
            return None;
        }
        self.pop_oldest()
    }

    /// Takes the oldest out.
    pub(crate) fn pop_oldest(&mut self) -> Option<Key> {
        self.queue.pop_front().map(|(_, key)| key)
    }

    /// Forgets what is dead if there is much of it: amortised O(1) for each entry.
    pub(crate) fn tidy(&mut self, live: usize, is_live: impl Fn(Key) -> bool) {
        if self.queue.len() > 2 * live + DEAD_MAX {
            self.queue.retain(|(_, key)| is_live(*key));
        }
    }
}

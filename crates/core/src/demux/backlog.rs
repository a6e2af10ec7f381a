//! Connections of a listener that nobody has accepted yet.

use alloc::collections::VecDeque;

use crate::slab::Key;

/// Two queues with a bound each, as `listen(2)` has them: callers whose handshake is not
/// complete, and connections that wait for `accept`.
#[derive(Debug)]
pub(crate) struct Backlog {
    /// By age; an entry that is not half-open any more stays until its turn comes.
    half_open: VecDeque<Key>,
    half_open_count: usize,
    half_open_max: usize,
    ready: VecDeque<Key>,
    ready_max: usize,
}

impl Backlog {
    /// With room for `half_open_max` callers and `ready_max` connections.
    pub(crate) fn new(half_open_max: usize, ready_max: usize) -> Self {
        Self {
            half_open: VecDeque::new(),
            half_open_count: 0,
            half_open_max: half_open_max.max(1),
            ready: VecDeque::new(),
            ready_max: ready_max.max(1),
        }
    }

    /// Whether callers must wait because the application does not accept. Their SYN is
    /// dropped, so that they try again: a RST would tell them that nobody listens.
    pub(crate) fn is_full(&self) -> bool {
        self.ready.len() >= self.ready_max
    }

    /// Whether one half-open connection must go before another comes.
    pub(crate) fn is_half_open_full(&self) -> bool {
        self.half_open_count >= self.half_open_max
    }

    /// Takes out the oldest half-open connection. In a flood of spoofed SYNs that is one of
    /// them, unless a true caller takes longer to answer than the whole queue takes to pass.
    /// The caller of this tells whether an entry is still half-open.
    pub(crate) fn pop_oldest(&mut self, is_half_open: impl Fn(Key) -> bool) -> Option<Key> {
        while let Some(key) = self.half_open.pop_front() {
            if is_half_open(key) {
                return Some(key);
            }
        }
        None
    }

    /// A caller's SYN was answered.
    pub(crate) fn push_half_open(&mut self, key: Key, is_half_open: impl Fn(Key) -> bool) {
        self.half_open_count += 1;
        self.half_open.push_back(key);
        if self.half_open.len() > 2 * self.half_open_max + 64 {
            self.half_open.retain(|key| is_half_open(*key));
        }
    }

    /// A half-open connection went away, or stands now.
    pub(crate) fn end_half_open(&mut self) {
        self.half_open_count = self.half_open_count.saturating_sub(1);
    }

    /// A connection stands.
    pub(crate) fn push_ready(&mut self, key: Key) {
        self.ready.push_back(key);
    }

    /// The oldest connection that stands.
    pub(crate) fn pop_ready(&mut self) -> Option<Key> {
        self.ready.pop_front()
    }

    /// Whether somebody waits for `accept`.
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Everybody in it: the listener closes.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Key> {
        self.half_open.drain(..).chain(self.ready.drain(..))
    }
}

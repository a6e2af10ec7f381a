//! Who waits for a socket, and who is to be woken once the lock is released.

use std::task::Waker;

use switchboard_core::Readiness;
use switchboard_device::Device;
use tokio::io::Ready;

/// What a reader waits for.
pub(crate) const READ_SIDE: Readiness = union(&[
    Readiness::READABLE,
    Readiness::READ_CLOSED,
    Readiness::ERROR,
    Readiness::CLOSED,
]);

/// What a writer, or a connecting task, waits for.
pub(crate) const WRITE_SIDE: Readiness = union(&[
    Readiness::WRITABLE,
    Readiness::CONNECTED,
    Readiness::WRITE_CLOSED,
    Readiness::ERROR,
    Readiness::CLOSED,
]);

/// What somebody waits for who waits for anything.
pub(crate) const EITHER_SIDE: Readiness = union(&[READ_SIDE, WRITE_SIDE]);

/// The union of some sets, in a constant.
const fn union(sets: &[Readiness]) -> Readiness {
    let mut all = Readiness::NONE;
    let mut index = 0;
    while index < sets.len() {
        all = all.union(sets[index]);
        index += 1;
    }
    all
}

/// The tasks that wait for one socket.
///
/// The `poll_*` methods have one place for each direction, the last caller's, as tokio's. Futures
/// of the `async` methods have a place each, so that several tasks may wait for one socket; they
/// give it up when they are dropped.
#[derive(Debug)]
pub(crate) struct Waiters {
    reader: Option<Waker>,
    writer: Option<Waker>,
    futures: Vec<Waiter>,
    /// What a caller found not to be so, although the socket says it is, until the next news.
    stale: Ready,
    /// How often there was news; wraps.
    news: u32,
}

impl Default for Waiters {
    fn default() -> Self {
        Self {
            reader: None,
            writer: None,
            futures: Vec::new(),
            stale: Ready::EMPTY,
            news: 0,
        }
    }
}

#[derive(Debug)]
struct Waiter {
    ticket: Ticket,
    wants: Readiness,
    waker: Waker,
}

/// Names one waiting future among those of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(pub(crate) u64);

impl Waiters {
    /// Registers the caller of a `poll_*` method that reads.
    pub(crate) fn register_reader(&mut self, waker: &Waker, woken: &mut WakeList) {
        replace(&mut self.reader, waker, woken);
    }

    /// Registers the caller of a `poll_*` method that writes.
    pub(crate) fn register_writer(&mut self, waker: &Waker, woken: &mut WakeList) {
        replace(&mut self.writer, waker, woken);
    }

    /// Registers a future, or brings its registration up to date.
    pub(crate) fn register(
        &mut self,
        ticket: Ticket,
        wants: Readiness,
        waker: &Waker,
        woken: &mut WakeList,
    ) {
        match self.futures.iter_mut().find(|w| w.ticket == ticket) {
            Some(waiter) if waiter.waker.will_wake(waker) => {}
            Some(waiter) => woken.discard(std::mem::replace(&mut waiter.waker, waker.clone())),
            None => self.futures.push(Waiter {
                ticket,
                wants,
                waker: waker.clone(),
            }),
        }
    }

    /// Forgets a future that was dropped while it waited.
    pub(crate) fn deregister(&mut self, ticket: Ticket, woken: &mut WakeList) {
        if let Some(place) = self.futures.iter().position(|w| w.ticket == ticket) {
            woken.discard(self.futures.swap_remove(place).waker);
        }
    }

    /// Moves those who wait for any of `ready` to the list of the woken.
    ///
    /// All of them: each looks again under the lock and waits anew if it came too late.
    pub(crate) fn wake(&mut self, ready: Readiness, woken: &mut WakeList) {
        self.news = self.news.wrapping_add(1);
        if ready.intersects(READ_SIDE) {
            self.stale = self.stale - Ready::READABLE;
            woken.extend(self.reader.take());
        }
        if ready.intersects(WRITE_SIDE) {
            self.stale = self.stale - Ready::WRITABLE;
            woken.extend(self.writer.take());
        }
        let mut place = 0;
        while place < self.futures.len() {
            if self.futures[place].wants.intersects(ready) {
                woken.push(self.futures.swap_remove(place).waker);
            } else {
                place += 1;
            }
        }
        if self.futures.is_empty() {
            // An idle socket keeps no memory for those who waited once.
            self.futures = Vec::new();
        }
    }

    /// Moves everybody to the list of the woken.
    pub(crate) fn wake_all(&mut self, woken: &mut WakeList) {
        self.wake(EITHER_SIDE, woken);
    }

    /// What a caller found not to be so, until the next news.
    pub(crate) fn stale(&self) -> Ready {
        self.stale
    }

    /// How often there was news.
    pub(crate) fn news(&self) -> u32 {
        self.news
    }

    /// `ready`, found when there had been `news`, is not so: unless there was more since. That a
    /// direction has ended stays true, as with tokio.
    pub(crate) fn record_stale(&mut self, ready: Ready, news: u32) {
        if self.news == news {
            self.stale |= ready & (Ready::READABLE | Ready::WRITABLE);
        }
    }

    /// Whether nobody waits.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.reader.is_none() && self.writer.is_none() && self.futures.is_empty()
    }
}

/// Puts `waker` into a place that holds one.
fn replace(place: &mut Option<Waker>, waker: &Waker, woken: &mut WakeList) {
    match place {
        Some(old) if old.will_wake(waker) => {}
        _ => {
            if let Some(old) = place.replace(waker.clone()) {
                woken.discard(old);
            }
        }
    }
}

/// What has to happen after the shard's lock is released.
///
/// Waking or dropping a waker may drop a task, which may drop a socket, which takes the lock: so
/// neither is ever done under it.
#[derive(Default)]
pub(crate) struct WakeList {
    first: Option<Waker>,
    rest: Vec<Waker>,
    discarded: Vec<Waker>,
    device: Option<Box<dyn Device>>,
}

impl WakeList {
    /// Adds somebody to wake.
    pub(crate) fn push(&mut self, waker: Waker) {
        if self.first.is_none() {
            self.first = Some(waker);
        } else {
            self.rest.push(waker);
        }
    }

    /// Adds somebody to wake, if there is one.
    pub(crate) fn extend(&mut self, waker: Option<Waker>) {
        if let Some(waker) = waker {
            self.push(waker);
        }
    }

    /// Keeps a waker that is not needed any more until it can be dropped.
    pub(crate) fn discard(&mut self, waker: Waker) {
        self.discarded.push(waker);
    }

    /// Keeps a device that has ended until it can be dropped.
    pub(crate) fn discard_device(&mut self, device: Option<Box<dyn Device>>) {
        if device.is_some() {
            self.device = device;
        }
    }

    /// Wakes everybody. The lock must not be held.
    pub(crate) fn finish(&mut self) {
        if let Some(waker) = self.first.take() {
            waker.wake();
        }
        for waker in self.rest.drain(..) {
            waker.wake();
        }
        self.discarded.clear();
        self.device = None;
    }
}

impl Drop for WakeList {
    fn drop(&mut self) {
        self.finish();
    }
}

#[cfg(test)]
#[path = "waiters_tests.rs"]
mod tests;

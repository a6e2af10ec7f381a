//! Who wants to know of something's news.

use std::sync::{Arc, Weak};

use crate::epoll::Interest;
use crate::signal::Signal;

/// A list of them.
#[derive(Clone, Default)]
pub(crate) struct Watchers(Vec<Watcher>);

#[derive(Clone)]
enum Watcher {
    /// A thread in a call.
    Thread(Weak<Signal>),
    /// An epoll instance.
    Epoll(Interest),
}

impl Watchers {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets those that are gone.
    pub(crate) fn prune(&mut self) {
        self.0.retain(|watcher| match watcher {
            Watcher::Thread(signal) => signal.strong_count() > 0,
            Watcher::Epoll(interest) => interest.is_alive(),
        });
    }

    /// There are news.
    pub(crate) fn tell(&mut self) {
        self.prune();
        for watcher in &self.0 {
            match watcher {
                Watcher::Thread(signal) => {
                    if let Some(signal) = signal.upgrade() {
                        signal.fire();
                    }
                }
                Watcher::Epoll(interest) => interest.tell(),
            }
        }
    }

    pub(crate) fn add(&mut self, signal: &Arc<Signal>) {
        self.0.push(Watcher::Thread(Arc::downgrade(signal)));
    }

    pub(crate) fn remove(&mut self, signal: &Arc<Signal>) {
        let signal = Arc::as_ptr(signal);
        self.0.retain(
            |watcher| !matches!(watcher, Watcher::Thread(other) if other.as_ptr() == signal),
        );
    }

    pub(crate) fn add_epoll(&mut self, interest: Interest) {
        self.prune();
        self.0.push(Watcher::Epoll(interest));
    }

    pub(crate) fn remove_epoll(&mut self, interest: &Interest) {
        self.0
            .retain(|watcher| !matches!(watcher, Watcher::Epoll(other) if other == interest));
    }
}

//! Sleeping in poll and epoll: on our sockets, on the kernel's descriptors, or on both, in the
//! machine's time or in a network's virtual time.

use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use switchboard_core::Instant;

use crate::errno::Errno;
use crate::kernel;
use crate::network::Network;
use crate::signal::{Signal, lock};

/// How long a call may wait.
#[derive(Clone, Copy)]
pub(crate) struct Limit(pub(crate) Option<Duration>);

impl Limit {
    /// Milliseconds, negative: for ever.
    pub(crate) fn millis(millis: std::ffi::c_int) -> Self {
        Self(u64::try_from(millis).ok().map(Duration::from_millis))
    }

    /// From now on, on the network's clock if it has one of its own.
    pub(crate) fn deadline(self, network: Option<&Arc<Network>>) -> Deadline {
        match (self.0, network) {
            (None, _) => Deadline::Never,
            (Some(time), Some(network)) => {
                let state = network.lock();
                Deadline::Virtual(network.now(&state) + time)
            }
            (Some(time), None) => std::time::Instant::now()
                .checked_add(time)
                .map_or(Deadline::Never, Deadline::Real),
        }
    }
}

/// When a wait ends.
pub(crate) enum Deadline {
    Never,
    Real(std::time::Instant),
    Virtual(Instant),
}

impl Deadline {
    /// What is left of it: for a wait that goes on in another network's time.
    pub(crate) fn left(&self, network: Option<&Arc<Network>>) -> Limit {
        Limit(match (self, network) {
            (Self::Never, _) => None,
            (Self::Real(end), _) => Some(end.saturating_duration_since(std::time::Instant::now())),
            (Self::Virtual(end), Some(network)) => {
                Some(end.saturating_since(network.now(&network.lock())))
            }
            (Self::Virtual(_), None) => Some(Duration::ZERO),
        })
    }

    pub(crate) fn is_over(&self, network: Option<&Arc<Network>>) -> bool {
        match (self, network) {
            (Self::Never, _) => false,
            (Self::Real(end), _) => *end <= std::time::Instant::now(),
            (Self::Virtual(end), Some(network)) => network.now(&network.lock()) >= *end,
            (Self::Virtual(_), None) => true,
        }
    }
}

/// The networks in whose virtual time somebody sleeps in poll or epoll.
static SLEEPING: Mutex<Vec<Arc<Network>>> = Mutex::new(Vec::new());

/// Lets those run who sleep in virtual time and whose signal somebody fired who is in no call on
/// their network. Not to be called with a network's lock.
pub(crate) fn rouse() {
    // Who is not here yet has not looked at its signal yet either.
    let sleeping = lock(&SLEEPING).clone();
    for network in sleeping {
        // Between its look and its sleep nobody else has the lock.
        drop(network.lock_apart());
        network.moved.notify_all();
    }
}

/// Sleeps until `signal` is fired, one of the kernel's `entries` is ready, or `deadline`.
///
/// In virtual time the kernel's descriptors are looked at once, and the sleep is one of virtual
/// time: what happens outside happens in no time that such a network knows.
pub(crate) fn sleep(
    network: Option<&Arc<Network>>,
    signal: &Arc<Signal>,
    deadline: &Deadline,
    entries: &mut Vec<libc::pollfd>,
) -> Result<(), Errno> {
    if let Some(network) = network {
        if !entries.is_empty() {
            kernel::poll(entries, Some(Duration::ZERO))?;
            if entries.iter().any(|entry| entry.revents != 0) {
                return Ok(());
            }
        }
        let until = match deadline {
            Deadline::Virtual(until) => Some(*until),
            Deadline::Never | Deadline::Real(_) => None,
        };
        lock(&SLEEPING).push(Arc::clone(network));
        network.sleep(signal, until);
        let mut sleeping = lock(&SLEEPING);
        let place = sleeping.iter().position(|one| Arc::ptr_eq(one, network));
        place.map(|place| sleeping.swap_remove(place));
        return Ok(());
    }
    let until = match deadline {
        Deadline::Real(until) => Some(*until),
        Deadline::Never | Deadline::Virtual(_) => None,
    };
    if entries.is_empty() {
        signal.wait(until);
        return Ok(());
    }
    let ours = signal.descriptor()?.as_raw_fd();
    entries.push(kernel::poll_entry(ours, libc::POLLIN));
    let left = until.map(|until| until.saturating_duration_since(std::time::Instant::now()));
    let result = kernel::poll(entries, left);
    entries.pop();
    result
}

//! What a thread sleeps on: something that others fire.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::errno::Errno;
use crate::kernel;

/// A mutex whose holder panicked is as good as any: a panic ends the process (`user::answer`).
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Fired by whatever changes; stays fired until somebody clears it, so that nothing is missed
/// between looking and sleeping.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    fired: Mutex<bool>,
    condvar: Condvar,
    /// Readable while fired: for those who sleep on the kernel's descriptors too.
    eventfd: OnceLock<OwnedFd>,
}

impl Signal {
    pub(crate) fn fire(&self) {
        let mut fired = lock(&self.fired);
        if !std::mem::replace(&mut *fired, true) {
            self.condvar.notify_all();
            if let Some(eventfd) = self.eventfd.get() {
                kernel::ring(eventfd.as_fd());
            }
        }
    }

    pub(crate) fn is_fired(&self) -> bool {
        *lock(&self.fired)
    }

    pub(crate) fn clear(&self) {
        let mut fired = lock(&self.fired);
        if std::mem::replace(&mut *fired, false)
            && let Some(eventfd) = self.eventfd.get()
        {
            kernel::hush(eventfd.as_fd());
        }
    }

    /// Sleeps until fired, or until `until`.
    pub(crate) fn wait(&self, until: Option<Instant>) {
        let mut fired = lock(&self.fired);
        while !*fired {
            let Some(until) = until else {
                let woken = self.condvar.wait(fired);
                fired = woken.unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = until.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                return;
            }
            let woken = self.condvar.wait_timeout(fired, left);
            fired = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Readable while fired.
    pub(crate) fn descriptor(&self) -> Result<BorrowedFd<'_>, Errno> {
        if self.eventfd.get().is_none() {
            let made = kernel::eventfd()?;
            // Somebody else may have been faster; then that one is as good.
            let _ = self.eventfd.set(made);
            if let Some(eventfd) = self.eventfd.get().filter(|_| self.is_fired()) {
                kernel::ring(eventfd.as_fd());
            }
        }
        self.eventfd.get().map(OwnedFd::as_fd).ok_or(Errno::EMFILE)
    }
}

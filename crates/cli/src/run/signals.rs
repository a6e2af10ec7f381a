//! Signals that reach the relay.
//!
//! What the terminal sends (Ctrl-C, Ctrl-Z, a hang-up, a new window size) reaches CMD as well,
//! because relay, agent and CMD are one process group; passing it on would deliver it twice.
//! What a process sends to the relay alone is meant for the program, and is passed on.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Signals that a program may be sent on purpose.
const PASSED_ON: [Signal; 10] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGCONT,
    Signal::SIGTSTP,
    Signal::SIGWINCH,
];

/// `SI_KERNEL` of `siginfo(7)`: the terminal's signals have it.
const SI_KERNEL: i32 = 0x80;

/// Blocks what is passed on, and whatever the terminal would stop a background job with: relay
/// and agent go on working until CMD itself stops.
///
/// Before any thread is made, so that every thread inherits it.
pub(super) fn block() -> io::Result<()> {
    let mut set: SigSet = PASSED_ON.into_iter().collect();
    set.add(Signal::SIGTTIN);
    set.add(Signal::SIGTTOU);
    set.add(Signal::SIGCHLD);
    set.add(Signal::SIGPIPE);
    Ok(sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), None)?)
}

/// A descriptor that reads blocked signals.
pub(super) struct Signals(SignalFd);

impl Signals {
    /// Those that are to be passed on to CMD.
    pub(super) fn passed_on() -> io::Result<Self> {
        Self::of(&PASSED_ON.into_iter().collect())
    }

    /// `SIGCHLD`.
    pub(super) fn children() -> io::Result<Self> {
        Self::of(&[Signal::SIGCHLD].into_iter().collect())
    }

    fn of(set: &SigSet) -> io::Result<Self> {
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        Ok(Self(SignalFd::with_flags(set, flags)?))
    }

    /// The next signal that has to be passed on; `None` when there is none now.
    pub(super) fn next(&self) -> io::Result<Option<i32>> {
        while let Some(info) = self.0.read_signal()? {
            if info.ssi_code != SI_KERNEL {
                return Ok(i32::try_from(info.ssi_signo).ok());
            }
        }
        Ok(None)
    }

    /// Forgets what has been signalled.
    pub(super) fn drain(&self) {
        while let Ok(Some(_)) = self.0.read_signal() {}
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Signals {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

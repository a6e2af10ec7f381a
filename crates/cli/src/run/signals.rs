//! Signals that reach the relay.
//!
//! What the terminal sends (Ctrl-C, Ctrl-Z, a hang-up, a new window size) reaches CMD as well,
//! because relay, agent and CMD are one process group; passing it on would deliver it twice.
//! The same holds for what a process sends to the whole group (`kill %1`, `timeout`): the agent
//! is sent it too, and so can tell. What was sent to the relay alone is meant for the program,
//! and is passed on.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::message::Passed;

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

/// How far apart the copies of one signal may reach the members of a process group. `timeout`
/// sends the same signal to its child and then to the group: that counts as one, too.
const TOGETHER: Duration = Duration::from_millis(100);
/// How long a copy is waited for: the kernel delivers to a whole group under one lock.
const COPY_WAIT: Duration = Duration::from_millis(5);

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

    /// The next signal that a process sent; `None` when there is none now.
    pub(super) fn next(&self) -> io::Result<Option<Passed>> {
        while let Some(info) = self.0.read_signal()? {
            if let (true, Ok(number)) = (info.ssi_code != SI_KERNEL, i32::try_from(info.ssi_signo))
            {
                let sender = info.ssi_pid;
                return Ok(Some(Passed { number, sender }));
            }
        }
        Ok(None)
    }

    /// Forgets what has been signalled.
    pub(super) fn drain(&self) {
        while let Ok(Some(_)) = self.0.read_signal() {}
    }
}

/// The agent's own copies of what was sent to the whole process group.
pub(super) struct GroupSignals {
    signals: Signals,
    /// Copies of late.
    seen: Vec<(Passed, Instant)>,
}

impl GroupSignals {
    /// From now on; the agent has every signal blocked.
    pub(super) fn watch() -> io::Result<Self> {
        Ok(Self {
            signals: Signals::passed_on()?,
            seen: Vec::new(),
        })
    }

    /// Remembers the copies that have come, and forgets the old ones.
    pub(super) fn note(&mut self) {
        let now = Instant::now();
        while let Ok(Some(copy)) = self.signals.next() {
            self.seen.push((copy, now));
        }
        self.seen.retain(|(_, at)| now - *at < TOGETHER);
    }

    /// Whether `passed`, which the relay was sent, was sent to this process as well, just now
    /// or in the next moment.
    pub(super) fn had(&mut self, passed: Passed) -> bool {
        let until = Instant::now() + COPY_WAIT;
        loop {
            self.note();
            if self.seen.iter().any(|(copy, _)| *copy == passed) {
                return true;
            }
            let Some(left) = until.checked_duration_since(Instant::now()) else {
                return false;
            };
            let wait = Timespec {
                tv_sec: 0,
                tv_nsec: left.subsec_nanos().into(),
            };
            let mut copies = [PollFd::new(&self.signals, PollFlags::IN)];
            if !matches!(poll(&mut copies, Some(&wait)), Ok(1..)) {
                return false;
            }
        }
    }
}

impl AsFd for GroupSignals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.signals.as_fd()
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for GroupSignals {
    fn as_raw_fd(&self) -> RawFd {
        self.signals.as_raw_fd()
    }
}

impl AsRawFd for Signals {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

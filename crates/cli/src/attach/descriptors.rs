//! Descriptors that the caller passed by number.

use std::fmt;
use std::io::{self, Write as _};
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// There is no descriptor of that number.
#[derive(Debug)]
pub(crate) struct NoDescriptor(RawFd);

impl fmt::Display for NoDescriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no open descriptor {}", self.0)
    }
}

impl std::error::Error for NoDescriptor {}

/// Makes the inherited descriptor `number` ours.
///
/// To be called once for each number and before anything else of this process is opened: later
/// the number may be somebody's.
///
/// # Errors
///
/// There is no such descriptor.
pub(crate) fn take(number: RawFd) -> Result<OwnedFd, NoDescriptor> {
    // SAFETY: asking for the flags of a number touches no memory, whatever the number is.
    let is_open = unsafe { libc::fcntl(number, libc::F_GETFD) } >= 0;
    if !is_open || number <= libc::STDERR_FILENO {
        return Err(NoDescriptor(number));
    }
    // SAFETY: it is open, and nobody in this process owns it: it was inherited, and the command
    // line's parser refuses the numbers of the standard streams.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    let _ = rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC);
    Ok(fd)
}

/// Hears that the network stands.
#[derive(Debug)]
pub(crate) struct ReadyFd(OwnedFd);

impl ReadyFd {
    /// See [`take`].
    ///
    /// # Errors
    ///
    /// There is no such descriptor.
    pub(crate) fn take(number: RawFd) -> Result<Self, NoDescriptor> {
        take(number).map(Self)
    }

    /// Says so, and closes it.
    ///
    /// # Errors
    ///
    /// Whatever it is does not take it.
    pub(super) fn say(self) -> io::Result<()> {
        std::fs::File::from(self.0).write_all(b"1")
    }
}

/// Ends everything when it hangs up.
#[derive(Debug)]
pub(crate) struct ExitFd(OwnedFd);

impl ExitFd {
    /// See [`take`].
    ///
    /// # Errors
    ///
    /// There is no such descriptor.
    pub(crate) fn take(number: RawFd) -> Result<Self, NoDescriptor> {
        take(number).map(Self)
    }

    /// Inside a runtime: watched from now on.
    ///
    /// # Errors
    ///
    /// It is nothing that can hang up: a file.
    pub(super) fn watch(self) -> io::Result<HangUp> {
        // SAFETY: an `OwnedFd` always names the same descriptor, and is not taken out.
        let fd = unsafe { AsyncFd::register_with_interest(self.0, Interest::READABLE) };
        Ok(HangUp(fd?))
    }
}

/// The other end of a descriptor, while it is there.
#[derive(Debug)]
pub(super) struct HangUp(AsyncFd<OwnedFd>);

impl HangUp {
    /// Returns when the other end is gone. What it says before means nothing.
    pub(super) async fn gone(&self) -> io::Result<()> {
        loop {
            let mut guard = self.0.readable().await?;
            if is_hung_up(self.0.get_ref())? {
                return Ok(());
            }
            guard.clear_ready();
        }
    }
}

/// `POLLHUP`, or `POLLERR` where ours is the writing end.
fn is_hung_up(fd: &impl std::os::fd::AsFd) -> io::Result<bool> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let mut fds = [PollFd::new(fd, PollFlags::empty())];
    poll(&mut fds, Some(&Timespec::default()))?;
    Ok(fds[0].revents().intersects(PollFlags::HUP | PollFlags::ERR))
}

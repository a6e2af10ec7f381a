//! The few things that are asked of the kernel, each behind a safe function.

use std::ffi::{CString, c_int, c_short};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use crate::errno::Errno;

fn checked(result: c_int) -> Result<c_int, Errno> {
    if result < 0 {
        Err(Errno::last())
    } else {
        Ok(result)
    }
}

fn owned(fd: c_int) -> Result<OwnedFd, Errno> {
    let fd = checked(fd)?;
    // SAFETY: the call that returned it has just made it; nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A descriptor that `ring` makes readable and `hush` ends being so.
pub(crate) fn eventfd() -> Result<OwnedFd, Errno> {
    // SAFETY: takes no pointer.
    owned(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })
}

pub(crate) fn ring(eventfd: BorrowedFd<'_>) {
    // A full counter is readable already: nothing is lost where this fails.
    let _ = write(eventfd, &1_u64.to_ne_bytes());
}

pub(crate) fn hush(eventfd: BorrowedFd<'_>) {
    let mut count = [0; 8];
    let _ = read(eventfd, &mut count);
}

pub(crate) fn read(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the buffer is ours for `len` octets.
    let len = unsafe { libc::read(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
    usize::try_from(len).map_err(|_| Errno::last())
}

pub(crate) fn write(fd: BorrowedFd<'_>, octets: &[u8]) -> Result<usize, Errno> {
    // SAFETY: the octets are ours for `len`.
    let len = unsafe { libc::write(fd.as_raw_fd(), octets.as_ptr().cast(), octets.len()) };
    usize::try_from(len).map_err(|_| Errno::last())
}

/// One more descriptor of the same open file.
pub(crate) fn duplicate(fd: RawFd) -> Result<OwnedFd, Errno> {
    // SAFETY: takes no pointer; a bad number is an error.
    owned(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) })
}

pub(crate) fn set_nonblocking(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: takes no pointer.
    let flags = checked(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })?;
    // SAFETY: takes no pointer.
    checked(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) })?;
    Ok(())
}

pub(crate) fn poll_entry(fd: RawFd, events: c_short) -> libc::pollfd {
    libc::pollfd {
        fd,
        events,
        revents: 0,
    }
}

/// Waits for any of `entries`; `None` waits for ever. A signal ends the wait early.
pub(crate) fn poll(entries: &mut [libc::pollfd], timeout: Option<Duration>) -> Result<(), Errno> {
    let timeout = timeout.map(|timeout| libc::timespec {
        tv_sec: timeout.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    });
    let at = timeout
        .as_ref()
        .map_or(std::ptr::null(), std::ptr::from_ref);
    let count = entries.len() as libc::nfds_t;
    // SAFETY: the array is ours for `count`; the time is null or a local; no signal mask.
    let done = checked(unsafe { libc::ppoll(entries.as_mut_ptr(), count, at, std::ptr::null()) });
    match done {
        Ok(_) | Err(Errno(libc::EINTR)) => Ok(()),
        Err(errno) => Err(errno),
    }
}

pub(crate) fn epoll() -> Result<OwnedFd, Errno> {
    // SAFETY: takes no pointer.
    owned(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })
}

pub(crate) fn epoll_ctl(
    epoll: BorrowedFd<'_>,
    op: c_int,
    fd: RawFd,
    mut event: libc::epoll_event,
) -> Result<(), Errno> {
    // SAFETY: the event is a local; bad numbers are errors.
    checked(unsafe { libc::epoll_ctl(epoll.as_raw_fd(), op, fd, &raw mut event) })?;
    Ok(())
}

/// What is ready now, without waiting.
pub(crate) fn epoll_take(
    epoll: BorrowedFd<'_>,
    events: &mut [libc::epoll_event],
) -> Result<usize, Errno> {
    let count = c_int::try_from(events.len()).unwrap_or(c_int::MAX);
    // SAFETY: the array is ours for `count`.
    let taken = unsafe { libc::epoll_wait(epoll.as_raw_fd(), events.as_mut_ptr(), count, 0) };
    usize::try_from(checked(taken)?).map_err(|_| Errno::EINVAL)
}

/// 256 bits of the system's best.
pub(crate) fn random() -> Result<[u8; 32], Errno> {
    let mut seed = [0; 32];
    // SAFETY: the buffer is ours for its length. 32 octets come whole or not at all.
    let len = unsafe { libc::getrandom(seed.as_mut_ptr().cast(), seed.len(), 0) };
    if usize::try_from(len) == Ok(seed.len()) {
        Ok(seed)
    } else {
        Err(Errno::last())
    }
}

/// Attaches to the TUN interface `name`, which is made if there is none: plain IP packets, one for
/// each read and write.
pub(crate) fn open_tun(name: &str) -> Result<OwnedFd, Errno> {
    let path = CString::new("/dev/net/tun").map_err(|_| Errno::EINVAL)?;
    let flags = libc::O_RDWR | libc::O_CLOEXEC | libc::O_NONBLOCK;
    // SAFETY: the path is a local text.
    let fd = owned(unsafe { libc::open(path.as_ptr(), flags) })?;
    // SAFETY: `ifreq` is plain data of integers and unions of them; all zeros is a value of it.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.is_empty() || name.len() >= request.ifr_name.len() {
        return Err(Errno::EINVAL);
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as c_short;
    // SAFETY: TUNSETIFF reads and writes an `ifreq`, which is a local.
    checked(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNSETIFF as _, &raw mut request) })?;
    Ok(fd)
}

/// How a thread of this process is, by the kernel's letter: `R` runs, `S` sleeps.
pub(crate) fn thread_state(stat: &std::fs::File) -> io::Result<u8> {
    use std::os::unix::fs::FileExt;
    let mut text = [0; 256];
    let len = stat.read_at(&mut text, 0)?;
    // pid (name) state ...: the name may hold anything, but nothing follows it with a `)`.
    let text = text.get(..len).unwrap_or_default();
    let close = text.iter().rposition(|octet| *octet == b')');
    let state = close.and_then(|close| text.get(close + 2));
    state
        .copied()
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

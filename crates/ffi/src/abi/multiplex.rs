//! poll and epoll. They take the kernel's descriptors beside ours.

use std::ffi::c_int;
use std::time::Duration;

use libc::{epoll_event, nfds_t, pollfd, timespec};

use crate::descriptor::{self, Kind};
use crate::epoll::Epoll;
use crate::errno::Errno;
use crate::wait::Limit;
use crate::{poll, user};

/// poll(2), of our descriptors, the kernel's, or both together.
///
/// # Safety
///
/// `entries` is null or an array of `count` that nobody else uses meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sb_poll(entries: *mut pollfd, count: nfds_t, timeout: c_int) -> c_int {
    // SAFETY: the caller vouches.
    unsafe { poll_for(entries, count, Ok(Limit::millis(timeout))) }
}

/// ppoll(2), without its signal mask.
///
/// # Safety
///
/// As for `sb_poll`; `timeout` is null or good for reading.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sb_ppoll(
    entries: *mut pollfd,
    count: nfds_t,
    timeout: *const timespec,
) -> c_int {
    let limit = if timeout.is_null() {
        Ok(Limit(None))
    } else {
        // SAFETY: not null, and the caller vouches.
        unsafe { user::get(timeout) }.and_then(|time| {
            let seconds = u64::try_from(time.tv_sec).map_err(|_| Errno::EINVAL)?;
            let nanos = u32::try_from(time.tv_nsec)
                .ok()
                .filter(|nanos| *nanos < 1_000_000_000);
            Ok(Limit(Some(Duration::new(
                seconds,
                nanos.ok_or(Errno::EINVAL)?,
            ))))
        })
    };
    // SAFETY: the caller vouches.
    unsafe { poll_for(entries, count, limit) }
}

/// # Safety
///
/// As for `sb_poll`.
unsafe fn poll_for(entries: *mut pollfd, count: nfds_t, limit: Result<Limit, Errno>) -> c_int {
    user::answer(|| {
        let count = usize::try_from(count).map_err(|_| Errno::EINVAL)?;
        // SAFETY: the caller vouches.
        let entries = unsafe { user::array(entries, count) }?;
        let ready = poll::poll(entries, limit?)?;
        Ok(c_int::try_from(ready).unwrap_or(c_int::MAX))
    })
}

/// epoll_create(2).
#[unsafe(no_mangle)]
pub extern "C" fn sb_epoll_create(size: c_int) -> c_int {
    user::answer(|| {
        if size <= 0 {
            return Err(Errno::EINVAL);
        }
        descriptor::add(Kind::Epoll(Epoll::new()))
    })
}

/// epoll_create1(2).
#[unsafe(no_mangle)]
pub extern "C" fn sb_epoll_create1(flags: c_int) -> c_int {
    user::answer(|| {
        if flags & !libc::EPOLL_CLOEXEC != 0 {
            return Err(Errno::EINVAL);
        }
        let fd = descriptor::add(Kind::Epoll(Epoll::new()))?;
        descriptor::set_close_on_exec(fd, flags != 0)?;
        Ok(fd)
    })
}

fn with_epoll<T>(
    epoll: c_int,
    act: impl FnOnce(&std::sync::Arc<Epoll>) -> Result<T, Errno>,
) -> Result<T, Errno> {
    match &descriptor::get(epoll)?.kind {
        Kind::Epoll(epoll) => act(epoll),
        Kind::Socket(_) | Kind::Stack(_) => Err(Errno::EINVAL),
    }
}

/// epoll_ctl(2): level- and edge-triggered, one-shot; of our descriptors and the kernel's.
///
/// # Safety
///
/// `event` is null or good for reading.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sb_epoll_ctl(
    epoll: c_int,
    operation: c_int,
    fd: c_int,
    event: *mut epoll_event,
) -> c_int {
    user::answer_done(|| {
        with_epoll(epoll, |epoll| {
            let event = if operation == libc::EPOLL_CTL_DEL {
                None
            } else {
                // SAFETY: the caller vouches.
                Some(unsafe { user::get(event) }?)
            };
            epoll.control(operation, fd, event)
        })
    })
}

/// epoll_wait(2).
///
/// # Safety
///
/// `events` has room for `count`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sb_epoll_wait(
    epoll: c_int,
    events: *mut epoll_event,
    count: c_int,
    timeout: c_int,
) -> c_int {
    user::answer(|| {
        with_epoll(epoll, |epoll| {
            let room = usize::try_from(count).ok().filter(|count| *count > 0);
            // SAFETY: the caller vouches.
            let events = unsafe { user::array(events, room.ok_or(Errno::EINVAL)?) }?;
            let taken = epoll.wait(events, Limit::millis(timeout))?;
            Ok(c_int::try_from(taken).unwrap_or(c_int::MAX))
        })
    })
}

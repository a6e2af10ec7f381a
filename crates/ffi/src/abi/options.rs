//! getsockopt, setsockopt, fcntl, ioctl.

use std::ffi::{c_int, c_long, c_ulong, c_void};
use std::time::Duration;

use libc::socklen_t;

use crate::descriptor::{self, Kind};
use crate::errno::Errno;
use crate::socket::{SocketHandle, Value};
use crate::user;

/// getsockopt(2).
///
/// # Safety
///
/// `length` is null or good for reading and writing, `value` null or good for writing `*length`
/// octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sb_getsockopt(
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *mut c_void,
    length: *mut socklen_t,
) -> c_int {
    user::answer_done(|| {
        descriptor::with_socket(fd, |socket| {
            // SAFETY: the caller vouches.
            let room = unsafe { user::get(length) }? as usize;
            if c_int::try_from(room).is_err() {
                return Err(Errno::EINVAL);
            }
            let octets = match socket.option(level, name)? {
                Value::Int(number) => number.to_ne_bytes().to_vec(),
                Value::Octets(octets) => octets,
            };
            let len = octets.len().min(room);
            if len > 0 && value.is_null() {
                return Err(Errno::EFAULT);
            }
            // SAFETY: the octets are ours, and the caller vouches for `room` at `value`.
            unsafe {
                value
                    .cast::<u8>()
                    .copy_from_nonoverlapping(octets.as_ptr(), len)
            };
            // SAFETY: the caller vouches.
            unsafe { user::put(length, len as socklen_t) }
        })
    })
}

/// setsockopt(2).
///
/// # Safety
///
/// `value` is null or good for reading `length` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sb_setsockopt(
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *const c_void,
    length: socklen_t,
) -> c_int {
    user::answer_done(|| {
        descriptor::with_socket(fd, |socket| {
            let length = length as usize;
            // SAFETY: the caller vouches.
            unsafe { set(socket, level, name, value, length) }
        })
    })
}

/// # Safety
///
/// `value` is null or good for reading `length` octets.
unsafe fn set(
    socket: &SocketHandle,
    level: c_int,
    name: c_int,
    value: *const c_void,
    length: usize,
) -> Result<(), Errno> {
    let needs = |least: usize| {
        if length < least {
            Err(Errno::EINVAL)
        } else {
            Ok(())
        }
    };
    match (level, name) {
        (libc::SOL_SOCKET, libc::SO_RCVTIMEO | libc::SO_SNDTIMEO) => {
            needs(size_of::<libc::timeval>())?;
            // SAFETY: long enough, any octets make one, and the caller vouches.
            let time: libc::timeval = unsafe { user::get(value.cast()) }?;
            let micros = u32::try_from(time.tv_usec)
                .ok()
                .filter(|micros| *micros < 1_000_000);
            let micros = micros.ok_or(Errno::EDOM)?;
            // Linux: a time before now is one that is over.
            let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
            socket.set_timeout(name, Duration::new(seconds, micros * 1000))
        }
        (libc::SOL_SOCKET, libc::SO_LINGER) => {
            needs(size_of::<libc::linger>())?;
            // SAFETY: long enough, any octets make one, and the caller vouches.
            let linger: libc::linger = unsafe { user::get(value.cast()) }?;
            let time = Duration::from_secs(linger.l_linger.unsigned_abs().into());
            socket.set_linger((linger.l_onoff != 0).then_some(time))
        }
        (libc::IPPROTO_TCP, libc::TCP_CONGESTION) => {
            needs(1)?;
            // SAFETY: the caller vouches.
            let name = unsafe { user::octets(value, length.min(16)) }?;
            let name = name.split(|octet| *octet == 0).next().unwrap_or_default();
            socket.set_congestion(std::str::from_utf8(name).map_err(|_| Errno::ENOENT)?)
        }
        (libc::IPPROTO_IP, _) if (1..size_of::<c_int>()).contains(&length) => {
            // Linux takes one octet for these too.
            // SAFETY: long enough, and the caller vouches.
            let octet: u8 = unsafe { user::get(value.cast()) }?;
            socket.set_int(level, name, octet.into())
        }
        _ => {
            needs(size_of::<c_int>())?;
            // SAFETY: long enough, and the caller vouches.
            socket.set_int(level, name, unsafe { user::get(value.cast()) }?)
        }
    }
}

/// fcntl(2): `F_GETFL`, `F_SETFL`, `F_GETFD`, `F_SETFD`, `F_DUPFD`, `F_DUPFD_CLOEXEC`. The third
/// argument is always given; where the command has none it is not looked at.
#[unsafe(no_mangle)]
pub extern "C" fn sb_fcntl(fd: c_int, command: c_int, argument: c_long) -> c_int {
    user::answer(|| {
        let description = descriptor::get(fd)?;
        let number = argument as c_int;
        match (command, &description.kind) {
            (libc::F_GETFL, Kind::Socket(socket)) => socket.status_flags(),
            (libc::F_GETFL, _) => Ok(libc::O_RDWR),
            (libc::F_SETFL, Kind::Socket(socket)) => {
                socket.set_nonblocking(number & libc::O_NONBLOCK != 0)?;
                Ok(0)
            }
            (libc::F_SETFL, _) => Ok(0),
            (libc::F_GETFD, _) => Ok(descriptor::close_on_exec(fd)?.into()),
            (libc::F_SETFD, _) => {
                descriptor::set_close_on_exec(fd, number & libc::FD_CLOEXEC != 0)?;
                Ok(0)
            }
            (libc::F_DUPFD | libc::F_DUPFD_CLOEXEC, _) if number < 0 => Err(Errno::EINVAL),
            (libc::F_DUPFD | libc::F_DUPFD_CLOEXEC, _) => {
                let copy = descriptor::duplicate(fd, number)?;
                descriptor::set_close_on_exec(copy, command == libc::F_DUPFD_CLOEXEC)?;
                Ok(copy)
            }
            _ => Err(Errno::EINVAL),
        }
    })
}

/// ioctl(2): `FIONBIO`, `FIONREAD` (`SIOCINQ`), `SIOCOUTQ`, `SIOCOUTQNSD`, `SIOCATMARK`.
///
/// # Safety
///
/// `argument` is null or good for reading and writing an `int`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sb_ioctl(fd: c_int, request: c_ulong, argument: *mut c_void) -> c_int {
    user::answer_done(|| {
        descriptor::with_socket(fd, |socket| {
            let number: *mut c_int = argument.cast();
            if request == libc::FIONBIO {
                // SAFETY: the caller vouches.
                return socket.set_nonblocking(unsafe { user::get(number) }? != 0);
            }
            let answer = socket.ask(request)?;
            // SAFETY: the caller vouches.
            unsafe { user::put(number, answer) }
        })
    })
}

//! The families of send and recv.

use std::ffi::{c_int, c_uint, c_void};
use std::time::Duration;

use libc::{iovec, mmsghdr, msghdr, sockaddr, socklen_t, ssize_t, timespec};

use crate::descriptor;
use crate::errno::Errno;
use crate::socket::{Received, Sending};
use crate::user::{Sink, Source};
use crate::{address, user};

/// The most messages of one `sendmmsg` or `recvmmsg`, as on Linux.
const MESSAGES_MAX: c_uint = 1024;

/// write(2).
///
/// # Safety
///
/// `data` is null or good for reading `length` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sb_write(fd: c_int, data: *const c_void, length: usize) -> ssize_t {
    // SAFETY: the caller vouches.
    unsafe { sb_sendto(fd, data, length, 0, std::ptr::null(), 0) }
}

/// writev(2).
///
/// # Safety
///
/// `parts` is null or an array of `count`, each good for reading.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sb_writev(fd: c_int, parts: *const iovec, count: c_int) -> ssize_t {
    user::answer_len(|| {
        descriptor::with_socket(fd, |socket| {
            let count = usize::try_from(count).map_err(|_| Errno::EINVAL)?;
            // SAFETY: the caller vouches.
            let source = unsafe { Source::vector(parts, count) }?;
            socket.send(&Sending {
                source,
                flags: 0,
                to: None,
            })
        })
    })
}

/// send(2).
///
/// # Safety
///
/// As for `sb_write`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sb_send(
    fd: c_int,
    data: *const c_void,
    length: usize,
    flags: c_int,
) -> ssize_t {
    // SAFETY: the caller vouches.
    unsafe { sb_sendto(fd, data, length, flags, std::ptr::null(), 0) }
}

/// sendto(2).
///
/// # Safety
///
/// `data` is null or good for reading `length` octets, `to` null or good for reading `to_length`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sb_sendto(
    fd: c_int,
    data: *const c_void,
    length: usize,
    flags: c_int,
    to: *const sockaddr,
    to_length: socklen_t,
) -> ssize_t {
    user::answer_len(|| {
        descriptor::with_socket(fd, |socket| {
            // SAFETY: the caller vouches.
            let to = unsafe { destination(to, to_length) }?;
            // SAFETY: the caller vouches.
            let source = unsafe { Source::plain(data, length) }?;
            socket.send(&Sending { source, flags, to })
        })
    })
}

/// # Safety
///
/// `to` is null or good for reading `length` octets.
unsafe fn destination(
    to: *const sockaddr,
    length: socklen_t,
) -> Result<Option<std::net::SocketAddr>, Errno> {
    if to.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller vouches.
    unsafe { address::read(to, length) }
}

/// sendmsg(2). Control messages are not read.
///
/// # Safety
///
/// `message` is null or points to a message whose parts and name are good for reading.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sb_sendmsg(fd: c_int, message: *const msghdr, flags: c_int) -> ssize_t {
    // SAFETY: the caller vouches.
    user::answer_len(|| unsafe { send_message(fd, message, flags) })
}

/// # Safety
///
/// As for `sb_sendmsg`.
unsafe fn send_message(fd: c_int, message: *const msghdr, flags: c_int) -> Result<usize, Errno> {
    descriptor::with_socket(fd, |socket| {
        // SAFETY: the caller vouches for the message and for what it names.
        let (source, to) = unsafe {
            let message = user::get(message)?;
            let to = destination(message.msg_name.cast(), message.msg_namelen)?;
            (Source::vector(message.msg_iov, message.msg_iovlen)?, to)
        };
        socket.send(&Sending { source, flags, to })
    })
}

/// sendmmsg(2).
///
/// # Safety
///
/// `messages` is null or an array of `count`, each as for `sb_sendmsg`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sb_sendmmsg(
    fd: c_int,
    messages: *mut mmsghdr,
    count: c_uint,
    flags: c_int,
) -> c_int {
    user::answer(|| {
        // SAFETY: the caller vouches.
        let messages = unsafe { user::array(messages, count.min(MESSAGES_MAX) as usize) }?;
        each(messages, |message| {
            // SAFETY: the caller vouches for each.
            let sent = unsafe { send_message(fd, &raw const message.msg_hdr, flags) }?;
            message.msg_len = c_uint::try_from(sent).unwrap_or(c_uint::MAX);
            Ok(true)
        })
    })
}

/// Does `act` to one message after the other until it says no more, or fails: an error counts only
/// where nothing was done before it.
fn each(
    messages: &mut [mmsghdr],
    mut act: impl FnMut(&mut mmsghdr) -> Result<bool, Errno>,
) -> Result<c_int, Errno> {
    let mut done = 0;
    for message in messages {
        match act(message) {
            Ok(true) => done += 1,
            Ok(false) => return Ok(done + 1),
            Err(errno) if done == 0 => return Err(errno),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// read(2).
///
/// # Safety
///
/// `buffer` is null or good for writing `length` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sb_read(fd: c_int, buffer: *mut c_void, length: usize) -> ssize_t {
    // SAFETY: the caller vouches.
    unsafe { sb_recv(fd, buffer, length, 0) }
}

/// readv(2).
///
/// # Safety
///
/// `parts` is null or an array of `count`, each good for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sb_readv(fd: c_int, parts: *const iovec, count: c_int) -> ssize_t {
    user::answer_len(|| {
        descriptor::with_socket(fd, |socket| {
            let count = usize::try_from(count).map_err(|_| Errno::EINVAL)?;
            // SAFETY: the caller vouches.
            let mut sink = unsafe { Sink::vector(parts, count) }?;
            Ok(socket.receive(&mut sink, 0)?.len)
        })
    })
}

/// recv(2).
///
/// # Safety
///
/// As for `sb_read`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sb_recv(
    fd: c_int,
    buffer: *mut c_void,
    length: usize,
    flags: c_int,
) -> ssize_t {
    let none = std::ptr::null_mut();
    // SAFETY: the caller vouches.
    unsafe { sb_recvfrom(fd, buffer, length, flags, none, std::ptr::null_mut()) }
}

/// recvfrom(2).
///
/// # Safety
///
/// `buffer` is null or good for writing `length` octets; `from_length` is null or good for reading
/// and writing, `from` null or good for writing `*from_length`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sb_recvfrom(
    fd: c_int,
    buffer: *mut c_void,
    length: usize,
    flags: c_int,
    from: *mut sockaddr,
    from_length: *mut socklen_t,
) -> ssize_t {
    user::answer_len(|| {
        descriptor::with_socket(fd, |socket| {
            // SAFETY: the caller vouches.
            let mut sink = unsafe { Sink::plain(buffer, length) }?;
            let received = socket.receive(&mut sink, flags)?;
            if let Some(sender) = received.from {
                // SAFETY: the caller vouches.
                unsafe { address::write(sender, from, from_length) }?;
            } else if !from_length.is_null() {
                // SAFETY: not null, and the caller vouches.
                unsafe { user::put(from_length, 0) }?;
            }
            Ok(received.len)
        })
    })
}

/// recvmsg(2). There are no control messages.
///
/// # Safety
///
/// `message` is null or points to a message whose parts and name are good for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sb_recvmsg(fd: c_int, message: *mut msghdr, flags: c_int) -> ssize_t {
    // SAFETY: the caller vouches.
    user::answer_len(|| unsafe { receive_message(fd, message, flags) })
}

/// # Safety
///
/// As for `sb_recvmsg`.
unsafe fn receive_message(fd: c_int, message: *mut msghdr, flags: c_int) -> Result<usize, Errno> {
    descriptor::with_socket(fd, |socket| {
        // SAFETY: the caller vouches for the message and for what it names.
        let (mut header, mut sink) = unsafe {
            let header = user::get(message)?;
            (header, Sink::vector(header.msg_iov, header.msg_iovlen)?)
        };
        let Received { len, from, flags } = socket.receive(&mut sink, flags)?;
        let mut name_length = header.msg_namelen;
        match from {
            // SAFETY: the caller vouches for the name.
            Some(from) => unsafe {
                address::write(from, header.msg_name.cast(), &raw mut name_length)?;
            },
            None => name_length = 0,
        }
        header.msg_namelen = name_length;
        header.msg_controllen = 0;
        header.msg_flags = flags;
        // SAFETY: the caller vouches for the message.
        unsafe { user::put(message, header) }?;
        Ok(len)
    })
}

/// recvmmsg(2). `timeout` bounds the whole call, and is looked at between messages, as on Linux.
///
/// # Safety
///
/// `messages` is null or an array of `count`, each as for `sb_recvmsg`; `timeout` is null or good
/// for reading.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sb_recvmmsg(
    fd: c_int,
    messages: *mut mmsghdr,
    count: c_uint,
    flags: c_int,
    timeout: *mut timespec,
) -> c_int {
    user::answer(|| {
        // SAFETY: the caller vouches.
        let messages = unsafe { user::array(messages, count.min(MESSAGES_MAX) as usize) }?;
        let limit = if timeout.is_null() {
            None
        } else {
            // SAFETY: not null, and the caller vouches.
            let time = unsafe { user::get(timeout) }?;
            let seconds = u64::try_from(time.tv_sec).map_err(|_| Errno::EINVAL)?;
            let nanos = u32::try_from(time.tv_nsec).ok();
            let nanos = nanos.filter(|nanos| *nanos < 1_000_000_000);
            Some(Duration::new(seconds, nanos.ok_or(Errno::EINVAL)?))
        };
        let began = std::time::Instant::now();
        let one_only = flags & libc::MSG_WAITFORONE != 0;
        let mut flags = flags & !libc::MSG_WAITFORONE;
        each(messages, |message| {
            // SAFETY: the caller vouches for each.
            let len = unsafe { receive_message(fd, &raw mut message.msg_hdr, flags) }?;
            message.msg_len = c_uint::try_from(len).unwrap_or(c_uint::MAX);
            if one_only {
                flags |= libc::MSG_DONTWAIT;
            }
            Ok(limit.is_none_or(|limit| began.elapsed() < limit))
        })
    })
}

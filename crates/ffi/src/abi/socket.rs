//! socket, bind, listen, accept, connect, shutdown, close, dup, names.

use std::ffi::c_int;

use libc::{sockaddr, socklen_t};

use crate::descriptor::{self, Kind};
use crate::errno::Errno;
use crate::socket::SocketHandle;
use crate::{address, stack, user};

/// socket(2) on the stack that `sb_stack_use` named, or the first that was opened (`ENETDOWN`
/// where there is none). `SOCK_STREAM` and `SOCK_DGRAM` of `AF_INET` and `AF_INET6`.
#[unsafe(no_mangle)]
pub extern "C" fn sb_socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int {
    user::answer(|| match stack::default() {
        stack if stack < 0 => Err(Errno::ENETDOWN),
        stack => open(stack, domain, kind, protocol),
    })
}

/// socket(2) on a stack of your choice.
#[unsafe(no_mangle)]
pub extern "C" fn sb_socket_on(stack: c_int, domain: c_int, kind: c_int, protocol: c_int) -> c_int {
    user::answer(|| open(stack, domain, kind, protocol))
}

fn open(stack: c_int, domain: c_int, kind: c_int, protocol: c_int) -> Result<c_int, Errno> {
    let socket = stack::with(stack, |stack| {
        SocketHandle::open(&stack.network, stack.host, domain, kind, protocol)
    })?;
    add(socket, kind & libc::SOCK_CLOEXEC != 0)
}

fn add(socket: SocketHandle, is_close_on_exec: bool) -> Result<c_int, Errno> {
    let fd = descriptor::add(Kind::Socket(socket))?;
    descriptor::set_close_on_exec(fd, is_close_on_exec)?;
    Ok(fd)
}

/// bind(2).
///
/// # Safety
///
/// `address` is null or good for reading `length` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sb_bind(fd: c_int, address: *const sockaddr, length: socklen_t) -> c_int {
    user::answer_done(|| {
        descriptor::with_socket(fd, |socket| {
            // SAFETY: the caller vouches.
            let local = unsafe { address::read(address, length) }?;
            socket.bind(local.ok_or(Errno::EAFNOSUPPORT)?)
        })
    })
}

/// listen(2).
#[unsafe(no_mangle)]
pub extern "C" fn sb_listen(fd: c_int, backlog: c_int) -> c_int {
    user::answer_done(|| descriptor::with_socket(fd, |socket| socket.listen(backlog)))
}

/// accept(2).
///
/// # Safety
///
/// As for `sb_accept4`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sb_accept(
    fd: c_int,
    address: *mut sockaddr,
    length: *mut socklen_t,
) -> c_int {
    // SAFETY: the caller vouches.
    unsafe { sb_accept4(fd, address, length, 0) }
}

/// accept4(2).
///
/// # Safety
///
/// `length` is null or good for reading and writing, `address` null or good for writing `*length`
/// octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sb_accept4(
    fd: c_int,
    address: *mut sockaddr,
    length: *mut socklen_t,
    flags: c_int,
) -> c_int {
    user::answer(|| {
        let (socket, caller) = descriptor::with_socket(fd, |socket| {
            if !address.is_null() && length.is_null() {
                return Err(Errno::EFAULT);
            }
            socket.accept(flags)
        })?;
        // SAFETY: the caller vouches.
        unsafe { address::write(caller, address, length) }?;
        add(socket, flags & libc::SOCK_CLOEXEC != 0)
    })
}

/// connect(2).
///
/// # Safety
///
/// As for `sb_bind`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sb_connect(
    fd: c_int,
    address: *const sockaddr,
    length: socklen_t,
) -> c_int {
    user::answer_done(|| {
        descriptor::with_socket(fd, |socket| {
            // SAFETY: the caller vouches.
            socket.connect(unsafe { address::read(address, length) }?)
        })
    })
}

/// shutdown(2).
#[unsafe(no_mangle)]
pub extern "C" fn sb_shutdown(fd: c_int, how: c_int) -> c_int {
    user::answer_done(|| descriptor::with_socket(fd, |socket| socket.shutdown(how)))
}

/// close(2), of a socket, an epoll instance or a stack. A stack whose sockets are all closed
/// finishes in the background what they have still to send.
#[unsafe(no_mangle)]
pub extern "C" fn sb_close(fd: c_int) -> c_int {
    user::answer_done(|| {
        stack::forget_default(fd);
        descriptor::close(fd)
    })
}

/// dup(2).
#[unsafe(no_mangle)]
pub extern "C" fn sb_dup(fd: c_int) -> c_int {
    user::answer(|| descriptor::duplicate(fd, 0))
}

/// getsockname(2).
///
/// # Safety
///
/// As for `sb_accept4`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sb_getsockname(
    fd: c_int,
    address: *mut sockaddr,
    length: *mut socklen_t,
) -> c_int {
    user::answer_done(|| {
        let local = descriptor::with_socket(fd, SocketHandle::local_address)?;
        // SAFETY: the caller vouches.
        unsafe { name(local, address, length) }
    })
}

/// getpeername(2).
///
/// # Safety
///
/// As for `sb_accept4`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sb_getpeername(
    fd: c_int,
    address: *mut sockaddr,
    length: *mut socklen_t,
) -> c_int {
    user::answer_done(|| {
        let remote = descriptor::with_socket(fd, SocketHandle::remote_address)?;
        // SAFETY: the caller vouches.
        unsafe { name(remote, address, length) }
    })
}

/// # Safety
///
/// As for `sb_accept4`.
unsafe fn name(
    found: std::net::SocketAddr,
    address: *mut sockaddr,
    length: *mut socklen_t,
) -> Result<(), Errno> {
    if address.is_null() {
        return Err(Errno::EFAULT);
    }
    // SAFETY: the caller vouches.
    unsafe { address::write(found, address, length) }
}

//! `getsockopt` and `close` themselves, for LD_PRELOAD. packetdrill asks for `TCP_INFO` in code blocks by
//! the C library's function, past the table.

use std::ffi::{c_int, c_void};

use libc::socklen_t;

use crate::abi::options::sb_getsockopt;
use crate::descriptor;

/// getsockopt(2): ours for our descriptors, the kernel's for its own.
///
/// # Safety
///
/// As for `sb_getsockopt`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getsockopt(
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *mut c_void,
    length: *mut socklen_t,
) -> c_int {
    if descriptor::is_ours(fd) {
        // SAFETY: the caller vouches.
        return unsafe { sb_getsockopt(fd, level, name, value, length) };
    }
    // SAFETY: what the caller would hand to the C library's function goes to the kernel.
    let result = unsafe { libc::syscall(libc::SYS_getsockopt, fd, level, name, value, length) };
    result as c_int
}

/// close(2): ours for our descriptors, the kernel's for its own. At the end of a script packetdrill
/// closes what the script left open by the C library's function.
#[unsafe(no_mangle)]
pub extern "C" fn close(fd: c_int) -> c_int {
    if descriptor::is_ours(fd) {
        return crate::abi::socket::sb_close(fd);
    }
    // SAFETY: a number; whether the caller may close it is the caller's matter, as ever.
    let result = unsafe { libc::syscall(libc::SYS_close, fd) };
    result as c_int
}

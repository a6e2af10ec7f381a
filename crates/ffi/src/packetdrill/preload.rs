//! `getsockopt` itself, for LD_PRELOAD: packetdrill's code blocks ask a socket for `TCP_INFO` by
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

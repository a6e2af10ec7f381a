//! The C interface as a C program uses it, with Rust's types around it for the tests' sake.

#![cfg(target_os = "linux")]
#![allow(dead_code, reason = "each test file uses its part")]

use std::ffi::{CString, c_int, c_void};
use std::net::Ipv4Addr;

use libc::{sockaddr, sockaddr_in, socklen_t};
use switchboard_c::abi::io::{sb_recv, sb_send};
use switchboard_c::abi::options::{sb_getsockopt, sb_setsockopt};
use switchboard_c::abi::socket::{sb_accept, sb_bind, sb_connect, sb_listen, sb_socket_on};
use switchboard_c::abi::stack::{SB_VIRTUAL_TIME, sb_config, sb_stack_open_pair};

pub(crate) const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
pub(crate) const B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

pub(crate) fn errno() -> c_int {
    std::io::Error::last_os_error().raw_os_error().unwrap()
}

/// What a call answered; panics with its `errno` if it failed.
#[track_caller]
pub(crate) fn ok<T: PartialOrd + From<i8> + std::fmt::Debug>(answer: T) -> T {
    assert!(answer >= T::from(0), "{}", std::io::Error::last_os_error());
    answer
}

/// The call must fail with `errno`.
#[track_caller]
pub(crate) fn fails<T: PartialEq + From<i8> + std::fmt::Debug>(answer: T, with: c_int) {
    assert_eq!(answer, T::from(-1));
    let expected = std::io::Error::from_raw_os_error(with);
    assert_eq!(
        errno(),
        with,
        "expected: {expected}, got: {}",
        std::io::Error::last_os_error()
    );
}

fn config(addresses: &CString, flags: u32) -> sb_config {
    sb_config {
        size: size_of::<sb_config>(),
        addresses: addresses.as_ptr(),
        mtu: 0,
        flags,
        seed: 7,
    }
}

/// Two stacks in memory, `A` and `B`.
pub(crate) fn pair(flags: u32) -> [c_int; 2] {
    let a = CString::new("10.0.0.1/24, fd00::1/64").unwrap();
    let b = CString::new("10.0.0.2/24, fd00::2/64").unwrap();
    let mut stacks = [0; 2];
    // SAFETY: room for two, and two configurations whose texts live.
    ok(unsafe { sb_stack_open_pair(stacks.as_mut_ptr(), &config(&a, flags), &config(&b, flags)) });
    stacks
}

pub(crate) fn virtual_pair() -> [c_int; 2] {
    pair(SB_VIRTUAL_TIME)
}

pub(crate) fn address(ip: Ipv4Addr, port: u16) -> sockaddr_in {
    sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from(ip).to_be(),
        },
        sin_zero: [0; 8],
    }
}

pub(crate) const ADDRESS_LEN: socklen_t = size_of::<sockaddr_in>() as socklen_t;

pub(crate) fn raw(address: &sockaddr_in) -> *const sockaddr {
    std::ptr::from_ref(address).cast()
}

pub(crate) fn stream(stack: c_int) -> c_int {
    ok(sb_socket_on(stack, libc::AF_INET, libc::SOCK_STREAM, 0))
}

pub(crate) fn datagram(stack: c_int) -> c_int {
    ok(sb_socket_on(stack, libc::AF_INET, libc::SOCK_DGRAM, 0))
}

pub(crate) fn bind(fd: c_int, ip: Ipv4Addr, port: u16) -> c_int {
    // SAFETY: a local address.
    unsafe { sb_bind(fd, raw(&address(ip, port)), ADDRESS_LEN) }
}

pub(crate) fn connect(fd: c_int, ip: Ipv4Addr, port: u16) -> c_int {
    // SAFETY: a local address.
    unsafe { sb_connect(fd, raw(&address(ip, port)), ADDRESS_LEN) }
}

pub(crate) fn accept(fd: c_int) -> c_int {
    // SAFETY: no address is asked for.
    unsafe { sb_accept(fd, std::ptr::null_mut(), std::ptr::null_mut()) }
}

pub(crate) fn listener(stack: c_int, ip: Ipv4Addr, port: u16) -> c_int {
    let fd = stream(stack);
    ok(bind(fd, ip, port));
    ok(sb_listen(fd, 8));
    fd
}

pub(crate) fn send(fd: c_int, data: &[u8], flags: c_int) -> isize {
    // SAFETY: a slice.
    unsafe { sb_send(fd, data.as_ptr().cast(), data.len(), flags) }
}

pub(crate) fn recv(fd: c_int, room: &mut [u8], flags: c_int) -> isize {
    // SAFETY: a slice.
    unsafe { sb_recv(fd, room.as_mut_ptr().cast(), room.len(), flags) }
}

pub(crate) fn set(fd: c_int, level: c_int, name: c_int, value: c_int) -> c_int {
    let value: *const c_int = &value;
    // SAFETY: a local number.
    unsafe { sb_setsockopt(fd, level, name, value.cast(), 4) }
}

pub(crate) fn get(fd: c_int, level: c_int, name: c_int) -> c_int {
    let mut value: c_int = -1;
    let mut len: socklen_t = 4;
    let at: *mut c_void = (&raw mut value).cast();
    // SAFETY: local numbers.
    ok(unsafe { sb_getsockopt(fd, level, name, at, &raw mut len) });
    assert_eq!(len, 4);
    value
}

/// A connection from `A` to `B`: the caller's end and the accepted one, and the listener.
pub(crate) fn connected(stacks: [c_int; 2]) -> (c_int, c_int, c_int) {
    let listener = listener(stacks[1], B, 80);
    let caller = stream(stacks[0]);
    ok(connect(caller, B, 80));
    (caller, ok(accept(listener)), listener)
}

//! What single calls answer: values, `errno`, options, flags. In virtual time: nothing waits.

#![cfg(target_os = "linux")]
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "pointers to locals, all of them"
)]

mod common;

use std::ptr::{null, null_mut};

use common::*;
use libc::{IPPROTO_TCP, MSG_DONTWAIT, MSG_PEEK, MSG_TRUNC, MSG_WAITALL, SOL_SOCKET};
use switchboard_c::abi::io::{
    sb_read, sb_recvfrom, sb_recvmmsg, sb_recvmsg, sb_sendmsg, sb_sendto, sb_write,
};
use switchboard_c::abi::options::{sb_fcntl, sb_getsockopt, sb_ioctl, sb_setsockopt};
use switchboard_c::abi::socket::{
    sb_accept, sb_bind, sb_close, sb_connect, sb_dup, sb_getpeername, sb_getsockname, sb_listen,
    sb_shutdown, sb_socket_on,
};
use switchboard_c::abi::stack::{sb_stack_sleep, sb_stack_time};

#[test]
fn a_socket_is_refused_with_the_reason_that_linux_gives() {
    let [a, _] = virtual_pair();
    fails(
        sb_socket_on(a, libc::AF_UNIX, libc::SOCK_STREAM, 0),
        libc::EAFNOSUPPORT,
    );
    fails(
        sb_socket_on(a, libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_UDP),
        libc::EPROTONOSUPPORT,
    );
    fails(
        sb_socket_on(a, libc::AF_INET, libc::SOCK_RAW, 0),
        libc::ESOCKTNOSUPPORT,
    );
    fails(sb_socket_on(a, libc::AF_INET, 77, 0), libc::EINVAL);
    fails(
        sb_socket_on(3, libc::AF_INET, libc::SOCK_STREAM, 0),
        libc::EBADF,
    );
}

#[test]
fn descriptors_that_are_none_or_something_else() {
    let [a, _] = virtual_pair();
    fails(sb_listen(1 << 29, 1), libc::EBADF);
    fails(sb_close(0), libc::EBADF);
    // A stack is a descriptor, and no socket.
    fails(sb_listen(a, 1), libc::ENOTSOCK);
}

#[test]
fn bad_addresses() {
    let [a, _] = virtual_pair();
    let socket = stream(a);
    unsafe {
        fails(sb_bind(socket, null(), 16), libc::EFAULT);
        let here = address(A, 80);
        fails(sb_bind(socket, raw(&here), 1), libc::EINVAL);
        fails(sb_bind(socket, raw(&here), 8), libc::EINVAL);
        let mut odd = here;
        odd.sin_family = libc::AF_UNIX as u16;
        fails(sb_bind(socket, raw(&odd), 16), libc::EAFNOSUPPORT);
        fails(sb_connect(socket, null(), 16), libc::EFAULT);
    }
    fails(bind(socket, B, 80), libc::EADDRNOTAVAIL);
    ok(bind(socket, A, 80));
    fails(bind(socket, A, 81), libc::EINVAL);
}

#[test]
fn a_port_is_taken_when_it_is_bound() {
    let [a, _] = virtual_pair();
    let (one, other) = (stream(a), stream(a));
    ok(bind(one, A, 80));
    fails(bind(other, A, 80), libc::EADDRINUSE);
    // Both must say so, and nobody may listen.
    ok(set(other, SOL_SOCKET, libc::SO_REUSEADDR, 1));
    fails(bind(other, A, 80), libc::EADDRINUSE);
    ok(set(one, SOL_SOCKET, libc::SO_REUSEADDR, 1));
    ok(bind(other, A, 80));
    ok(sb_listen(one, 1));
    fails(sb_listen(other, 1), libc::EADDRINUSE);
    let third = stream(a);
    ok(set(third, SOL_SOCKET, libc::SO_REUSEADDR, 1));
    fails(bind(third, A, 80), libc::EADDRINUSE);
    // Port 0 picks one, and it can be asked for at once.
    ok(bind(third, A, 0));
    let mut name = address(A, 0);
    let mut len = ADDRESS_LEN;
    ok(unsafe { sb_getsockname(third, (&raw mut name).cast(), &raw mut len) });
    assert!(u16::from_be(name.sin_port) >= 49_152);
}

#[test]
fn calls_in_the_wrong_state() {
    let stacks = virtual_pair();
    let (caller, callee, listener) = connected(stacks);
    fails(connect(caller, B, 80), libc::EISCONN);
    fails(connect(listener, B, 80), libc::EISCONN);
    fails(accept(caller), libc::EINVAL);
    fails(sb_listen(caller, 1), libc::EINVAL);
    let fresh = stream(stacks[0]);
    fails(sb_shutdown(fresh, libc::SHUT_WR), libc::ENOTCONN);
    fails(sb_shutdown(caller, 9), libc::EINVAL);
    fails(send(fresh, b"x", 0), libc::EPIPE);
    fails(recv(fresh, &mut [0; 4], 0), libc::ENOTCONN);
    let mut name = address(A, 0);
    let mut len = ADDRESS_LEN;
    fails(
        unsafe { sb_getpeername(fresh, (&raw mut name).cast(), &raw mut len) },
        libc::ENOTCONN,
    );
    let udp = datagram(stacks[0]);
    fails(accept(udp), libc::EOPNOTSUPP);
    fails(sb_listen(udp, 1), libc::EOPNOTSUPP);
    fails(send(udp, b"x", 0), libc::EDESTADDRREQ);
    ok(sb_shutdown(callee, libc::SHUT_WR));
    fails(send(callee, b"x", 0), libc::EPIPE);
    fails(send(caller, b"x", libc::MSG_OOB), libc::EOPNOTSUPP);
    fails(recv(caller, &mut [0; 1], libc::MSG_OOB), libc::EINVAL);
}

#[test]
fn null_pointers_lose_nothing() {
    let (caller, callee, _) = connected(virtual_pair());
    unsafe {
        fails(sb_write(caller, null(), 1000), libc::EFAULT);
        fails(sb_sendto(caller, null(), 1000, 0, null(), 0), libc::EFAULT);
        ok(send(caller, b"still there", 0));
        fails(sb_read(callee, null_mut(), 1000), libc::EFAULT);
        let mut room = [0; 32];
        assert_eq!(recv(callee, &mut room, 0), 11);
        assert_eq!(&room[..11], b"still there");
        fails(sb_sendmsg(caller, null(), 0), libc::EFAULT);
        fails(
            sb_getsockopt(caller, SOL_SOCKET, libc::SO_ERROR, null_mut(), null_mut()),
            libc::EFAULT,
        );
        fails(
            sb_setsockopt(caller, SOL_SOCKET, libc::SO_KEEPALIVE, null(), 4),
            libc::EFAULT,
        );
        // An address without room for its length: the connection stays in the backlog.
        let mut name = address(A, 0);
        fails(
            sb_accept(caller, (&raw mut name).cast(), null_mut()),
            libc::EFAULT,
        );
    }
}

#[test]
fn connecting_without_blocking() {
    let stacks = virtual_pair();
    let listener = listener(stacks[1], B, 80);
    let caller = stream(stacks[0]);
    ok(sb_fcntl(
        caller,
        libc::F_SETFL,
        (libc::O_RDWR | libc::O_NONBLOCK).into(),
    ));
    assert_eq!(
        sb_fcntl(caller, libc::F_GETFL, 0),
        libc::O_RDWR | libc::O_NONBLOCK
    );
    fails(connect(caller, B, 80), libc::EINPROGRESS);
    // The link takes no time: the answer is there already, and is told once.
    ok(connect(caller, B, 80));
    fails(connect(caller, B, 80), libc::EISCONN);
    assert_eq!(get(caller, SOL_SOCKET, libc::SO_ERROR), 0);
    ok(accept(listener));
    fails(recv(caller, &mut [0; 4], 0), libc::EAGAIN);
}

#[test]
fn refusal_by_both_ways_of_asking() {
    let stacks = virtual_pair();
    let caller = stream(stacks[0]);
    fails(connect(caller, B, 81), libc::ECONNREFUSED);
    // As on Linux the socket may try again.
    let listener = listener(stacks[1], B, 81);
    ok(connect(caller, B, 81));
    ok(accept(listener));
    let other = stream(stacks[0]);
    ok(sb_fcntl(other, libc::F_SETFL, libc::O_NONBLOCK.into()));
    fails(connect(other, B, 82), libc::EINPROGRESS);
    assert_eq!(get(other, SOL_SOCKET, libc::SO_ERROR), libc::ECONNREFUSED);
    assert_eq!(get(other, SOL_SOCKET, libc::SO_ERROR), 0);
}

#[test]
fn silence_takes_two_minutes_of_virtual_time() {
    let stacks = virtual_pair();
    let began = std::time::Instant::now();
    let before = ok(sb_stack_time(stacks[0]));
    let caller = stream(stacks[0]);
    // Nobody has that address, and nobody says so: 10.0.0.2's stack takes no other's packets.
    fails(
        connect(caller, std::net::Ipv4Addr::new(10, 0, 0, 9), 80),
        libc::ETIMEDOUT,
    );
    let took = ok(sb_stack_time(stacks[0])) - before;
    assert_eq!(took / 1_000_000_000, 127);
    ok(sb_stack_sleep(stacks[0], 3_600_000_000_000));
    assert!(began.elapsed().as_secs() < 10);
}

#[test]
fn timeouts_of_receiving() {
    let stacks = virtual_pair();
    let (caller, _callee, listener) = connected(stacks);
    let time = libc::timeval {
        tv_sec: 1,
        tv_usec: 500_000,
    };
    let at: *const libc::timeval = &time;
    for socket in [caller, listener] {
        ok(unsafe { sb_setsockopt(socket, SOL_SOCKET, libc::SO_RCVTIMEO, at.cast(), 16) });
    }
    let before = sb_stack_time(stacks[0]);
    fails(recv(caller, &mut [0; 4], 0), libc::EAGAIN);
    assert_eq!(sb_stack_time(stacks[0]) - before, 1_500_000_000);
    fails(accept(listener), libc::EAGAIN);
    assert_eq!(sb_stack_time(stacks[0]) - before, 3_000_000_000);
    let odd = libc::timeval {
        tv_sec: 1,
        tv_usec: 1_000_000,
    };
    let at: *const libc::timeval = &odd;
    fails(
        unsafe { sb_setsockopt(caller, SOL_SOCKET, libc::SO_RCVTIMEO, at.cast(), 16) },
        libc::EDOM,
    );
}

#[test]
fn peeking_discarding_and_waiting_for_all() {
    let (caller, callee, _) = connected(virtual_pair());
    ok(send(caller, b"abcdef", 0));
    let mut room = [0; 4];
    assert_eq!(recv(callee, &mut room, MSG_PEEK), 4);
    assert_eq!(recv(callee, &mut room, MSG_PEEK), 4);
    assert_eq!(&room, b"abcd");
    assert_eq!(recv(callee, &mut room[..2], MSG_TRUNC), 2);
    assert_eq!(recv(callee, &mut room, 0), 4);
    assert_eq!(&room, b"cdef");
    ok(send(caller, b"12", 0));
    let mut waiting = [0; 4];
    assert_eq!(recv(callee, &mut room[..0], 0), 0);
    // Only half of it is there.
    assert_eq!(recv(callee, &mut waiting, MSG_WAITALL | MSG_DONTWAIT), 2);
    ok(send(caller, b"34", 0));
    ok(sb_shutdown(caller, libc::SHUT_WR));
    assert_eq!(recv(callee, &mut waiting, MSG_WAITALL), 2);
    assert_eq!(recv(callee, &mut waiting, 0), 0);
}

#[test]
fn peeking_for_all_ends_where_no_more_can_come() {
    let (caller, callee, _) = connected(virtual_pair());
    let mut room = vec![0; 1 << 20];
    let all = MSG_PEEK | MSG_WAITALL;
    ok(send(caller, b"half", 0));
    assert_eq!(recv(callee, &mut room, all | MSG_DONTWAIT), 4);
    ok(sb_shutdown(caller, libc::SHUT_WR));
    assert_eq!(recv(callee, &mut room, all), 4);
    assert_eq!(recv(callee, &mut room, 0), 4);
    assert_eq!(recv(callee, &mut room, all), 0);
    // More than the buffer holds.
    let (caller, callee, _) = connected(virtual_pair());
    ok(set(callee, SOL_SOCKET, libc::SO_RCVBUF, 20_000));
    let much = vec![1; 1 << 20];
    ok(send(caller, &much, MSG_DONTWAIT));
    let len = ok(recv(callee, &mut room, all));
    assert!(len > 10_000, "{len}");
    // A reset.
    let (caller, callee, _) = connected(virtual_pair());
    ok(send(caller, b"half", 0));
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    let at: *const libc::linger = &linger;
    ok(unsafe { sb_setsockopt(caller, SOL_SOCKET, libc::SO_LINGER, at.cast(), 8) });
    ok(sb_close(caller));
    assert!((0..=4).contains(&recv(callee, &mut room, all)));
}

#[test]
fn flags_and_times_of_datagrams_that_are_refused() {
    let [a, _] = virtual_pair();
    let socket = datagram(a);
    ok(connect(socket, B, 53));
    fails(send(socket, b"x", libc::MSG_MORE), libc::EOPNOTSUPP);
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 1_000_000_000,
    };
    let mut message: libc::mmsghdr = unsafe { std::mem::zeroed() };
    fails(
        unsafe { sb_recvmmsg(socket, &raw mut message, 1, MSG_DONTWAIT, &raw mut time) },
        libc::EINVAL,
    );
}

#[test]
fn what_comes_after_shutting_down_for_reading_can_be_read() {
    let (caller, callee, _) = connected(virtual_pair());
    ok(sb_shutdown(callee, libc::SHUT_RD));
    assert_eq!(recv(callee, &mut [0; 4], 0), 0);
    ok(send(caller, b"late", 0));
    assert_eq!(recv(callee, &mut [0; 4], 0), 4);
    assert_eq!(recv(callee, &mut [0; 4], 0), 0);
}

#[test]
fn a_reset_is_told_once() {
    let (caller, callee, _) = connected(virtual_pair());
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    let at: *const libc::linger = &linger;
    ok(unsafe { sb_setsockopt(caller, SOL_SOCKET, libc::SO_LINGER, at.cast(), 8) });
    ok(sb_close(caller));
    fails(recv(callee, &mut [0; 4], 0), libc::ECONNRESET);
    assert_eq!(recv(callee, &mut [0; 4], 0), 0);
    fails(send(callee, b"x", 0), libc::EPIPE);
}

#[test]
fn datagrams_keep_their_bounds_and_their_senders() {
    let [a, b] = virtual_pair();
    let (one, other) = (datagram(a), datagram(b));
    ok(bind(other, B, 53));
    let to = address(B, 53);
    let sent = unsafe {
        sb_sendto(
            one,
            b"question".as_ptr().cast(),
            8,
            0,
            raw(&to),
            ADDRESS_LEN,
        )
    };
    assert_eq!(sent, 8);
    let mut room = [0_u8; 4];
    let mut from = address(B, 0);
    let mut len = ADDRESS_LEN;
    let got = unsafe {
        sb_recvfrom(
            other,
            room.as_mut_ptr().cast(),
            4,
            MSG_TRUNC | MSG_PEEK,
            (&raw mut from).cast(),
            &raw mut len,
        )
    };
    assert_eq!(got, 8, "MSG_TRUNC answers the true length");
    assert_eq!(u32::from_be(from.sin_addr.s_addr), u32::from(A));
    assert_eq!(recv(other, &mut room, 0), 4);
    assert_eq!(&room, b"ques");
    fails(recv(other, &mut room, MSG_DONTWAIT), libc::EAGAIN);
    // Connected, a refusal comes back.
    ok(connect(one, B, 54));
    ok(send(one, b"anybody?", 0));
    fails(recv(one, &mut room, 0), libc::ECONNREFUSED);
    let long = vec![0; 65_600];
    fails(send(one, &long, 0), libc::EMSGSIZE);
    // Nowhere again.
    let mut nowhere = to;
    nowhere.sin_family = libc::AF_UNSPEC as u16;
    ok(unsafe { sb_connect(one, raw(&nowhere), ADDRESS_LEN) });
    fails(send(one, b"x", 0), libc::EDESTADDRREQ);
}

#[test]
fn messages_of_several_parts() {
    let (caller, callee, _) = connected(virtual_pair());
    let mut words = [*b"one, ", *b"two, ", *b"three"];
    let mut parts = words.each_mut().map(|word| libc::iovec {
        iov_base: word.as_mut_ptr().cast(),
        iov_len: word.len(),
    });
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = parts.as_mut_ptr();
    message.msg_iovlen = 3;
    assert_eq!(unsafe { sb_sendmsg(caller, &raw const message, 0) }, 15);
    let (mut front, mut back) = ([0_u8; 7], [0_u8; 20]);
    let mut rooms = [
        libc::iovec {
            iov_base: front.as_mut_ptr().cast(),
            iov_len: 7,
        },
        libc::iovec {
            iov_base: null_mut(),
            iov_len: 0,
        },
        libc::iovec {
            iov_base: back.as_mut_ptr().cast(),
            iov_len: 20,
        },
    ];
    message.msg_iov = rooms.as_mut_ptr();
    assert_eq!(unsafe { sb_recvmsg(callee, &raw mut message, 0) }, 15);
    assert_eq!((&front, &back[..8]), (b"one, tw", &b"o, three"[..]));
    message.msg_iovlen = 1025;
    fails(
        unsafe { sb_sendmsg(caller, &raw const message, 0) },
        libc::EMSGSIZE,
    );
}

#[test]
fn options_say_what_linux_says() {
    let stacks = virtual_pair();
    let (caller, _, listener) = connected(stacks);
    assert_eq!(get(caller, SOL_SOCKET, libc::SO_TYPE), libc::SOCK_STREAM);
    assert_eq!(get(listener, SOL_SOCKET, libc::SO_ACCEPTCONN), 1);
    assert_eq!(get(caller, SOL_SOCKET, libc::SO_DOMAIN), libc::AF_INET);
    ok(set(caller, SOL_SOCKET, libc::SO_SNDBUF, 21_000));
    assert_eq!(get(caller, SOL_SOCKET, libc::SO_SNDBUF), 42_000);
    // 1460 less the timestamps option.
    assert_eq!(get(caller, IPPROTO_TCP, libc::TCP_MAXSEG), 1448);
    fails(set(caller, IPPROTO_TCP, libc::TCP_MAXSEG, 40), libc::EINVAL);
    for (name, value) in [
        (libc::TCP_NODELAY, 1),
        (libc::TCP_CORK, 1),
        (libc::TCP_QUICKACK, 1),
        (libc::TCP_KEEPIDLE, 60),
        (libc::TCP_KEEPINTVL, 5),
        (libc::TCP_KEEPCNT, 3),
        (libc::TCP_USER_TIMEOUT, 30_000),
    ] {
        ok(set(caller, IPPROTO_TCP, name, value));
        assert_eq!(get(caller, IPPROTO_TCP, name), value, "option {name}");
    }
    fails(set(caller, IPPROTO_TCP, 9999, 1), libc::ENOPROTOOPT);
    ok(set(caller, libc::IPPROTO_IP, libc::IP_TTL, 7));
    assert_eq!(get(caller, libc::IPPROTO_IP, libc::IP_TTL), 7);
    fails(
        set(caller, libc::IPPROTO_IP, libc::IP_TTL, 256),
        libc::EINVAL,
    );
    ok(set(caller, libc::IPPROTO_IP, libc::IP_TOS, 0x10));
    let name = b"reno\0";
    ok(unsafe {
        sb_setsockopt(
            caller,
            IPPROTO_TCP,
            libc::TCP_CONGESTION,
            name.as_ptr().cast(),
            5,
        )
    });
    let mut room = [0_u8; 16];
    let mut len = 16;
    ok(unsafe {
        sb_getsockopt(
            caller,
            IPPROTO_TCP,
            libc::TCP_CONGESTION,
            room.as_mut_ptr().cast(),
            &raw mut len,
        )
    });
    assert_eq!(&room[..5], name);
    let bad = b"hopes\0";
    fails(
        unsafe {
            sb_setsockopt(
                caller,
                IPPROTO_TCP,
                libc::TCP_CONGESTION,
                bad.as_ptr().cast(),
                6,
            )
        },
        libc::ENOENT,
    );
}

#[test]
fn tcp_info_lies_where_linux_has_it() {
    let (caller, callee, _) = connected(virtual_pair());
    ok(send(caller, &[1; 5000], 0));
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut len = size_of::<libc::tcp_info>() as u32;
    let at: *mut libc::tcp_info = &raw mut info;
    ok(unsafe { sb_getsockopt(callee, IPPROTO_TCP, libc::TCP_INFO, at.cast(), &raw mut len) });
    assert_eq!(len as usize, size_of::<libc::tcp_info>());
    assert_eq!(info.tcpi_state, 1);
    assert_eq!(
        (info.tcpi_snd_mss, info.tcpi_advmss, info.tcpi_pmtu),
        (1448, 1460, 1500)
    );
    assert_eq!(info.tcpi_options & 7, 7);
    assert_eq!(info.tcpi_snd_cwnd, 10);
    // Who asks for less gets less.
    let mut short = [0_u8; 4];
    let mut len = 4;
    ok(unsafe {
        sb_getsockopt(
            callee,
            IPPROTO_TCP,
            libc::TCP_INFO,
            short.as_mut_ptr().cast(),
            &raw mut len,
        )
    });
    assert_eq!((short[0], len), (1, 4));
    let mut count = 0;
    ok(unsafe { sb_ioctl(callee, libc::FIONREAD, (&raw mut count).cast()) });
    assert_eq!(count, 5000);
    fails(
        unsafe { sb_ioctl(callee, 0x1234, (&raw mut count).cast()) },
        libc::ENOTTY,
    );
}

#[test]
fn a_copy_keeps_the_socket_open() {
    let (caller, callee, _) = connected(virtual_pair());
    let copy = ok(sb_dup(caller));
    ok(sb_close(caller));
    ok(send(copy, b"alive", 0));
    assert_eq!(recv(callee, &mut [0; 8], 0), 5);
    fails(recv(callee, &mut [0; 8], MSG_DONTWAIT), libc::EAGAIN);
    ok(sb_close(copy));
    assert_eq!(recv(callee, &mut [0; 8], 0), 0);
}

#[test]
fn ipv4_on_an_ipv6_socket_is_mapped() {
    let [a, b] = virtual_pair();
    let listener = ok(sb_socket_on(b, libc::AF_INET6, libc::SOCK_STREAM, 0));
    let mut any: libc::sockaddr_in6 = unsafe { std::mem::zeroed() };
    any.sin6_family = libc::AF_INET6 as u16;
    any.sin6_port = 80_u16.to_be();
    ok(unsafe { sb_bind(listener, (&raw const any).cast(), 28) });
    ok(sb_listen(listener, 1));
    let caller = stream(a);
    ok(connect(caller, B, 80));
    let mut from: libc::sockaddr_in6 = unsafe { std::mem::zeroed() };
    let mut len = 28;
    ok(unsafe { sb_accept(listener, (&raw mut from).cast(), &raw mut len) });
    assert_eq!(from.sin6_addr.s6_addr[10..], [0xff, 0xff, 10, 0, 0, 1]);
    // And to it.
    let other = ok(sb_socket_on(a, libc::AF_INET6, libc::SOCK_STREAM, 0));
    let mut to = any;
    to.sin6_addr.s6_addr = B.to_ipv6_mapped().octets();
    ok(unsafe { sb_connect(other, (&raw const to).cast(), 28) });
}

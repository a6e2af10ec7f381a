//! Several threads, poll and epoll, the kernel's descriptors beside ours. In real time.

#![cfg(target_os = "linux")]
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "pointers to locals, all of them"
)]

mod common;

use std::ffi::{CString, c_int};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use common::*;
use libc::{EPOLLET, EPOLLIN, EPOLLONESHOT, EPOLLOUT, POLLIN, POLLNVAL, POLLOUT};
use switchboard_c::abi::multiplex::{sb_epoll_create1, sb_epoll_ctl, sb_epoll_wait, sb_poll};
use switchboard_c::abi::options::sb_fcntl;
use switchboard_c::abi::socket::{sb_close, sb_dup, sb_shutdown};
use switchboard_c::abi::stack::{
    SB_VIRTUAL_TIME, sb_config, sb_stack_open_fd, sb_stack_sleep, sb_stack_time,
};

fn entry(fd: c_int, events: i16) -> libc::pollfd {
    libc::pollfd {
        fd,
        events,
        revents: 0,
    }
}

fn poll(entries: &mut [libc::pollfd], timeout: c_int) -> c_int {
    unsafe { sb_poll(entries.as_mut_ptr(), entries.len() as u64, timeout) }
}

fn control(epoll: c_int, op: c_int, fd: c_int, events: c_int) -> c_int {
    let mut event = libc::epoll_event {
        events: events as u32,
        u64: fd as u64,
    };
    unsafe { sb_epoll_ctl(epoll, op, fd, &raw mut event) }
}

/// The events that are there within `timeout` milliseconds, as descriptor and bits, in order.
fn wait(epoll: c_int, timeout: c_int) -> Vec<(c_int, c_int)> {
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; 8];
    let count = ok(unsafe { sb_epoll_wait(epoll, events.as_mut_ptr(), 8, timeout) });
    let events = events.iter().take(count as usize);
    let mut found: Vec<_> = events
        .map(|event| (event.u64 as c_int, event.events as c_int))
        .collect();
    found.sort_unstable();
    found
}

/// Sends a megabyte from one thread and reads it in another, each blocking where it must.
fn megabyte(from: c_int, to: c_int) {
    let data: Vec<u8> = (0..1_000_000_u32).map(|at| (at % 251) as u8).collect();
    let expected = data.clone();
    let sender = std::thread::spawn(move || {
        assert_eq!(send(from, &data, 0), 1_000_000, "a blocking send takes all");
        ok(sb_shutdown(from, libc::SHUT_WR));
    });
    let mut received = Vec::new();
    let mut room = [0; 8192];
    loop {
        match ok(recv(to, &mut room, 0)) {
            0 => break,
            len => received.extend_from_slice(&room[..len as usize]),
        }
    }
    sender.join().unwrap();
    assert!(received == expected);
}

#[test]
fn threads_block_and_wake_each_other() {
    let stacks = pair(0);
    let listener = listener(stacks[1], B, 80);
    let servers: Vec<_> = (0..4)
        .map(|_| std::thread::spawn(move || ok(accept(listener))))
        .collect();
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let caller = stream(stacks[0]);
            std::thread::spawn(move || {
                ok(connect(caller, B, 80));
                caller
            })
        })
        .collect();
    let callers: Vec<_> = callers
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();
    let callees: Vec<_> = servers
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();
    assert_eq!((callers.len(), callees.len()), (4, 4));
    // Who is whose does not matter to a reader of them all: one of each suffices here.
    let (caller, callee, _) = (callers[0], callees[0], listener);
    ok(send(caller, b"to whoever answered me", 0));
    let mut entries: Vec<_> = callees.iter().map(|fd| entry(*fd, POLLIN)).collect();
    assert_eq!(poll(&mut entries, 5000), 1);
    let _ = callee;
}

#[test]
fn a_megabyte_between_two_threads() {
    let (caller, callee, _) = connected(pair(0));
    ok(set(caller, libc::SOL_SOCKET, libc::SO_SNDBUF, 16_384));
    megabyte(caller, callee);
}

#[test]
fn a_megabyte_in_virtual_time() {
    let (caller, callee, _) = connected(pair(SB_VIRTUAL_TIME));
    ok(set(caller, libc::SOL_SOCKET, libc::SO_SNDBUF, 16_384));
    megabyte(caller, callee);
}

/// Two stacks, each over one end of a pair of the kernel's sockets: packets are datagrams there.
#[test]
fn a_megabyte_over_descriptors_of_the_callers() {
    let (one, other) = UnixDatagram::pair().unwrap();
    let open = |fd: UnixDatagram, addresses: &str| {
        let addresses = CString::new(addresses).unwrap();
        let config = sb_config {
            size: size_of::<sb_config>(),
            addresses: addresses.as_ptr(),
            mtu: 1400,
            flags: 0,
            seed: 0,
        };
        // The descriptor stays ours: ours may be closed, the stack has its own.
        ok(unsafe { sb_stack_open_fd(fd.as_raw_fd(), &raw const config) })
    };
    let stacks = [open(one, "10.0.0.1/24"), open(other, "10.0.0.2/24")];
    let (caller, callee, _) = connected(stacks);
    megabyte(caller, callee);
}

/// Starts a thread that takes part in the stack's virtual time and does `act`, and returns when it
/// sleeps in a call: before that, this one's sleep has no end.
fn asleep<T: Send + 'static>(
    stack: c_int,
    act: impl FnOnce() -> T + Send + 'static,
) -> std::sync::mpsc::Receiver<T> {
    let (takes_part, is_taking_part) = std::sync::mpsc::channel();
    let (done, is_done) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        ok(sb_stack_time(stack));
        takes_part.send(()).unwrap();
        // Nobody hears of it where the test has failed.
        let _ = done.send(act());
    });
    is_taking_part.recv().unwrap();
    ok(sb_stack_sleep(stack, 1));
    is_done
}

const PATIENCE: Duration = Duration::from_secs(20);

/// As on Linux: the call that is under way keeps the socket; whoever closes does not wake it.
#[test]
fn closing_does_not_disturb_a_call_under_way() {
    let stacks = pair(SB_VIRTUAL_TIME);
    let (caller, callee, _) = connected(stacks);
    let reader = asleep(stacks[0], move || recv(callee, &mut [0; 8], 0));
    ok(sb_close(callee));
    ok(send(caller, b"last", 0));
    assert_eq!(reader.recv_timeout(PATIENCE), Ok(4));
}

#[test]
fn whoever_polls_an_instance_hears_of_a_member_that_had_nothing_before() {
    let stacks = pair(SB_VIRTUAL_TIME);
    let (caller, callee, _) = connected(stacks);
    let epoll = ok(sb_epoll_create1(0));
    ok(control(epoll, libc::EPOLL_CTL_ADD, callee, EPOLLIN));
    assert_eq!(poll(&mut [entry(epoll, POLLIN)], 0), 0);
    let poller = asleep(stacks[0], move || poll(&mut [entry(epoll, POLLIN)], 1000));
    ok(send(caller, b"news", 0));
    assert_eq!(poller.recv_timeout(PATIENCE), Ok(1));
}

#[test]
fn a_member_with_something_wakes_all_who_wait() {
    let stacks = pair(SB_VIRTUAL_TIME);
    let (caller, callee, _) = connected(stacks);
    let epoll = ok(sb_epoll_create1(0));
    ok(control(epoll, libc::EPOLL_CTL_ADD, callee, EPOLLIN));
    let waiters = [(); 3].map(|()| asleep(stacks[0], move || wait(epoll, 1000)));
    ok(send(caller, b"news", 0));
    for waiter in waiters {
        assert_eq!(
            waiter.recv_timeout(PATIENCE),
            Ok([(callee, EPOLLIN)].into())
        );
    }
}

#[test]
fn a_new_member_wakes_who_waits_in_virtual_time() {
    let stacks = pair(SB_VIRTUAL_TIME);
    let (caller, callee, _) = connected(stacks);
    let epoll = ok(sb_epoll_create1(0));
    ok(control(epoll, libc::EPOLL_CTL_ADD, callee, EPOLLIN));
    let waiter = asleep(stacks[0], move || wait(epoll, 1000));
    ok(control(epoll, libc::EPOLL_CTL_ADD, caller, EPOLLOUT));
    assert_eq!(
        waiter.recv_timeout(PATIENCE),
        Ok([(caller, EPOLLOUT)].into())
    );
}

#[test]
fn with_room_for_one_event_each_member_has_its_turn() {
    let (caller, callee, _) = connected(pair(0));
    let (out, mut into) = std::io::pipe().unwrap();
    into.write_all(b"k").unwrap();
    let pipe = out.as_raw_fd();
    let epoll = ok(sb_epoll_create1(0));
    for fd in [caller, callee] {
        ok(control(epoll, libc::EPOLL_CTL_ADD, fd, EPOLLOUT));
    }
    ok(control(epoll, libc::EPOLL_CTL_ADD, pipe, EPOLLIN));
    let mut seen: Vec<_> = (0..4)
        .map(|_| {
            let mut event = libc::epoll_event { events: 0, u64: 0 };
            assert_eq!(unsafe { sb_epoll_wait(epoll, &raw mut event, 1, 0) }, 1);
            event.u64 as c_int
        })
        .collect();
    seen.sort_unstable();
    assert_eq!(seen, [pipe, pipe, caller, callee]);
}

#[test]
fn a_pipe_in_an_instance_is_seen_from_outside() {
    let (mut out, mut into) = std::io::pipe().unwrap();
    let pipe = out.as_raw_fd();
    let [inner, outer] = [(); 2].map(|()| ok(sb_epoll_create1(0)));
    ok(control(outer, libc::EPOLL_CTL_ADD, inner, EPOLLIN));
    ok(control(inner, libc::EPOLL_CTL_ADD, pipe, EPOLLIN));
    let mut entries = [entry(inner, POLLIN)];
    assert_eq!((poll(&mut entries, 0), wait(outer, 0)), (0, vec![]));
    let waiter = std::thread::spawn(move || wait(outer, 20_000));
    let poller = std::thread::spawn(move || poll(&mut [entry(outer, POLLIN)], 20_000));
    into.write_all(b"k").unwrap();
    assert_eq!(waiter.join().unwrap(), [(inner, EPOLLIN)]);
    assert_eq!(poller.join().unwrap(), 1);
    assert_eq!(poll(&mut entries, 0), 1);
    out.read_exact(&mut [0]).unwrap();
    assert_eq!((poll(&mut entries, 0), wait(outer, 0)), (0, vec![]));
}

#[test]
fn a_number_that_names_another_socket_is_another_member() {
    let stacks = pair(SB_VIRTUAL_TIME);
    let (caller, callee, _) = connected(stacks);
    let epoll = ok(sb_epoll_create1(0));
    ok(control(epoll, libc::EPOLL_CTL_ADD, caller, EPOLLIN));
    let copy = ok(sb_dup(caller));
    ok(sb_close(caller));
    // The lowest free number, unless another test was faster.
    let fresh = ok(sb_fcntl(callee, libc::F_DUPFD, caller as _));
    if fresh == caller {
        fails(
            control(epoll, libc::EPOLL_CTL_MOD, fresh, EPOLLOUT),
            libc::ENOENT,
        );
        ok(control(epoll, libc::EPOLL_CTL_ADD, fresh, EPOLLOUT));
        assert_eq!(wait(epoll, 0), [(fresh, EPOLLOUT)]);
    }
    ok(sb_close(copy));
}

#[test]
fn shutting_down_wakes_who_waits() {
    let stacks = pair(0);
    let listener = listener(stacks[1], B, 80);
    let waiting = std::thread::spawn(move || {
        fails(accept(listener), libc::EINVAL);
    });
    ok(sb_shutdown(listener, libc::SHUT_RDWR));
    waiting.join().unwrap();
}

#[test]
fn poll_of_a_pipe_of_the_kernels_and_a_socket_of_ours() {
    let (caller, callee, _) = connected(pair(0));
    let (mut out, mut into) = std::io::pipe().unwrap();
    let mut entries = [
        entry(callee, POLLIN),
        entry(out.as_raw_fd(), POLLIN),
        entry(-1, POLLIN),
    ];
    assert_eq!(poll(&mut entries, 0), 0);
    let began = Instant::now();
    assert_eq!(poll(&mut entries, 30), 0);
    assert!(began.elapsed() >= Duration::from_millis(30));
    let other = std::thread::spawn(move || {
        into.write_all(b"k").unwrap();
        into
    });
    assert_eq!(poll(&mut entries, 5000), 1);
    assert_eq!((entries[0].revents, entries[1].revents), (0, POLLIN));
    let _into = other.join().unwrap();
    out.read_exact(&mut [0]).unwrap();
    let sender = std::thread::spawn(move || ok(send(caller, b"ours", 0)));
    assert_eq!(poll(&mut entries, 5000), 1);
    assert_eq!((entries[0].revents, entries[1].revents), (POLLIN, 0));
    sender.join().unwrap();
    let mut odd = [entry(1 << 29, POLLIN), entry(callee, POLLOUT)];
    assert_eq!(poll(&mut odd, 0), 2);
    assert_eq!((odd[0].revents, odd[1].revents), (POLLNVAL, POLLOUT));
}

#[test]
fn epoll_of_both_kinds() {
    let (caller, callee, _) = connected(pair(0));
    let (mut out, mut into) = std::io::pipe().unwrap();
    let pipe = out.as_raw_fd();
    let epoll = ok(sb_epoll_create1(0));
    ok(control(epoll, libc::EPOLL_CTL_ADD, callee, EPOLLIN));
    ok(control(epoll, libc::EPOLL_CTL_ADD, pipe, EPOLLIN));
    fails(
        control(epoll, libc::EPOLL_CTL_ADD, callee, EPOLLIN),
        libc::EEXIST,
    );
    fails(
        control(epoll, libc::EPOLL_CTL_ADD, epoll, EPOLLIN),
        libc::EINVAL,
    );
    assert_eq!(wait(epoll, 0), []);
    let writer = std::thread::spawn(move || {
        into.write_all(b"k").unwrap();
        into
    });
    assert_eq!(wait(epoll, 5000), [(pipe, EPOLLIN)]);
    let _into = writer.join().unwrap();
    ok(send(caller, b"ours", 0));
    // Level-triggered: both stay.
    for _ in 0..2 {
        assert_eq!(wait(epoll, 5000), [(pipe, EPOLLIN), (callee, EPOLLIN)]);
    }
    out.read_exact(&mut [0]).unwrap();
    assert_eq!(recv(callee, &mut [0; 8], 0), 4);
    assert_eq!(wait(epoll, 0), []);
    let sender = std::thread::spawn(move || ok(send(caller, b"more", 0)));
    assert_eq!(wait(epoll, 5000), [(callee, EPOLLIN)]);
    sender.join().unwrap();
    ok(control(epoll, libc::EPOLL_CTL_DEL, callee, 0));
    fails(
        control(epoll, libc::EPOLL_CTL_MOD, callee, EPOLLIN),
        libc::ENOENT,
    );
    assert_eq!(wait(epoll, 0), []);
}

#[test]
fn edges_and_single_shots() {
    let (caller, callee, _) = connected(pair(0));
    let epoll = ok(sb_epoll_create1(0));
    ok(control(
        epoll,
        libc::EPOLL_CTL_ADD,
        callee,
        EPOLLIN | EPOLLOUT | EPOLLET,
    ));
    assert_eq!(wait(epoll, 0), [(callee, EPOLLOUT)]);
    assert_eq!(wait(epoll, 0), []);
    ok(send(caller, b"one", 0));
    assert_eq!(wait(epoll, 5000), [(callee, EPOLLIN | EPOLLOUT)]);
    assert_eq!(wait(epoll, 0), [], "an edge is told once");
    ok(send(caller, b"two", 0));
    assert_eq!(
        wait(epoll, 5000),
        [(callee, EPOLLIN | EPOLLOUT)],
        "the next one is another"
    );
    ok(control(
        epoll,
        libc::EPOLL_CTL_MOD,
        callee,
        EPOLLIN | EPOLLONESHOT,
    ));
    assert_eq!(wait(epoll, 0), [(callee, EPOLLIN)]);
    assert_eq!(wait(epoll, 0), []);
    ok(control(
        epoll,
        libc::EPOLL_CTL_MOD,
        callee,
        EPOLLIN | EPOLLONESHOT,
    ));
    assert_eq!(wait(epoll, 0), [(callee, EPOLLIN)]);
    // An instance in another.
    let outer = ok(sb_epoll_create1(0));
    ok(control(outer, libc::EPOLL_CTL_ADD, epoll, EPOLLIN));
    assert_eq!(wait(outer, 0), []);
    ok(control(epoll, libc::EPOLL_CTL_MOD, callee, EPOLLIN));
    assert_eq!(wait(outer, 5000), [(epoll, EPOLLIN)]);
    // A member that is closed leaves by itself.
    ok(sb_close(callee));
    assert_eq!(wait(epoll, 0), []);
}

/// Where the other side is a program of the world, nothing of ours may be left behind.
#[test]
fn a_descriptor_that_is_ours_is_not_the_kernels() {
    let (caller, ..) = connected(pair(0));
    let mut pipe = [0; 2];
    ok(unsafe { libc::pipe(pipe.as_mut_ptr()) });
    assert!(pipe.iter().all(|fd| *fd < 1 << 20) && caller >= 1 << 20);
    let null = std::fs::File::open("/dev/null").unwrap().into_raw_fd();
    fails(sb_close(null), libc::EBADF);
}

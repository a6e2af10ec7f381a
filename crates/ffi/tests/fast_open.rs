//! TCP Fast Open as a client, against a server in a page that sits on the other end of a pair of
//! the kernel's sockets and takes text with a SYN.

#![cfg(target_os = "linux")]
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "pointers to locals, all of them"
)]

mod common;

use std::collections::HashMap;
use std::ffi::{CString, c_int};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use common::*;
use libc::{IPPROTO_TCP, MSG_FASTOPEN, TCP_FASTOPEN_CONNECT};
use switchboard_c::abi::io::sb_sendto;
use switchboard_c::abi::multiplex::sb_poll;
use switchboard_c::abi::options::{sb_fcntl, sb_getsockopt};
use switchboard_c::abi::socket::{sb_getpeername, sb_shutdown};
use switchboard_c::abi::stack::{sb_config, sb_stack_open_fd};
use switchboard_wire::ipv4::Ipv4Header;
use switchboard_wire::tcp::{CHECKSUM_AT, FastOpen, FastOpenCookie, Flags, TcpHeader, TcpOptions};
use switchboard_wire::{IpPacket, IpProtocol, checksum};

const PATIENCE: Duration = Duration::from_secs(20);

/// What the server has seen.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// A SYN: its option, and the text that came with it.
    Syn(Option<FastOpen>, Vec<u8>),
    /// Text in order, without what came with the SYN.
    Text(Vec<u8>),
}

fn cookie() -> Option<FastOpen> {
    FastOpenCookie::new(b"crackers").map(FastOpen::Cookie)
}

/// Answers every packet until the stack is gone. A SYN to port 81 is refused.
fn serve(link: &UnixDatagram, seen: &Sender<Seen>) {
    let mut expected = HashMap::new();
    let mut packet = vec![0; 65_536];
    while let Ok(len) = link.recv(&mut packet) {
        let ip = IpPacket::parse(&packet[..len]).expect("IP");
        let (header, text_at) = TcpHeader::parse(ip.body()).expect("TCP");
        let text = ip.body()[text_at..].to_vec();
        let len = text.len() as u32;
        let mut answer = TcpHeader {
            source_port: header.destination_port,
            destination_port: header.source_port,
            seq: 1,
            ack: 0,
            flags: Flags::ACK,
            window: 60_000,
            urgent: 0,
            options: TcpOptions::NONE,
        };
        if header.flags.rst() {
            continue;
        } else if header.flags.syn() {
            let _ = seen.send(Seen::Syn(header.options.fast_open, text));
            answer.seq = 0;
            answer.ack = header.seq.wrapping_add(1 + len);
            answer.flags |= if header.destination_port == 81 {
                Flags::RST
            } else {
                Flags::SYN
            };
            answer.options.mss = Some(1200);
            answer.options.fast_open = cookie();
            expected.insert(header.source_port, answer.ack);
        } else if len > 0 || header.flags.fin() {
            let next = expected.entry(header.source_port).or_insert(header.seq);
            if *next == header.seq {
                *next = next.wrapping_add(len + u32::from(header.flags.fin()));
                if len > 0 {
                    let _ = seen.send(Seen::Text(text));
                }
            }
            answer.ack = *next;
        } else {
            continue;
        }
        let _ = link.send(&tcp_packet(&answer));
    }
}

/// A segment from `B` to `A`, without text.
fn tcp_packet(header: &TcpHeader) -> Vec<u8> {
    let mut segment = Vec::new();
    header.emit(&mut segment);
    let pseudo = checksum::pseudo(B.into(), A.into(), IpProtocol::TCP, segment.len());
    let sum = pseudo.plus(&segment).checksum().to_be_bytes();
    let at = usize::from(CHECKSUM_AT);
    segment[at..at + 2].copy_from_slice(&sum);
    let mut packet = Vec::new();
    Ipv4Header::new(B, A, IpProtocol::TCP, 20 + segment.len() as u16).emit(&mut packet);
    packet.extend_from_slice(&segment);
    packet
}

/// A stack, and what its server sees.
fn stack() -> (c_int, Receiver<Seen>) {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    let (sender, seen) = channel();
    std::thread::spawn(move || serve(&theirs, &sender));
    let addresses = CString::new("10.0.0.1/24").unwrap();
    let config = sb_config {
        size: size_of::<sb_config>(),
        addresses: addresses.as_ptr(),
        mtu: 1400,
        flags: 0,
        seed: 0,
    };
    let stack = ok(unsafe { sb_stack_open_fd(ours.as_raw_fd(), &raw const config) });
    (stack, seen)
}

fn next(seen: &Receiver<Seen>) -> Seen {
    seen.recv_timeout(PATIENCE)
        .expect("the server sees something")
}

/// Text, in however many segments, until there are `len` octets.
fn next_text(seen: &Receiver<Seen>, len: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < len {
        match next(seen) {
            Seen::Text(text) => all.extend(text),
            other => panic!("not text: {other:?}"),
        }
    }
    all
}

fn send_to(fd: c_int, data: &[u8], flags: c_int, port: u16) -> isize {
    let to = address(B, port);
    unsafe {
        sb_sendto(
            fd,
            data.as_ptr().cast(),
            data.len(),
            flags,
            raw(&to),
            ADDRESS_LEN,
        )
    }
}

fn non_blocking(fd: c_int) {
    ok(sb_fcntl(fd, libc::F_SETFL, i64::from(libc::O_NONBLOCK)));
}

/// Lets the stack have the server's cookie.
fn warm(stack: c_int, seen: &Receiver<Seen>) {
    let fd = stream(stack);
    ok(set(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1));
    ok(connect(fd, B, 80));
    assert_eq!(next(seen), Seen::Syn(Some(FastOpen::Request), Vec::new()));
}

/// Bit 32 of `tcpi_options`, which is the sixth octet: the server took text with the SYN.
fn syn_data(fd: c_int) -> bool {
    let mut info = [0u8; 8];
    let mut len = 8;
    ok(unsafe {
        sb_getsockopt(
            fd,
            IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut len,
        )
    });
    info[5] & 32 != 0
}

fn data(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

#[test]
fn the_first_call_asks_and_the_second_sends_with_the_syn() {
    let (stack, seen) = stack();
    let all = data(3000);
    let fd = stream(stack);
    assert_eq!(send_to(fd, &all, MSG_FASTOPEN, 80), 3000);
    assert_eq!(next(&seen), Seen::Syn(Some(FastOpen::Request), Vec::new()));
    assert_eq!(next_text(&seen, 3000), all);
    assert!(!syn_data(fd));

    // One segment less the room of all options; the rest once the connection stands.
    let fd = stream(stack);
    assert_eq!(send_to(fd, &all, MSG_FASTOPEN, 80), 3000);
    assert_eq!(next(&seen), Seen::Syn(cookie(), all[..1160].to_vec()));
    assert_eq!(next_text(&seen, 1840), all[1160..]);
    assert!(syn_data(fd));
    fails(send_to(fd, &all, MSG_FASTOPEN, 80), libc::EISCONN);
}

#[test]
fn non_blocking_it_says_what_left_with_the_syn() {
    let (stack, seen) = stack();
    let fd = stream(stack);
    non_blocking(fd);
    fails(send_to(fd, b"hello", MSG_FASTOPEN, 80), libc::EINPROGRESS);
    assert_eq!(next(&seen), Seen::Syn(Some(FastOpen::Request), Vec::new()));

    // Its answer brings the cookie.
    let mut entry = libc::pollfd {
        fd,
        events: libc::POLLOUT,
        revents: 0,
    };
    assert_eq!(unsafe { sb_poll(&raw mut entry, 1, 20_000) }, 1);
    let fd = stream(stack);
    non_blocking(fd);
    assert_eq!(send_to(fd, &data(3000), MSG_FASTOPEN, 80), 1160);
    assert_eq!(next(&seen), Seen::Syn(cookie(), data(1160)));
}

#[test]
fn connect_is_put_off_until_there_is_something_to_send() {
    let (stack, seen) = stack();
    warm(stack, &seen);
    let fd = stream(stack);
    ok(set(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1));
    assert_eq!(get(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT), 1);
    ok(connect(fd, B, 80));
    // As on Linux: writable, to be written to; not connected; not to be connected again.
    let mut entry = libc::pollfd {
        fd,
        events: libc::POLLIN | libc::POLLOUT,
        revents: 0,
    };
    assert_eq!(unsafe { sb_poll(&raw mut entry, 1, 0) }, 1);
    assert_eq!(entry.revents, libc::POLLOUT);
    let mut name = address(B, 0);
    let mut len = ADDRESS_LEN;
    fails(
        unsafe { sb_getpeername(fd, (&raw mut name).cast(), &raw mut len) },
        libc::ENOTCONN,
    );
    fails(connect(fd, B, 80), libc::EISCONN);
    fails(recv(fd, &mut [0; 8], libc::MSG_DONTWAIT), libc::EAGAIN);
    fails(set(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1), libc::EINVAL);
    // A bad pointer opens nothing.
    fails(
        unsafe { sb_sendto(fd, std::ptr::null(), 1, 0, std::ptr::null(), 0) },
        libc::EFAULT,
    );
    assert_eq!(send(fd, b"GET / HTTP/1.1\r\n\r\n", 0), 18);
    let expected = b"GET / HTTP/1.1\r\n\r\n".to_vec();
    assert_eq!(next(&seen), Seen::Syn(cookie(), expected), "the only SYN");
    ok(unsafe { sb_getpeername(fd, (&raw mut name).cast(), &raw mut len) });
}

#[test]
fn what_was_put_off_can_be_called_off() {
    let (stack, seen) = stack();
    warm(stack, &seen);
    let fd = stream(stack);
    ok(set(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1));
    ok(connect(fd, B, 80));
    ok(sb_shutdown(fd, libc::SHUT_RDWR));
    ok(set(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 0));
    ok(connect(fd, B, 80));
    assert_eq!(next(&seen), Seen::Syn(None, Vec::new()), "an ordinary one");
}

#[test]
fn a_refusal_is_what_the_call_answers() {
    let (stack, seen) = stack();
    warm(stack, &seen);
    let fd = stream(stack);
    fails(send_to(fd, b"hello", MSG_FASTOPEN, 81), libc::ECONNREFUSED);
    assert_eq!(next(&seen), Seen::Syn(cookie(), b"hello".to_vec()));
}

#[test]
fn what_is_no_fast_open() {
    let (stack, _seen) = stack();
    let fd = stream(stack);
    let nobody = unsafe {
        sb_sendto(
            fd,
            b"x".as_ptr().cast(),
            1,
            MSG_FASTOPEN,
            std::ptr::null(),
            0,
        )
    };
    fails(nobody, libc::EINVAL);
    fails(set(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 2), libc::EINVAL);
    fails(
        set(fd, IPPROTO_TCP, libc::TCP_FASTOPEN, 5),
        libc::ENOPROTOOPT,
    );
    let fd = datagram(stack);
    fails(send_to(fd, b"x", MSG_FASTOPEN, 80), libc::EOPNOTSUPP);
}

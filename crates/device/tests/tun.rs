//! A TUN of our own beside the kernel's own stack, in namespaces made for each test.

#![cfg(all(target_os = "linux", feature = "tun"))]

#[path = "support/packets.rs"]
mod packets;
mod support;
#[path = "support/talk.rs"]
mod talk;

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use packets::{KERNEL, PEER};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use support::{User, inside, is_inside, run, spawn_inside};
use switchboard_device::tun::{self, OpenTun, Tun};
use switchboard_device::{Device, Offloads};
use switchboard_wire::{Checksum, Transmit};
use talk::{MTU, answer_ping, configure, ping, receive, receive_one, send};

impl talk::Link for Tun {
    fn has_dropped(&mut self) -> bool {
        self.drops() != Default::default()
    }
}

fn open() -> OpenTun {
    let tun = tun::open(Path::new(tun::NODE), "tun0").unwrap();
    configure(&tun.name);
    tun
}

fn echo_crosses() {
    let tun = open();
    run(async {
        let mut tun = Tun::from_fd(tun.fd, MTU as usize).unwrap();
        let kernel = tokio::task::spawn_blocking(ping);
        answer_ping(&mut tun).await;
        kernel.await.unwrap();
    });
}

#[test]
fn echo_crosses_a_tun() {
    inside("echo_crosses_a_tun", User::Caller, echo_crosses);
}

#[test]
fn echo_crosses_a_tun_of_an_ordinary_user() {
    inside(
        "echo_crosses_a_tun_of_an_ordinary_user",
        User::Nobody,
        echo_crosses,
    );
}

#[test]
fn udp_super_datagrams_cross_both_ways() {
    inside("udp_super_datagrams_cross_both_ways", User::Caller, || {
        let tun = open();
        run(async {
            let mut tun = Tun::from_fd(tun.fd, MTU as usize).unwrap();
            talk::udp_super_datagrams(&mut tun).await;
        });
    });
}

#[test]
fn tcp_super_segments_cross_both_ways() {
    inside("tcp_super_segments_cross_both_ways", User::Caller, || {
        let tun = open();
        run(async {
            let mut tun = Tun::from_fd(tun.fd, MTU as usize).unwrap();
            talk::tcp_super_segments(&mut tun).await;
        });
    });
}

#[test]
fn a_plain_tun_brings_finished_packets() {
    inside("a_plain_tun_brings_finished_packets", User::Caller, || {
        let tun = tun::open_plain(Path::new(tun::NODE), "tun0").unwrap();
        configure(&tun.name);
        let socket = UdpSocket::bind((Ipv4Addr::from(KERNEL), 5_000)).unwrap();
        run(async {
            let mut tun = Tun::from_fd(tun.fd, MTU as usize).unwrap();
            assert_eq!(tun.offloads(), Offloads::default());
            socket
                .send_to(&[7; 1_000], (Ipv4Addr::from(PEER), 7))
                .unwrap();
            let packet = receive_one(&mut tun).await;
            assert_eq!(packet.bytes.len(), 1_028);
            assert_eq!(packet.checksum, Checksum::Unknown);
            let mut pseudo = [&packet.bytes[12..20], &[0, 17, 0x03, 0xf0]].concat();
            pseudo.extend_from_slice(&packet.bytes[20..]);
            assert_eq!(packets::sum(&pseudo), 0xffff, "the checksum is finished");

            let sent = packets::udp(7, 5_000, Bytes::from_static(b"finished"), None, false);
            send(&mut tun, &sent);
            let mut datagram = [0; 100];
            assert_eq!(socket.recv(&mut datagram).unwrap(), 8);
        });
    });
}

#[test]
fn a_packet_nobody_understands_is_counted_and_the_link_goes_on() {
    let name = "a_packet_nobody_understands_is_counted_and_the_link_goes_on";
    inside(name, User::Caller, || {
        let tun = open();
        run(async {
            let mut tun = Tun::from_fd(tun.fd, MTU as usize).unwrap();
            let nonsense = Transmit {
                head: [0_u8; 40].into_iter().collect(),
                ..Transmit::default()
            };
            tun.try_send(&nonsense).unwrap();
            assert_eq!(tun.drops().malformed, 1);
            let kernel = tokio::task::spawn_blocking(ping);
            let request = receive_one(&mut tun).await;
            tun.try_send(&packets::echo_reply(&request.bytes)).unwrap();
            kernel.await.unwrap();
            assert_eq!(tun.drops().malformed, 1);
        });
    });
}

#[test]
fn a_deleted_interface_is_the_end_of_the_link() {
    inside(
        "a_deleted_interface_is_the_end_of_the_link",
        User::Caller,
        || {
            let tun = open();
            run(async {
                let mut tun = Tun::from_fd(tun.fd, MTU as usize).unwrap();
                let deleted = tokio::task::spawn_blocking(|| {
                    std::thread::sleep(Duration::from_millis(50));
                    talk::delete_link();
                });
                assert!(receive(&mut tun).await.is_empty());
                deleted.await.unwrap();
                assert!(tun.try_send(&packets::echo_reply(&[0; 40])).is_err());
            });
        },
    );
}

const PASS_FD: &str = "a_descriptor_made_inside_works_outside";
const SOCKET: &str = "SWITCHBOARD_TEST_SOCKET";

#[test]
fn a_descriptor_made_inside_works_outside() {
    if is_inside(PASS_FD) {
        return pass_fd_out();
    }
    let path = std::env::temp_dir().join(format!("switchboard-device-{}", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    // SAFETY: no other test reads or writes this variable, and a child must see it.
    unsafe { std::env::set_var(SOCKET, &path) };
    let Some(mut child) = spawn_inside(PASS_FD, User::Caller) else {
        return;
    };
    let (socket, _) = listener.accept().unwrap();
    std::fs::remove_file(&path).unwrap();
    let fd = receive_fd(&socket);
    run(async {
        let mut tun = Tun::from_fd(fd, MTU as usize).unwrap();
        answer_ping(&mut tun).await;
        assert!(child.wait().unwrap().success());
    });
}

fn pass_fd_out() {
    let tun = open();
    let socket = UnixStream::connect(std::env::var(SOCKET).unwrap()).unwrap();
    let fds = [tun.fd.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut message = SendAncillaryBuffer::new(&mut space);
    assert!(message.push(SendAncillaryMessage::ScmRights(&fds)));
    rustix::net::sendmsg(
        &socket,
        &[IoSlice::new(b"f")],
        &mut message,
        SendFlags::empty(),
    )
    .unwrap();
    drop(tun);
    ping();
}

fn receive_fd(socket: &UnixStream) -> OwnedFd {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut message = RecvAncillaryBuffer::new(&mut space);
    let mut octet = [0];
    let slices = &mut [IoSliceMut::new(&mut octet)];
    rustix::net::recvmsg(socket, slices, &mut message, RecvFlags::CMSG_CLOEXEC).unwrap();
    let fd = message.drain().find_map(|part| match part {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    fd.expect("a descriptor")
}

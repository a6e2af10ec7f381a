//! A TUN of our own beside the kernel's own stack, in namespaces made for each test.

#![cfg(all(target_os = "linux", feature = "tun"))]

#[path = "support/packets.rs"]
mod packets;
mod support;

use std::future::poll_fn;
use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use packets::{ACK, KERNEL, PEER, SYN};
use rustix::net::sockopt::Timeout;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use support::{User, inside, is_inside, run, set_segment_size, spawn_inside};
use switchboard_device::tun::{self, LinkConfig, OpenTun, Tun};
use switchboard_device::{Device, Offloads};
use switchboard_wire::{Checksum, Instant, RxPacket, Transmit};

const MTU: u32 = 1_500;

fn configure(tun: &OpenTun) {
    let config = LinkConfig {
        mtu: Some(MTU),
        queue_len: Some(4_000),
        addresses: vec![
            (Ipv4Addr::from(KERNEL).into(), 24),
            ("fd00::1".parse().unwrap(), 64),
        ],
        routes: vec![tun::Route {
            destination: (Ipv4Addr::UNSPECIFIED.into(), 0),
            gateway: Some(Ipv4Addr::from(PEER).into()),
        }],
    };
    tun::configure(&tun.name, &config).unwrap();
}

fn open() -> OpenTun {
    let tun = tun::open(Path::new(tun::NODE), "tun0").unwrap();
    configure(&tun);
    tun
}

/// What arrives over IPv4: the kernel says things over IPv6 that nobody asked for. Nothing
/// once the link is gone.
async fn receive(tun: &mut Tun) -> Vec<RxPacket> {
    let clock = || Instant::from_millis(1);
    let mut batch = Vec::new();
    while batch.is_empty() {
        if poll_fn(|cx| tun.poll_recv(cx, &clock, 64, &mut batch))
            .await
            .unwrap()
            == 0
        {
            break;
        }
        batch.retain(|packet| packet.bytes[0] >> 4 == 4);
    }
    batch
}

async fn receive_one(tun: &mut Tun) -> RxPacket {
    let mut batch = receive(tun).await;
    assert_eq!(batch.len(), 1);
    batch.remove(0)
}

fn send(tun: &mut Tun, transmit: &Transmit) {
    tun.try_send(transmit).unwrap();
    assert_eq!(tun.drops(), Default::default());
}

/// Sends an echo request to the peer and waits for the answer.
fn ping() {
    std::fs::write("/proc/sys/net/ipv4/ping_group_range", "0 0").unwrap();
    let socket = rustix::net::socket(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::DGRAM,
        Some(rustix::net::ipproto::ICMP),
    )
    .unwrap();
    let patience = Some(Duration::from_secs(5));
    rustix::net::sockopt::set_socket_timeout(&socket, Timeout::Recv, patience).unwrap();
    let mut request = [0_u8; 64];
    request[0] = 8;
    let peer = std::net::SocketAddrV4::new(Ipv4Addr::from(PEER), 0);
    rustix::net::sendto(&socket, &request, SendFlags::empty(), &peer).unwrap();
    let mut reply = [0_u8; 64];
    let (len, _) = rustix::net::recv(&socket, &mut reply[..], RecvFlags::empty()).unwrap();
    assert_eq!(len, 64);
    assert_eq!(reply[0], 0, "an echo reply");
}

async fn answer_ping(tun: &mut Tun) {
    let request = receive_one(tun).await;
    assert_eq!(request.bytes[20], 8, "an echo request");
    send(tun, &packets::echo_reply(&request.bytes));
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
        let socket = UdpSocket::bind((Ipv4Addr::from(KERNEL), 5_000)).unwrap();
        set_segment_size(&socket, 1_000);
        run(async {
            let mut tun = Tun::from_fd(tun.fd, MTU as usize).unwrap();
            if !tun.offloads().uso {
                return eprintln!("skipped: the rest needs USO, Linux 6.2");
            }
            socket
                .send_to(&[7; 10_000], (Ipv4Addr::from(PEER), 7))
                .unwrap();
            let packet = receive_one(&mut tun).await;
            assert_eq!(packet.bytes.len(), 28 + 10_000);
            assert_eq!(packet.checksum, Checksum::Partial);
            assert_eq!(packet.segment_size.unwrap().get(), 1_000);
            assert!(packet.slot_size >= packet.bytes.len());

            send(
                &mut tun,
                &packets::udp(7, 5_000, Bytes::from(vec![9; 4_500]), Some(1_000), true),
            );
            let mut datagram = [0; 2_000];
            for len in [1_000, 1_000, 1_000, 1_000, 500] {
                assert_eq!(socket.recv(&mut datagram).unwrap(), len);
                assert!(datagram[..len].iter().all(|octet| *octet == 9));
            }
        });
    });
}

/// Opens a connection by hand, takes `expected` octets and answers with `answer` at once.
async fn serve_tcp(tun: &mut Tun, expected: usize, answer: Bytes) -> usize {
    let syn = packets::parse_tcp(&receive_one(tun).await.bytes);
    assert_eq!(syn.flags & SYN, SYN);
    let first = syn.seq.wrapping_add(1);
    send(
        tun,
        &packets::tcp(syn, 1_000, first, SYN | ACK, Bytes::new(), None),
    );
    let (mut received, mut largest) = (0, 0);
    while received < expected {
        for packet in receive(tun).await {
            let segment = packets::parse_tcp(&packet.bytes);
            assert_eq!(segment.seq, first.wrapping_add(received as u32));
            if packet.segment_size.is_some_and(|size| size.get() <= 1_460) {
                largest = largest.max(segment.text);
            }
            received += segment.text;
        }
        let ack = first.wrapping_add(received as u32);
        send(tun, &packets::tcp(syn, 1_001, ack, ACK, Bytes::new(), None));
    }
    let ack = first.wrapping_add(received as u32);
    send(
        tun,
        &packets::tcp(syn, 1_001, ack, ACK, answer, Some(1_000)),
    );
    largest
}

#[test]
fn tcp_super_segments_cross_both_ways() {
    inside("tcp_super_segments_cross_both_ways", User::Caller, || {
        let tun = open();
        run(async {
            let mut tun = Tun::from_fd(tun.fd, MTU as usize).unwrap();
            let all = Offloads {
                checksum: true,
                tso4: true,
                tso6: true,
                uso: tun.offloads().uso,
            };
            assert_eq!(tun.offloads(), all);
            let kernel = tokio::task::spawn_blocking(|| {
                let mut stream = TcpStream::connect((Ipv4Addr::from(PEER), 80)).unwrap();
                stream.write_all(&[5; 32_000]).unwrap();
                let mut answer = vec![0; 20_000];
                stream.read_exact(&mut answer).unwrap();
                assert!(
                    answer
                        .iter()
                        .enumerate()
                        .all(|(i, octet)| *octet == (i / 1_000) as u8)
                );
            });
            let answer: Vec<u8> = (0..20_000).map(|i| (i / 1_000) as u8).collect();
            let largest = serve_tcp(&mut tun, 32_000, answer.into()).await;
            assert!(
                largest > 10_000,
                "the largest super-segment had {largest} octets"
            );
            kernel.await.unwrap();
        });
    });
}

#[test]
fn a_plain_tun_brings_finished_packets() {
    inside("a_plain_tun_brings_finished_packets", User::Caller, || {
        let tun = tun::open_plain(Path::new(tun::NODE), "tun0").unwrap();
        configure(&tun);
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

/// Deletes the interface `tun0`, as `ip link delete` does.
fn delete_link() {
    use rustix::net::netlink::SocketAddrNetlink;
    use rustix::net::{AddressFamily, SocketType};
    let socket = rustix::net::socket(AddressFamily::NETLINK, SocketType::RAW, None).unwrap();
    let index = rustix::net::netdevice::name_to_index(&socket, "tun0").unwrap();
    // `nlmsghdr` of RTM_DELLINK with NLM_F_REQUEST, then `ifinfomsg`.
    let mut message = [0_u8; 32];
    message[..4].copy_from_slice(&32_u32.to_ne_bytes());
    message[4..6].copy_from_slice(&17_u16.to_ne_bytes());
    message[6..8].copy_from_slice(&1_u16.to_ne_bytes());
    message[20..24].copy_from_slice(&index.to_ne_bytes());
    let kernel = SocketAddrNetlink::new(0, 0);
    rustix::net::sendto(&socket, &message, SendFlags::empty(), &kernel).unwrap();
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
                    delete_link();
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

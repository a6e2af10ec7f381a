//! What a link has to carry, whatever device it is: the kernel's own stack at one end, packets by
//! hand at the other.

use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::time::Duration;

use bytes::Bytes;
use rustix::net::RecvFlags;
use rustix::net::SendFlags;
use rustix::net::sockopt::Timeout;
use switchboard_device::tun::{self, LinkConfig};
use switchboard_device::{Device, Offloads};
use switchboard_wire::{Checksum, Instant, RxPacket, Transmit};

use crate::packets::{self, ACK, KERNEL, PEER, SYN};
use crate::support::set_segment_size;

pub(crate) const MTU: u32 = 1_500;

/// A device that counts what it drops.
pub(crate) trait Link: Device {
    fn has_dropped(&mut self) -> bool;
}

/// Brings the interface `name` up with addresses and a way to the peer.
pub(crate) fn configure(name: &str) {
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
    tun::configure(name, &config).unwrap();
}

/// What arrives over IPv4: the kernel says things over IPv6 that nobody asked for. Nothing
/// once the link is gone.
pub(crate) async fn receive(link: &mut impl Device) -> Vec<RxPacket> {
    let clock = || Instant::from_millis(1);
    let mut batch = Vec::new();
    while batch.is_empty() {
        if poll_fn(|cx| link.poll_recv(cx, &clock, 64, &mut batch))
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

pub(crate) async fn receive_one(link: &mut impl Device) -> RxPacket {
    let mut batch = receive(link).await;
    assert_eq!(batch.len(), 1);
    batch.remove(0)
}

pub(crate) fn send(link: &mut impl Link, transmit: &Transmit) {
    link.try_send(transmit).unwrap();
    assert!(!link.has_dropped());
}

/// Sends an echo request to the peer and waits for the answer.
pub(crate) fn ping() {
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

pub(crate) async fn answer_ping(link: &mut impl Link) {
    let request = receive_one(link).await;
    assert_eq!(request.bytes[20], 8, "an echo request");
    send(link, &packets::echo_reply(&request.bytes));
}

/// The kernel's super-datagrams arrive whole, and ours are cut by it.
pub(crate) async fn udp_super_datagrams(link: &mut impl Link) {
    let socket = UdpSocket::bind((Ipv4Addr::from(KERNEL), 5_000)).unwrap();
    set_segment_size(&socket, 1_000);
    if !link.offloads().uso {
        return eprintln!("skipped: the rest needs USO, Linux 6.2");
    }
    socket
        .send_to(&[7; 10_000], (Ipv4Addr::from(PEER), 7))
        .unwrap();
    let packet = receive_one(link).await;
    assert_eq!(packet.bytes.len(), 28 + 10_000);
    assert_eq!(packet.checksum, Checksum::Partial);
    assert_eq!(packet.segment_size.unwrap().get(), 1_000);
    assert!(packet.slot_size >= packet.bytes.len());

    let nines = Bytes::from(vec![9; 4_500]);
    send(link, &packets::udp(7, 5_000, nines, Some(1_000), true));
    let mut datagram = [0; 2_000];
    for len in [1_000, 1_000, 1_000, 1_000, 500] {
        assert_eq!(socket.recv(&mut datagram).unwrap(), len);
        assert!(datagram[..len].iter().all(|octet| *octet == 9));
    }
}

/// Opens a connection by hand, takes `expected` octets and answers with `answer` at once.
async fn serve_tcp(link: &mut impl Link, expected: usize, answer: Bytes) -> usize {
    let syn = packets::parse_tcp(&receive_one(link).await.bytes);
    assert_eq!(syn.flags & SYN, SYN);
    let first = syn.seq.wrapping_add(1);
    send(
        link,
        &packets::tcp(syn, 1_000, first, SYN | ACK, Bytes::new(), None),
    );
    let (mut received, mut largest) = (0, 0);
    while received < expected {
        for packet in receive(link).await {
            let segment = packets::parse_tcp(&packet.bytes);
            assert_eq!(segment.seq, first.wrapping_add(received as u32));
            if packet.segment_size.is_some_and(|size| size.get() <= 1_460) {
                largest = largest.max(segment.text);
            }
            received += segment.text;
        }
        let ack = first.wrapping_add(received as u32);
        send(
            link,
            &packets::tcp(syn, 1_001, ack, ACK, Bytes::new(), None),
        );
    }
    let ack = first.wrapping_add(received as u32);
    send(
        link,
        &packets::tcp(syn, 1_001, ack, ACK, answer, Some(1_000)),
    );
    largest
}

/// A connection of the kernel's: its super-segments arrive whole, and ours are taken whole.
pub(crate) async fn tcp_super_segments(link: &mut impl Link) {
    let all = Offloads {
        checksum: true,
        tso4: true,
        tso6: true,
        uso: link.offloads().uso,
    };
    assert_eq!(link.offloads(), all);
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
    let largest = serve_tcp(link, 32_000, answer.into()).await;
    assert!(
        largest > 10_000,
        "the largest super-segment had {largest} octets"
    );
    kernel.await.unwrap();
}

/// Deletes the interface `tun0` here, as `ip link delete` does.
pub(crate) fn delete_link() {
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

//! A TAP of our own, with the Ethernet layer on it, beside the kernel's own stack.

#![cfg(all(target_os = "linux", feature = "tun"))]

#[path = "support/packets.rs"]
#[allow(dead_code, reason = "shared with the tests of the TUN")]
mod packets;
#[allow(dead_code, reason = "shared with the tests of the TUN")]
mod support;

use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use packets::{KERNEL, PEER};
use support::{User, inside, run, set_segment_size};
use switchboard_device::Device;
use switchboard_device::ethernet::{Ethernet, EthernetConfig};
use switchboard_device::tap::Tap;
use switchboard_device::tun::{self, LinkConfig};
use switchboard_wire::ethernet::MacAddr;
use switchboard_wire::{Checksum, Instant, RxPacket};

const MTU: u32 = 1_500;
const KERNEL_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
const PEER_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);
const STATION: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

/// The kernel has a network card, and we are the router at the other end of its cable. Must be
/// called on the runtime.
fn link() -> Ethernet<Tap> {
    // No duplicate address detection: the address is there at once.
    std::fs::write("/proc/sys/net/ipv6/conf/default/accept_dad", "0").unwrap();
    let tap = tun::open_tap(Path::new(tun::NODE), "tap0").unwrap();
    let config = LinkConfig {
        mtu: Some(MTU),
        queue_len: Some(4_000),
        addresses: vec![(Ipv4Addr::from(KERNEL).into(), 24), (KERNEL_V6.into(), 64)],
        routes: vec![],
    };
    tun::configure(&tap.name, &config).unwrap();
    let own: Vec<IpAddr> = vec![Ipv4Addr::from(PEER).into(), PEER_V6.into()];
    let tap = Tap::from_fd(tap.fd, MTU as usize).unwrap();
    Ethernet::new(tap, EthernetConfig::new(STATION, own))
}

/// The next datagram to the peer's port 7; ARP and the kernel's own chatter are not ours to see.
async fn receive(link: &mut Ethernet<Tap>) -> RxPacket {
    loop {
        let mut batch = Vec::new();
        let count = poll_fn(|cx| link.poll_recv(cx, &|| Instant::ZERO, 1, &mut batch)).await;
        assert!(count.unwrap() > 0, "the link is gone");
        let packet = batch.remove(0);
        let transport = match packet.bytes[0] >> 4 {
            4 => 20,
            _ => 40,
        };
        if packet.bytes.get(transport + 2..transport + 4) == Some(&[0, 7]) {
            return packet;
        }
    }
}

#[test]
fn super_datagrams_cross_a_tap() {
    inside("super_datagrams_cross_a_tap", User::Caller, || {
        run(async {
            let mut link = link();
            if !link.offloads().uso {
                return eprintln!("skipped: needs USO, Linux 6.2");
            }
            let socket = UdpSocket::bind((Ipv4Addr::from(KERNEL), 5_000)).unwrap();
            let patience = Some(Duration::from_secs(5));
            socket.set_read_timeout(patience).unwrap();
            set_segment_size(&socket, 1_000);
            let peer = (Ipv4Addr::from(PEER), 7);
            socket.send_to(&[7; 10_000], peer).unwrap();
            let packet = receive(&mut link).await;
            assert_eq!(
                packet.bytes.len(),
                28 + 10_000,
                "the kernel found us by ARP"
            );
            assert_eq!(packet.checksum, Checksum::Partial);
            assert_eq!(packet.segment_size.unwrap().get(), 1_000);

            let back = Bytes::from(vec![9; 4_500]);
            let back = packets::udp(7, 5_000, back, Some(1_000), true);
            link.try_send(&back).unwrap();
            let mut datagram = [0; 2_000];
            for len in [1_000, 1_000, 1_000, 1_000, 500] {
                assert_eq!(socket.recv(&mut datagram).unwrap(), len);
                assert!(datagram[..len].iter().all(|octet| *octet == 9));
            }
            assert_eq!(link.drops().malformed, 0);
        });
    });
}

#[test]
fn a_station_that_was_silent_is_found() {
    inside("a_station_that_was_silent_is_found", User::Caller, || {
        run(async {
            let mut link = link();
            let socket = UdpSocket::bind((Ipv4Addr::from(KERNEL), 5_000)).unwrap();
            let patience = Some(Duration::from_secs(5));
            socket.set_read_timeout(patience).unwrap();
            let first = packets::udp(7, 5_000, Bytes::from_static(b"hello"), None, false);
            link.try_send(&first).unwrap();
            let kernel = tokio::task::spawn_blocking(move || {
                let mut datagram = [0; 100];
                let length = socket.recv(&mut datagram).unwrap();
                let peer = (Ipv4Addr::from(PEER), 7);
                socket.send_to(b"done", peer).unwrap();
                datagram[..length].to_vec()
            });
            receive(&mut link).await;
            assert_eq!(kernel.await.unwrap(), b"hello");
        });
    });
}

#[test]
fn neighbour_discovery_crosses_a_tap() {
    inside("neighbour_discovery_crosses_a_tap", User::Caller, || {
        run(async {
            let mut link = link();
            let socket = UdpSocket::bind((KERNEL_V6, 5_000)).unwrap();
            socket.send_to(b"over IPv6", (PEER_V6, 7)).unwrap();
            let packet = receive(&mut link).await;
            assert_eq!(packet.bytes[48..], *b"over IPv6");
        });
    });
}

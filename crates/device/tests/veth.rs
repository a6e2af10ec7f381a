//! A veth pair of our own beside the kernel's own stack, in namespaces made for each test, by a
//! user without any right and without a device node.

#![cfg(all(target_os = "linux", feature = "tun"))]

#[path = "support/packets.rs"]
mod packets;
mod support;
#[path = "support/talk.rs"]
mod talk;

use std::net::{Ipv4Addr, UdpSocket};

use packets::PEER;
use support::{User, inside, run};
use switchboard_device::veth::{self, OpenVeth, Veth};
use switchboard_device::{Device, tun};
use talk::{MTU, answer_ping, configure, ping, receive, receive_one};

impl talk::Link for Veth {
    fn has_dropped(&mut self) -> bool {
        self.drops() != Default::default()
    }
}

fn open() -> OpenVeth {
    let veth = veth::open("tun0").unwrap();
    assert!(tun::exists("tun0"), "it is here, and so are we");
    assert!(!tun::exists("far"));
    configure(&veth.name);
    veth
}

/// Runs `test` with a pair, as a user who has nothing.
fn with_veth<F: Future<Output = ()>>(name: &str, test: impl FnOnce(Veth) -> F) {
    inside(name, User::NobodyWithoutNode, || {
        assert!(tun::open(std::path::Path::new(tun::NODE), "tun1").is_err());
        let veth = open();
        run(async {
            test(Veth::from_fds(veth.fds, MTU as usize).unwrap()).await;
        });
    });
}

#[test]
fn echo_crosses_a_veth_pair() {
    with_veth("echo_crosses_a_veth_pair", |mut veth| async move {
        let kernel = tokio::task::spawn_blocking(ping);
        answer_ping(&mut veth).await;
        kernel.await.unwrap();
    });
}

#[test]
fn udp_super_datagrams_cross_both_ways() {
    let name = "udp_super_datagrams_cross_both_ways";
    with_veth(name, |mut veth| async move {
        talk::udp_super_datagrams(&mut veth).await;
    });
}

#[test]
fn tcp_super_segments_cross_both_ways() {
    let name = "tcp_super_segments_cross_both_ways";
    with_veth(name, |mut veth| async move {
        talk::tcp_super_segments(&mut veth).await;
    });
}

#[test]
fn what_we_send_does_not_come_back() {
    let name = "what_we_send_does_not_come_back";
    with_veth(name, |mut veth| async move {
        let stray = packets::udp(7, 5_000, vec![9; 100].into(), None, true);
        veth.try_send(&stray).unwrap();
        // The kernel's "port unreachable", and nothing before it.
        let answer = receive_one(&mut veth).await;
        assert_eq!(answer.bytes[9], 1, "ICMP");
        assert_eq!(answer.bytes[20..22], [3, 3]);
    });
}

#[test]
fn a_packet_nobody_understands_is_counted_and_the_link_goes_on() {
    let name = "a_packet_nobody_understands_is_counted_and_the_link_goes_on";
    with_veth(name, |mut veth| async move {
        let mut nonsense = packets::udp(7, 5_000, vec![9; 10].into(), None, true);
        nonsense.checksum.as_mut().unwrap().start = 500;
        veth.try_send(&nonsense).unwrap();
        assert_eq!(veth.drops().malformed, 1);
        let kernel = tokio::task::spawn_blocking(ping);
        let request = receive_one(&mut veth).await;
        veth.try_send(&packets::echo_reply(&request.bytes)).unwrap();
        kernel.await.unwrap();
        assert_eq!(veth.drops().malformed, 1);
    });
}

/// Datagrams with a number each, to the peer.
struct Numbered(UdpSocket, Vec<u8>);

impl Numbered {
    fn new() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        Self(socket, vec![0; 1_400])
    }

    fn send(&mut self, number: u32) {
        self.1[..4].copy_from_slice(&number.to_be_bytes());
        self.0.send_to(&self.1, (Ipv4Addr::from(PEER), 7)).unwrap();
    }

    async fn receive(veth: &mut Veth) -> Vec<u32> {
        let number = |octets: &[u8]| u32::from_be_bytes(octets[28..32].try_into().unwrap());
        let packets = receive(veth).await;
        packets.iter().map(|packet| number(&packet.bytes)).collect()
    }
}

/// With the room that Linux gave for years the far end is many sockets. What waits fills several;
/// it is read in order, round and round.
#[test]
fn what_waits_in_many_sockets_is_in_order() {
    let name = "what_waits_in_many_sockets_is_in_order";
    inside(name, User::NobodyWithoutNode, || {
        let OpenVeth { fds, name } = veth::open_in_parts("tun0", 256 << 10).unwrap();
        assert_eq!(fds.len(), 16);
        configure(&name);
        run(async {
            let mut veth = Veth::from_fds(fds, MTU as usize).unwrap();
            let mut numbered = Numbered::new();
            let (mut next, mut expected) = (0, 0);
            for burst in [900, 10, 700, 1, 1, 800, 900, 300] {
                (next..next + burst).for_each(|number| numbered.send(number));
                next += burst;
                while expected < next {
                    for number in Numbered::receive(&mut veth).await {
                        assert_eq!(number, expected);
                        expected += 1;
                    }
                }
            }
            assert_eq!(veth.drops(), Default::default());
        });
    });
}

/// Nobody reads, and more comes than all sockets hold. Afterwards every packet is accounted for.
#[test]
fn what_is_too_much_is_counted_and_nothing_stays_behind() {
    let name = "what_is_too_much_is_counted_and_nothing_stays_behind";
    with_veth(name, |mut veth| async move {
        const FLOOD: u32 = 20_000;
        let mut numbered = Numbered::new();
        (0..FLOOD).for_each(|number| numbered.send(number));
        let dropped = veth.drops().overflow;
        assert!(dropped > 0);
        let mut received = 0;
        while received + dropped < u64::from(FLOOD) {
            received += Numbered::receive(&mut veth).await.len() as u64;
        }
        assert!(received > 2_000);
        assert_eq!(veth.drops().overflow, dropped);
    });
}

#[test]
fn the_end_of_the_programs_namespace_is_the_end_of_the_link() {
    let name = "the_end_of_the_programs_namespace_is_the_end_of_the_link";
    with_veth(name, |mut veth| async move {
        let deleted = tokio::task::spawn_blocking(talk::delete_link);
        assert!(receive(&mut veth).await.is_empty());
        deleted.await.unwrap();
        let late = packets::echo_reply(&[0; 40]);
        assert!(veth.try_send(&late).is_err());
    });
}

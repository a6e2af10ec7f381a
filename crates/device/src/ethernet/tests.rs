use std::future::poll_fn;
use std::net::{Ipv4Addr, Ipv6Addr};

use switchboard_wire::arp::{ArpMessage, ArpOperation};
use switchboard_wire::dhcp::DhcpLease;
use switchboard_wire::icmp::v6::Icmpv6Message;
use switchboard_wire::ndp::{self, NeighborMessage, RouterAdvertisement};
use switchboard_wire::{IpPacket, IpProtocol};

use super::*;
use crate::pipe::{self, Pipe};

const ROUTER: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const GUEST: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
const ROUTER_IP: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
const GUEST_IP: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);

/// A router on a link, and the far end of the link.
struct Link {
    router: Ethernet<Pipe>,
    guest: Pipe,
    now: Instant,
}

impl Link {
    fn new(change: impl FnOnce(&mut EthernetConfig)) -> Self {
        let (near, guest) = pipe::pair(1_500, Offloads::default(), 64);
        let mut config = EthernetConfig::new(ROUTER, vec![ROUTER_IP.into()]);
        change(&mut config);
        Self {
            router: Ethernet::new(near, config),
            guest,
            now: Instant::ZERO,
        }
    }

    /// The guest says `packet`; returns what the router's stack gets, and what the guest hears.
    /// The same, some seconds after the link began.
    async fn say_at(&mut self, seconds: u64, packet: Vec<u8>) -> Vec<Bytes> {
        self.now = Instant::from_millis(seconds * 1_000);
        let (_, heard) = self.say(EtherType::IPV4, MacAddr::BROADCAST, packet).await;
        heard
    }

    async fn say(
        &mut self,
        kind: EtherType,
        to: MacAddr,
        packet: Vec<u8>,
    ) -> (Vec<Bytes>, Vec<Bytes>) {
        self.guest
            .try_send(&frame_of(packet, kind, GUEST, to))
            .unwrap();
        let now = self.now;
        let mut up = Vec::new();
        poll_fn(|cx| {
            while let Poll::Ready(count) = self.router.poll_recv(cx, &|| now, 16, &mut up) {
                assert!(count.unwrap() > 0);
            }
            Poll::Ready(())
        })
        .await;
        let up = up.into_iter().map(|packet| packet.bytes).collect();
        (up, self.heard().await)
    }

    /// Frames that have come to the guest.
    async fn heard(&mut self) -> Vec<Bytes> {
        let mut down = Vec::new();
        poll_fn(|cx| {
            while let Poll::Ready(count) =
                self.guest.poll_recv(cx, &|| Instant::ZERO, 16, &mut down)
            {
                assert!(count.unwrap() > 0);
            }
            Poll::Ready(())
        })
        .await;
        down.into_iter().map(|frame| frame.bytes).collect()
    }

    async fn asks(&mut self, sender_ip: Ipv4Addr, target_ip: Ipv4Addr) -> Option<ArpMessage> {
        let request = ArpMessage {
            operation: ArpOperation::Request,
            sender: GUEST,
            sender_ip,
            target: MacAddr::default(),
            target_ip,
        };
        let mut octets = Vec::new();
        request.emit(&mut octets);
        let (up, heard) = self.say(EtherType::ARP, MacAddr::BROADCAST, octets).await;
        assert!(up.is_empty(), "ARP is no matter of the stack");
        let reply = heard.first()?;
        assert_eq!(EthernetHeader::parse(reply).unwrap().destination, GUEST);
        Some(ArpMessage::parse(&reply[HEADER_LEN..]).unwrap())
    }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(test);
}

fn transmit_to(destination: Ipv4Addr) -> Transmit {
    let mut transmit = Transmit::default();
    let header =
        switchboard_wire::ipv4::Ipv4Header::new(ROUTER_IP, destination, IpProtocol::UDP, 20);
    header.emit(&mut transmit.head);
    transmit
}

#[test]
fn arp_answers_for_what_is_ours() {
    run(async {
        let mut link = Link::new(|_| ());
        let reply = link.asks(GUEST_IP, ROUTER_IP).await.unwrap();
        assert_eq!((reply.sender, reply.sender_ip), (ROUTER, ROUTER_IP));
        assert_eq!(reply.operation, ArpOperation::Reply);
        assert_eq!(link.asks(GUEST_IP, Ipv4Addr::new(10, 0, 2, 9)).await, None);
        // Somebody who would take our address must hear of us; one who takes another must not.
        assert!(link.asks(Ipv4Addr::UNSPECIFIED, ROUTER_IP).await.is_some());
    });
}

#[test]
fn a_proxy_answers_for_all_but_stations_and_probes() {
    run(async {
        let mut link = Link::new(|config| {
            config.proxy = true;
            config.stations = vec![IpAddr::from([10, 0, 2, 77])];
        });
        let far = Ipv4Addr::new(10, 0, 2, 9);
        assert!(link.asks(GUEST_IP, far).await.is_some());
        assert_eq!(link.asks(Ipv4Addr::UNSPECIFIED, far).await, None, "a probe");
        assert_eq!(link.asks(GUEST_IP, GUEST_IP).await, None, "an announcement");
        assert_eq!(link.asks(GUEST_IP, Ipv4Addr::new(10, 0, 2, 77)).await, None);
        assert_eq!(
            link.asks(far, GUEST_IP).await,
            None,
            "a neighbour that was heard"
        );
    });
}

#[test]
fn a_packet_waits_until_its_station_is_found() {
    run(async {
        let mut link = Link::new(|_| ());
        link.router.try_send(&transmit_to(GUEST_IP)).unwrap();
        let asked = link.heard().await;
        let [asked] = &asked[..] else {
            panic!("one question, not {asked:?}");
        };
        let question = ArpMessage::parse(&asked[HEADER_LEN..]).unwrap();
        assert_eq!(
            (question.target_ip, question.sender_ip),
            (GUEST_IP, ROUTER_IP)
        );
        let reply = ArpMessage {
            operation: ArpOperation::Reply,
            sender: GUEST,
            sender_ip: GUEST_IP,
            target: ROUTER,
            target_ip: ROUTER_IP,
        };
        let mut octets = Vec::new();
        reply.emit(&mut octets);
        let (_, heard) = link.say(EtherType::ARP, ROUTER, octets).await;
        let [frame] = &heard[..] else {
            panic!("the packet, not {heard:?}");
        };
        assert_eq!(EthernetHeader::parse(frame).unwrap().destination, GUEST);
        link.router.try_send(&transmit_to(GUEST_IP)).unwrap();
        assert_eq!(link.heard().await.len(), 1, "now it is known");
    });
}

#[test]
fn packets_to_nobody_are_few_and_counted() {
    run(async {
        let mut link = Link::new(|_| ());
        for last in 0..100 {
            let to = Ipv4Addr::new(10, 0, 2, 100 + last);
            link.router.try_send(&transmit_to(to)).unwrap();
            link.heard().await;
        }
        assert_eq!(link.router.drops().unresolved, 100 - 32);
    });
}

#[test]
fn neighbour_discovery_answers_and_advertises() {
    run(async {
        let prefix: Ipv6Addr = "fd00::".parse().unwrap();
        let own: Ipv6Addr = "fd00::2".parse().unwrap();
        let guest: Ipv6Addr = "fe80::5".parse().unwrap();
        let mut link = Link::new(|config| {
            config.own.push(own.into());
            config.advertisement = Some(RouterAdvertisement {
                station: ROUTER,
                prefix: Some(prefix),
                mtu: 1_500,
                dns: vec![own],
            });
        });
        let question = ndp::solicitation(guest, own, GUEST);
        let (up, heard) = link
            .say(
                EtherType::IPV6,
                MacAddr::of_group(ndp::solicited_node(own).into()).unwrap(),
                question,
            )
            .await;
        assert!(up.is_empty());
        let answer = advertised(&heard[0]);
        assert_eq!(
            answer,
            NeighborMessage::Advertisement {
                target: own,
                station: Some(ROUTER)
            }
        );

        // A router solicitation, from the group of all nodes' point of view.
        let mut body = vec![133, 0, 0, 0, 0, 0, 0, 0];
        let to: Ipv6Addr = "ff02::2".parse().unwrap();
        let sum =
            switchboard_wire::checksum::pseudo_v6(guest, to, IpProtocol::ICMPV6, 8).plus(&body);
        body[2..4].copy_from_slice(&sum.checksum().to_be_bytes());
        let mut header = switchboard_wire::ipv6::Ipv6Header::new(guest, to, IpProtocol::ICMPV6, 8);
        header.hop_limit = 255;
        let mut packet = Vec::new();
        header.emit(&mut packet);
        packet.extend_from_slice(&body);
        let far = {
            let mut far = packet.clone();
            far[7] = 254;
            far
        };
        let (_, heard) = link.say(EtherType::IPV6, ROUTER, far).await;
        assert!(heard.is_empty(), "from beyond the link");
        let (_, heard) = link.say(EtherType::IPV6, ROUTER, packet).await;
        let advertisement = &heard[0][HEADER_LEN..];
        assert_eq!(advertisement[40], 134);
        assert!(
            advertisement
                .windows(16)
                .any(|octets| octets == prefix.octets())
        );
        assert!(
            advertisement
                .windows(16)
                .any(|octets| octets == own.octets())
        );
    });
}

fn advertised(frame: &[u8]) -> NeighborMessage {
    let packet = IpPacket::parse(&frame[HEADER_LEN..]).unwrap();
    let (IpAddr::V6(from), IpAddr::V6(to)) = (packet.source, packet.destination) else {
        panic!("IPv6");
    };
    assert_eq!(packet.hop_limit, 255);
    let body = packet.body();
    let pseudo = switchboard_wire::checksum::pseudo_v6(from, to, IpProtocol::ICMPV6, body.len());
    let message = Icmpv6Message::parse(body, pseudo).unwrap();
    NeighborMessage::parse(&message).unwrap().unwrap()
}

fn lease() -> DhcpLease {
    DhcpLease {
        address: GUEST_IP,
        prefix_len: 24,
        server: ROUTER_IP,
        router: Some(ROUTER_IP),
        dns: vec![Ipv4Addr::new(10, 0, 2, 3)],
        mtu: 1_500,
        seconds: 86_400,
    }
}

/// A client's message of that kind, with these options, as a packet.
fn dhcp(station: MacAddr, kind: u8, options: &[u8]) -> Vec<u8> {
    let mut payload = vec![1, 1, 6, 0, 7, 7, 7, 7, 0, 0, 0x80, 0];
    payload.resize(28, 0);
    payload.extend_from_slice(&station.0);
    payload.resize(236, 0);
    payload.extend_from_slice(&[99, 130, 83, 99, 53, 1, kind]);
    payload.extend_from_slice(options);
    payload.push(255);
    let total = 28 + payload.len();
    let mut packet = Vec::new();
    switchboard_wire::ipv4::Ipv4Header::new(
        Ipv4Addr::UNSPECIFIED,
        Ipv4Addr::BROADCAST,
        IpProtocol::UDP,
        total as u16,
    )
    .emit(&mut packet);
    switchboard_wire::udp::UdpHeader::new(68, 67, payload.len()).emit(&mut packet);
    packet.extend_from_slice(&payload);
    packet
}

/// The kind and the address of an answer.
fn dhcp_answer(frame: &[u8]) -> (u8, Ipv4Addr) {
    let payload = &frame[HEADER_LEN + 28..];
    let address = Ipv4Addr::new(payload[16], payload[17], payload[18], payload[19]);
    assert_eq!(payload[240..242], [53, 1]);
    (payload[242], address)
}

#[test]
fn dhcp_gives_one_address_to_one_station() {
    run(async {
        let mut link = Link::new(|config| config.lease = Some(lease()));
        let all = MacAddr::BROADCAST;
        let (up, heard) = link.say(EtherType::IPV4, all, dhcp(GUEST, 1, &[])).await;
        assert!(up.is_empty());
        assert_eq!(dhcp_answer(&heard[0]), (2, GUEST_IP), "an offer");
        let wants = [50, 4, 10, 0, 2, 15];
        let (_, heard) = link.say(EtherType::IPV4, all, dhcp(GUEST, 3, &wants)).await;
        assert_eq!(dhcp_answer(&heard[0]), (5, GUEST_IP), "it is yours");
        let other = MacAddr([2, 0, 0, 0, 0, 9]);
        let (_, heard) = link.say(EtherType::IPV4, all, dhcp(other, 1, &[])).await;
        assert!(heard.is_empty(), "there is no second one");
        let wrong = [50, 4, 10, 0, 2, 99];
        let (_, heard) = link.say(EtherType::IPV4, all, dhcp(GUEST, 3, &wrong)).await;
        assert_eq!(
            dhcp_answer(&heard[0]),
            (6, Ipv4Addr::UNSPECIFIED),
            "not that one"
        );
        let elsewhere = [50, 4, 10, 0, 2, 15, 54, 4, 10, 0, 2, 200];
        let (_, heard) = link
            .say(EtherType::IPV4, all, dhcp(GUEST, 3, &elsewhere))
            .await;
        assert!(heard.is_empty(), "another server was chosen");
    });
}

#[test]
fn what_is_not_for_us_is_counted() {
    run(async {
        let mut link = Link::new(|_| ());
        link.say(EtherType::IPV4, MacAddr([2, 9, 9, 9, 9, 9]), vec![0x45; 20])
            .await;
        link.say(EtherType(0x88cc), ROUTER, vec![0; 20]).await;
        link.say(EtherType::ARP, ROUTER, vec![0; 20]).await;
        let drops = link.router.drops();
        assert_eq!(
            (drops.not_for_us, drops.unknown_type, drops.malformed),
            (1, 1, 1)
        );
    });
}

proptest::proptest! {
    /// Whatever a station says: no panic, and bounded memory.
    #[test]
    fn any_frame_is_survived(frames in proptest::collection::vec(proptest::collection::vec(proptest::num::u8::ANY, 0..120), 1..40), kind in 0..3_usize) {
        run(async {
            let mut link = Link::new(|config| {
                config.proxy = true;
                config.lease = Some(lease());
            });
            let kind = [EtherType::ARP, EtherType::IPV4, EtherType::IPV6][kind];
            for frame in frames {
                link.say(kind, MacAddr::BROADCAST, frame).await;
            }
            assert!(link.router.waiting.len() <= WAITING_MAX);
        });
    }
}

#[test]
fn a_lease_that_has_run_out_is_another_stations() {
    run(async {
        let mut link = Link::new(|config| config.lease = Some(lease()));
        let wants = [50, 4, 10, 0, 2, 15];
        assert_eq!(link.say_at(0, dhcp(GUEST, 3, &wants)).await.len(), 1);
        let other = MacAddr([2, 0, 0, 0, 0, 9]);
        assert!(link.say_at(86_399, dhcp(other, 1, &[])).await.is_empty());
        let heard = link.say_at(86_401, dhcp(other, 1, &[])).await;
        assert_eq!(dhcp_answer(&heard[0]), (2, GUEST_IP));
    });
}

#[test]
fn a_station_is_asked_for_once_a_second() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut link = Link::new(|_| ());
        for expected in [1, 0, 0] {
            link.router.try_send(&transmit_to(GUEST_IP)).unwrap();
            assert_eq!(link.heard().await.len(), expected);
        }
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        link.router.try_send(&transmit_to(GUEST_IP)).unwrap();
        assert_eq!(link.heard().await.len(), 1);
    });
}

#[test]
fn a_flood_of_sources_does_not_shut_the_cache() {
    run(async {
        let mut link = Link::new(|_| ());
        for number in 0..3_000_u32 {
            let source = Ipv4Addr::from_bits(0x0b00_0000 + number);
            link.router.learn(source.into(), GUEST);
        }
        link.router.learn(GUEST_IP.into(), GUEST);
        assert_eq!(link.router.route(GUEST_IP.into()), Route::To(GUEST));
    });
}

//! Whatever arrives, reading it ends without a panic, and what is read lies inside it.

mod support;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use switchboard_wire::icmp::v4::Icmpv4Message;
use switchboard_wire::icmp::v6::Icmpv6Message;
use switchboard_wire::line::{PacketLine, TcpLine};
use switchboard_wire::offload::cut_received;
use switchboard_wire::packet::Checksum;
use switchboard_wire::tcp::TcpSegment;
use switchboard_wire::udp::UdpDatagram;
use switchboard_wire::{Endpoint, Instant, IpPacket, RxPacket};

use support::{ipv6_packet, pairs, segment_size, tcp_headers, tcp_transmit, udp_transmit};

fn read_everything(octets: &[u8]) {
    let _ = PacketLine(octets).to_string();
    if let Ok(packet) = IpPacket::parse(octets) {
        assert!(packet.total_len() <= octets.len());
        assert_eq!(packet.header_len + packet.body_len(), packet.total_len());
        for checksum in [Checksum::Unknown, Checksum::Verified] {
            if let Ok(segment) = TcpSegment::parse(&packet, checksum) {
                assert_eq!(segment.text_at + segment.text.len(), packet.total_len());
            }
            let _ = UdpDatagram::parse(&packet, checksum);
        }
        if let Ok(message) = Icmpv4Message::parse(packet.body()) {
            let _ = message.quote();
        }
        if let Ok(message) = Icmpv6Message::parse(packet.body(), packet.pseudo_header()) {
            let _ = message.quote();
        }
    }
    for checksum in [Checksum::Unknown, Checksum::Partial] {
        for size in [0, 1, 100] {
            let mut packet = RxPacket::new(Bytes::copy_from_slice(octets), Instant::ZERO);
            packet.checksum = checksum;
            packet.segment_size = segment_size(size);
            let pieces = cut_received(&packet).count();
            assert!(pieces <= octets.len().max(1));
        }
    }
}

/// Makes an IPv4 header's checksum right, so that what lies behind it is reached.
fn repair(octets: &mut [u8]) {
    let header_len = octets
        .first()
        .map_or(0, |first| usize::from(first & 15) * 4);
    if octets.len() >= header_len && header_len >= 20 {
        octets[10..12].fill(0);
        let sum = switchboard_wire::checksum::checksum(&octets[..header_len]);
        octets[10..12].copy_from_slice(&sum.to_be_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn random_octets(octets in vec(any::<u8>(), 0..200)) {
        read_everything(&octets);
    }

    #[test]
    fn random_octets_that_look_like_ip(v6: bool, mut octets in vec(any::<u8>(), 20..200)) {
        let len = octets.len() as u16;
        if v6 {
            octets[0] = 0x60;
            if octets.len() >= 40 {
                octets[4..6].copy_from_slice(&(len - 40).to_be_bytes());
                octets[6] %= 64;
            }
        } else {
            octets[0] = 0x45 + octets[0] % 4;
            octets[2..4].copy_from_slice(&len.to_be_bytes());
            octets[9] %= 18;
            repair(&mut octets);
        }
        read_everything(&octets);
    }

    #[test]
    fn extension_headers(next in prop::sample::select(vec![0u8, 43, 44, 60]), mut payload in vec(any::<u8>(), 0..300)) {
        for at in (0..payload.len()).step_by(8) {
            payload[at] = [0, 43, 44, 60, 6, 17, 58][usize::from(payload[at] % 7)];
            if let Some(words) = payload.get_mut(at + 1) {
                *words %= 3;
            }
        }
        read_everything(&ipv6_packet(next, &payload));
    }

    #[test]
    fn mutated_packets(
        pair in pairs(),
        header in tcp_headers(),
        payload in vec(any::<u8>(), 0..60),
        is_tcp: bool,
        changes in vec((any::<Index>(), any::<u8>()), 0..6),
        cut_at: Option<Index>,
    ) {
        let transmit = if is_tcp {
            tcp_transmit(pair, &header, &[&payload], false)
        } else {
            udp_transmit(pair, (1, 2), &[&payload], false)
        };
        let mut packet = transmit.to_bytes().to_vec();
        for (at, value) in changes {
            let at = at.index(packet.len());
            packet[at] = value;
        }
        if let Some(at) = cut_at {
            packet.truncate(at.index(packet.len()));
        }
        read_everything(&packet);
        repair(&mut packet);
        read_everything(&packet);
    }

    #[test]
    fn texts(text in "[ -~]{0,60}", words in vec(prop::sample::select(vec![
        "SYN", "|", "ACK", "seq=", "ack=", "len=", "sack=", "sack", "-", "1", "4294967295", ",", " ", "ts=", "/", "win=",
    ]), 0..12)) {
        let _ = text.parse::<TcpLine>();
        let _ = text.parse::<Endpoint>();
        if let Ok(line) = words.concat().parse::<TcpLine>() {
            prop_assert_eq!(line.to_string().parse::<TcpLine>(), Ok(line));
        }
    }
}

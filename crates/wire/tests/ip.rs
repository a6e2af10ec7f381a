//! IP headers that break a rule, IPv4 options, IPv6 extension headers.

mod support;

use std::net::IpAddr;

use switchboard_wire::ip::{Complaint, Fragment, IpPacket, IpProtocol};
use switchboard_wire::ipv6::{Answer, FragmentHeader};
use switchboard_wire::packet::Checksum;
use switchboard_wire::udp::UdpDatagram;
use switchboard_wire::{Malformed, checksum};

use support::{ipv4_packet, ipv6_packet, udp_transmit, v4_pair, v6_pair};

const UDP: u8 = 17;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION: u8 = 60;

/// Changes octets of an IPv4 header and makes its checksum right again.
fn with_ipv4(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut packet = ipv4_packet(&[], UDP, &[0; 16]);
    change(&mut packet);
    packet[10..12].fill(0);
    let header_len = (usize::from(packet[0] & 15) * 4).min(packet.len());
    let sum = checksum::checksum(&packet[..header_len]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet
}

fn refusal(packet: &[u8]) -> Option<Malformed> {
    IpPacket::parse(packet).err()
}

#[test]
fn each_ipv4_rule_is_named() {
    assert_eq!(refusal(&[]), Some(Malformed::Empty));
    assert_eq!(refusal(&[0x55; 40]), Some(Malformed::IpVersion));
    let good = with_ipv4(|_| {});
    assert_eq!(refusal(&good), None);
    for len in 1..20 {
        assert_eq!(refusal(&good[..len]), Some(Malformed::Ipv4Truncated));
    }
    for (change, rule) in [
        ((0, 0x44), Malformed::Ipv4HeaderLengthBelowMinimum),
        ((0, 0x4f), Malformed::Ipv4HeaderLengthBeyondPacket),
        ((3, 19), Malformed::Ipv4TotalLengthBelowHeader),
        ((3, 37), Malformed::Ipv4TotalLengthBeyondPacket),
    ] {
        let packet = with_ipv4(|packet| packet[change.0] = change.1);
        assert_eq!(refusal(&packet), Some(rule));
    }
    let mut wrong_sum = good.clone();
    wrong_sum[8] ^= 1;
    assert_eq!(refusal(&wrong_sum), Some(Malformed::Ipv4Checksum));
    // The ping of death: the last fragment ends behind 65,535.
    let beyond = with_ipv4(|packet| packet[6..8].copy_from_slice(&[0x1f, 0xff]));
    assert_eq!(refusal(&beyond), Some(Malformed::FragmentBeyondMaximum));
}

#[test]
fn each_ipv6_rule_is_named() {
    let good = ipv6_packet(UDP, &[0; 8]);
    assert_eq!(refusal(&good), None);
    for len in 1..40 {
        assert_eq!(refusal(&good[..len]), Some(Malformed::Ipv6Truncated));
    }
    let short = &good[..good.len() - 1];
    assert_eq!(
        refusal(short),
        Some(Malformed::Ipv6PayloadLengthBeyondPacket)
    );
    for next_header in [HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION] {
        for len in 0..8 {
            let packet = ipv6_packet(next_header, &[0; 8][..len]);
            assert_eq!(refusal(&packet), Some(Malformed::Ipv6ExtensionTruncated));
        }
    }
    let beyond = ipv6_packet(DESTINATION, &[UDP, 1, 1, 4, 0, 0, 0, 0]);
    assert_eq!(refusal(&beyond), Some(Malformed::Ipv6ExtensionTruncated));
    let option = ipv6_packet(DESTINATION, &[UDP, 0, 1, 5, 0, 0, 0, 0]);
    assert_eq!(refusal(&option), Some(Malformed::Ipv6OptionLength));
    let lone = ipv6_packet(DESTINATION, &[UDP, 0, 1, 3, 0, 0, 0, 7]);
    assert_eq!(refusal(&lone), Some(Malformed::Ipv6OptionLength));
    let mut chain = Vec::new();
    for _ in 0..40 {
        chain.extend_from_slice(&[DESTINATION, 0, 1, 4, 0, 0, 0, 0]);
    }
    let endless = ipv6_packet(DESTINATION, &chain);
    assert_eq!(
        refusal(&endless),
        Some(Malformed::Ipv6ExtensionChainTooLong)
    );
}

#[test]
fn a_source_route_is_complained_about_and_other_options_are_not() {
    for (options, complaint) in [
        (&[131, 3, 4, 0][..], Some(Complaint::SourceRoute)),
        (&[1, 137, 3, 4], Some(Complaint::SourceRoute)),
        (&[7, 3, 4, 0], None),
        (&[68, 4, 5, 0], None),
        (&[148, 4, 0, 0], None),
        (&[130, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], None),
        // Behind the end of the list there are no options.
        (&[0, 131, 3, 4], None),
    ] {
        let packet = ipv4_packet(options, UDP, &[0; 8]);
        let ip = IpPacket::parse(&packet).unwrap();
        assert_eq!(ip.complaint, complaint, "{options:?}");
        assert_eq!(ip.body(), [0; 8]);
    }
    for options in [[7, 0, 0, 0], [7, 1, 0, 0], [7, 5, 0, 0], [1, 1, 1, 7]] {
        let packet = ipv4_packet(&options, UDP, &[]);
        assert_eq!(refusal(&packet), Some(Malformed::Ipv4OptionLength));
    }
}

#[test]
fn fragments_of_both_families_are_seen() {
    let packet = with_ipv4(|packet| {
        packet[4..6].copy_from_slice(&[0x12, 0x34]);
        packet[6..8].copy_from_slice(&[0x20, 0x03]);
    });
    let fragment = Fragment {
        identification: 0x1234,
        offset: 24,
        more: true,
    };
    assert_eq!(IpPacket::parse(&packet).unwrap().fragment, Some(fragment));

    let header = FragmentHeader {
        next_header: IpProtocol(UDP),
        fragment: Fragment {
            identification: 0x0102_0304,
            ..fragment
        },
    };
    let mut payload = Vec::new();
    header.emit(&mut payload);
    payload.extend_from_slice(&[7; 16]);
    // RFC 8200 section 4.5: reserved bits are ignored.
    payload[1] = 0xff;
    payload[3] |= 0b110;
    let packet = ipv6_packet(FRAGMENT, &payload);
    let ip = IpPacket::parse(&packet).unwrap();
    assert_eq!(ip.fragment, Some(header.fragment));
    assert_eq!(ip.protocol, IpProtocol::UDP);
    assert_eq!(ip.body(), [7; 16]);
    assert_eq!(ip.complaint, None);
}

/// RFC 6946: a fragment that is the whole packet is no fragment.
#[test]
fn an_atomic_fragment_is_a_whole_packet() {
    let packet = udp_transmit(v6_pair(), (1, 2), &[b"whole"], false).to_bytes();
    let mut payload = vec![UDP, 0, 0, 0, 1, 2, 3, 4];
    payload.extend_from_slice(&packet[40..]);
    let packet = ipv6_packet(FRAGMENT, &payload);
    let ip = IpPacket::parse(&packet).unwrap();
    assert_eq!(ip.fragment, None);
    assert_eq!(ip.protocol_at, 40);
    let datagram = UdpDatagram::parse(&ip, Checksum::Unknown).unwrap();
    assert_eq!(datagram.payload, b"whole");
}

fn complaint(next_header: u8, payload: &[u8]) -> Option<Complaint> {
    IpPacket::parse(&ipv6_packet(next_header, payload))
        .unwrap()
        .complaint
}

fn parameter(code: u8, pointer: u32, answer: Answer) -> Option<Complaint> {
    Some(Complaint::Parameter {
        code,
        pointer,
        answer,
    })
}

/// RFC 8200 section 4.2: an option's two highest bits say what happens to the packet.
#[test]
fn unknown_options_ask_for_what_their_highest_bits_say() {
    for next_header in [HOP_BY_HOP, DESTINATION] {
        for (kind, expected) in [
            (0x1e, None),
            (0x5e, parameter(2, 44, Answer::Never)),
            (0x9e, parameter(2, 44, Answer::Always)),
            (0xde, parameter(2, 44, Answer::UnlessMulticast)),
        ] {
            let payload = [UDP, 0, 1, 0, kind, 2, 0, 0];
            assert_eq!(complaint(next_header, &payload), expected, "{kind:#x}");
        }
    }
    // Padding of both kinds and a router alert.
    let known = [UDP, 0, 0, 5, 2, 0, 0, 0];
    assert_eq!(complaint(HOP_BY_HOP, &known), None);
}

#[test]
fn hop_by_hop_options_come_first() {
    let payload = [HOP_BY_HOP, 0, 1, 4, 0, 0, 0, 0, UDP, 0, 1, 4, 0, 0, 0, 0];
    let expected = parameter(1, 40, Answer::UnlessMulticast);
    assert_eq!(complaint(DESTINATION, &payload), expected);
}

/// RFC 8200 section 4.4, RFC 5095: who is asked to route on refuses, of whatever type.
#[test]
fn routing_headers_are_refused_unless_spent() {
    for kind in [0, 2, 3, 4, 253] {
        let spent = [UDP, 0, kind, 0, 0, 0, 0, 0];
        assert_eq!(complaint(ROUTING, &spent), None);
        let asking = [UDP, 0, kind, 1, 0, 0, 0, 0];
        let expected = parameter(0, 42, Answer::UnlessMulticast);
        assert_eq!(complaint(ROUTING, &asking), expected);
    }
}

#[test]
fn fragments_of_illegal_length_are_complained_about() {
    // More follow, and the length is no multiple of 8 (RFC 8200 section 4.5).
    let odd = [&[UDP, 0, 0, 9, 0, 0, 0, 1][..], &[0; 15]].concat();
    let expected = parameter(0, 4, Answer::UnlessMulticast);
    assert_eq!(complaint(FRAGMENT, &odd), expected);
    // Ends beyond 65,535 octets.
    let beyond = [&[UDP, 0, 0xff, 0xf8, 0, 0, 0, 1][..], &[0; 8]].concat();
    let expected = parameter(0, 42, Answer::UnlessMulticast);
    assert_eq!(complaint(FRAGMENT, &beyond), expected);
}

/// RFC 7112 section 5: the first fragment names its transport.
#[test]
fn a_first_fragment_holds_the_whole_chain() {
    let first = [UDP, 0, 0, 1, 0, 0, 0, 1];
    let whole = [&first[..], &[0; 8]].concat();
    assert_eq!(complaint(FRAGMENT, &whole), None);
    let mut chained = whole.clone();
    chained[0] = DESTINATION;
    chained[8] = UDP;
    chained[9] = 1;
    let expected = parameter(3, 0, Answer::UnlessMulticast);
    assert_eq!(complaint(FRAGMENT, &chained), expected);
    // A later fragment holds no headers.
    let mut later = chained;
    later[3] = 9;
    assert_eq!(complaint(FRAGMENT, &later), None);
}

#[test]
fn the_octet_that_names_the_protocol_is_known() {
    let ip = ipv6_packet(UDP, &[0; 8]);
    assert_eq!(IpPacket::parse(&ip).unwrap().protocol_at, 6);
    let behind = ipv6_packet(DESTINATION, &[200, 0, 1, 4, 0, 0, 0, 0, 9]);
    let ip = IpPacket::parse(&behind).unwrap();
    assert_eq!((ip.protocol, ip.protocol_at), (IpProtocol(200), 40));
    assert_eq!((ip.header_len, ip.body()), (48, &[9][..]));
    let v4 = ipv4_packet(&[], 200, &[]);
    let ip = IpPacket::parse(&v4).unwrap();
    assert_eq!((ip.protocol, ip.protocol_at), (IpProtocol(200), 9));
}

#[test]
fn each_udp_rule_is_named() {
    for pair in [v4_pair(), v6_pair()] {
        let good = udp_transmit(pair, (1, 2), &[b"abc"], false).to_bytes();
        let at = if matches!(pair.source, IpAddr::V4(_)) {
            20
        } else {
            40
        };
        let judge = |change: &dyn Fn(&mut [u8]), known| {
            let mut packet = good.to_vec();
            change(&mut packet[at..]);
            let ip = IpPacket::parse(&packet).unwrap();
            UdpDatagram::parse(&ip, known).map(|datagram| datagram.payload.to_vec())
        };
        let unknown = Checksum::Unknown;
        assert_eq!(judge(&|_| {}, unknown), Ok(b"abc".to_vec()));
        assert_eq!(
            judge(&|udp| udp[8] ^= 1, unknown),
            Err(Malformed::UdpChecksum)
        );
        // What the device has verified is not verified again.
        let verified = judge(&|udp| udp[8] = b'x', Checksum::Verified);
        assert_eq!(verified, Ok(b"xbc".to_vec()));
        let below = judge(&|udp| udp[5] = 7, unknown);
        assert_eq!(below, Err(Malformed::UdpLengthBelowHeader));
        let beyond = judge(&|udp| udp[5] = 12, unknown);
        assert_eq!(beyond, Err(Malformed::UdpLengthBeyondPacket));
        let without = judge(&|udp| udp[6..8].fill(0), unknown);
        if at == 20 {
            assert_eq!(without, Ok(b"abc".to_vec()));
        } else {
            assert_eq!(without, Err(Malformed::UdpChecksumMissing));
        }
    }
    let short = ipv4_packet(&[], UDP, &[0; 7]);
    let ip = IpPacket::parse(&short).unwrap();
    let refused = UdpDatagram::parse(&ip, Checksum::Unknown);
    assert_eq!(refused, Err(Malformed::UdpTruncated));
}

#[test]
fn rules_have_words() {
    assert_eq!(Malformed::TcpChecksum.to_string(), "TCP checksum wrong");
    assert_eq!(format!("{:>6}|", IpProtocol::UDP), "   udp|");
    assert_eq!(IpProtocol(47).to_string(), "ip-proto-47");
}

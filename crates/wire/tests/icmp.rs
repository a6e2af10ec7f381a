//! ICMP: what errors quote, and every message as a line.

mod support;

use std::net::IpAddr;

use bytes::Bytes;
use switchboard_wire::icmp::v4::{Icmpv4Header, Icmpv4Message, unreachable as v4};
use switchboard_wire::icmp::v6::{Icmpv6Header, Icmpv6Message, unreachable as v6};
use switchboard_wire::icmp::{CHECKSUM_AT, Echo, Quote};
use switchboard_wire::ip::IpPacket;
use switchboard_wire::ipv4::Ipv4Header;
use switchboard_wire::ipv6::Ipv6Header;
use switchboard_wire::line::PacketLine;
use switchboard_wire::packet::PartialChecksum;
use switchboard_wire::tcp::{Flags, TcpHeader};
use switchboard_wire::{IpProtocol, Malformed, Transmit, checksum, offload};

use support::{ipv4_packet, ipv6_packet, tcp_transmit, udp_transmit, v4_pair, v6_pair};

fn segment() -> TcpHeader {
    TcpHeader {
        source_port: 49_502,
        destination_port: 81,
        seq: 0x0102_0304,
        flags: Flags::SYN,
        ..TcpHeader::default()
    }
}

fn icmp4(header: Icmpv4Header, body: &[u8]) -> Bytes {
    let mut transmit = Transmit::default();
    let total_len = (28 + body.len()) as u16;
    let (source, destination) = ([10, 0, 2, 2].into(), [10, 0, 2, 100].into());
    Ipv4Header::new(source, destination, IpProtocol::ICMP, total_len).emit(&mut transmit.head);
    header.emit(&mut transmit.head);
    transmit.payload.push(Bytes::copy_from_slice(body));
    let field = PartialChecksum {
        start: 20,
        offset: CHECKSUM_AT,
    };
    offload::seal(&mut transmit, field, checksum::Sum::new(), false);
    transmit.to_bytes()
}

fn icmp6(header: Icmpv6Header, body: &[u8]) -> Bytes {
    let mut transmit = Transmit::default();
    let (IpAddr::V6(source), IpAddr::V6(destination)) = (v6_pair().destination, v6_pair().source)
    else {
        panic!("an IPv6 pair");
    };
    let len = 8 + body.len();
    Ipv6Header::new(source, destination, IpProtocol::ICMPV6, len as u16).emit(&mut transmit.head);
    header.emit(&mut transmit.head);
    transmit.payload.push(Bytes::copy_from_slice(body));
    let field = PartialChecksum {
        start: 40,
        offset: CHECKSUM_AT,
    };
    let pseudo = checksum::pseudo_v6(source, destination, IpProtocol::ICMPV6, len);
    offload::seal(&mut transmit, field, pseudo, false);
    transmit.to_bytes()
}

const fn unreachable4(code: u8) -> Icmpv4Header {
    Icmpv4Header::DestinationUnreachable {
        code,
        mtu: 0,
        quoted_words: 0,
    }
}

const fn unreachable6(code: u8) -> Icmpv6Header {
    Icmpv6Header::DestinationUnreachable {
        code,
        quoted_words: 0,
    }
}

#[test]
fn a_quote_of_eight_octets_gives_ports_and_sequence_number() {
    for pair in [v4_pair(), v6_pair()] {
        let packet = tcp_transmit(pair, &segment(), &[b"hello"], false).to_bytes();
        let header_len = if pair.source.is_ipv4() { 20 } else { 40 };
        for len in 0..=packet.len() {
            let quote = Quote::parse(&packet[..len]);
            if len < header_len {
                assert_eq!(quote, Err(Malformed::IcmpQuoteTruncated));
                continue;
            }
            let quote = quote.unwrap();
            assert_eq!(
                (quote.source, quote.destination),
                (pair.source, pair.destination)
            );
            assert_eq!(
                quote.ports(),
                (len >= header_len + 4).then_some((49_502, 81))
            );
            assert_eq!(
                quote.tcp_seq(),
                (len >= header_len + 8).then_some(0x0102_0304)
            );
            assert_eq!(quote.header_len, header_len);
        }
    }
}

#[test]
fn a_quoted_later_fragment_has_no_ports() {
    let mut packet = tcp_transmit(v4_pair(), &segment(), &[], false)
        .to_bytes()
        .to_vec();
    packet[7] = 1;
    let quote = Quote::parse(&packet).unwrap();
    assert!(!quote.is_first);
    assert_eq!((quote.ports(), quote.tcp_seq()), (None, None));

    let inner = tcp_transmit(v6_pair(), &segment(), &[], false).to_bytes();
    for (offset, ports) in [(0, Some((49_502, 81))), (8, None)] {
        let header = [&[6, 0, 0, offset | 1, 0, 0, 0, 1][..], &inner[40..]].concat();
        let packet = ipv6_packet(44, &header);
        let quote = Quote::parse(&packet).unwrap();
        assert_eq!(quote.ports(), ports);
        assert_eq!(quote.protocol, IpProtocol::TCP);
        assert_eq!(quote.header_len, 48);
    }
}

#[test]
fn a_quoted_echo_request_is_known_again() {
    let echo = Echo {
        identifier: 7,
        sequence: 9,
    };
    let packet = icmp4(Icmpv4Header::EchoRequest(echo), b"ping");
    assert_eq!(Quote::parse(&packet).unwrap().echo(), Some(echo));
    let packet = icmp6(Icmpv6Header::EchoRequest(echo), b"ping");
    assert_eq!(Quote::parse(&packet).unwrap().echo(), Some(echo));
    let packet = icmp4(Icmpv4Header::EchoReply(echo), b"ping");
    assert_eq!(Quote::parse(&packet).unwrap().echo(), None);
}

/// RFC 4884: an extension behind the quote is not part of it.
#[test]
fn a_stated_quote_length_is_kept_to() {
    let quoted = tcp_transmit(v4_pair(), &segment(), &[&[1; 88]], false).to_bytes();
    let mut body = quoted.to_vec();
    body.resize(128, 0);
    body.extend_from_slice(&[0x20, 0, 0, 0, 0, 8, 1, 1, 0, 0, 0, 0]);
    let header = Icmpv4Header::TimeExceeded {
        code: 0,
        quoted_words: 32,
    };
    let packet = icmp4(header, &body);
    let ip = IpPacket::parse(&packet).unwrap();
    let message = Icmpv4Message::parse(ip.body()).unwrap();
    let quote = message.quote().unwrap();
    assert_eq!(quote.ports(), Some((49_502, 81)));
    assert_eq!(quote.transport.len(), 128 - 20);
    // A length beyond the message is not believed.
    let header = Icmpv4Header::TimeExceeded {
        code: 0,
        quoted_words: 255,
    };
    let packet = icmp4(header, &quoted);
    let ip = IpPacket::parse(&packet).unwrap();
    let message = Icmpv4Message::parse(ip.body()).unwrap();
    assert!(message.quote().is_ok());
}

#[test]
fn each_rule_is_named() {
    let echo = Icmpv4Header::EchoRequest(Echo {
        identifier: 1,
        sequence: 2,
    });
    let packet = icmp4(echo, b"x");
    let body = &packet[20..];
    for len in 0..8 {
        let refused = Icmpv4Message::parse(&body[..len]);
        assert_eq!(refused, Err(Malformed::IcmpTruncated));
    }
    let mut wrong = body.to_vec();
    wrong[8] ^= 1;
    assert_eq!(Icmpv4Message::parse(&wrong), Err(Malformed::IcmpChecksum));
    let message = Icmpv4Message::parse(body).unwrap();
    assert_eq!(message.quote(), Err(Malformed::IcmpQuoteTruncated));
    assert!(!message.header.is_error());

    let packet = icmp6(Icmpv6Header::PacketTooBig { mtu: 1280 }, b"x");
    let ip = IpPacket::parse(&packet).unwrap();
    let message = Icmpv6Message::parse(ip.body(), ip.pseudo_header()).unwrap();
    assert_eq!(message.quote(), Err(Malformed::IcmpQuoteTruncated));
    // Without the pseudo header the sum is wrong (RFC 4443 section 2.3).
    let refused = Icmpv6Message::parse(ip.body(), checksum::Sum::new());
    assert_eq!(refused, Err(Malformed::IcmpChecksum));
}

#[test]
fn icmpv4_lines() {
    let tcp = tcp_transmit(v4_pair(), &segment(), &[], false).to_bytes();
    let udp = udp_transmit(v4_pair(), (40_112, 53), &[], false).to_bytes();
    let echo = Echo {
        identifier: 1,
        sequence: 2,
    };
    let too_big = Icmpv4Header::DestinationUnreachable {
        code: v4::FRAGMENTATION_NEEDED,
        mtu: 1400,
        quoted_words: 0,
    };
    let expired = |code| Icmpv4Header::TimeExceeded {
        code,
        quoted_words: 0,
    };
    let parameter = Icmpv4Header::ParameterProblem {
        code: 0,
        pointer: 20,
        quoted_words: 0,
    };
    let redirect = Icmpv4Header::Redirect {
        code: 1,
        gateway: [10, 0, 2, 9].into(),
    };
    let other = Icmpv4Header::Other {
        kind: 13,
        code: 0,
        word: [0; 4],
    };
    for (header, body, words) in [
        (
            Icmpv4Header::EchoRequest(echo),
            &b"12345678"[..],
            "echo request, id 1, seq 2, length 16",
        ),
        (
            Icmpv4Header::EchoReply(echo),
            b"",
            "echo reply, id 1, seq 2, length 8",
        ),
        (
            unreachable4(v4::PORT),
            &tcp,
            "10.0.2.4 tcp port 81 unreachable",
        ),
        (
            unreachable4(v4::PORT),
            &udp,
            "10.0.2.4 udp port 53 unreachable",
        ),
        (unreachable4(v4::PORT), b"", "? port ? unreachable"),
        (unreachable4(v4::NET), &tcp, "net 10.0.2.4 unreachable"),
        (unreachable4(v4::HOST), &tcp, "host 10.0.2.4 unreachable"),
        (
            unreachable4(v4::PROTOCOL),
            &tcp,
            "10.0.2.4 protocol 6 unreachable",
        ),
        (
            unreachable4(v4::ADMIN_PROHIBITED),
            &tcp,
            "host 10.0.2.4 unreachable - admin prohibited filter",
        ),
        (unreachable4(15), &tcp, "10.0.2.4 unreachable, code 15"),
        (
            too_big,
            &tcp,
            "10.0.2.4 unreachable - need to frag (mtu 1400)",
        ),
        (expired(0), &tcp, "time exceeded in-transit"),
        (expired(1), &tcp, "ip reassembly time exceeded"),
        (parameter, &tcp, "parameter problem - octet 20"),
        (redirect, &tcp, "redirect 10.0.2.4 to host 10.0.2.9"),
        (Icmpv4Header::SourceQuench, &tcp, "source quench"),
        (other, b"", "type 13, code 0"),
    ] {
        let packet = icmp4(header, body);
        let line = PacketLine(&packet).to_string();
        assert_eq!(line, format!("icmp 10.0.2.2 > 10.0.2.100  {words}"));
    }
}

#[test]
fn icmpv6_lines() {
    let tcp = tcp_transmit(v6_pair(), &segment(), &[], false).to_bytes();
    let echo = Echo {
        identifier: 1,
        sequence: 2,
    };
    let parameter = |code| Icmpv6Header::ParameterProblem { code, pointer: 6 };
    let expired = |code| Icmpv6Header::TimeExceeded {
        code,
        quoted_words: 0,
    };
    let other = |kind| Icmpv6Header::Other {
        kind,
        code: 0,
        word: [0; 4],
    };
    for (header, words) in [
        (
            unreachable6(v6::PORT),
            "unreachable port, fd00::4 tcp port 81",
        ),
        (unreachable6(v6::NO_ROUTE), "unreachable route fd00::4"),
        (
            unreachable6(v6::ADMIN_PROHIBITED),
            "unreachable prohibited fd00::4",
        ),
        (unreachable6(v6::ADDRESS), "unreachable address fd00::4"),
        (unreachable6(9), "unreachable fd00::4, code 9"),
        (
            Icmpv6Header::PacketTooBig { mtu: 1280 },
            "packet too big, mtu 1280",
        ),
        (expired(0), "time exceeded in-transit for fd00::4"),
        (expired(1), "time exceeded in-reassembly"),
        (parameter(1), "parameter problem, next header - octet 6"),
        (parameter(2), "parameter problem, option - octet 6"),
        (
            Icmpv6Header::EchoReply(echo),
            "echo reply, id 1, seq 2, length 48",
        ),
        (other(133), "router solicitation"),
        (other(134), "router advertisement"),
        (other(135), "neighbor solicitation"),
        (other(136), "neighbor advertisement"),
        (other(143), "multicast listener message"),
        (other(200), "type 200, code 0"),
    ] {
        let body = match header {
            Icmpv6Header::EchoReply(_) => &[0; 40][..],
            _ => &tcp,
        };
        let packet = icmp6(header, body);
        let line = PacketLine(&packet).to_string();
        assert_eq!(line, format!("icmp6 fd00::4 > fd00::64  {words}"));
    }
}

#[test]
fn lines_of_other_packets() {
    let tcp = tcp_transmit(v6_pair(), &segment(), &[b"hi"], false).to_bytes();
    assert_eq!(
        PacketLine(&tcp).to_string(),
        "tcp [fd00::64]:49502 > [fd00::4]:81  SYN      seq=16909060        len=2"
    );
    let udp = udp_transmit(v4_pair(), (40_112, 53), &[b"query"], false).to_bytes();
    assert_eq!(
        PacketLine(&udp).to_string(),
        "udp 10.0.2.100:40112 > 10.0.2.4:53  len=5"
    );
    let gre = ipv4_packet(&[], 47, &[0; 3]);
    assert_eq!(
        PacketLine(&gre).to_string(),
        "ip-proto-47 10.0.2.100 > 10.0.2.4  len=3"
    );
    let broken = ipv4_packet(&[], 6, &[0; 3]);
    assert_eq!(
        PacketLine(&broken).to_string(),
        "tcp 10.0.2.100 > 10.0.2.4  malformed: TCP header truncated"
    );
    assert_eq!(
        PacketLine(b"x").to_string(),
        "ip  malformed: IP version is neither 4 nor 6"
    );
    let fragment = ipv6_packet(44, &[17, 0, 0, 9, 0, 0, 0, 5, 1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(
        PacketLine(&fragment).to_string(),
        "udp fd00::64 > fd00::4  fragment id=5 octets=8-16 more"
    );
}

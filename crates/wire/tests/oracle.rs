//! Another implementation as oracle: what etherparse builds we read, what we emit it reads.

mod support;

use etherparse::{
    Icmpv4Type, Icmpv6Type, NetHeaders, PacketBuilder, PacketHeaders, TcpOptionElement,
    TransportHeader,
};
use proptest::collection::vec;
use proptest::prelude::*;
use std::net::IpAddr;
use switchboard_wire::icmp::v4::{Icmpv4Header, Icmpv4Message};
use switchboard_wire::icmp::v6::{Icmpv6Header, Icmpv6Message};
use switchboard_wire::packet::Checksum;
use switchboard_wire::tcp::{Flags, TcpHeader, TcpSegment};
use switchboard_wire::udp::UdpDatagram;
use switchboard_wire::{IpPacket, IpProtocol};

use support::{Pair, pairs, tcp_headers, tcp_transmit, udp_transmit};

/// Hands `header` to etherparse as a list of options in an order of its own.
fn elements(header: &TcpHeader) -> Vec<TcpOptionElement> {
    let options = &header.options;
    let mut elements = Vec::new();
    if let Some(shift) = options.window_scale {
        elements.push(TcpOptionElement::WindowScale(shift));
    }
    if let Some(timestamps) = options.timestamps {
        elements.push(TcpOptionElement::Timestamp(
            timestamps.value,
            timestamps.echo,
        ));
    }
    if options.sack_permitted {
        elements.push(TcpOptionElement::SelectiveAcknowledgementPermitted);
    }
    if let Some(mss) = options.mss {
        elements.push(TcpOptionElement::MaximumSegmentSize(mss));
    }
    if let Some((first, rest)) = options.sack.split_first() {
        let mut others = [None; 3];
        for (other, block) in others.iter_mut().zip(rest) {
            *other = Some(*block);
        }
        elements.push(TcpOptionElement::SelectiveAcknowledgement(*first, others));
    }
    elements
}

/// Without Fast Open, which etherparse does not know.
fn headers() -> impl Strategy<Value = TcpHeader> {
    tcp_headers().prop_map(|mut header| {
        header.options.fast_open = None;
        header
    })
}

fn build_tcp(pair: Pair, header: &TcpHeader, text: &[u8]) -> Vec<u8> {
    let mut theirs = etherparse::TcpHeader::new(
        header.source_port,
        header.destination_port,
        header.seq,
        header.window,
    );
    theirs.acknowledgment_number = header.ack;
    theirs.urgent_pointer = header.urgent;
    theirs.fin = header.flags.fin();
    theirs.syn = header.flags.syn();
    theirs.rst = header.flags.rst();
    theirs.psh = header.flags.psh();
    theirs.ack = header.flags.ack();
    theirs.urg = header.flags.urg();
    theirs.ece = header.flags.ece();
    theirs.cwr = header.flags.cwr();
    theirs.ns = header.flags.contains(Flags::AE);
    theirs.set_options(&elements(header)).unwrap();
    let mut packet = Vec::new();
    match (pair.source, pair.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            PacketBuilder::ipv4(source.octets(), destination.octets(), 64)
                .tcp_header(theirs)
                .write(&mut packet, text)
                .unwrap();
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            PacketBuilder::ipv6(source.octets(), destination.octets(), 64)
                .tcp_header(theirs)
                .write(&mut packet, text)
                .unwrap();
        }
        _ => panic!("addresses of two families"),
    }
    packet
}

proptest! {
    #[test]
    fn we_read_their_tcp(pair in pairs(), header in headers(), text in vec(any::<u8>(), 0..200)) {
        let packet = build_tcp(pair, &header, &text);
        let ip = IpPacket::parse(&packet).unwrap();
        prop_assert_eq!((ip.source, ip.destination), (pair.source, pair.destination));
        prop_assert_eq!(ip.protocol, IpProtocol::TCP);
        let segment = TcpSegment::parse(&ip, Checksum::Unknown).unwrap();
        prop_assert_eq!(segment.header, header);
        prop_assert_eq!(segment.text, &text);
    }

    #[test]
    fn they_read_our_tcp(pair in pairs(), header in headers(), text in vec(any::<u8>(), 0..200)) {
        let packet = tcp_transmit(pair, &header, &[&text], false).to_bytes();
        let theirs = PacketHeaders::from_ip_slice(&packet).unwrap();
        let Some(TransportHeader::Tcp(tcp)) = theirs.transport else {
            panic!("not TCP");
        };
        let sum = match theirs.net {
            Some(NetHeaders::Ipv4(ip, _)) => {
                prop_assert_eq!(ip.header_checksum, ip.calc_header_checksum());
                tcp.calc_checksum_ipv4(&ip, &text)
            }
            Some(NetHeaders::Ipv6(ip, _)) => tcp.calc_checksum_ipv6(&ip, &text),
            _ => panic!("not IP"),
        };
        prop_assert_eq!(Ok(tcp.checksum), sum);
        prop_assert_eq!(tcp.sequence_number, header.seq);
        prop_assert_eq!(tcp.acknowledgment_number, header.ack);
        prop_assert_eq!(tcp.window_size, header.window);
        prop_assert_eq!((tcp.syn, tcp.ack, tcp.fin), (header.flags.syn(), header.flags.ack(), header.flags.fin()));
        prop_assert_eq!((tcp.rst, tcp.psh, tcp.urg), (header.flags.rst(), header.flags.psh(), header.flags.urg()));
        let mut found: Vec<_> = tcp.options_iterator().map(Result::unwrap)
            .filter(|element| *element != TcpOptionElement::Noop).collect();
        let mut expected = elements(&header);
        found.sort_by_key(|element| format!("{element:?}"));
        expected.sort_by_key(|element| format!("{element:?}"));
        prop_assert_eq!(found, expected);
        prop_assert_eq!(theirs.payload.slice(), &text);
    }

    #[test]
    fn we_read_their_udp(pair in pairs(), ports: (u16, u16), payload in vec(any::<u8>(), 0..200)) {
        let mut packet = Vec::new();
        match (pair.source, pair.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                PacketBuilder::ipv4(source.octets(), destination.octets(), 9)
                    .udp(ports.0, ports.1).write(&mut packet, &payload).unwrap();
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                PacketBuilder::ipv6(source.octets(), destination.octets(), 9)
                    .udp(ports.0, ports.1).write(&mut packet, &payload).unwrap();
            }
            _ => panic!("addresses of two families"),
        }
        let ip = IpPacket::parse(&packet).unwrap();
        prop_assert_eq!(ip.hop_limit, 9);
        let datagram = UdpDatagram::parse(&ip, Checksum::Unknown).unwrap();
        prop_assert_eq!((datagram.source_port, datagram.destination_port), ports);
        prop_assert_eq!(datagram.payload, &payload);
    }

    #[test]
    fn they_read_our_udp(pair in pairs(), ports: (u16, u16), payload in vec(any::<u8>(), 0..200)) {
        let packet = udp_transmit(pair, ports, &[&payload], false).to_bytes();
        let theirs = PacketHeaders::from_ip_slice(&packet).unwrap();
        let Some(TransportHeader::Udp(udp)) = theirs.transport else {
            panic!("not UDP");
        };
        let sum = match theirs.net {
            Some(NetHeaders::Ipv4(ip, _)) => udp.calc_checksum_ipv4(&ip, &payload),
            Some(NetHeaders::Ipv6(ip, _)) => udp.calc_checksum_ipv6(&ip, &payload),
            _ => panic!("not IP"),
        };
        prop_assert_eq!(Ok(udp.checksum), sum);
        prop_assert_eq!((udp.source_port, udp.destination_port), ports);
        prop_assert_eq!(theirs.payload.slice(), &payload);
    }

    #[test]
    fn we_read_their_icmp(id: u16, seq: u16, payload in vec(any::<u8>(), 0..200)) {
        let mut packet = Vec::new();
        PacketBuilder::ipv4([10, 0, 2, 100], [10, 0, 2, 2], 64)
            .icmpv4_echo_request(id, seq).write(&mut packet, &payload).unwrap();
        let ip = IpPacket::parse(&packet).unwrap();
        let message = Icmpv4Message::parse(ip.body()).unwrap();
        let Icmpv4Header::EchoRequest(echo) = message.header else {
            panic!("{message:?}");
        };
        prop_assert_eq!((echo.identifier, echo.sequence), (id, seq));
        prop_assert_eq!(message.body, &payload);

        let mut packet = Vec::new();
        PacketBuilder::ipv6([1; 16], [2; 16], 64)
            .icmpv6_echo_reply(id, seq).write(&mut packet, &payload).unwrap();
        let ip = IpPacket::parse(&packet).unwrap();
        let message = Icmpv6Message::parse(ip.body(), ip.pseudo_header()).unwrap();
        let Icmpv6Header::EchoReply(echo) = message.header else {
            panic!("{message:?}");
        };
        prop_assert_eq!((echo.identifier, echo.sequence), (id, seq));
        prop_assert_eq!(message.body, &payload);
    }

    #[test]
    fn we_read_their_errors(code in 0u8..=15, mtu: u16, big: u32) {
        let quoted = [0x45u8; 28];
        let word = [0, 0, mtu.to_be_bytes()[0], mtu.to_be_bytes()[1]];
        let mut packet = Vec::new();
        PacketBuilder::ipv4([10, 0, 2, 100], [10, 0, 2, 2], 64)
            .icmpv4(Icmpv4Type::Unknown { type_u8: 3, code_u8: code, bytes5to8: word })
            .write(&mut packet, &quoted).unwrap();
        let ip = IpPacket::parse(&packet).unwrap();
        let message = Icmpv4Message::parse(ip.body()).unwrap();
        prop_assert_eq!(message.header, Icmpv4Header::DestinationUnreachable { code, mtu, quoted_words: 0 });

        let mut packet = Vec::new();
        PacketBuilder::ipv6([1; 16], [2; 16], 64)
            .icmpv6(Icmpv6Type::PacketTooBig { mtu: big })
            .write(&mut packet, &quoted).unwrap();
        let ip = IpPacket::parse(&packet).unwrap();
        let message = Icmpv6Message::parse(ip.body(), ip.pseudo_header()).unwrap();
        prop_assert_eq!(message.header, Icmpv6Header::PacketTooBig { mtu: big });
    }
}

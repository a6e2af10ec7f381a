//! Emit and parse are inverses of each other, for every header.

mod support;

use proptest::collection::vec;
use proptest::prelude::*;
use switchboard_wire::icmp::v4::{Icmpv4Header, Icmpv4Message};
use switchboard_wire::icmp::v6::{Icmpv6Header, Icmpv6Message};
use switchboard_wire::ip::{Fragment, IpPacket, IpProtocol};
use switchboard_wire::ipv4::Ipv4Header;
use switchboard_wire::ipv6::{FragmentHeader, Ipv6Header};
use switchboard_wire::line::{Relative, Side, TcpLine};
use switchboard_wire::packet::Checksum;
use switchboard_wire::tcp::{Flags, TcpHeader, TcpSegment};
use switchboard_wire::udp::{UdpDatagram, UdpHeader};
use switchboard_wire::{Endpoint, checksum};

use support::{pairs, tcp_headers, tcp_transmit, udp_transmit};

fn ipv4_headers() -> impl Strategy<Value = (Ipv4Header, Vec<u8>)> {
    let numbers = any::<([u8; 4], [u8; 4], u8, u8, u8, u16)>();
    let fragment = (any::<bool>(), any::<bool>(), 0u16..0x1f00);
    let options = (0usize..=10).prop_flat_map(|words| vec(any::<u8>(), words * 4));
    (numbers, fragment, options, vec(any::<u8>(), 0..200)).prop_map(
        |(numbers, (dont_fragment, more_fragments, units), options, body)| {
            let (source, destination, protocol, hop_limit, traffic_class, identification) = numbers;
            let header = Ipv4Header {
                source: source.into(),
                destination: destination.into(),
                protocol: IpProtocol(protocol),
                hop_limit,
                traffic_class,
                identification,
                dont_fragment,
                more_fragments,
                fragment_offset: units * 8,
                total_len: (20 + options.len() + body.len()) as u16,
                options: options.into_iter().collect(),
            };
            (header, body)
        },
    )
}

proptest! {
    #[test]
    fn ipv4(( header, body) in ipv4_headers()) {
        let mut packet = Vec::new();
        header.emit(&mut packet);
        prop_assert_eq!(packet.len(), header.header_len());
        packet.extend_from_slice(&body);
        prop_assert_eq!(Ipv4Header::parse(&packet), Ok(header.clone()));
        // And the other way: the same octets come out.
        let mut again = Vec::new();
        Ipv4Header::parse(&packet).unwrap().emit(&mut again);
        prop_assert_eq!(&again, &packet[..header.header_len()]);
    }

    #[test]
    fn ipv6(
        numbers in any::<([u8; 16], [u8; 16], u8, u8, u8)>(),
        flow_label in 0u32..0x10_0000,
        body in vec(any::<u8>(), 0..200),
    ) {
        let (source, destination, next_header, hop_limit, traffic_class) = numbers;
        let header = Ipv6Header {
            source: source.into(),
            destination: destination.into(),
            next_header: IpProtocol(next_header),
            hop_limit,
            traffic_class,
            flow_label,
            payload_len: body.len() as u16,
        };
        let mut packet = Vec::new();
        header.emit(&mut packet);
        packet.extend_from_slice(&body);
        prop_assert_eq!(Ipv6Header::parse(&packet), Ok(header));
    }

    #[test]
    fn fragment_header(next: u8, identification: u32, units in 0u16..0x2000, more: bool) {
        let header = FragmentHeader {
            next_header: IpProtocol(next),
            fragment: Fragment { identification, offset: units * 8, more },
        };
        let mut octets = Vec::new();
        header.emit(&mut octets);
        prop_assert_eq!(FragmentHeader::parse(&octets), Ok(header));
    }

    #[test]
    fn tcp(header in tcp_headers(), text in vec(any::<u8>(), 0..100)) {
        let mut segment = Vec::new();
        header.emit(&mut segment);
        prop_assert_eq!(segment.len(), header.len());
        segment.extend_from_slice(&text);
        prop_assert_eq!(TcpHeader::parse(&segment), Ok((header, header.len())));
    }

    #[test]
    fn udp(source_port: u16, destination_port: u16, checksum: u16, body in vec(any::<u8>(), 0..100)) {
        let mut header = UdpHeader::new(source_port, destination_port, body.len());
        header.checksum = checksum;
        let mut datagram = Vec::new();
        header.emit(&mut datagram);
        datagram.extend_from_slice(&body);
        prop_assert_eq!(UdpHeader::parse(&datagram), Ok(header));
    }

    #[test]
    fn icmpv4(kind: u8, code: u8, word: [u8; 4], body in vec(any::<u8>(), 0..100)) {
        let header = Icmpv4Header::from_octets(kind, code, word);
        prop_assert_eq!(header.to_octets(), (kind, code, word));
        let mut message = Vec::new();
        header.emit(&mut message);
        message.extend_from_slice(&body);
        let sum = checksum::checksum(&message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        let parsed = Icmpv4Message::parse(&message).unwrap();
        prop_assert_eq!(parsed.header, header);
        prop_assert_eq!(parsed.body, &body);
    }

    #[test]
    fn icmpv6(kind: u8, code: u8, word: [u8; 4], body in vec(any::<u8>(), 0..100), pair in pairs()) {
        let header = Icmpv6Header::from_octets(kind, code, word);
        prop_assert_eq!(header.to_octets(), (kind, code, word));
        let mut message = Vec::new();
        header.emit(&mut message);
        message.extend_from_slice(&body);
        let (source, destination) = (pair.source, pair.destination);
        let pseudo = checksum::pseudo(source, destination, IpProtocol::ICMPV6, message.len());
        let sum = pseudo.plus(&message).checksum();
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        let parsed = Icmpv6Message::parse(&message, pseudo).unwrap();
        prop_assert_eq!(parsed.header, header);
        prop_assert_eq!(parsed.body, &body);
    }

    #[test]
    fn a_whole_tcp_packet(pair in pairs(), header in tcp_headers(), text in vec(any::<u8>(), 0..300)) {
        let packet = tcp_transmit(pair, &header, &[&text], false).to_bytes();
        let ip = IpPacket::parse(&packet).unwrap();
        prop_assert_eq!((ip.source, ip.destination), (pair.source, pair.destination));
        prop_assert_eq!(ip.total_len(), packet.len());
        let segment = TcpSegment::parse(&ip, Checksum::Unknown).unwrap();
        prop_assert_eq!(segment.header, header);
        prop_assert_eq!(segment.text, &text);
        prop_assert_eq!(&packet[segment.text_at..], &text);
    }

    #[test]
    fn a_whole_udp_packet(pair in pairs(), ports: (u16, u16), payload in vec(any::<u8>(), 0..300)) {
        let packet = udp_transmit(pair, ports, &[&payload], false).to_bytes();
        let ip = IpPacket::parse(&packet).unwrap();
        let datagram = UdpDatagram::parse(&ip, Checksum::Unknown).unwrap();
        prop_assert_eq!((datagram.source_port, datagram.destination_port), ports);
        prop_assert_eq!(datagram.payload, &payload);
    }

    #[test]
    fn what_a_link_appends_is_not_part_of_a_packet(
        pair in pairs(),
        payload in vec(any::<u8>(), 0..30),
        padding in vec(any::<u8>(), 0..30),
    ) {
        let whole = udp_transmit(pair, (1, 2), &[&payload], false).to_bytes();
        let mut padded = whole.to_vec();
        padded.extend_from_slice(&padding);
        let ip = IpPacket::parse(&padded).unwrap();
        prop_assert_eq!(ip.bytes(), &whole);
        prop_assert!(UdpDatagram::parse(&ip, Checksum::Unknown).is_ok());
    }

    #[test]
    fn flags(bits in 0u16..0x200) {
        let flags = Flags::from_bits(bits);
        prop_assert_eq!(flags.to_string().parse(), Ok(flags));
    }

    #[test]
    fn tcp_line(header in tcp_headers(), near: u32, far: u32, len in 0usize..70_000) {
        let relative = Relative::of(near, far);
        for side in [Side::Near, Side::Far] {
            let line = relative.full_line(side, &header, len);
            let read: TcpLine = line.to_string().parse().unwrap();
            prop_assert_eq!(read, line);
            prop_assert!(read.is_met_by(&line));
            prop_assert_eq!(relative.absolute(side, read.seq.unwrap()), header.seq);
            prop_assert_eq!(relative.absolute_sack(side, &read), header.options.sack);
        }
    }

    #[test]
    fn endpoint(pair in pairs(), port: u16) {
        for endpoint in [Endpoint::tcp((pair.source, port).into()), Endpoint::udp((pair.source, port).into())] {
            prop_assert_eq!(endpoint.to_string().parse(), Ok(endpoint));
        }
    }
}

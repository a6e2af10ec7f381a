//! Every parser, and what must be true of what it found.

use bytes::Bytes;
use core::num::NonZeroU16;
use switchboard_wire::icmp::v4::Icmpv4Message;
use switchboard_wire::icmp::v6::Icmpv6Message;
use switchboard_wire::line::{PacketLine, TcpLine};
use switchboard_wire::offload::cut_received;
use switchboard_wire::packet::Checksum;
use switchboard_wire::tcp::TcpSegment;
use switchboard_wire::udp::UdpDatagram;
use switchboard_wire::{Endpoint, Instant, IpPacket, RxPacket};

pub fn parse(octets: &[u8]) {
    packet(octets);
    if let Ok(text) = str::from_utf8(octets) {
        let _ = text.parse::<Endpoint>();
        if let Ok(line) = text.parse::<TcpLine>() {
            assert_eq!(line.to_string().parse::<TcpLine>(), Ok(line));
        }
    }
}

fn packet(octets: &[u8]) {
    assert!(!PacketLine(octets).to_string().is_empty());
    let Ok(ip) = IpPacket::parse(octets) else {
        return;
    };
    assert!(ip.total_len() <= octets.len());
    assert_eq!(ip.header_len + ip.body_len(), ip.total_len());
    if let Ok(segment) = TcpSegment::parse(&ip, Checksum::Verified) {
        assert_eq!(segment.text_at + segment.text.len(), ip.total_len());
        let mut emitted = Vec::new();
        segment.header.emit(&mut emitted);
        let (again, len) =
            switchboard_wire::tcp::TcpHeader::parse(&emitted).expect("what we emit can be read");
        assert_eq!(len, emitted.len());
        assert_eq!(
            (again.seq, again.flags),
            (segment.header.seq, segment.header.flags)
        );
    }
    if let Ok(datagram) = UdpDatagram::parse(&ip, Checksum::Verified) {
        assert!(datagram.payload.len() + 8 <= ip.body_len());
    }
    if let Ok(message) = Icmpv4Message::parse(ip.body()) {
        let _ = message
            .quote()
            .map(|quote| (quote.ports(), quote.tcp_seq()));
    }
    if let Ok(message) = Icmpv6Message::parse(ip.body(), ip.pseudo_header()) {
        let _ = message.quote().map(|quote| (quote.ports(), quote.echo()));
    }
    cut(octets, ip.total_len());
}

fn cut(octets: &[u8], total_len: usize) {
    let received = RxPacket {
        checksum: Checksum::Partial,
        segment_size: NonZeroU16::new(512),
        ..RxPacket::new(Bytes::copy_from_slice(octets), Instant::ZERO)
    };
    let pieces: Vec<Bytes> = cut_received(&received).collect();
    assert!(!pieces.is_empty() && pieces.len() <= total_len / 512 + 1);
    for piece in pieces {
        assert!(piece.len() <= octets.len());
    }
}

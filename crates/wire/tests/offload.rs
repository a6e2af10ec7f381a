//! What a super-segment is cut into, against packets made by hand.

mod support;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use switchboard_wire::offload::{cut, cut_received, is_plain};
use switchboard_wire::packet::Checksum;
use switchboard_wire::tcp::{Flags, TcpHeader, TcpOptions, TcpSegment, Timestamps};
use switchboard_wire::udp::UdpDatagram;
use switchboard_wire::{Instant, IpPacket, RxPacket, Transmit};

use support::{
    Pair, pairs, segment_size, tcp_headers, tcp_transmit, udp_transmit, v4_pair, v6_pair,
};

fn header(flags: Flags) -> TcpHeader {
    TcpHeader {
        source_port: 49_502,
        destination_port: 80,
        seq: u32::MAX - 1500,
        ack: 7,
        flags,
        window: 512,
        urgent: 0,
        options: TcpOptions {
            timestamps: Some(Timestamps { value: 1, echo: 2 }),
            ..TcpOptions::NONE
        },
    }
}

/// The packets that `cut` has to make: one `tcp_transmit` each, by the rules of TSO.
fn by_hand(pair: Pair, whole: &TcpHeader, text: &[u8], size: usize) -> Vec<Vec<u8>> {
    let count = text.len().div_ceil(size).max(1);
    (0..count)
        .map(|index| {
            let part = &text[index * size..text.len().min((index + 1) * size)];
            let mut header = *whole;
            header.seq = whole.seq.wrapping_add((index * size) as u32);
            if index + 1 < count {
                header.flags = header.flags - Flags::FIN - Flags::PSH;
            }
            if index > 0 {
                header.flags = header.flags - Flags::CWR;
            }
            let mut packet = tcp_transmit(pair, &header, &[part], false)
                .to_bytes()
                .to_vec();
            number_ipv4(&mut packet, index as u16);
            packet
        })
        .collect()
}

/// Gives an IPv4 packet the identification `index` above its own.
fn number_ipv4(packet: &mut [u8], index: u16) {
    if packet[0] >> 4 == 4 {
        let identification = u16::from_be_bytes([packet[4], packet[5]]).wrapping_add(index);
        packet[4..6].copy_from_slice(&identification.to_be_bytes());
        packet[10..12].fill(0);
        let sum = switchboard_wire::checksum::checksum(&packet[..20]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
    }
}

fn super_segment(pair: Pair, header: &TcpHeader, text: &[&[u8]], size: u16) -> Transmit {
    let mut transmit = tcp_transmit(pair, header, text, true);
    transmit.segment_size = segment_size(size);
    transmit
}

fn octets(len: usize) -> Vec<u8> {
    (0..len)
        .map(|index| (index * 7 + index / 256) as u8)
        .collect()
}

#[test]
fn flags_of_the_ends_stay_at_the_ends() {
    let flags = Flags::ACK | Flags::PSH | Flags::FIN | Flags::CWR | Flags::ECE;
    let text = octets(3000);
    let whole = super_segment(v4_pair(), &header(flags), &[&text], 1448);
    let seen: Vec<_> = cut(&whole)
        .map(|piece| {
            assert!(is_plain(&piece));
            let packet = piece.to_bytes();
            let ip = IpPacket::parse(&packet).unwrap();
            let segment = TcpSegment::parse(&ip, Checksum::Unknown).unwrap();
            let seq = segment.header.seq.wrapping_sub(u32::MAX - 1500);
            (segment.header.flags.to_string(), seq, segment.text.len())
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("ACK|ECE|CWR".to_string(), 0, 1448),
            ("ACK|ECE".to_string(), 1448, 1448),
            ("FIN|PSH|ACK|ECE".to_string(), 2896, 104),
        ]
    );
}

#[test]
fn payloads_are_shared_not_copied() {
    let text = octets(4000);
    let whole = super_segment(v6_pair(), &header(Flags::ACK), &[&text], 1000);
    let start = whole.payload[0].as_ptr() as usize;
    for (index, piece) in cut(&whole).enumerate() {
        assert_eq!(piece.payload.len(), 1);
        assert_eq!(piece.payload[0].as_ptr() as usize, start + index * 1000);
    }
}

#[test]
fn a_plain_transmit_passes_as_it_is() {
    let plain = tcp_transmit(v4_pair(), &header(Flags::SYN), &[], false);
    let pieces: Vec<_> = cut(&plain).collect();
    assert_eq!(pieces.len(), 1);
    assert_eq!(pieces[0].to_bytes(), plain.to_bytes());
}

#[test]
fn a_super_segment_without_octets_is_one_packet() {
    let whole = super_segment(v4_pair(), &header(Flags::ACK), &[], 1000);
    assert_eq!(cut(&whole).count(), 1);
}

#[test]
fn a_udp_checksum_that_is_zero_is_sent_as_ones() {
    // The payload that makes the sum all ones, found by trying.
    let found = (0..=u16::MAX).any(|word| {
        let payload = word.to_be_bytes();
        let plain = udp_transmit(v4_pair(), (1, 2), &[&payload], true);
        let packet = cut(&plain).next().unwrap().to_bytes();
        assert_ne!(packet[26..28], [0, 0], "zero would say that there is none");
        packet[26..28] == [0xff, 0xff]
    });
    assert!(found);
}

#[test]
fn a_received_packet_that_is_plain_is_shared() {
    let bytes = tcp_transmit(v4_pair(), &header(Flags::ACK), &[b"text"], false).to_bytes();
    let packet = RxPacket::new(bytes.clone(), Instant::ZERO);
    let pieces: Vec<Bytes> = cut_received(&packet).collect();
    assert_eq!(pieces.len(), 1);
    assert_eq!(pieces[0].as_ptr(), bytes.as_ptr());
}

#[test]
fn a_received_packet_that_cannot_be_read_stays_as_it_is() {
    let mut packet = RxPacket::new(Bytes::from_static(b"\x45 no packet"), Instant::ZERO);
    packet.checksum = Checksum::Partial;
    packet.segment_size = segment_size(2);
    let pieces: Vec<Bytes> = cut_received(&packet).collect();
    assert_eq!(pieces, [packet.bytes.clone()]);
}

proptest! {
    #[test]
    fn tcp_is_cut_as_by_hand(
        pair in pairs(),
        header in tcp_headers(),
        slices in vec(vec(any::<u8>(), 0..700), 0..=8),
        size in 1u16..1500,
    ) {
        let size = size.max(64);
        let text = slices.concat();
        let slices: Vec<&[u8]> = slices.iter().map(Vec::as_slice).collect();
        let whole = super_segment(pair, &header, &slices, size);
        let expected = by_hand(pair, &header, &text, usize::from(size));
        let pieces: Vec<_> = cut(&whole).map(|piece| piece.to_bytes().to_vec()).collect();
        prop_assert_eq!(&pieces, &expected);

        // What a neighbour with the same offloads receives is cut to the same.
        for checksum in [Checksum::Partial, Checksum::Verified] {
            let received = RxPacket {
                checksum,
                segment_size: whole.segment_size,
                ..RxPacket::new(whole.to_bytes(), Instant::ZERO)
            };
            let pieces: Vec<_> = cut_received(&received).map(|piece| piece.to_vec()).collect();
            prop_assert_eq!(&pieces, &expected);
        }
    }

    #[test]
    fn a_deferred_checksum_is_finished_as_at_once(
        pair in pairs(),
        header in tcp_headers(),
        slices in vec(vec(any::<u8>(), 0..50), 0..=8),
    ) {
        let slices: Vec<&[u8]> = slices.iter().map(Vec::as_slice).collect();
        let deferred = tcp_transmit(pair, &header, &slices, true);
        prop_assert!(!is_plain(&deferred));
        let at_once = tcp_transmit(pair, &header, &slices, false).to_bytes();
        let pieces: Vec<_> = cut(&deferred).map(|piece| piece.to_bytes()).collect();
        prop_assert_eq!(&pieces, &vec![at_once.clone()]);
        let received = RxPacket {
            checksum: Checksum::Partial,
            ..RxPacket::new(deferred.to_bytes(), Instant::ZERO)
        };
        let pieces: Vec<_> = cut_received(&received).collect();
        prop_assert_eq!(pieces, vec![at_once]);
    }

    #[test]
    fn udp_is_cut_into_datagrams(
        pair in pairs(),
        ports: (u16, u16),
        payload in vec(any::<u8>(), 0..5000),
        size in 100u16..1500,
    ) {
        let mut whole = udp_transmit(pair, ports, &[&payload], true);
        whole.segment_size = segment_size(size);
        let mut joined = Vec::new();
        for (index, piece) in cut(&whole).enumerate() {
            let packet = piece.to_bytes();
            let part = &payload[index * usize::from(size)..payload.len().min((index + 1) * usize::from(size))];
            let mut expected = udp_transmit(pair, ports, &[part], false).to_bytes().to_vec();
            number_ipv4(&mut expected, index as u16);
            prop_assert_eq!(&packet, &expected);
            let ip = IpPacket::parse(&packet).unwrap();
            let datagram = UdpDatagram::parse(&ip, Checksum::Unknown).unwrap();
            joined.extend_from_slice(datagram.payload);
        }
        prop_assert_eq!(joined, payload);
    }
}

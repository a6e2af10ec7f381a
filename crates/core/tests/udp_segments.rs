//! Several datagrams in one call, as `UDP_SEGMENT` and `UDP_GRO` have them.

mod common;

use std::net::Ipv4Addr;
use std::num::NonZeroU16;

use bytes::Bytes;
use common::{A4, A6, B4, B6, Pair, at, config, offloads, pattern};
use switchboard_core::limits::UDP_SEGMENTS_MAX;
use switchboard_core::{Config, Instant, RxPacket, UdpId, UdpMeta, UdpOptions, UdpSendError};
use switchboard_wire::icmp::v4::Icmpv4Header;
use switchboard_wire::ipv4::Ipv4Header;
use switchboard_wire::{IpProtocol, checksum};

/// ECT(0) and a DSCP (RFC 3168, RFC 2474).
const CLASS: u8 = 0b1011_1010;

/// Both families: our address, theirs.
const FAMILIES: [(&str, &str); 2] = [(A4, B4), (A6, B6)];

/// `size` octets a segment.
fn cut_to(theirs: &str, size: u16) -> UdpMeta {
    UdpMeta {
        segment_size: NonZeroU16::new(size),
        traffic_class: Some(CLASS),
        ..UdpMeta::to(at(theirs, 7))
    }
}

/// A sender at `a`, a receiver at `b`'s port 7.
fn sockets(pair: &mut Pair, mine: &str, theirs: &str, gro: bool) -> (UdpId, UdpId) {
    let options = UdpOptions {
        gro,
        ..UdpOptions::default()
    };
    let sender = pair.a.call_udp_bind(at(mine, 0), &options);
    let receiver = pair.b.call_udp_bind(at(theirs, 7), &options);
    (sender.expect("binds"), receiver.expect("binds"))
}

fn send(pair: &mut Pair, id: UdpId, len: usize, meta: UdpMeta) -> Result<(), UdpSendError> {
    let data = Bytes::from(pattern(len));
    let sent = pair.a.call_udp_send(pair.now, id, data, Some(meta));
    pair.settle();
    sent
}

/// What `b` received, as lengths, and whether the octets are those that were sent.
fn lengths(pair: &mut Pair, id: UdpId) -> (Vec<usize>, Vec<u8>) {
    let (mut lengths, mut joined) = (vec![], vec![]);
    while let Ok((data, meta)) = pair.b.call_udp_receive(id) {
        assert_eq!(meta.traffic_class, Some(CLASS), "on each datagram");
        assert_eq!(meta.segment_size, None);
        lengths.push(data.len());
        joined.extend_from_slice(&data);
    }
    (lengths, joined)
}

fn with_offloads() -> Pair {
    let offer = |v4, v6| Config {
        offloads: offloads(),
        ..config(v4, v6)
    };
    Pair::new(offer(A4, A6), offer(B4, B6))
}

#[test]
fn without_a_device_that_cuts_each_datagram_leaves_by_itself() {
    for (mine, theirs) in FAMILIES {
        let mut pair = Pair::plain();
        let (sender, receiver) = sockets(&mut pair, mine, theirs, true);
        send(&mut pair, sender, 2500, cut_to(theirs, 1200)).expect("sends");
        assert_eq!(pair.packets, 3);
        let (lens, joined) = lengths(&mut pair, receiver);
        assert_eq!(lens, [1200, 1200, 100]);
        assert_eq!(joined, pattern(2500));
        assert_eq!(pair.a.stats().datagrams_sent, 3);
        assert_eq!(pair.a.stats().pinned_octets, 0);
        assert_eq!(pair.b.stats().dropped_total(), 0, "checksums are good");
    }
}

#[test]
fn a_device_that_cuts_gets_one_super_datagram() {
    for (mine, theirs) in FAMILIES {
        let mut pair = with_offloads();
        let (sender, receiver) = sockets(&mut pair, mine, theirs, false);
        send(&mut pair, sender, 60_000, cut_to(theirs, 1200)).expect("sends");
        assert_eq!(pair.packets, 1);
        let (lens, joined) = lengths(&mut pair, receiver);
        assert_eq!(lens, [1200; 50]);
        assert_eq!(joined, pattern(60_000));
    }
}

#[test]
fn what_a_device_cuts_of_it_carries_the_class_and_a_checksum_each() {
    for (mine, theirs) in FAMILIES {
        let mut pair = with_offloads();
        let (sender, receiver) = sockets(&mut pair, mine, theirs, false);
        let data = Bytes::from(pattern(3000));
        let sent = pair
            .a
            .call_udp_send(pair.now, sender, data, Some(cut_to(theirs, 1200)));
        sent.expect("sends");
        let transmit = pair.a.poll_transmit(pair.now).expect("a super-datagram");
        for piece in switchboard_wire::offload::cut(&transmit) {
            assert!(piece.len() <= 1500);
            pair.b
                .handle_packet(pair.now, common::received(&piece, pair.now));
        }
        let (lens, joined) = lengths(&mut pair, receiver);
        assert_eq!(lens, [1200, 1200, 600]);
        assert_eq!(joined, pattern(3000));
        assert_eq!(pair.b.stats().dropped_total(), 0);
    }
}

#[test]
fn who_asks_for_it_gets_a_super_datagram_whole() {
    for (mine, theirs) in FAMILIES {
        let mut pair = with_offloads();
        let (sender, receiver) = sockets(&mut pair, mine, theirs, true);
        send(&mut pair, sender, 60_000, cut_to(theirs, 1200)).expect("sends");
        let (data, meta) = pair.b.call_udp_receive(receiver).expect("arrives");
        assert_eq!(data, pattern(60_000));
        assert_eq!(meta.segment_size, NonZeroU16::new(1200));
        assert_eq!(meta.traffic_class, Some(CLASS));
        assert!(pair.b.call_udp_receive(receiver).is_err(), "it was one");
        // One datagram is one datagram, however long its segments might have been.
        send(&mut pair, sender, 1200, cut_to(theirs, 1200)).expect("sends");
        let (_, meta) = pair.b.call_udp_receive(receiver).expect("arrives");
        assert_eq!(meta.segment_size, None);
    }
}

#[test]
fn a_super_datagram_to_ourselves_stays_one() {
    for (mine, _) in FAMILIES {
        let mut pair = Pair::plain();
        let options = UdpOptions {
            gro: true,
            ..UdpOptions::default()
        };
        let receiver = pair.a.call_udp_bind(at(mine, 7), &options).expect("binds");
        let sender = pair.a.call_udp_bind(at(mine, 0), &options).expect("binds");
        send(&mut pair, sender, 5000, cut_to(mine, 1000)).expect("sends");
        let (data, meta) = pair.a.call_udp_receive(receiver).expect("arrives");
        assert_eq!(data.len(), 5000);
        assert_eq!(meta.segment_size, NonZeroU16::new(1000));
        assert_eq!(pair.a.stats().packets_looped, 1);
    }
}

#[test]
fn too_many_segments_and_too_long_ones_are_refused_whoever_cuts() {
    for mut pair in [Pair::plain(), with_offloads()] {
        for (mine, theirs, path) in [(A4, B4, 1472), (A6, B6, 1452)] {
            let (sender, receiver) = sockets(&mut pair, mine, theirs, false);
            let limit = 10 * UDP_SEGMENTS_MAX;
            let mut meta = cut_to(theirs, 10);
            assert_eq!(
                send(&mut pair, sender, limit + 1, meta),
                Err(UdpSendError::TooLong { limit })
            );
            send(&mut pair, sender, limit, meta).expect("sends");
            assert_eq!(lengths(&mut pair, receiver).0, [10; UDP_SEGMENTS_MAX]);
            // What is cut already is not cut again.
            meta.segment_size = NonZeroU16::new(path + 1);
            let limit = usize::from(path);
            assert_eq!(
                send(&mut pair, sender, 5000, meta),
                Err(UdpSendError::SegmentTooLong { limit })
            );
            meta.segment_size = NonZeroU16::new(path);
            send(&mut pair, sender, 5000, meta).expect("sends");
            assert_eq!(lengths(&mut pair, receiver).1, pattern(5000));
            // All of them together have one IP header with one length.
            let limit = if mine == A4 { 65_507 } else { 65_487 };
            assert_eq!(
                send(&mut pair, sender, limit + 1, meta),
                Err(UdpSendError::TooLong { limit })
            );
            send(&mut pair, sender, limit, meta).expect("sends");
            assert_eq!(lengths(&mut pair, receiver).1, pattern(limit));
        }
    }
}

#[test]
fn the_sockets_own_class_is_used_where_none_is_given() {
    for (mine, theirs) in FAMILIES {
        let mut pair = Pair::plain();
        let (_, receiver) = sockets(&mut pair, mine, theirs, false);
        let options = UdpOptions {
            traffic_class: CLASS,
            ..UdpOptions::default()
        };
        let sender = pair.a.call_udp_bind(at(mine, 0), &options).expect("binds");
        send(&mut pair, sender, 1, UdpMeta::to(at(theirs, 7))).expect("sends");
        assert_eq!(lengths(&mut pair, receiver).0, [1]);
    }
}

/// What a router says of an IPv4 packet that its next link does not take (RFC 1191).
fn too_big(packet: &[u8], mtu: u16) -> RxPacket {
    let mut message = Vec::new();
    let header = Icmpv4Header::DestinationUnreachable {
        code: 4,
        mtu,
        quoted_words: 0,
    };
    header.emit(&mut message);
    message.extend_from_slice(&packet[..28]);
    let sum = checksum::checksum(&message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let len = u16::try_from(20 + message.len()).expect("short");
    let router = Ipv4Addr::new(192, 0, 2, 1);
    let to = A4.parse().expect("an address");
    let mut whole = Vec::new();
    Ipv4Header::new(router, to, IpProtocol::ICMP, len).emit(&mut whole);
    whole.extend_from_slice(&message);
    RxPacket::new(Bytes::from(whole), Instant::ZERO)
}

/// A path that shrinks while segments wait: they are cut by us and fragmented, not lost.
#[test]
fn segments_that_no_longer_fit_the_path_are_fragmented() {
    let mut pair = Pair::plain();
    let (sender, receiver) = sockets(&mut pair, A4, B4, false);
    let data = Bytes::from(pattern(2800));
    let first = Bytes::from(pattern(1400));
    pair.a
        .call_udp_send(pair.now, sender, first, Some(UdpMeta::to(at(B4, 7))))
        .expect("sends");
    pair.a
        .call_udp_send(pair.now, sender, data, Some(cut_to(B4, 1400)))
        .expect("sends");
    let first = pair.a.poll_transmit(pair.now).expect("the first");
    let error = too_big(&common::bytes_of(&first), 1000);
    pair.a.handle_packet(pair.now, error);
    pair.settle();
    let (lens, joined) = lengths(&mut pair, receiver);
    assert_eq!(lens, [1400, 1400]);
    assert_eq!(joined, pattern(2800));
    assert!(pair.a.stats().fragments_sent > 0);
}

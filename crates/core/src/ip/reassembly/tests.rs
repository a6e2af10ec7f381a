use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use bytes::Bytes;
use switchboard_wire::ip::{IpPacket, IpProtocol};
use switchboard_wire::ipv4::Ipv4Header;
use switchboard_wire::{Instant, RxPacket};

use super::{Reassembled, Reassembly};
use crate::demux::hash::SecretHash;
use crate::drop_reason::DropReason;

const MAX: usize = 64 << 10;

fn reassembly() -> Reassembly {
    Reassembly::new(MAX, Duration::from_secs(30), SecretHash::new([1; 16]))
}

/// A fragment of UDP packet `id` whose octets are numbered from its offset on.
fn fragment(id: u16, offset: u16, len: usize, more: bool) -> RxPacket {
    let mut header = Ipv4Header::new(
        Ipv4Addr::new(192, 0, 2, 1),
        Ipv4Addr::new(10, 0, 2, 2),
        IpProtocol::UDP,
        u16::try_from(20 + len).expect("short"),
    );
    header.identification = id;
    header.dont_fragment = false;
    header.more_fragments = more;
    header.fragment_offset = offset;
    let mut bytes = Vec::new();
    header.emit(&mut bytes);
    bytes.extend((0..len).map(|at| u8::try_from((usize::from(offset) + at) % 251).expect("small")));
    RxPacket::new(Bytes::from(bytes), Instant::ZERO)
}

fn take(reassembly: &mut Reassembly, now: Instant, rx: &RxPacket) -> Reassembled {
    let packet = IpPacket::parse(&rx.bytes).expect("a packet");
    let fragment = packet.fragment.expect("a fragment");
    reassembly.on_fragment(now, rx, &packet, fragment)
}

fn dropped(reassembled: Reassembled) -> Option<DropReason> {
    match reassembled {
        Reassembled::Dropped(reason) => Some(reason),
        _ => None,
    }
}

#[test]
fn fragments_in_any_order_make_the_packet() {
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1]] {
        let mut reassembly = reassembly();
        let parts = [
            fragment(1, 0, 64, true),
            fragment(1, 64, 64, true),
            fragment(1, 128, 10, false),
        ];
        let mut whole = None;
        for part in order {
            if let Reassembled::Whole(rx) = take(&mut reassembly, Instant::ZERO, &parts[part]) {
                whole = Some(rx);
            }
        }
        let whole = whole.expect("whole");
        let packet = IpPacket::parse(&whole.bytes).expect("valid");
        assert_eq!(packet.fragment, None);
        let expected: Vec<u8> = (0..138_u8).collect();
        assert_eq!(packet.body(), expected);
        assert_eq!(packet.source, IpAddr::from([192, 0, 2, 1]));
        assert_eq!(reassembly.charged(), 0);
    }
}

#[test]
fn the_same_fragment_twice_is_no_overlap() {
    let mut reassembly = reassembly();
    let first = fragment(1, 0, 64, true);
    take(&mut reassembly, Instant::ZERO, &first);
    assert!(matches!(
        take(&mut reassembly, Instant::ZERO, &first),
        Reassembled::Waits
    ));
    let last = fragment(1, 64, 8, false);
    assert!(matches!(
        take(&mut reassembly, Instant::ZERO, &last),
        Reassembled::Whole(_)
    ));
}

#[test]
fn overlaps_kill_the_packet_for_good() {
    for (offset, len) in [(56, 64), (0, 72), (8, 8), (40, 16)] {
        let mut reassembly = reassembly();
        take(&mut reassembly, Instant::ZERO, &fragment(1, 0, 64, true));
        let verdict = take(
            &mut reassembly,
            Instant::ZERO,
            &fragment(1, offset, len, true),
        );
        assert_eq!(
            dropped(verdict),
            Some(DropReason::FragmentOverlap),
            "{offset}+{len}"
        );
        // What still comes does not start it anew.
        take(&mut reassembly, Instant::ZERO, &fragment(1, 0, 64, true));
        let verdict = take(&mut reassembly, Instant::ZERO, &fragment(1, 64, 8, false));
        assert_eq!(dropped(verdict), Some(DropReason::FragmentOverlap));
    }
}

#[test]
fn the_end_cannot_move() {
    let mut reassembly = reassembly();
    take(&mut reassembly, Instant::ZERO, &fragment(1, 64, 8, false));
    let verdict = take(&mut reassembly, Instant::ZERO, &fragment(1, 72, 8, true));
    assert_eq!(dropped(verdict), Some(DropReason::FragmentInconsistent));
}

#[test]
fn lengths_that_no_fragment_has_are_refused() {
    let mut reassembly = reassembly();
    let verdict = take(&mut reassembly, Instant::ZERO, &fragment(1, 0, 4, true));
    assert_eq!(dropped(verdict), Some(DropReason::TinyFragment));
    let verdict = take(&mut reassembly, Instant::ZERO, &fragment(1, 8, 12, true));
    assert_eq!(dropped(verdict), Some(DropReason::FragmentInconsistent));
    let verdict = take(
        &mut reassembly,
        Instant::ZERO,
        &fragment(1, 65_512, 16, false),
    );
    assert_eq!(dropped(verdict), Some(DropReason::FragmentInconsistent));
}

#[test]
fn memory_is_bounded_and_a_true_packet_still_gets_through() {
    let mut reassembly = reassembly();
    for id in 0..10_000 {
        take(&mut reassembly, Instant::ZERO, &fragment(id, 0, 1000, true));
        assert!(reassembly.charged() <= MAX);
    }
    assert!(reassembly.take_evicted() > 9_000);
    take(
        &mut reassembly,
        Instant::ZERO,
        &fragment(20_000, 0, 64, true),
    );
    let last = fragment(20_000, 64, 8, false);
    assert!(matches!(
        take(&mut reassembly, Instant::ZERO, &last),
        Reassembled::Whole(_)
    ));
}

#[test]
fn a_small_fragment_in_a_large_slot_is_charged_by_its_own_size() {
    let mut reassembly = reassembly();
    let mut rx = fragment(1, 0, 64, true);
    rx.slot_size = 65_536;
    take(&mut reassembly, Instant::ZERO, &rx);
    assert!(reassembly.charged() < 1024);
}

#[test]
fn what_waits_too_long_is_dropped_and_told_if_its_first_fragment_came() {
    let mut reassembly = reassembly();
    take(&mut reassembly, Instant::ZERO, &fragment(1, 0, 64, true));
    take(&mut reassembly, Instant::ZERO, &fragment(2, 64, 64, true));
    let later = Instant::ZERO + Duration::from_secs(30);
    assert_eq!(reassembly.earliest(), Some(later));
    let told: Vec<bool> = core::iter::from_fn(|| reassembly.expire(later))
        .map(|timed_out| timed_out.first.is_some())
        .collect();
    assert_eq!(told, vec![true, false]);
    assert_eq!(reassembly.charged(), 0);
}

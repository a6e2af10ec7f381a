//! SACK, both ways: RFC 2018, RFC 2883, RFC 6675; bug 9.

use alloc::vec::Vec;
use core::time::Duration;

use proptest::prelude::*;

use super::harness::{Peer, Setup, Solo, pattern};
use crate::tcp::loss::Scoreboard;
use crate::tcp::recv::{Assembler, ReceiveBuffer};
use crate::tcp::segment::SackBlocks;
use crate::tcp::*;

const SEG: u32 = 1_460;

fn blocks(ranges: &[(u32, u32)]) -> Options {
    Options {
        sack: ranges
            .iter()
            .map(|&(left, right)| SackBlock {
                left: SeqNum::new(left),
                right: SeqNum::new(right),
            })
            .collect(),
        ..Options::default()
    }
}

fn told(solo: &Solo, wire: &super::harness::Wire) -> Vec<(u32, u32)> {
    let sack = &wire.header.options.sack;
    sack.iter()
        .map(|block| {
            (
                block.left.distance_from(solo.irs),
                block.right.distance_from(solo.irs),
            )
        })
        .collect()
}

/// RFC 2018 section 4: the range that just arrived first, then the latest before it.
#[test]
fn the_most_recent_range_is_told_first() {
    let mut solo = Solo::established_sack(&Setup::default());
    for at in [100, 300, 500, 700, 900] {
        solo.say(Peer::seq(at).ack(1).text(&[1; 50]));
        let ack = solo.one();
        assert_eq!(told(&solo, &ack)[0], (at, at + 50));
    }
    solo.say(Peer::seq(350).ack(1).text(&[1; 50]));
    let ack = solo.one();
    let expected = [(300, 400), (900, 950), (700, 750), (500, 550)];
    assert_eq!(told(&solo, &ack), expected);
    solo.say(Peer::seq(1).ack(1).text(&[1; 99]));
    let ack = solo.one();
    assert_eq!(solo.rel_ack(&ack), 150);
    assert_eq!(told(&solo, &ack)[0], (300, 400));
}

/// RFC 2883: what came twice is told, once, first.
#[test]
fn duplicates_are_told_by_dsack() {
    let mut solo = Solo::established_sack(&Setup::default());
    solo.say(Peer::seq(1).ack(1).text(&[1; 100]));
    solo.hear();
    solo.say(Peer::seq(1).ack(1).text(&[1; 100]));
    let ack = solo.one();
    assert_eq!(told(&solo, &ack), [(1, 101)]);
    // Within what waits out of order: that range comes second.
    solo.say(Peer::seq(200).ack(1).text(&[1; 100]));
    solo.hear();
    solo.say(Peer::seq(220).ack(1).text(&[1; 30]));
    let ack = solo.one();
    assert_eq!(told(&solo, &ack), [(220, 250), (200, 300)]);
    // Half old, half new.
    solo.say(Peer::seq(51).ack(1).text(&[1; 100]));
    let ack = solo.one();
    assert_eq!(told(&solo, &ack)[0], (51, 101));
    solo.say(Peer::seq(151).ack(1).text(&[1; 10]));
    let ack = solo.one();
    assert_eq!(told(&solo, &ack), [(200, 300)], "once");
}

fn twenty_under_way() -> Solo {
    let mut solo = Solo::established_sack(&Setup::default());
    solo.send(&pattern(100 * SEG as usize));
    assert_eq!(solo.hear().len(), 10);
    solo.say(Peer::seq(1).ack(1 + 10 * SEG));
    assert_eq!(solo.hear().len(), 20);
    solo
}

/// RFC 6675 section 5: holes below what arrived are filled, each once, and nothing else.
#[test]
fn only_holes_are_sent_again() {
    let mut solo = twenty_under_way();
    let base = 1 + 10 * SEG;
    let hole = |index: u32| (base + index * SEG, base + (index + 1) * SEG);
    // 0, 3 and 4 are lost of the twenty.
    let mut again = Vec::new();
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for index in (1..20).filter(|index| ![3, 4].contains(index)) {
        match ranges.last_mut() {
            Some(last) if last.1 == hole(index).0 => last.1 = hole(index).1,
            _ => ranges.push(hole(index)),
        }
        let recent: Vec<_> = ranges.iter().rev().copied().collect();
        solo.say(Peer::seq(1).ack(base).options(blocks(&recent)));
        for wire in solo.hear().iter().filter(|wire| wire.retransmission) {
            again.push(((solo.rel(wire) - base) / SEG, wire.text.len() as u32 / SEG));
        }
    }
    let mut sent: Vec<u32> = again
        .iter()
        .flat_map(|&(first, count)| first..first + count)
        .collect();
    sent.sort_unstable();
    assert_eq!(sent, [0, 3, 4]);
    solo.say(Peer::seq(1).ack(base + 20 * SEG));
    let now = solo.now;
    let info = solo.end.connection().info(now);
    assert_eq!(info.cwnd, info.ssthresh, "it is over");
}

/// RFC 2018 section 8: the receiver may change its mind; after a timeout that is seen.
#[test]
fn a_receiver_that_takes_sack_back_gets_everything() {
    let mut solo = twenty_under_way();
    let base = 1 + 10 * SEG;
    let all = [(base + SEG, base + 20 * SEG)];
    solo.say(Peer::seq(1).ack(base).options(blocks(&all)));
    solo.hear();
    solo.say(Peer::seq(1).ack(base + SEG));
    let mut acked = base + SEG;
    for _ in 0..40 {
        for (_, wire) in solo.wait(Duration::from_secs(2)) {
            if solo.rel(&wire) <= acked {
                acked = acked.max(solo.rel(&wire) + wire.text.len() as u32);
            }
        }
        solo.say(Peer::seq(1).ack(acked));
    }
    assert!(acked > base + 20 * SEG, "{acked}");
}

/// Blocks that cannot be are not believed.
#[test]
fn impossible_blocks_are_ignored() {
    let mut solo = twenty_under_way();
    let base = 1 + 10 * SEG;
    for range in [
        (base + 20 * SEG, base + 90 * SEG),
        (5, 10),
        (base + 5, base + 5),
        (base + 9, base + 2),
        (0, u32::MAX),
        (u32::MAX / 2, 7),
    ] {
        for _ in 0..4 {
            solo.say(Peer::seq(1).ack(base).options(blocks(&[range])));
            solo.silence();
        }
    }
    assert_eq!(solo.end.tcb().loss.scoreboard.total(), 0);
}

/// Bug 9 (CVE-2019-11477 and 11478): many tiny holes, on a connection with a tiny MSS. The
/// list is bounded, and with it the work.
#[test]
fn many_tiny_holes_cost_bounded_work() {
    let mut solo = twenty_under_way();
    let base = 1 + 10 * SEG;
    for index in 0..14_000u32 {
        let left = base + 1 + index * 2;
        solo.say(Peer::seq(1).ack(base).options(blocks(&[(left, left + 1)])));
        solo.hear();
    }
    assert!(solo.end.tcb().loss.scoreboard.ranges().len() <= 256);
}

/// CVE-2018-5390: the same toward our receive side.
#[test]
fn many_tiny_pieces_out_of_order_are_bounded() {
    let mut solo = Solo::established_sack(&Setup::default());
    for index in 0..30_000u32 {
        solo.say(Peer::seq(3 + index * 2).ack(1).text(b"x"));
        solo.hear();
    }
    let tcb = solo.end.tcb();
    assert!(tcb.assembler.as_ref().unwrap().ranges().len() <= 256);
    assert!(tcb.receive_charge() < 64 * 1024, "{}", tcb.receive_charge());
    // And it still works.
    for index in 0..70 {
        solo.say(Peer::seq(1 + index * 1_000).ack(1).text(&[2; 1_000]));
        solo.hear();
    }
    let now = solo.now;
    assert_eq!(solo.end.connection().info(now).unread, 70_000);
}

/// Text that fills no window costs no more than twice the limit, in whatever order it comes.
#[test]
fn out_of_order_memory_is_charged_to_the_receive_buffer() {
    let mut setup = Setup::default();
    setup.options.receive_buffer = 60_000;
    let mut solo = Solo::established_sack(&setup);
    for index in 0..40u32 {
        solo.say(Peer::seq(2_001 + index * 1_400).ack(1).text(&[1; 1_400]));
        solo.hear();
    }
    assert!(solo.end.connection().pinned() <= 64_000);
}

#[test]
fn data_segments_leave_room_for_sack() {
    let mut solo = Solo::established_sack(&Setup::default());
    solo.say(Peer::seq(500).ack(1).text(b"x"));
    solo.send(&pattern(3_000));
    let wires = solo.hear();
    assert_eq!(wires[0].text.len(), 1_460 - 12);
    assert_eq!(told(&solo, &wires[0]), [(500, 501)]);
}

proptest! {
    /// The scoreboard against a plain set of octets.
    #[test]
    fn the_scoreboard_is_a_set(start: u32, steps in prop::collection::vec((0u32..300, 1u32..40, any::<bool>()), 1..60)) {
        let una = SeqNum::new(start);
        let mut board = Scoreboard::default();
        let mut set = std::collections::BTreeSet::new();
        let mut base = 0;
        for (left, len, advance) in steps {
            if advance {
                base = base.max(left.min(base + 20));
                board.advance(una + base);
                set.retain(|&octet| octet >= base);
            } else {
                let mut sack = SackBlocks::new();
                sack.push(SackBlock { left: una + left, right: una + left + len });
                board.update(una + base, una + 400, &sack);
                if left >= base {
                    set.extend(left..left + len);
                }
            }
            prop_assert_eq!(board.total() as usize, set.len());
            for point in [0, 50, 150, 400] {
                let below = set.range(..point).count();
                prop_assert_eq!(board.sacked_before(una + point) as usize, below);
            }
            let (from, to) = board.hole_from(una + base, una + 400);
            let first = (base..400).find(|octet| !set.contains(octet)).unwrap_or(400);
            prop_assert_eq!(from, una + first);
            let next = (first..400).find(|octet| set.contains(octet)).unwrap_or(400);
            prop_assert_eq!(to, una + next);
        }
    }

    /// The assembler against a plain array: whatever arrives in whatever pieces comes out once
    /// and in order, near the wrap too (bug 7).
    #[test]
    fn the_assembler_puts_pieces_in_order(start: u32, pieces in prop::collection::vec((0usize..600, 1usize..90), 1..80)) {
        let data = pattern(800);
        let base = SeqNum::new(start);
        let mut assembler = Assembler::default();
        let mut buffer = ReceiveBuffer::default();
        let mut have = [false; 800];
        let mut nxt = base;
        for (at, len) in pieces {
            let text = |from: usize, to: usize| Text {
                bytes: bytes::Bytes::copy_from_slice(&data[from..to]),
                slot_size: 64,
            };
            let done = nxt.since(base) as usize;
            if at + len <= done {
                continue;
            }
            if at <= done {
                buffer.push(text(done, at + len), false);
                nxt += (at + len - done) as u32;
                nxt = assembler.take(nxt, &mut buffer);
            } else {
                let fresh = (at..at + len).filter(|&i| !have[i]).count();
                let done = assembler.insert(base + at as u32, &text(at, at + len), 256, false);
                prop_assert_eq!(done.fresh as usize, fresh);
            }
            have[at..at + len].fill(true);
            let first_gap = have.iter().position(|&h| !h).unwrap_or(800);
            prop_assert_eq!(nxt, base + first_gap as u32);
            let ranges = assembler.ranges();
            prop_assert!(ranges.windows(2).all(|pair| pair[0].1.is_before(pair[1].0)));
            let waiting: u32 = ranges.iter().map(|(left, right)| right.since(*left)).sum();
            let expected = have[first_gap..].iter().filter(|&&h| h).count();
            prop_assert_eq!(waiting as usize, expected);
        }
        let mut out = std::vec![0; buffer.len()];
        prop_assert_eq!(buffer.read(&mut out), nxt.since(base) as usize);
        prop_assert_eq!(&out[..], &data[..out.len()]);
        prop_assert_eq!(buffer.charged(), 0);
    }
}

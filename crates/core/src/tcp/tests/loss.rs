//! Loss recovery without SACK: RFC 5681, RFC 6582, RFC 3042, RFC 6298.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::harness::{From, MS, Pair, Peer, Setup, Solo, Wire, pattern};
use crate::config::CongestionControl;

const SEG: u32 = 1_460;

/// Ten segments under way, no SACK.
fn ten_under_way(setup: &Setup) -> Solo {
    let mut solo = Solo::established(setup);
    // Beyond the first octet, so that recovery may begin (RFC 6582 section 3.2, step 2).
    solo.send(&[0]);
    solo.hear();
    solo.say(Peer::seq(1).ack(2));
    solo.send(&pattern(60 * SEG as usize));
    assert_eq!(solo.hear().len(), 10);
    solo
}

fn duplicate(solo: &mut Solo, ack: u32) -> Vec<Wire> {
    solo.say(Peer::seq(1).ack(ack));
    solo.hear()
}

/// RFC 3042, then RFC 5681 section 3.2, then RFC 6582 section 3.2.
#[test]
fn three_duplicates_repair_the_first_hole_and_partial_acks_the_others() {
    let mut solo = ten_under_way(&Setup::default());
    for index in 0..2 {
        let wires = duplicate(&mut solo, 2);
        assert_eq!(wires.len(), 1, "limited transmit");
        assert_eq!(solo.rel(&wires[0]), 2 + (10 + index) * SEG);
    }
    let wires = duplicate(&mut solo, 2);
    assert_eq!(solo.rel(&wires[0]), 2, "fast retransmit");
    assert!(wires[0].retransmission && wires.len() == 1);
    // A partial ACK: segment 5 was lost too.
    solo.say(Peer::seq(1).ack(2 + 4 * SEG));
    let wires = solo.hear();
    assert_eq!(solo.rel(&wires[0]), 2 + 4 * SEG);
    assert!(wires[0].retransmission);
    assert!(wires[1..].iter().all(|wire| !wire.retransmission));
    // Everything that was under way when it began.
    let ssthresh = |solo: &mut Solo| {
        let now = solo.now;
        let info = solo.end.connection().info(now);
        (info.cwnd, info.ssthresh)
    };
    solo.say(Peer::seq(1).ack(2 + 12 * SEG));
    let (cwnd, threshold) = ssthresh(&mut solo);
    assert_eq!(cwnd, threshold);
    assert!(solo.hear().iter().all(|wire| !wire.retransmission));
}

/// RFC 6582 section 3.2, step 3: the hole behind a partial ACK is repaired at once, though the
/// halved window is full.
#[test]
fn a_partial_ack_repairs_whatever_the_window_says() {
    let mut setup = Setup::default();
    setup.options.congestion = CongestionControl::Reno;
    let mut solo = ten_under_way(&setup);
    for _ in 0..3 {
        duplicate(&mut solo, 2);
    }
    for hole in 1..5 {
        solo.say(Peer::seq(1).ack(2 + hole * SEG));
        let wires = solo.hear();
        assert_eq!(solo.rel(&wires[0]), 2 + hole * SEG);
        assert!(wires[0].retransmission);
    }
}

/// RFC 6298 section 5.3: each acknowledgement of something new starts the timer again.
#[test]
fn a_trickle_of_acknowledgements_keeps_the_timer_from_expiring() {
    let mut solo = ten_under_way(&Setup::default());
    for acked in 1..10 {
        let left = solo.wait(150 * MS);
        assert!(left.iter().all(|(_, wire)| !wire.retransmission), "{acked}");
        solo.say(Peer::seq(1).ack(2 + acked * SEG));
        solo.hear();
    }
}

#[test]
fn two_duplicates_are_reordering() {
    let mut solo = ten_under_way(&Setup::default());
    duplicate(&mut solo, 2);
    duplicate(&mut solo, 2);
    solo.say(Peer::seq(1).ack(2 + SEG));
    assert!(solo.hear().iter().all(|wire| !wire.retransmission));
}

/// RFC 5681 section 2: what changes the window, or has text, is no duplicate.
#[test]
fn only_true_duplicates_count() {
    let mut solo = ten_under_way(&Setup::default());
    for index in 0..10u16 {
        solo.say(Peer::seq(1).ack(2).window(50_000 + index));
        assert!(solo.hear().iter().all(|wire| !wire.retransmission));
    }
    for index in 0..10 {
        solo.say(Peer::seq(1 + index).ack(2).text(b"x"));
        assert!(solo.hear().iter().all(|wire| !wire.retransmission));
    }
}

#[test]
fn after_a_timeout_everything_is_repaired_as_the_window_grows() {
    let mut solo = ten_under_way(&Setup::default());
    let left = solo.wait(250 * MS);
    assert_eq!(left.len(), 1, "one segment");
    let mut acked = 2;
    let mut bursts = Vec::new();
    while acked < 2 + 10 * SEG {
        acked += SEG;
        solo.say(Peer::seq(1).ack(acked));
        let wires = solo.hear();
        bursts.push(wires.iter().filter(|wire| wire.retransmission).count());
    }
    assert_eq!(bursts.iter().sum::<usize>(), 9, "each once: {bursts:?}");
    assert_eq!(bursts[0], 2, "slow start");
}

/// RFC 6582 section 3.2, step 2: our own repair after a timeout makes the peer repeat itself.
#[test]
fn duplicates_caused_by_repair_do_not_repair_again() {
    let mut solo = ten_under_way(&Setup::default());
    solo.wait(250 * MS);
    solo.say(Peer::seq(1).ack(2 + 10 * SEG));
    solo.hear();
    for _ in 0..5 {
        let wires = duplicate(&mut solo, 2 + 10 * SEG);
        assert!(wires.iter().all(|wire| !wire.retransmission));
    }
}

/// Every single loss in a transfer, in turn, with and without SACK and clocks.
#[test]
fn every_single_loss_is_repaired() {
    for features in 0..4 {
        for lost in 1..60 {
            let mut setup = Setup::default();
            setup.config.sack = features & 1 == 0;
            setup.config.timestamps = features & 2 == 0;
            let mut pair = Pair::established(&setup, &setup);
            let mut index = 0;
            pair.link = Box::new(move |_, _, _| {
                index += 1;
                if index == lost { vec![] } else { vec![10 * MS] }
            });
            let begun = pair.now;
            pair.transfer(&pattern(60_000), Duration::from_secs(5));
            let took = pair.now.saturating_since(begun);
            assert!(took < Duration::from_secs(1), "{lost}: {took:?}");
        }
    }
}

/// Bug 10: mild reordering without loss is not taken for loss, and costs next to nothing.
#[test]
fn reordering_without_loss_does_not_ruin_the_window() {
    let mut pair = Pair::plain();
    let mut count = 0u64;
    pair.link = Box::new(move |from, _, _| {
        count += 1;
        // A microsecond for each segment; every eleventh is overtaken by the next.
        let late = from == From::A && count.is_multiple_of(11);
        let nanos = 10_000_000 + count * 1_000 + if late { 1_500 } else { 0 };
        vec![Duration::from_nanos(nanos)]
    });
    pair.transfer(&pattern(3_000_000), Duration::from_secs(60));
    let info = pair.a.connection().info(pair.now);
    assert!(info.retransmits < 20, "{info:?}");
}

/// RFC 1191 section 6.3: what is too long now is sent again at once, cut anew, and without
/// taking it for congestion. Bug 15.
#[test]
fn a_smaller_path_cuts_what_is_under_way_anew() {
    let mut solo = ten_under_way(&Setup::default());
    let now = solo.now;
    let before = solo.end.connection().info(now).cwnd;
    solo.end.connection().on_path_mtu(now, 560);
    let first = solo.hear();
    assert!(
        first
            .iter()
            .all(|wire| wire.text.len() <= 560 && wire.retransmission)
    );
    assert_eq!(solo.rel(&first[0]), 2);
    assert_eq!(solo.end.connection().info(now).cwnd, before);
    let mut covered = 2;
    for wire in &first {
        assert_eq!(solo.rel(wire), covered, "without gaps");
        covered += wire.text.len() as u32;
    }
    solo.say(Peer::seq(1).ack(2 + 10 * SEG));
    let after = solo.end.connection().info(now).cwnd;
    assert!(after >= before, "{after} after {before}");
    // A floor, whatever somebody claims.
    solo.end.connection().on_path_mtu(now, 0);
    assert_eq!(solo.end.connection().info(now).send_mss, 48);
}

/// Bug 23: the window is for all that is under way, not for one call.
#[test]
fn the_congestion_window_bounds_all_that_is_under_way() {
    let mut solo = Solo::established(&Setup::default());
    let mut under_way = 0;
    for _ in 0..50 {
        solo.send(&pattern(5_000));
        under_way += solo
            .hear()
            .iter()
            .map(|wire| wire.text.len())
            .sum::<usize>();
    }
    // A short segment at a time, and no segment is cut to fit: less than one is left.
    assert!((13_141..=14_600).contains(&under_way), "{under_way}");
}

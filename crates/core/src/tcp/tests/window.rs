//! Windows, both ways: RFC 9293 sections 3.8.6 to 3.8.6.2; bugs 1, 2, 7, 12, 19 and 21.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::harness::{From, MS, Pair, Peer, Setup, Solo, pattern};
use crate::error::Lost;
use crate::tcp::*;

fn small_buffer(octets: usize) -> Setup {
    let mut setup = Setup::default();
    setup.options.receive_buffer = octets;
    setup
}

/// Fills `b`'s window while nobody reads.
fn filled(octets: usize) -> (Pair, usize) {
    let mut pair = Pair::established(&Setup::default(), &small_buffer(octets));
    let now = pair.now;
    pair.a
        .connection()
        .send_slice(now, &pattern(1 << 20), false)
        .unwrap();
    pair.run(Duration::from_secs(3));
    let unread = pair.b.connection().info(pair.now).unread;
    (pair, unread)
}

/// Bug 1: the window opens within one tick of a read, of half and of all.
#[test]
fn a_read_reopens_the_window_at_once() {
    for limit in [6_000, 20_000, 65_536, 1 << 18] {
        let (mut pair, unread) = filled(limit);
        assert!(
            unread > limit / 4 && unread <= limit + limit / 8,
            "{unread} of {limit}"
        );
        pair.log.clear();
        for part in [unread / 2, unread - unread / 2] {
            let now = pair.now;
            let mut buffer = vec![0; part];
            assert_eq!(
                pair.b.connection().receive_slice(now, &mut buffer).unwrap(),
                part
            );
            pair.run(MS);
            let updates = pair.count(From::B, |wire| wire.header.window > 0);
            assert_eq!(updates, 1, "limit {limit} part {part}\n{}", pair.tail());
            pair.log.clear();
            pair.run(15 * MS);
            assert!(
                pair.count(From::A, |wire| !wire.text.is_empty()) > 0,
                "limit {limit} part {part}\n{}",
                pair.tail()
            );
            pair.run(Duration::from_secs(2));
            pair.log.clear();
        }
    }
}

/// Bugs 1 and 2: the update is lost; a probe finds out.
#[test]
fn a_lost_window_update_is_found_by_a_probe() {
    let (mut pair, unread) = filled(20_000);
    let mut lose = 1;
    pair.link = Box::new(move |from, _, _| {
        if from == From::B && lose > 0 {
            lose -= 1;
            return vec![];
        }
        vec![10 * MS]
    });
    let now = pair.now;
    let mut buffer = vec![0; unread];
    pair.b.connection().receive_slice(now, &mut buffer).unwrap();
    pair.run(Duration::from_secs(5));
    assert!(pair.b.connection().info(pair.now).unread > 0, "it goes on");
}

/// Bug 2: probes at growing gaps, for as long as they are answered.
#[test]
fn a_shut_window_is_probed_for_ever_while_it_is_answered() {
    let mut solo = Solo::established(&Setup::default());
    solo.say(Peer::seq(1).ack(1).window(0));
    solo.hear();
    solo.send(&pattern(5_000));
    solo.silence();
    let mut gaps: Vec<u64> = Vec::new();
    let mut last = solo.now;
    for _ in 0..40 {
        let at = solo.end.deadline().unwrap();
        let left = solo.wait(at.saturating_since(solo.now));
        assert_eq!(left.len(), 1, "{left:?}");
        let (at, probe) = &left[0];
        assert_eq!(
            (solo.rel(probe), &probe.text[..]),
            (1, &[0][..]),
            "one octet of new data"
        );
        gaps.push(at.saturating_since(last).as_millis() as u64);
        last = *at;
        solo.say(Peer::seq(1).ack(1).window(0));
        solo.silence();
    }
    assert!(gaps[0] < 500 && gaps[39] == 120_000, "{gaps:?}");
    assert!(gaps.windows(2).all(|pair| pair[1] >= pair[0]), "{gaps:?}");
    // It opens after more than an hour, having taken the last probe's octet or not.
    solo.say(Peer::seq(1).ack(1).window(10_000));
    let wires = solo.hear();
    assert_eq!(solo.rel(&wires[0]), 1);
    assert_eq!(
        wires.iter().map(|wire| wire.text.len()).sum::<usize>(),
        5_000
    );
}

#[test]
fn a_probe_may_be_what_gets_through() {
    let mut solo = Solo::established(&Setup::default());
    solo.say(Peer::seq(1).ack(1).window(0));
    solo.send(&pattern(5_000));
    solo.hear();
    assert_eq!(solo.wait(MS * 300).len(), 1);
    solo.say(Peer::seq(1).ack(2).window(4_000));
    let wires = solo.hear();
    assert_eq!(solo.rel(&wires[0]), 2);
    assert_eq!(
        wires.iter().map(|wire| wire.text.len()).sum::<usize>(),
        2_920,
        "whole segments; the sliver behind them waits"
    );
}

/// Bug 2: unanswered probes end with the user timeout.
#[test]
fn unanswered_probes_end_with_the_user_timeout() {
    let mut setup = Setup::default();
    setup.options.user_timeout = Some(Duration::from_secs(30));
    let mut solo = Solo::established(&setup);
    solo.say(Peer::seq(1).ack(1).window(0));
    solo.send(b"stuck");
    let left = solo.wait(Duration::from_secs(29));
    assert!(left.len() >= 5 && !solo.end.over);
    solo.wait(Duration::from_secs(2));
    assert_eq!(
        solo.end.connection().take_error(),
        Some(Lost::TimedOut { hint: None })
    );
}

/// FIN meets a shut window like an octet does.
#[test]
fn fin_waits_for_the_window_and_is_probed_with() {
    let mut solo = Solo::established(&Setup::default());
    solo.say(Peer::seq(1).ack(1).window(0));
    let now = solo.now;
    let step = solo
        .end
        .connection()
        .shutdown(now, crate::Shutdown::Write)
        .unwrap();
    solo.end.absorb(step);
    solo.silence();
    let left = solo.wait(300 * MS);
    assert!(left.len() == 1 && left[0].1.is(Flags::FIN));
    solo.say(Peer::seq(1).ack(2).window(0));
    assert_eq!(solo.state(), crate::State::FinWait2);
}

/// Bug 12: of two reordered ACKs the later one's window counts.
#[test]
fn a_stale_segment_does_not_set_the_window() {
    let mut solo = Solo::established(&Setup::default());
    solo.send(&pattern(3_000));
    solo.hear();
    let window = |solo: &mut Solo| {
        let now = solo.now;
        solo.end.connection().info(now).send_window
    };
    // Ordered by the peer's number...
    solo.say(
        Peer::seq(1)
            .ack(1)
            .window(500)
            .text(b"later")
            .options(Options::default()),
    );
    assert_eq!(window(&mut solo), 500);
    let mut late = Peer::seq(6).ack(1).window(700);
    solo.say(late.clone());
    assert_eq!(window(&mut solo), 700);
    late.seq = 1;
    late.window = 100;
    solo.say(late.text(b"later!"));
    assert_eq!(window(&mut solo), 700, "an older number");
    // ... and by what it acknowledges.
    solo.say(Peer::seq(7).ack(2_000).window(5_000));
    solo.say(Peer::seq(7).ack(1_000).window(50));
    assert_eq!(window(&mut solo), 5_000, "an older acknowledgement");
}

/// SHLD-14, and what a test for bug 7 found in others: whatever is read when, the right edge
/// that we told never moves left (within the unit of the scale at the very end).
#[test]
fn the_right_edge_never_moves_left() {
    for limit in [5_000, 100_000, 4 << 20] {
        let mut pair = Pair::established(&Setup::default(), &small_buffer(limit));
        let data = pattern(limit.min(1 << 20) * 2);
        let mut dice = super::harness::Dice(7);
        let now = pair.now;
        let mut sent = pair.a.connection().send_slice(now, &data, false).unwrap();
        let mut edge = None::<SeqNum>;
        let scale = pair.b.tcb().agreed.receive_scale;
        let until = pair.now + Duration::from_secs(60);
        let (mut seen, mut told_edges) = (0, 0);
        while pair.step(until) {
            let now = pair.now;
            if sent < data.len() {
                let rest = &data[sent..];
                sent += pair
                    .a
                    .connection()
                    .send_slice(now, rest, false)
                    .unwrap_or(0);
            }
            if dice.percent(20) {
                let max = dice.below(3_000) as usize;
                let _ = pair.b.connection().receive(now, max);
            }
            for (_, from, wire) in &pair.log[seen..] {
                if *from == From::B {
                    let told = wire.header.ack.unwrap() + (u32::from(wire.header.window) << scale);
                    assert!(edge.is_none_or(|edge| told.is_at_or_after(edge)), "{limit}");
                    edge = Some(told);
                    told_edges += 1;
                }
            }
            seen = pair.log.len();
        }
        assert!(told_edges > 5, "{limit}");
    }
}

/// Bug 21: a peer whose window is always smaller than a segment.
#[test]
fn a_window_smaller_than_a_segment_does_not_stall() {
    let mut pair = Pair::established(&Setup::default(), &small_buffer(700));
    pair.transfer(&pattern(20_000), Duration::from_secs(600));
}

/// Sender's silly window avoidance, and its override (RFC 9293 section 3.8.6.2.1).
#[test]
fn a_sliver_of_window_is_used_only_after_a_while() {
    let mut solo = Solo::established(&Setup::default());
    solo.send(&pattern(20_000));
    let wires = solo.hear();
    let end: u32 = wires.iter().map(|wire| wire.text.len() as u32).sum();
    solo.say(Peer::seq(1).ack(1 + end).window(100));
    solo.silence();
    let left = solo.wait(400 * MS);
    assert_eq!(left[0].1.text.len(), 100);
}

/// Bug 7: windows that shrink under what was sent, and ACKs of more than that.
#[test]
fn a_window_that_shrinks_breaks_nothing() {
    let mut solo = Solo::established(&Setup::default());
    solo.send(&pattern(100_000));
    solo.hear();
    for window in [0, 1, 60_000, 0, 65_535] {
        solo.say(Peer::seq(1).ack(1).window(window));
        solo.hear();
        solo.say(Peer::seq(1).ack(4_000_000).window(window));
        solo.hear();
        solo.wait(Duration::from_millis(300));
        solo.send(b"more");
    }
    assert!(!solo.end.over);
}

/// Bug 19: a peer that ignores the window is cut at it; memory stays within twice the limit
/// whatever the segments pin.
#[test]
fn received_memory_is_bounded() {
    for (payload, slot) in [
        (1usize, 2_048usize),
        (600, 2_048),
        (1_460, 65_536),
        (1_460, 1_500),
    ] {
        let mut solo = Solo::established(&small_buffer(50_000));
        let mut at = 1u32;
        for _ in 0..20_000 {
            let segment = Segment {
                seq: solo.irs + at,
                ack: Some(solo.iss + 1),
                window: 1_000,
                flags: Flags::NONE,
                options: Options::default(),
                text_len: payload as u32,
                segment_size: None,
                arrived: solo.now,
                ce: false,
            };
            let text = Text {
                bytes: vec![1; payload].into(),
                slot_size: slot,
            };
            let now = solo.now;
            let step = solo.end.connection().on_segment(now, &segment, text);
            solo.end.absorb(step);
            solo.hear();
            at += payload as u32;
        }
        let now = solo.now;
        let info = solo.end.connection().info(now);
        let pinned = solo.end.connection().pinned();
        assert!(
            info.unread <= 60_000,
            "{payload} {slot}: {} unread",
            info.unread
        );
        assert!(pinned <= 130_000, "{payload} {slot}: {pinned} pinned");
    }
}

/// The cork holds a short segment, and lets it go after 200 ms.
#[test]
fn a_cork_holds_short_segments() {
    let mut setup = Setup::default();
    setup.options.cork = true;
    let mut solo = Solo::established(&setup);
    solo.send(b"head");
    solo.silence();
    solo.send(&[1; 1_460]);
    assert_eq!(solo.one().text.len(), 1_460, "a full one leaves");
    solo.say(Peer::seq(1).ack(1_461));
    solo.silence();
    let left = solo.wait(250 * MS);
    assert!(left.iter().any(|(_, wire)| wire.text.len() == 4));
}

#[test]
fn taking_the_cork_out_sends() {
    let mut setup = Setup::default();
    setup.options.cork = true;
    let mut solo = Solo::established(&setup);
    solo.send(b"head");
    solo.silence();
    let now = solo.now;
    setup.options.cork = false;
    solo.end.connection().set_options(now, &setup.options);
    assert_eq!(solo.one().text, "head");
}

/// RFC 9293 section 3.7.4: one short segment a round trip, unless nodelay.
#[test]
fn nagle_lets_one_short_segment_be_under_way() {
    let mut solo = Solo::established(&Setup::default());
    solo.send(b"a");
    assert_eq!(solo.one().text, "a");
    solo.send(b"b");
    solo.send(b"c");
    solo.silence();
    solo.say(Peer::seq(1).ack(2));
    assert_eq!(solo.one().text, "bc", "they share a segment");

    let mut setup = Setup::default();
    setup.options.nodelay = true;
    let mut solo = Solo::established(&setup);
    for text in [b"a", b"b", b"c"] {
        solo.send(text);
        assert_eq!(&solo.one().text[..], text);
    }
}

/// Receivers announce what is really free: 4 MiB at once, held by nothing.
#[test]
fn the_whole_buffer_is_announced_without_holding_it() {
    let pair = Pair::plain();
    let tcb = pair.b.tcb();
    assert!(
        tcb.rcv.edge.since(tcb.rcv.nxt) <= 65_535,
        "the SYN could tell no more"
    );
    assert_eq!(pair.a.tcb().receive_charge(), 0);
    assert_eq!(pair.b.tcb().snd.wnd, 4 << 20);
}

/// Found by the storm: two ends that have each filled the other's window, and lost a segment,
/// must hear each other's ACKs, which begin at the right edge.
#[test]
fn an_ack_at_the_right_edge_counts() {
    let mut solo = Solo::established(&small_buffer(4_096));
    solo.send(&pattern(500));
    solo.hear();
    solo.say(Peer::seq(1 + 536).ack(1).text(&[1; 1_460]));
    solo.hear();
    let edge = solo.end.tcb().rcv.edge.distance_from(solo.irs);
    solo.say(Peer::seq(edge).ack(501));
    assert_eq!(solo.end.tcb().snd.flight(), 0);
}

/// Without window scaling the field says 65,535 at most, however large the buffer is: a reader
/// that keeps up has no news for the peer, one that comes late has some.
#[test]
fn without_scaling_updates_are_rare_too() {
    let mut solo = Solo::established(&Setup::default());
    let mut at = 1;
    for round in 0..100 {
        solo.say(Peer::seq(at).ack(1).text(&[1; 1_460]));
        at += 1_460;
        solo.hear();
        solo.wait(50 * MS);
        let now = solo.now;
        solo.end.connection().receive(now, 1 << 20).unwrap();
        assert!(solo.hear().is_empty(), "round {round}");
    }
    let mut setup = small_buffer(60_000);
    setup.options.quick_ack = true;
    let mut solo = Solo::established(&setup);
    for index in 0..30 {
        solo.say(Peer::seq(1 + index * 1_460).ack(1).text(&[1; 1_460]));
        solo.hear();
    }
    let now = solo.now;
    while solo.end.connection().receive(now, 1 << 20).is_ok() {}
    assert_eq!(solo.one().header.window, 60_000);
}

//! Timers: RFC 6298, RFC 9293 sections 3.8.3, 3.8.4 and 3.8.6.3; bugs 10, 14, 17 and 20.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use switchboard_wire::Instant;

use super::harness::{From, MS, Pair, Peer, Setup, Solo, pattern};
use crate::config::KeepAlive;
use crate::error::Lost;
use crate::tcp::*;

#[test]
fn the_last_segment_is_sent_again_although_nothing_arrives() {
    // Bug 24's second half: a stack that looks for losses only when something arrives.
    let mut solo = Solo::established(&Setup::default());
    solo.send(b"lonely");
    solo.one();
    let begun = solo.now;
    let left = solo.wait(Duration::from_secs(10));
    let gaps: Vec<_> = left
        .iter()
        .map(|(at, _)| at.saturating_since(begun).as_millis())
        .collect();
    assert_eq!(gaps, [200, 600, 1_400, 3_000, 6_200]);
    assert!(
        left.iter()
            .all(|(_, wire)| wire.text == "lonely" && wire.retransmission)
    );
}

/// Bug 17: one acknowledged segment that was sent once, and the timeout is what it was.
#[test]
fn backoff_ends_with_a_fresh_sample() {
    let mut solo = Solo::established(&Setup::default());
    solo.send(b"a");
    solo.one();
    solo.wait(Duration::from_secs(5));
    let now = solo.now;
    assert!(solo.end.connection().info(now).rto > Duration::from_secs(2));
    solo.say(Peer::seq(1).ack(2));
    assert!(
        solo.end.connection().info(now).backoffs > 0,
        "Karn: it may be the ACK of any copy"
    );
    solo.send(b"b");
    solo.one();
    solo.now += 20 * MS;
    solo.say(Peer::seq(1).ack(3));
    let now = solo.now;
    let info = solo.end.connection().info(now);
    assert_eq!(info.backoffs, 0);
    assert!(info.rto < Duration::from_millis(400), "{:?}", info.rto);
}

/// RFC 7323 section 4: with clocks, what was sent again can be measured too.
#[test]
fn an_echoed_clock_ends_backoff_at_once() {
    let options = Options {
        timestamps: Some(Timestamps { value: 7, echo: 0 }),
        ..Options::default()
    };
    let mut solo = Solo::established_with(&Setup::default(), options);
    solo.send(b"a");
    solo.one();
    let left = solo.wait(Duration::from_secs(5));
    let copy = left.last().unwrap();
    let echo = copy.1.header.options.timestamps.unwrap().value;
    solo.now = copy.0 + 30 * MS;
    let options = Options {
        timestamps: Some(Timestamps { value: 8, echo }),
        ..Options::default()
    };
    solo.say(Peer::seq(1).ack(2).options(options));
    let now = solo.now;
    assert_eq!(solo.end.connection().info(now).backoffs, 0);
}

/// Bug 10: round trips are measured by arrival, not by when somebody looks.
#[test]
fn a_segment_processed_late_does_not_lengthen_the_round_trip() {
    let mut solo = Solo::established(&Setup::default());
    for round in 0..20u32 {
        solo.send(b"a");
        solo.one();
        let arrived = solo.now + 10 * MS;
        solo.now += 500 * MS;
        let wire = super::harness::Wire {
            header: Header {
                seq: solo.irs + 1,
                ack: Some(solo.iss + 2 + round),
                window: 1_000,
                ..Header::default()
            },
            text: bytes::Bytes::new(),
            segment_size: None,
            retransmission: false,
        };
        let now = solo.now;
        let segment = wire.segment(arrived);
        let step = solo
            .end
            .connection()
            .on_segment(now, &segment, Text::default());
        solo.end.absorb(step);
    }
    let now = solo.now;
    let srtt = solo.end.connection().info(now).srtt.unwrap();
    assert!(srtt <= 11 * MS, "{srtt:?}");
}

#[test]
fn user_timeout_gives_up_and_says_nothing() {
    let mut setup = Setup::default();
    setup.options.user_timeout = Some(Duration::from_secs(10));
    let mut solo = Solo::established(&setup);
    solo.wait(Duration::from_secs(1_000));
    assert!(!solo.end.over, "an idle connection has no timeout");
    solo.send(b"x");
    let left = solo.wait(Duration::from_secs(11));
    assert!(solo.end.over && left.iter().all(|(_, wire)| !wire.is(Flags::RST)));
    assert_eq!(
        solo.end.connection().take_error(),
        Some(Lost::TimedOut { hint: None })
    );
}

/// Linux's measure: about a quarter of an hour.
#[test]
fn without_a_wish_it_takes_fifteen_resends() {
    let mut solo = Solo::established(&Setup::default());
    solo.send(b"x");
    solo.wait(Duration::from_secs(920));
    assert!(!solo.end.over);
    solo.wait(Duration::from_secs(10));
    assert!(solo.end.over);
}

#[test]
fn keep_alive_probes_a_silent_peer_and_gives_up() {
    let mut setup = Setup::default();
    setup.options.keep_alive = Some(KeepAlive {
        idle: Duration::from_secs(60),
        interval: Duration::from_secs(10),
        count: 3,
    });
    let mut solo = Solo::established(&setup);
    let left = solo.wait(Duration::from_secs(61));
    assert_eq!(left.len(), 1);
    assert_eq!(solo.rel(&left[0].1), 0, "SND.NXT - 1");
    solo.say(Peer::seq(1).ack(1));
    let left = solo.wait(Duration::from_secs(100));
    let probes = left.iter().filter(|(_, wire)| !wire.is(Flags::RST)).count();
    assert_eq!(probes, 3);
    assert!(left.last().unwrap().1.is(Flags::RST) && solo.end.over);
    assert_eq!(
        solo.end.connection().take_error(),
        Some(Lost::TimedOut { hint: None })
    );
}

#[test]
fn keep_alive_is_answered_for_ever() {
    let mut a = Setup::default();
    a.options.keep_alive = Some(KeepAlive {
        idle: Duration::from_secs(1),
        interval: Duration::from_secs(1),
        count: 2,
    });
    let mut pair = Pair::established(&a, &Setup::default());
    pair.run(Duration::from_secs(3_600));
    assert!(!pair.a.over && !pair.b.over);
    assert!(pair.count(From::A, |_| true) > 3_000);
}

/// RFC 9293 section 3.8.6.3: not longer than 500 ms, and every second full segment at once.
#[test]
fn acknowledgements_are_delayed_after_the_quick_start() {
    let mut solo = Solo::established(&Setup::default());
    let mut at = 1;
    let mut answers = Vec::new();
    for _ in 0..40 {
        solo.say(Peer::seq(at).ack(1).text(&[1; 1_460]));
        answers.push(solo.hear().len());
        at += 1_460;
    }
    assert_eq!(&answers[..16], &[1; 16], "quick at the start");
    assert_eq!(answers[16..].iter().sum::<usize>(), 12, "then every second");
    solo.wait(50 * MS);
    solo.say(Peer::seq(at).ack(1).text(b"x"));
    solo.silence();
    let begun = solo.now;
    let left = solo.wait(100 * MS);
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].0.saturating_since(begun), 40 * MS);
}

/// A super-segment counts as the segments that it stands for.
#[test]
fn a_super_segment_is_acknowledged_at_once() {
    let mut solo = Solo::established(&Setup::default());
    for round in 0..30u32 {
        let segment = Segment {
            seq: solo.irs + 1 + round * 2_920,
            ack: Some(solo.iss + 1),
            window: 1_000,
            flags: Flags::NONE,
            options: Options::default(),
            text_len: 2_920,
            segment_size: core::num::NonZeroU16::new(1_460),
            arrived: solo.now,
            ce: false,
        };
        let text = Text {
            bytes: vec![1; 2_920].into(),
            slot_size: 4_096,
        };
        let now = solo.now;
        let step = solo.end.connection().on_segment(now, &segment, text);
        solo.end.absorb(step);
        assert_eq!(solo.hear().len(), 1, "round {round}");
    }
}

#[test]
fn the_end_of_a_turn_is_acknowledged_at_once_where_asked_for() {
    for quick in [false, true] {
        let mut setup = Setup::default();
        setup.options.quick_ack = quick;
        let mut solo = Solo::established(&setup);
        for at in 0..20 {
            solo.say(Peer::seq(1 + at).ack(1).text(b"x"));
            solo.hear();
        }
        solo.wait(100 * MS);
        solo.say(Peer::seq(21).ack(1).text(b"x").flags(Flags::PSH));
        assert_eq!(solo.hear().len(), usize::from(quick));
    }
}

/// Bug 14: the clock that peers see wraps every 49.7 days; text goes on.
#[test]
fn the_clock_wraps_without_harm() {
    let start = Instant::from_millis((1 << 32) - 2_000);
    let setup = Setup {
        iss: u32::MAX - 3_000,
        ..Setup::default()
    };
    let mut pair = Pair::opening(&setup, &setup);
    for end in [&mut pair.a, &mut pair.b] {
        end.params.timestamp_offset = 0;
    }
    pair.now = start;
    let params = pair.a.params.clone();
    pair.a.connection = Some(Connection::open(start, params, None));
    pair.run(100 * MS);
    let mut fate = super::harness::Dice(3);
    pair.link = Box::new(move |_, _, _| {
        if fate.percent(5) {
            vec![]
        } else {
            vec![10 * MS]
        }
    });
    for _ in 0..40 {
        pair.transfer(&pattern(20_000), Duration::from_secs(60));
        pair.run(100 * MS);
    }
    assert!(pair.now.as_millis() > 1 << 32);
}

/// PAWS: RFC 7323 section 5.
#[test]
fn text_with_an_old_clock_is_not_taken() {
    let options = Options {
        timestamps: Some(Timestamps {
            value: 1_000,
            echo: 0,
        }),
        ..Options::default()
    };
    let mut solo = Solo::established_with(&Setup::default(), options);
    solo.say(Peer::seq(1).ack(1).text(b"old").stamp(999));
    assert_eq!(solo.hear().len(), 1, "told what we expect");
    let now = solo.now;
    assert!(solo.end.connection().receive(now, 10).is_err());
    solo.say(Peer::seq(1).ack(1).text(b"new").stamp(1_001));
    assert_eq!(solo.end.connection().receive(now, 10).unwrap(), "new");
    let echo = solo.one().header.options.timestamps.unwrap().echo;
    assert_eq!(echo, 1_001);
    // RST needs no clock (RFC 7323 section 5.2), and 24 days make TS.Recent worthless.
    solo.now += Duration::from_secs(25 * 24 * 3_600);
    solo.say(Peer::seq(4).ack(1).text(b"slept").stamp(5));
    let now = solo.now;
    assert_eq!(solo.end.connection().receive(now, 10).unwrap(), "slept");
    solo.say(Peer::seq(9).stamp(1).flags(Flags::RST));
    assert!(solo.end.over);
}

/// Bug 20: after the timeout that was named, nothing is due at the same moment again.
#[test]
fn a_deadline_that_was_served_is_not_named_again() {
    let mut setup = Setup::default();
    setup.options.keep_alive = Some(KeepAlive {
        idle: Duration::from_secs(5),
        interval: Duration::from_secs(1),
        count: 100,
    });
    let mut solo = Solo::established(&setup);
    solo.send(b"x");
    solo.hear();
    for _ in 0..200 {
        let Some(at) = solo.end.deadline() else { break };
        assert!(at > solo.now, "{at} at {}", solo.now);
        solo.wait(at.saturating_since(solo.now));
        if solo.end.over {
            break;
        }
    }
}

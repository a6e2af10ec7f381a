//! How octets travel: no copies, super-segments, growth on demand (DESIGN section 4).

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use switchboard_wire::packet::PAYLOAD_SLICES_MAX;

use super::harness::{MS, Pair, Peer, Setup, Solo, pattern};
use crate::tcp::*;

fn offloading() -> Setup {
    Setup {
        super_segment: Some(65_495),
        ..Setup::default()
    }
}

#[test]
fn what_is_sent_is_what_was_handed_over() {
    let mut solo = Solo::established(&offloading());
    let mut chunk = Bytes::from(pattern(10_000));
    let place = chunk.as_ptr();
    let now = solo.now;
    assert_eq!(solo.end.connection().send(now, &mut chunk).unwrap(), 10_000);
    let mut out = Outgoing::default();
    assert!(solo.end.connection().next_segment(now, &mut out));
    assert_eq!(out.payload.len(), 1);
    assert_eq!(
        out.payload[0].as_ptr(),
        place,
        "the same octets, not a copy"
    );
    assert_eq!(out.segment_size.unwrap().get(), 1_460);
}

#[test]
fn what_is_read_is_what_arrived() {
    let mut solo = Solo::established(&Setup::default());
    let slot = Bytes::from(pattern(1_460));
    let segment = Segment {
        seq: solo.irs + 1,
        ack: Some(solo.iss + 1),
        window: 1_000,
        flags: Flags::NONE,
        options: Options::default(),
        text_len: 1_460,
        segment_size: None,
        arrived: solo.now,
        ce: false,
    };
    let text = Text {
        bytes: slot.clone(),
        slot_size: 2_048,
    };
    let now = solo.now;
    let step = solo.end.connection().on_segment(now, &segment, text);
    solo.end.absorb(step);
    let read = solo.end.connection().receive(now, 4_096).unwrap();
    assert_eq!(read.as_ptr(), slot.as_ptr());
}

/// A short payload in a long slot is copied: the slot goes back to its pool.
#[test]
fn a_short_payload_does_not_pin_its_slot() {
    let mut solo = Solo::established(&Setup::default());
    let slot = Bytes::from(vec![1; 65_536]);
    for index in 0..100u32 {
        let segment = Segment {
            seq: solo.irs + 1 + index * 100,
            ack: Some(solo.iss + 1),
            window: 1_000,
            flags: Flags::NONE,
            options: Options::default(),
            text_len: 100,
            segment_size: None,
            arrived: solo.now,
            ce: false,
        };
        let text = Text {
            bytes: slot.slice(..100),
            slot_size: 65_536,
        };
        let now = solo.now;
        let step = solo.end.connection().on_segment(now, &segment, text);
        solo.end.absorb(step);
    }
    assert!(slot.is_unique(), "nothing refers to it");
    assert!(solo.end.connection().pinned() <= 2 * 10_000 + 512);
}

#[test]
fn super_segments_are_whole_segments_within_both_windows() {
    let mut solo = Solo::established(&offloading());
    solo.send(&pattern(200_000));
    let wires = solo.hear();
    assert_eq!(wires.len(), 1);
    assert_eq!(wires[0].text.len(), 14_600, "the initial window in one");
    for round in 1..12u32 {
        let total = solo.end.tcb().snd.nxt.distance_from(solo.iss);
        solo.say(Peer::seq(1).ack(total));
        for wire in solo.hear() {
            assert!(wire.text.len() <= 65_495, "round {round}");
            let last = wire.is(Flags::PSH);
            assert!(last || wire.text.len() % 1_460 == 0, "round {round}");
        }
    }
    assert_eq!(solo.end.tcb().unsent(), 0);
}

/// A repair repeats the hole, however the text was cut at first.
#[test]
fn repairs_are_cut_to_holes() {
    let options = Options {
        mss: Some(1_460),
        sack_permitted: true,
        ..Options::default()
    };
    let mut solo = Solo::established_with(&offloading(), options);
    solo.send(&pattern(14_600));
    assert_eq!(solo.hear().len(), 1);
    let sack = |ranges: &[(u32, u32)]| Options {
        sack: ranges
            .iter()
            .map(|&(left, right)| SackBlock {
                left: SeqNum::new(left),
                right: SeqNum::new(right),
            })
            .collect(),
        ..Options::default()
    };
    let arrived = [(1 + 4_380, 1 + 5_840), (1 + 7_300, 1 + 14_600)];
    solo.say(Peer::seq(1).ack(1_461).options(sack(&arrived)));
    solo.say(Peer::seq(1).ack(1_461).options(sack(&arrived)));
    let mut holes: Vec<(u32, usize)> = Vec::new();
    for wire in solo.hear() {
        holes.push((solo.rel(&wire), wire.text.len()));
    }
    let total: usize = holes.iter().map(|hole| hole.1).sum();
    assert_eq!(total, 2_920 + 1_460, "{holes:?}");
    assert!(
        holes
            .iter()
            .all(|(seq, _)| [1_461, 2_921, 5_841].contains(seq))
    );
}

/// Short writes share segments; a thousand of them do not need a thousand slices.
#[test]
fn short_writes_coalesce() {
    let mut solo = Solo::established(&Setup::default());
    solo.send(b"first");
    solo.hear();
    for _ in 0..1_000 {
        solo.send(b"0123456789");
    }
    solo.say(Peer::seq(1).ack(6));
    let wires = solo.hear();
    assert!(wires[0].text.len() == 1_460 && wires.len() <= 7);
}

/// Tiny chunks that each left alone come again in full segments.
#[test]
fn repairs_of_tiny_chunks_coalesce_too() {
    let mut setup = Setup::default();
    setup.options.nodelay = true;
    let mut solo = Solo::established(&setup);
    for _ in 0..200 {
        solo.send(b"0123456789");
        solo.one();
    }
    let left = solo.wait(250 * MS);
    assert_eq!(left[0].1.text.len(), 1_460);
    assert!(left[0].1.text.chunks(10).all(|ten| ten == b"0123456789"));
}

/// Many slices: a transmit has what it can hold.
#[test]
fn a_transmit_has_at_most_so_many_slices() {
    let mut solo = Solo::established(&offloading());
    let now = solo.now;
    for _ in 0..14 {
        let mut chunk = Bytes::from(pattern(1_024));
        solo.end.connection().send(now, &mut chunk).unwrap();
    }
    let mut out = Outgoing::default();
    let mut total = 0;
    while solo.end.connection().next_segment(now, &mut out) {
        assert!(out.payload.len() <= PAYLOAD_SLICES_MAX);
        total += out.payload.iter().map(Bytes::len).sum::<usize>();
    }
    assert_eq!(total, 14 * 1_024);
}

#[test]
fn a_full_queue_says_so_and_wakes_its_writer() {
    let mut setup = Setup::default();
    setup.options.send_buffer = 20_000;
    let mut pair = Pair::established(&setup, &Setup::default());
    let now = pair.now;
    let data = pattern(50_000);
    assert_eq!(
        pair.a.connection().send_slice(now, &data, false).unwrap(),
        20_000
    );
    assert_eq!(
        pair.a.connection().send_slice(now, &data, false),
        Err(crate::SendError::WouldBlock)
    );
    assert!(
        !pair
            .a
            .connection()
            .readiness()
            .contains(crate::Readiness::WRITABLE)
    );
    pair.a.signals = crate::Readiness::NONE;
    pair.run(60 * MS);
    assert!(pair.a.signals.contains(crate::Readiness::WRITABLE));
    assert!(pair.a.connection().room() >= 5_000);
}

/// The one who filled the queue may have stopped at that, and only ask for readiness since.
#[test]
fn a_queue_that_was_filled_to_the_brim_wakes_who_only_asks() {
    let mut setup = Setup::default();
    setup.options.send_buffer = 20_000;
    let mut pair = Pair::established(&setup, &Setup::default());
    let now = pair.now;
    let data = pattern(20_000);
    assert_eq!(
        pair.a.connection().send_slice(now, &data, false).unwrap(),
        20_000
    );
    let ready = pair.a.connection().readiness();
    assert!(!ready.contains(crate::Readiness::WRITABLE));
    pair.a.signals = crate::Readiness::NONE;
    pair.run(60 * MS);
    assert!(pair.a.signals.contains(crate::Readiness::WRITABLE));
}

#[test]
fn peek_leaves_what_it_shows() {
    let mut pair = Pair::plain();
    let now = pair.now;
    pair.a
        .connection()
        .send_slice(now, b"hello, world", false)
        .unwrap();
    pair.run(20 * MS);
    let mut buffer = [0; 5];
    for _ in 0..2 {
        assert_eq!(pair.b.connection().peek(&mut buffer).unwrap(), 5);
        assert_eq!(&buffer, b"hello");
    }
    let now = pair.now;
    assert_eq!(
        pair.b.connection().receive_slice(now, &mut buffer).unwrap(),
        5
    );
    assert_eq!(pair.b.connection().receive(now, 3).unwrap(), ", w");
}

/// Bulk both ways with large windows: the rate is what the round trip and the window allow.
#[test]
fn a_long_fat_path_is_filled() {
    let mut pair = Pair::established(&offloading(), &offloading());
    pair.link = std::boxed::Box::new(|_, _, _| vec![50 * MS]);
    pair.keep_log = false;
    let begun = pair.now;
    pair.transfer(&pattern(20_000_000), Duration::from_secs(60));
    let took = pair.now.saturating_since(begun);
    assert!(took < Duration::from_millis(2_500), "{took:?}");
}

/// A path, or a clamp, that lets segments grow beyond the congestion window: the sender goes
/// on. Found by fuzzing: it waited for room that only an acknowledgement could have made, with
/// nothing under way and no timer set.
#[test]
fn a_segment_size_beyond_the_congestion_window_does_not_stop_the_sender() {
    let mut setup = Setup::default();
    setup.options.mss = Some(48);
    let options = Options {
        mss: Some(9_000),
        ..Options::default()
    };
    let mut solo = Solo::established_with(&setup, options);
    let now = solo.now;
    setup.options.mss = None;
    solo.end.connection().on_path_mtu(now, 8_960);
    solo.end.connection().set_options(now, &setup.options);
    assert_eq!(solo.send(&pattern(1_000)), 1_000);
    let sent: usize = solo.hear().iter().map(|wire| wire.text.len()).sum();
    assert_eq!(sent, 1_000);
    assert!(solo.end.deadline().is_some());
}

/// Marks of the sender that stay where they were would, 2^31 octets later, seem to lie ahead:
/// a short segment would wait for ever, and a first loss would count everything as lost.
#[test]
fn the_senders_marks_keep_up_with_what_is_acknowledged() {
    let mut solo = Solo::established_sack(&Setup::default());
    let mut acknowledged = 1;
    for text in [&b"short"[..], &pattern(100_000), b"tail"] {
        solo.send(text);
        for _ in 0..200 {
            let heard = solo.hear();
            if heard.is_empty() {
                break;
            }
            acknowledged += heard.iter().map(|wire| wire.text.len()).sum::<usize>();
            let ack = u32::try_from(acknowledged).expect("is small");
            solo.say(Peer::seq(1).ack(ack));
        }
        let tcb = solo.end.tcb();
        let una = tcb.snd.una;
        assert_eq!(una, tcb.snd.nxt, "everything is acknowledged");
        assert_eq!(tcb.snd.small_end, una);
        assert_eq!(tcb.loss.lost_below, una);
        assert_eq!(tcb.loss.repaired_to, una);
        assert_eq!(tcb.loss.recover, una - 1);
    }
}

/// RFC 5681 section 4.1: the window that a transfer has opened is forgotten after a pause longer
/// than the retransmission timeout, and kept through a shorter one.
#[test]
fn a_pause_makes_the_window_small_again() {
    let mut pair = Pair::plain();
    pair.transfer(&pattern(2 << 20), Duration::from_secs(30));
    let cwnd = |pair: &mut Pair| {
        let now = pair.now;
        pair.a.connection().info(now).cwnd
    };
    let opened = cwnd(&mut pair);
    let rto = {
        let now = pair.now;
        pair.a.connection().info(now).rto
    };

    pair.run(rto / 2);
    pair.transfer(b"soon", Duration::from_secs(1));
    assert!(cwnd(&mut pair) >= opened, "a short pause costs nothing");

    pair.run(rto * 2);
    pair.transfer(b"late", Duration::from_secs(1));
    let mss = 1_460;
    assert!(opened > 20 * mss, "the transfer opened it: {opened}");
    assert!(cwnd(&mut pair) <= 11 * mss, "{} octets", cwnd(&mut pair));
}

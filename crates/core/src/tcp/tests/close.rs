//! Closing: RFC 9293 sections 3.6 and 3.10.4; bugs 3, 4 and 18.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::harness::{From, MS, Pair, Peer, Setup, Solo};
use crate::config::Linger;
use crate::error::{Lost, ReceiveError, SendError};
use crate::event::Readiness;
use crate::socket::{Shutdown, State};
use crate::tcp::*;

fn shut(end: &mut super::harness::End, now: switchboard_wire::Instant) {
    let step = end.connection().shutdown(now, Shutdown::Write).unwrap();
    end.absorb(step);
}

#[test]
fn four_segments_close_and_one_end_waits() {
    let mut pair = Pair::plain();
    let now = pair.now;
    shut(&mut pair.a, now);
    pair.run(30 * MS);
    assert_eq!(pair.a.connection().state(), State::FinWait2);
    assert_eq!(pair.b.connection().state(), State::CloseWait);
    assert!(pair.b.connection().receive(now, 10).unwrap().is_empty());
    let now = pair.now;
    shut(&mut pair.b, now);
    pair.run(50 * MS);
    assert_eq!(pair.log.len(), 4, "{}", pair.tail());
    assert_eq!(pair.a.connection().state(), State::TimeWait);
    assert_eq!(pair.b.connection().state(), State::Closed);
    assert!(pair.a.time_wait.is_some() && pair.b.time_wait.is_none());
    assert_eq!(pair.a.connection().take_error(), None);
    let done = Readiness::CLOSED | Readiness::READ_CLOSED | Readiness::WRITE_CLOSED;
    assert!(pair.a.connection().readiness().contains(done));
}

/// Bug 3: both FINs cross.
#[test]
fn both_may_close_at_once() {
    let mut pair = Pair::plain();
    let now = pair.now;
    shut(&mut pair.a, now);
    shut(&mut pair.b, now);
    pair.run(15 * MS);
    assert_eq!(pair.a.connection().state(), State::Closing);
    pair.run(30 * MS);
    assert!(pair.a.time_wait.is_some() && pair.b.time_wait.is_some());
    assert_eq!(pair.log.len(), 4, "{}", pair.tail());
}

/// Bug 3: any one, and any two, of the segments of a close are lost; it still finishes, and
/// nothing is repeated for ever.
#[test]
fn a_close_survives_every_loss() {
    for crossing in [false, true] {
        for lost in 0..64u32 {
            let mut pair = Pair::plain();
            let mut index = 0;
            pair.link = Box::new(move |_, _, _| {
                index += 1;
                let gone = index <= 6 && lost & (1 << (index - 1)) != 0;
                if gone { vec![] } else { vec![10 * MS] }
            });
            let now = pair.now;
            shut(&mut pair.a, now);
            if crossing {
                shut(&mut pair.b, now);
            }
            pair.run(Duration::from_secs(20));
            if !crossing {
                let now = pair.now;
                shut(&mut pair.b, now);
            }
            pair.run(Duration::from_secs(40));
            assert!(pair.a.over && pair.b.over, "mask {lost}: {}", pair.tail());
            assert_eq!(pair.a.connection().take_error(), None, "mask {lost}");
            assert_eq!(pair.b.connection().take_error(), None, "mask {lost}");
            let count = pair.log.len();
            pair.run(Duration::from_secs(3_600));
            assert_eq!(pair.log.len(), count, "silence after the end");
            assert!(count < 40, "mask {lost}: {}", pair.tail());
        }
    }
}

/// Bug 4: text that comes with FIN counts in every state that receives.
#[test]
fn text_with_fin_is_read_before_the_end() {
    for fin_sent in [false, true] {
        for acked in [false, true] {
            let mut solo = Solo::established(&Setup::default());
            if fin_sent {
                let now = solo.now;
                shut(&mut solo.end, now);
                assert!(solo.one().is(Flags::FIN));
            }
            let ack = if fin_sent && acked { 2 } else { 1 };
            solo.say(Peer::seq(1).ack(ack).text(b"last words").flags(Flags::FIN));
            let answer = solo.one();
            assert_eq!(solo.rel_ack(&answer), 12);
            let now = solo.now;
            let connection = solo.end.connection();
            assert_eq!(connection.receive(now, 100).unwrap(), "last words");
            assert!(connection.receive(now, 100).unwrap().is_empty());
            let state = match (fin_sent, acked) {
                (false, _) => State::CloseWait,
                (true, false) => State::Closing,
                (true, true) => State::TimeWait,
            };
            assert_eq!(connection.state(), state);
        }
    }
}

/// Bug 4: FIN before missing text waits for it.
#[test]
fn fin_out_of_order_takes_effect_when_the_hole_is_filled() {
    let mut solo = Solo::established_sack(&Setup::default());
    solo.say(Peer::seq(6).ack(1).text(b"world").flags(Flags::FIN));
    let answer = solo.one();
    assert_eq!(solo.rel_ack(&answer), 1);
    assert_eq!(solo.state(), State::Established);
    solo.say(Peer::seq(1).ack(1).text(b"hello"));
    let answer = solo.one();
    assert_eq!(solo.rel_ack(&answer), 12);
    assert_eq!(solo.state(), State::CloseWait);
    let now = solo.now;
    let mut got = [0; 20];
    assert_eq!(
        solo.end.connection().receive_slice(now, &mut got).unwrap(),
        10
    );
    assert_eq!(&got[..10], b"helloworld");
}

/// Bug 18: half closed is a state to work in, as long as anyone likes.
#[test]
fn a_half_closed_connection_goes_on_the_other_way() {
    let mut pair = Pair::plain();
    let now = pair.now;
    shut(&mut pair.b, now);
    pair.run(Duration::from_secs(7_200));
    let data = super::harness::pattern(100_000);
    pair.transfer(&data, Duration::from_secs(20));
    assert_eq!(
        pair.b.connection().send_slice(now, b"x", false),
        Err(SendError::Closed)
    );
    let now = pair.now;
    shut(&mut pair.a, now);
    pair.run(Duration::from_secs(1));
    assert!(pair.a.over && pair.b.over);
}

/// RFC 2525 section 2.17: what will never be read is lost, and the peer hears so.
#[test]
fn closing_with_unread_text_resets() {
    let mut solo = Solo::established(&Setup::default());
    solo.say(Peer::seq(1).ack(1).text(b"unread"));
    solo.one();
    let now = solo.now;
    let step = solo.end.connection().close(now);
    solo.end.absorb(step);
    assert!(solo.one().is(Flags::RST));
    assert!(solo.end.over);
}

#[test]
fn text_after_the_application_has_gone_resets() {
    let mut solo = Solo::established(&Setup::default());
    let now = solo.now;
    let step = solo.end.connection().close(now);
    solo.end.absorb(step);
    assert!(solo.one().is(Flags::FIN));
    solo.say(Peer::seq(1).ack(2).text(b"too late"));
    let rst = solo.one();
    assert!(rst.is(Flags::RST) && solo.end.over);
    assert_eq!(solo.rel(&rst), 2);
}

#[test]
fn everything_queued_leaves_before_fin_although_nobody_holds_the_connection() {
    let mut pair = Pair::plain();
    let data = super::harness::pattern(200_000);
    let now = pair.now;
    assert_eq!(
        pair.a.connection().send_slice(now, &data, false).unwrap(),
        data.len()
    );
    let step = pair.a.connection().close(now);
    pair.a.absorb(step);
    let mut got = Vec::new();
    pair.run(Duration::from_secs(5));
    let now = pair.now;
    while let Ok(chunk) = pair.b.connection().receive(now, 1 << 20) {
        if chunk.is_empty() {
            break;
        }
        got.extend_from_slice(&chunk);
    }
    assert!(got == data);
    assert_eq!(pair.a.connection().state(), State::FinWait2);
}

#[test]
fn fin_wait_2_ends_once_nobody_holds_the_connection() {
    let mut pair = Pair::plain();
    let now = pair.now;
    shut(&mut pair.a, now);
    pair.run(Duration::from_secs(600));
    assert_eq!(
        pair.a.connection().state(),
        State::FinWait2,
        "held: it may wait"
    );
    let now = pair.now;
    let step = pair.a.connection().close(now);
    pair.a.absorb(step);
    pair.run(Duration::from_secs(59));
    assert!(!pair.a.over);
    pair.run(Duration::from_secs(2));
    assert!(pair.a.over);
}

#[test]
fn linger_zero_resets_and_forgets() {
    let mut setup = Setup::default();
    setup.options.linger = Linger::Reset;
    let mut solo = Solo::established(&setup);
    solo.send(b"never");
    let now = solo.now;
    let step = solo.end.connection().close(now);
    solo.end.absorb(step);
    let rst = solo.one();
    assert!(rst.is(Flags::RST));
    assert_eq!(solo.rel(&rst), 1, "where SND.NXT is");
}

#[test]
fn abort_says_so_to_both() {
    let mut pair = Pair::plain();
    let now = pair.now;
    let step = pair.a.connection().abort(now);
    pair.a.absorb(step);
    pair.run(50 * MS);
    assert_eq!(pair.b.connection().take_error(), Some(Lost::Reset));
    assert_eq!(
        pair.b.connection().receive(now, 10),
        Err(ReceiveError::Lost(Lost::Reset))
    );
    assert_eq!(pair.count(From::B, |_| true), 0, "a RST is not answered");
}

/// What arrived before a reset can still be read; then comes the error.
#[test]
fn text_before_a_reset_is_readable() {
    let mut solo = Solo::established(&Setup::default());
    solo.say(Peer::seq(1).ack(1).text(b"news"));
    solo.one();
    solo.say(Peer::seq(5).flags(Flags::RST));
    let now = solo.now;
    assert_eq!(solo.end.connection().receive(now, 10).unwrap(), "news");
    assert_eq!(
        solo.end.connection().receive(now, 10),
        Err(ReceiveError::Lost(Lost::Reset))
    );
}

#[test]
fn shutdown_for_reading_ends_waiting_and_keeps_what_still_comes() {
    let mut solo = Solo::established(&Setup::default());
    let now = solo.now;
    let step = solo.end.connection().shutdown(now, Shutdown::Read).unwrap();
    solo.end.absorb(step);
    assert!(solo.end.connection().receive(now, 10).unwrap().is_empty());
    solo.say(Peer::seq(1).ack(1).text(b"late"));
    let ack = solo.one();
    assert_eq!(solo.rel_ack(&ack), 5);
    assert_eq!(solo.end.connection().receive(now, 10).unwrap(), "late");
    assert!(solo.end.connection().receive(now, 10).unwrap().is_empty());
}

/// RFC 9293 section 3.10.7.4, TIME-WAIT: the last ACK was lost.
#[test]
fn time_wait_acknowledges_the_fin_again_and_begins_anew() {
    let mut solo = closed_solo(false);
    let record = solo.end.time_wait.as_ref().unwrap().deadline();
    solo.now += Duration::from_secs(30);
    solo.say(Peer::seq(1).ack(2).flags(Flags::FIN));
    let ack = solo.one();
    assert_eq!((solo.rel(&ack), solo.rel_ack(&ack)), (2, 2));
    let moved = solo.end.time_wait.as_ref().unwrap().deadline();
    assert_eq!(moved.saturating_since(record), Duration::from_secs(30));
}

/// RFC 1337: no assassination.
#[test]
fn time_wait_ignores_resets() {
    let mut solo = closed_solo(false);
    for seq in [0, 1, 2, 3, 500, 9_000_000] {
        solo.say(Peer::seq(seq).ack(2).flags(Flags::RST));
        solo.silence();
    }
    assert!(solo.end.time_wait.is_some());
}

/// RFC 6191: a caller that begins anew need not wait; an old SYN is not one.
#[test]
fn time_wait_gives_way_to_a_new_incarnation() {
    for clocks in [false, true] {
        let solo = closed_solo(clocks);
        let record = solo.end.time_wait.unwrap();
        let syn = |seq: u32, value: u32| Segment {
            seq: solo.irs + seq,
            ack: None,
            window: 1_000,
            flags: Flags::SYN,
            options: Options {
                timestamps: clocks.then_some(Timestamps { value, echo: 0 }),
                ..Options::default()
            },
            text_len: 0,
            segment_size: None,
            arrived: solo.now,
            ce: false,
        };
        let old = if clocks { syn(9_000, 10) } else { syn(0, 0) };
        let new = if clocks { syn(0, 5_000) } else { syn(9_000, 0) };
        let (mut old_record, mut new_record) = (record, record);
        assert!(matches!(
            old_record.on_segment(solo.now, &old),
            TimeWaitStep::Stay(Some(_))
        ));
        let TimeWaitStep::Reopen(_, floor) = new_record.on_segment(solo.now, &new) else {
            panic!("a new incarnation");
        };
        assert!(floor.is_after(solo.iss + 2));
        let later = solo.now + Duration::from_secs(2);
        assert_eq!(record.may_reopen(later).is_some(), clocks);
    }
    assert!(size_of::<TimeWait>() < 128);
}

/// A connection in TIME-WAIT: both FINs were sent and acknowledged.
fn closed_solo(clocks: bool) -> Solo {
    let options = Options {
        mss: Some(1460),
        timestamps: clocks.then_some(Timestamps {
            value: 100,
            echo: 0,
        }),
        ..Options::default()
    };
    let mut solo = Solo::established_with(&Setup::default(), options);
    let now = solo.now;
    shut(&mut solo.end, now);
    solo.one();
    solo.say(Peer::seq(1).ack(2).flags(Flags::FIN));
    solo.one();
    assert!(solo.end.time_wait.is_some());
    solo
}

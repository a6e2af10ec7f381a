//! RFC 5961, RFC 9293 section 3.10.7: what resets a connection, and what does not. Bugs 5 and 6.

use core::time::Duration;

use super::harness::{MS, Pair, Peer, Setup, Solo};
use crate::error::{Lost, Unreachable};
use crate::socket::{Shutdown, State};
use crate::tcp::*;

/// Bug 5: the exact number, and no other.
#[test]
fn only_the_exact_number_resets() {
    for (seq, effect) in [
        (1u32, "reset"),
        (2, "challenge"),
        (60_000, "challenge"),
        (0, "nothing"),
        (100_000_000, "nothing"),
        (u32::MAX - 5, "nothing"),
    ] {
        for half_closed in [false, true] {
            let mut solo = Solo::established(&Setup::default());
            if half_closed {
                let now = solo.now;
                let step = solo
                    .end
                    .connection()
                    .shutdown(now, Shutdown::Write)
                    .unwrap();
                solo.end.absorb(step);
                solo.one();
            }
            solo.say(Peer::seq(seq).flags(Flags::RST));
            match effect {
                "reset" => {
                    assert!(solo.end.over);
                    assert_eq!(solo.end.connection().take_error(), Some(Lost::Reset));
                }
                "challenge" => {
                    let ack = solo.one();
                    assert_eq!(solo.rel_ack(&ack), 1);
                    assert!(!ack.is(Flags::RST) && !solo.end.over);
                }
                _ => solo.silence(),
            }
        }
    }
}

/// Bug 5: while an acknowledgement is delayed, the peer answers what we acknowledged before.
#[test]
fn a_reset_at_the_last_acknowledged_number_counts() {
    let mut solo = Solo::established(&Setup::default());
    // Beyond the quick start, so that one is really delayed.
    let mut at = 1;
    for _ in 0..20 {
        solo.say(Peer::seq(at).ack(1).text(&[1; 1000]));
        solo.hear();
        at += 1000;
    }
    solo.wait(50 * MS);
    solo.say(Peer::seq(at).ack(1).text(&[1; 1000]));
    solo.silence();
    solo.say(Peer::seq(at).flags(Flags::RST));
    assert!(solo.end.over);
}

/// RFC 5961 section 4.
#[test]
fn a_syn_in_a_synchronized_state_is_challenged() {
    let mut solo = Solo::established(&Setup::default());
    for seq in [1, 500, 90_000_000] {
        solo.say(Peer::seq(seq).flags(Flags::SYN));
        let ack = solo.one();
        assert_eq!((solo.rel(&ack), solo.rel_ack(&ack)), (1, 1));
        assert_eq!(solo.state(), State::Established);
    }
}

/// RFC 5961 section 5: text with an ACK that cannot be is a guess; with a late one it counts.
#[test]
fn text_counts_with_an_old_ack_but_not_with_an_impossible_one() {
    let mut solo = Solo::established(&Setup::default());
    solo.send(&[1; 1000]);
    solo.hear();
    solo.say(Peer::seq(1).ack(1001));
    // Older than any window, and never sent.
    for ack in [1001u32.wrapping_sub(70_000), 1002, 9_000_000] {
        solo.say(Peer::seq(1).ack(ack).text(b"forged"));
        let ack = solo.one();
        assert_eq!(solo.rel_ack(&ack), 1);
    }
    solo.say(Peer::seq(1).ack(400).text(b"late"));
    let now = solo.now;
    assert_eq!(solo.end.connection().receive(now, 100).unwrap(), "late");
}

/// RFC 5961 section 7; CVE-2016-5696: the limit is this connection's own.
#[test]
fn challenges_are_limited_for_each_connection() {
    let mut solo = Solo::established(&Setup::default());
    let mut other = Solo::established(&Setup::default());
    let mut answers = 0;
    for _ in 0..100 {
        solo.say(Peer::seq(500).flags(Flags::RST));
        answers += solo.hear().len();
    }
    assert_eq!(answers, 10);
    other.say(Peer::seq(500).flags(Flags::RST));
    assert_eq!(other.hear().len(), 1, "nothing is learned of others");
    solo.now += Duration::from_secs(1);
    solo.say(Peer::seq(500).flags(Flags::RST));
    assert_eq!(solo.hear().len(), 1);
}

/// Bug 6: two ends that disagree do not talk for ever, however long the round trip.
#[test]
fn desynchronized_ends_fall_silent() {
    for delay in [1, 300, 2_000] {
        let mut pair = Pair::plain();
        pair.link = std::boxed::Box::new(move |_, _, _| std::vec![delay * MS]);
        // Each believes that the other has sent more than it has.
        for end in [&mut pair.a, &mut pair.b] {
            let Machine::Synchronized(tcb) = &mut end.connection().machine else {
                panic!("synchronized");
            };
            tcb.rcv.nxt += 100_000;
            tcb.rcv.edge += 100_000;
        }
        let now = pair.now;
        pair.a.connection().send_slice(now, b"x", false).unwrap();
        pair.run(Duration::from_secs(600));
        let early = pair.log.len();
        pair.run(Duration::from_secs(200));
        let late = pair.log.len() - early;
        assert!(
            early < 200 && late < 20,
            "delay {delay}: {early} then {late}"
        );
    }
}

/// RFC 5927 section 5.2: hard errors do not end what stands; they explain a timeout.
#[test]
fn icmp_errors_do_not_end_what_stands() {
    let mut solo = Solo::established(&Setup::default());
    solo.send(b"hello");
    let wire = solo.one();
    let offender = "10.9.9.9".parse().unwrap();
    let now = solo.now;
    let connection = solo.end.connection();
    assert!(!connection.quotes_us(wire.header.seq + 100));
    assert!(!connection.quotes_us(wire.header.seq - 1));
    assert!(connection.quotes_us(wire.header.seq));
    let step = connection.on_icmp(now, Unreachable::Port, offender, wire.header.seq);
    solo.end.absorb(step);
    assert_eq!(solo.state(), State::Established);
    solo.wait(Duration::from_secs(2_000));
    let hint = Some(Unreachable::Port);
    assert_eq!(
        solo.end.connection().take_error(),
        Some(Lost::TimedOut { hint })
    );
}

use crate::tcp::connection::Machine;

#[test]
fn segments_for_nobody_are_reset_and_resets_are_not() {
    let segment = |ack: Option<u32>, flags, text_len| Segment {
        seq: SeqNum::new(100),
        ack: ack.map(SeqNum::new),
        window: 0,
        flags,
        options: Options::default(),
        text_len,
        segment_size: None,
        arrived: switchboard_wire::Instant::ZERO,
        ce: false,
    };
    assert!(reset_for(&segment(Some(5), Flags::RST, 0)).is_none());
    let with_ack = reset_for(&segment(Some(5), Flags::NONE, 3)).unwrap().header;
    assert_eq!((with_ack.seq, with_ack.ack), (SeqNum::new(5), None));
    let without = reset_for(&segment(None, Flags::SYN, 3)).unwrap().header;
    assert_eq!(
        (without.seq, without.ack),
        (SeqNum::new(0), Some(SeqNum::new(104)))
    );
}

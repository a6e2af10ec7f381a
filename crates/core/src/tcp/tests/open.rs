//! Opening: RFC 9293 sections 3.5, 3.10.7.2 to 3.10.7.4; RFC 7323 section 2; RFC 6298 section 5.7.

use alloc::vec;
use core::time::Duration;

use super::harness::{From, MS, Pair, Peer, Setup, Solo};
use crate::error::{ConnectError, Lost, Unreachable};
use crate::event::Readiness;
use crate::socket::State;
use crate::tcp::*;

#[test]
fn three_segments_open_a_connection() {
    let mut pair = Pair::opening(&Setup::default(), &Setup::default());
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.log.len(), 3, "{}", pair.tail());
    assert!(
        pair.a
            .signals
            .contains(Readiness::CONNECTED | Readiness::WRITABLE)
    );
    assert!(pair.b.signals.contains(Readiness::CONNECTED));
    let info = pair.a.connection().info(pair.now);
    assert_eq!(info.srtt, Some(20 * MS));
    assert!(info.sack && info.timestamps);
    assert_eq!(info.window_scale, Some((7, 7)));
}

/// RFC 9293 section 3.5, figure 8 (MUST-10).
#[test]
fn both_may_open_at_once() {
    let mut pair = Pair::opening(&Setup::default(), &Setup::default());
    let params = pair.b.params.clone();
    pair.b.connection = Some(Connection::open(pair.now, params, None));
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.a.connection().state(), State::Established);
    assert_eq!(pair.b.connection().state(), State::Established);
    let data = super::harness::pattern(50_000);
    pair.transfer(&data, Duration::from_secs(5));
}

/// RFC 9293 section 3.10.7.3, first check: a stray ACK is answered with a RST that carries the
/// ACK's own number, and the attempt goes on.
#[test]
fn stray_ack_during_connect_is_reset_and_connect_still_succeeds() {
    let (mut solo, _) = Solo::opening(&Setup::default());
    for stray in [0, 9, 70_000] {
        solo.say(Peer::seq(700).ack(stray));
        let rst = solo.one();
        assert!(rst.is(Flags::RST) && rst.header.ack.is_none());
        assert_eq!(solo.rel(&rst), stray);
    }
    solo.say(Peer::seq(0).ack(1).flags(Flags::SYN));
    assert_eq!(solo.state(), State::Established);
}

/// The same, second check (bug 5).
#[test]
fn only_a_reset_that_acknowledges_our_syn_refuses_the_connection() {
    let (mut solo, _) = Solo::opening(&Setup::default());
    solo.say(Peer::seq(0).flags(Flags::RST));
    solo.say(Peer::seq(0).ack(9).flags(Flags::RST));
    assert_eq!(solo.state(), State::SynSent);
    solo.say(Peer::seq(0).ack(1).flags(Flags::RST));
    assert!(solo.end.over);
    let error = solo.end.connection().take_error();
    assert_eq!(error, Some(Lost::NeverConnected(ConnectError::Refused)));
    assert_eq!(solo.end.connection().take_error(), None, "once");
    assert!(
        solo.end
            .signals
            .contains(Readiness::CONNECTED | Readiness::ERROR)
    );
}

#[test]
fn a_syn_is_repeated_at_doubling_gaps_and_given_up_after_six() {
    let (mut solo, syn) = Solo::opening(&Setup::default());
    let begun = solo.now;
    let left = solo.wait(Duration::from_secs(300));
    let gaps: vec::Vec<_> = left
        .iter()
        .map(|(at, _)| at.saturating_since(begun).as_secs())
        .collect();
    assert_eq!(gaps, [1, 3, 7, 15, 31, 63]);
    assert!(
        left.iter()
            .all(|(_, wire)| wire.header.seq == syn.header.seq && wire.retransmission)
    );
    let error = solo.end.connection().take_error();
    let waited = Duration::from_secs(127);
    assert_eq!(
        error,
        Some(Lost::NeverConnected(ConnectError::TimedOut { waited }))
    );
}

#[test]
fn a_syn_ack_is_repeated_and_given_up_after_five() {
    let mut pair = Pair::opening(&Setup::default(), &Setup::default());
    pair.link = std::boxed::Box::new(|from, _, _| match from {
        From::A => vec![10 * MS],
        From::B => vec![],
    });
    // Nothing of A's after its first SYN, so that only the timer repeats.
    let mut first = true;
    pair.link = std::boxed::Box::new(move |from, _, _| {
        let passes = from == From::A && core::mem::take(&mut first);
        if passes { vec![10 * MS] } else { vec![] }
    });
    pair.run(Duration::from_secs(300));
    assert_eq!(pair.count(From::B, |wire| wire.is(Flags::SYN)), 6);
    assert!(pair.b.over);
}

/// Bug 11: window scale is used only where both offered it, never for the window of a SYN, and
/// a shift above 14 means 14.
#[test]
fn window_scale_in_all_four_combinations() {
    for (ours, theirs) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut setup = Setup::default();
        setup.config.window_scaling = ours;
        let (mut solo, syn) = Solo::opening(&setup);
        assert_eq!(syn.header.options.window_scale.is_some(), ours);
        assert_eq!(syn.header.window, 65_535, "unscaled");
        let options = Options {
            window_scale: theirs.then_some(200),
            ..Options::default()
        };
        solo.say(
            Peer::seq(0)
                .ack(1)
                .window(1_000)
                .flags(Flags::SYN)
                .options(options),
        );
        let ack = solo.one();
        let now = solo.now;
        let info = solo.end.connection().info(now);
        assert_eq!(info.send_window, 1_000, "the SYN|ACK's is not scaled");
        let both = ours && theirs;
        assert_eq!(info.window_scale, both.then_some((7, 14)));
        let told = u32::from(ack.header.window) << if both { 7 } else { 0 };
        assert_eq!(told, if both { 4 << 20 } else { 65_535 });
        solo.say(Peer::seq(1).ack(1).window(3));
        let now = solo.now;
        let info = solo.end.connection().info(now);
        assert_eq!(info.send_window, if both { 3 << 14 } else { 3 });
    }
}

/// Bug 11, passive side: the SYN|ACK offers what was offered, again when it is repeated.
#[test]
fn a_syn_ack_offers_only_what_the_syn_did() {
    for offered in [true, false] {
        let mut a = Setup::default();
        a.config.window_scaling = offered;
        a.config.sack = offered;
        a.config.timestamps = offered;
        let mut pair = Pair::opening(&a, &Setup::default());
        let mut lost = 0;
        pair.link = std::boxed::Box::new(move |from, _, wire| {
            if from == From::B && wire.is(Flags::SYN) && lost < 2 {
                lost += 1;
                return vec![];
            }
            vec![10 * MS]
        });
        pair.run(Duration::from_secs(10));
        for (_, _, wire) in pair
            .log
            .iter()
            .filter(|(_, from, wire)| *from == From::B && wire.is(Flags::SYN))
        {
            let options = &wire.header.options;
            assert_eq!(options.window_scale.is_some(), offered);
            assert_eq!(options.sack_permitted, offered);
            assert_eq!(options.timestamps.is_some(), offered);
            assert_eq!(wire.header.window, 65_535);
        }
        assert_eq!(pair.a.connection().state(), State::Established);
        let data = super::harness::pattern(300_000);
        pair.transfer(&data, Duration::from_secs(20));
    }
}

/// Bug 24: nothing is assumed that was not agreed.
#[test]
fn options_that_were_not_agreed_are_not_sent() {
    let mut solo = Solo::established(&Setup::default());
    // Out of order, with a clock that nobody agreed on.
    solo.say(Peer::seq(101).ack(1).text(&[7; 10]).stamp(5));
    let ack = solo.one();
    assert!(ack.header.options.sack.is_empty());
    assert!(ack.header.options.timestamps.is_none());
    // And no clock is judged by what was never agreed.
    solo.say(Peer::seq(1).ack(1).text(&[7; 100]).stamp(0x9000_0000));
    let ack = solo.one();
    assert_eq!(solo.rel_ack(&ack), 111);
}

/// Bug 9: an MSS of nothing, or next to it.
#[test]
fn tiny_peer_mss_is_raised_to_a_floor() {
    for mss in [0, 1, 47, 48] {
        let mut setup = Setup::default();
        setup.options.nodelay = true;
        let options = Options {
            mss: Some(mss),
            ..Options::default()
        };
        let mut solo = Solo::established_with(&setup, options);
        solo.send(&[1; 480]);
        let wires = solo.hear();
        assert_eq!(wires.len(), 10);
        assert!(wires.iter().all(|wire| wire.text.len() == 48), "MSS {mss}");
    }
}

/// RFC 9293 section 3.7.1, MUST-15.
#[test]
fn without_an_mss_option_segments_have_536_octets() {
    let mut solo = Solo::established_with(&Setup::default(), Options::default());
    solo.send(&[1; 5_000]);
    assert_eq!(solo.hear()[0].text.len(), 536);
}

/// RFC 5461 and RFC 5927: a quoted number that we never sent says nothing.
#[test]
fn icmp_errors_end_an_attempt_only_if_they_quote_it() {
    let (mut solo, syn) = Solo::opening(&Setup::default());
    let offender = "10.9.9.9".parse().unwrap();
    let (now, why) = (solo.now, Unreachable::Host);
    let step = solo
        .end
        .connection()
        .on_icmp(now, why, offender, syn.header.seq + 1);
    solo.end.absorb(step);
    assert_eq!(solo.state(), State::SynSent);
    let step = solo
        .end
        .connection()
        .on_icmp(now, why, offender, syn.header.seq);
    solo.end.absorb(step);
    let error = ConnectError::Unreachable { why, offender };
    assert_eq!(
        solo.end.connection().take_error(),
        Some(Lost::NeverConnected(error))
    );
}

#[test]
fn text_and_fin_may_come_with_the_syn_ack() {
    let (mut solo, _) = Solo::opening(&Setup::default());
    solo.say(
        Peer::seq(0)
            .ack(1)
            .flags(Flags::SYN | Flags::FIN)
            .text(b"hello"),
    );
    assert_eq!(solo.state(), State::CloseWait);
    let now = solo.now;
    assert_eq!(solo.end.connection().receive(now, 100).unwrap(), "hello");
    let ack = solo.one();
    assert_eq!(solo.rel_ack(&ack), 7);
}

/// RFC 9293 section 3.10.7.2, and what waits for a gateway's verdict.
#[test]
fn listeners_and_waiting_flows_tell_callers_from_strays() {
    let now = switchboard_wire::Instant::ZERO;
    let segment = |seq, ack: Option<u32>, flags| {
        let wire = super::harness::Wire {
            header: Header {
                seq: SeqNum::new(seq),
                ack: ack.map(SeqNum::new),
                flags,
                ..Header::default()
            },
            text: bytes::Bytes::new(),
            segment_size: None,
            retransmission: false,
        };
        wire.segment(now)
    };
    assert!(matches!(
        listen(&segment(5, None, Flags::RST)),
        Listened::Ignore
    ));
    assert!(matches!(
        listen(&segment(5, Some(9), Flags::SYN)),
        Listened::Reset(_)
    ));
    assert!(matches!(
        listen(&segment(5, None, Flags::NONE)),
        Listened::Ignore
    ));
    let Listened::Syn(syn) = listen(&segment(5, None, Flags::SYN)) else {
        panic!("a caller");
    };
    assert!(matches!(
        syn.on_segment(&segment(5, None, Flags::SYN)),
        PendingStep::Absorb
    ));
    assert!(
        matches!(syn.on_segment(&segment(77, None, Flags::SYN)), PendingStep::Replace(new) if new.irs == SeqNum::new(77))
    );
    assert!(matches!(
        syn.on_segment(&segment(99, None, Flags::RST)),
        PendingStep::Absorb
    ));
    assert!(matches!(
        syn.on_segment(&segment(6, None, Flags::RST)),
        PendingStep::Cancelled
    ));
    assert!(matches!(
        syn.on_segment(&segment(6, Some(1), Flags::NONE)),
        PendingStep::Reply(_)
    ));
    assert_eq!(syn.refuse().header.ack, Some(SeqNum::new(6)));
    assert!(size_of::<PendingSyn>() <= 48, "bug 13: a SYN costs little");
}

/// Bug 13: some middleboxes strip options from the last segment of the handshake.
#[test]
fn a_handshake_ack_without_timestamps_still_connects() {
    let setup = Setup::default();
    let mut pair = Pair::opening(&setup, &setup);
    pair.run(15 * MS);
    pair.run(Duration::from_millis(1));
    let syn_ack = pair
        .log
        .iter()
        .find(|(_, from, _)| *from == From::B)
        .unwrap()
        .2
        .clone();
    let wire = super::harness::Wire {
        header: Header {
            seq: syn_ack.header.ack.unwrap(),
            ack: Some(syn_ack.header.seq + 1),
            window: 100,
            ..Header::default()
        },
        text: bytes::Bytes::new(),
        segment_size: None,
        retransmission: false,
    };
    let now = pair.now;
    let _ = pair
        .b
        .connection()
        .on_segment(now, &wire.segment(now), Text::default());
    assert_eq!(pair.b.connection().state(), State::Established);
}

/// RFC 6528: numbers of one four-tuple grow with time, those of others say nothing of them.
#[test]
fn initial_numbers_are_keyed() {
    let make = IsnGenerator::new([7; 16]);
    let tuple = Setup::default().params(true).tuple;
    let other = Setup::default().params(false).tuple;
    let at = |ms| switchboard_wire::Instant::from_millis(ms);
    let first = make.isn(at(1_000), &tuple);
    assert_eq!(make.isn(at(2_000), &tuple).since(first), 250_000);
    assert_ne!(make.isn(at(1_000), &other), first);
    assert_ne!(IsnGenerator::new([8; 16]).isn(at(1_000), &tuple), first);
    assert_ne!(make.timestamp_offset(&tuple), make.timestamp_offset(&other));
}

/// RFC 6056 section 3.3.4.
#[test]
fn ports_of_one_destination_follow_each_other_and_those_of_others_do_not() {
    let mut ports = PortHash::new([3; 16]);
    let tuple = Setup::default().params(true).tuple;
    let (local, remote) = (tuple.local.ip(), tuple.remote);
    let range = 28_232;
    let first = ports.start(local, &remote, range);
    ports.took(local, &remote, 2);
    assert_eq!(ports.start(local, &remote, range), (first + 3) % range);
}

//! Fast Open, the client's side (RFC 7413): what the ladders cannot claim, and a sweep of faults.

use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use switchboard_wire::tcp::{FastOpen, FastOpenCookie};

use super::harness::{MS, Peer, Setup, Solo, pattern};
use crate::error::{ConnectError, Unreachable};
use crate::socket::State;
use crate::tcp::fast_open::Learned;
use crate::tcp::*;

fn cookie() -> FastOpenCookie {
    FastOpenCookie::new(b"abcdefgh").unwrap()
}

/// A connection whose SYN takes `len` octets along, and that SYN.
fn opening(len: usize) -> (Solo, super::harness::Wire) {
    let text = Bytes::from(pattern(len));
    Solo::opening_with(&Setup::default(), Some(SynText::new(cookie(), text)))
}

/// What the last step has taught, as `Solo` hands steps on.
fn learned(solo: &mut Solo) -> Option<Learned> {
    solo.end.learned.take()
}

/// RFC 7413 section 4.2.2: neither option nor text in a SYN that is sent again.
#[test]
fn only_the_first_syn_has_option_and_text() {
    let (mut solo, syn) = opening(500);
    let option = Some(FastOpen::Cookie(cookie()));
    assert_eq!(
        (syn.header.options.fast_open, syn.text.len()),
        (option, 500)
    );
    let again = solo.wait(Duration::from_secs(4));
    assert_eq!(again.len(), 2);
    for (_, wire) in again {
        assert_eq!((wire.header.options.fast_open, wire.text.len()), (None, 0));
        assert_eq!(wire.header.seq, syn.header.seq);
    }
    // The same for a SYN that only asks.
    let (mut solo, syn) = Solo::opening_with(&Setup::default(), Some(SynText::request()));
    assert_eq!(syn.header.options.fast_open, Some(FastOpen::Request));
    let again = solo.wait(Duration::from_secs(4));
    assert!(
        again
            .iter()
            .all(|(_, wire)| wire.header.options.fast_open.is_none())
    );
}

/// The text is never copied: not into the SYN, and, where it goes again, not into the queue.
#[test]
fn the_text_stays_a_slice_of_what_the_application_gave() {
    let text = Bytes::from(pattern(1400));
    let range = text.as_ptr_range();
    let syn_text = SynText::new(cookie(), text.clone());
    let (mut solo, syn) = Solo::opening_with(&Setup::default(), Some(syn_text));
    assert_eq!(syn.text.as_ptr_range(), range);
    let mss = Options {
        mss: Some(1460),
        ..Options::default()
    };
    solo.say(Peer::seq(0).ack(101).flags(Flags::SYN).options(mss));
    let again = solo.one();
    assert_eq!(again.text, text.slice(100..));
    assert_eq!(again.text.as_ptr_range().end, range.end);
}

#[test]
fn every_number_up_to_the_end_of_the_text_acknowledges_the_syn_and_no_other() {
    for ack in [0, 1, 2, 250, 499, 500, 501, 502, 70_000] {
        let (mut solo, _) = opening(500);
        solo.say(Peer::seq(0).ack(ack).flags(Flags::SYN));
        let stands = (1..=501).contains(&ack);
        let expected = if stands {
            State::Established
        } else {
            State::SynSent
        };
        assert_eq!(solo.state(), expected, "{ack}");
        let sent = solo.one();
        if stands {
            assert_eq!(solo.rel(&sent), ack);
            assert_eq!(sent.text.len(), 501 - ack as usize);
            let info = solo.end.connection().info(solo.now);
            assert_eq!(info.octets_acked, u64::from(ack) - 1);
            assert_eq!(info.octets_sent, 500);
            assert_eq!(info.syn_text_acked, ack > 1);
        } else {
            assert!(sent.is(Flags::RST));
        }
    }
}

/// RFC 9293 section 3.10.7.2 lets a server keep the text and acknowledge it later: a number that
/// we have not sent a second time.
#[test]
fn text_of_the_syn_may_be_acknowledged_late() {
    let (mut solo, _) = opening(500);
    solo.say(Peer::seq(0).ack(1).window(0).flags(Flags::SYN));
    let ack = solo.one();
    assert_eq!(
        (solo.rel(&ack), ack.text.len()),
        (1, 0),
        "the window is shut"
    );
    solo.say(Peer::seq(1).ack(501));
    let info = solo.end.connection().info(solo.now);
    assert_eq!((info.octets_sent, info.octets_acked), (500, 500));
    assert_eq!((info.unsent, info.in_flight), (0, 0));
    solo.silence();
}

#[test]
fn what_an_answer_teaches() {
    let answer = |fast_open| Options {
        mss: Some(1400),
        fast_open,
        ..Options::default()
    };
    let given = FastOpenCookie::new(b"wxyz");
    let fresh = given.map(FastOpen::Cookie);
    for (ack, option, cookie, failed) in [
        (501, None, None, false),
        (2, None, None, false),
        (1, None, None, true),
        (1, fresh, given, false),
        (501, fresh, given, false),
        (501, Some(FastOpen::Request), None, false),
    ] {
        let (mut solo, _) = opening(500);
        solo.say(
            Peer::seq(0)
                .ack(ack)
                .flags(Flags::SYN)
                .options(answer(option)),
        );
        let mss = 1400;
        let expected = Some(Learned {
            cookie,
            mss,
            failed,
        });
        assert_eq!(learned(&mut solo), expected, "{ack} {option:?}");
    }
    // An unasked cookie teaches nothing.
    let (mut solo, _) = Solo::opening(&Setup::default());
    solo.say(Peer::seq(0).ack(1).flags(Flags::SYN).options(answer(fresh)));
    assert_eq!(learned(&mut solo), None);
}

#[test]
fn what_silence_and_errors_teach() {
    let failed = Some(Learned {
        cookie: None,
        mss: 0,
        failed: true,
    });
    let (mut solo, _) = opening(500);
    solo.wait(Duration::from_secs(300));
    assert_eq!(learned(&mut solo), failed, "timed out");

    let (mut solo, syn) = opening(500);
    let offender = [10, 0, 0, 9].into();
    let now = solo.now;
    let step =
        solo.end
            .connection()
            .on_icmp(now, Unreachable::Prohibited, offender, syn.header.seq);
    assert_eq!(step.learned, failed, "an ICMP error");

    let (mut solo, _) = opening(500);
    solo.say(Peer::seq(0).ack(501).flags(Flags::RST));
    assert_eq!(learned(&mut solo), None, "refused");
    let error = solo.end.connection().take_error();
    assert_eq!(
        error,
        Some(crate::error::Lost::NeverConnected(ConnectError::Refused))
    );

    // An answer to a SYN that was repeated: who knows to which.
    let (mut solo, _) = opening(500);
    solo.wait(Duration::from_secs(2));
    solo.say(Peer::seq(0).ack(501).flags(Flags::SYN));
    assert!(learned(&mut solo).is_some_and(|learned| learned.failed));
}

/// A server in a page, which takes `takes` octets with a SYN.
struct Server {
    takes: usize,
    got: Vec<u8>,
    /// It has answered a SYN.
    has_syn: bool,
    is_up: bool,
}

impl Server {
    /// What arrives, and what it answers.
    fn hear(&mut self, solo: &Solo, wire: &super::harness::Wire) -> Option<Peer> {
        if wire.is(Flags::SYN) {
            if !self.has_syn {
                self.has_syn = true;
                let takes = self.takes.min(wire.text.len());
                self.got.extend_from_slice(&wire.text[..takes]);
            }
            return Some(self.answer());
        }
        self.is_up = true;
        let at = solo.rel(wire) as usize - 1;
        if at <= self.got.len() {
            let known = (self.got.len() - at).min(wire.text.len());
            self.got.extend_from_slice(&wire.text[known..]);
        }
        (!wire.text.is_empty()).then(|| Peer::seq(1).ack(self.acked()))
    }

    fn acked(&self) -> u32 {
        self.got.len() as u32 + 1
    }

    fn answer(&self) -> Peer {
        Peer::seq(0).ack(self.acked()).flags(Flags::SYN)
    }
}

/// Runs a conversation in which 3000 octets are sent, 1000 of them with the SYN. Packet number
/// `fault` of both directions together is lost, or, with `twice`, comes twice. Returns how many
/// packets there were.
fn conversation(takes: usize, fault: usize, twice: bool) -> usize {
    let data = pattern(3000);
    let text = Bytes::copy_from_slice(&data[..1000]);
    let (mut solo, syn) = Solo::opening_with(&Setup::default(), Some(SynText::new(cookie(), text)));
    let mut server = Server {
        takes,
        got: Vec::new(),
        has_syn: false,
        is_up: false,
    };
    let mut packets = 0;
    let mut copies = || {
        packets += 1;
        match (packets == fault, twice) {
            (false, _) => 1,
            (true, true) => 2,
            (true, false) => 0,
        }
    };
    let mut wires = std::vec![syn];
    let mut given = 1000;
    for _ in 0..400 {
        for wire in core::mem::take(&mut wires) {
            for _ in 0..copies() {
                if let Some(peer) = server.hear(&solo, &wire) {
                    for _ in 0..copies() {
                        solo.say(peer.clone());
                    }
                }
            }
        }
        if given < data.len() && solo.state() == State::Established {
            given += solo.send(&data[given..]);
        }
        wires.extend(solo.wait(100 * MS).into_iter().map(|(_, wire)| wire));
        if server.has_syn && !server.is_up && wires.is_empty() {
            // Its own timer: the SYN|ACK again.
            let answer = server.answer();
            solo.say(answer);
        }
    }
    assert_eq!(
        server.got, data,
        "takes {takes}, fault {fault}, twice {twice}"
    );
    let info = solo.end.connection().info(solo.now);
    assert_eq!((info.octets_sent, info.octets_acked), (3000, 3000));
    assert_eq!((info.unsent, info.in_flight), (0, 0));
    packets
}

/// Every octet arrives once and in order, whatever the server takes of the SYN's text, and
/// whichever packet is lost or comes twice.
#[test]
fn a_single_fault_anywhere_loses_nothing() {
    for takes in [0, 1, 400, 1000] {
        let packets = conversation(takes, 0, false);
        assert!(packets >= 4, "{packets}");
        for fault in 1..=packets {
            conversation(takes, fault, false);
            conversation(takes, fault, true);
        }
    }
}

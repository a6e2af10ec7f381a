//! Each rule is broken once by hand, so that silence of the oracle means something.

use std::net::SocketAddr;

use bytes::Bytes;
use switchboard_wire::line::{Relative, TcpLine};

use super::*;
use crate::packets::{SegmentParts, header, tcp_packet};

const CLIENT: &str = "10.0.0.1:40000";
const SERVER: &str = "10.0.0.2:80";

/// A segment as a ladder writes it; numbers begin just before the wrap.
fn packet(from: &str, to: &str, line: &str) -> Bytes {
    let line: TcpLine = line.parse().expect("the test's own line");
    let source: SocketAddr = from.parse().expect("an endpoint");
    let destination: SocketAddr = to.parse().expect("an endpoint");
    let relative = Relative::of(u32::MAX - 50, u32::MAX - 50);
    let parts = SegmentParts {
        source,
        destination,
        line: &line,
        relative: &relative,
        timestamp: 1,
        echo: 1,
    };
    tcp_packet(source, destination, &header(&parts), &vec![7; line.len])
}

/// A handshake in which the client offers this window and scale, and its last verdict.
struct Talk {
    oracle: WireOracle,
    last: Result<(), String>,
}

impl Talk {
    fn new() -> Self {
        let mut talk = Self {
            oracle: WireOracle::default(),
            last: Ok(()),
        };
        talk.client("SYN seq=0 win=1000 mss=500 wscale=2");
        talk.server("SYN|ACK seq=0 ack=1 win=1000 mss=500 wscale=2");
        talk.client("ACK seq=1 ack=1 win=250");
        talk
    }

    fn say(&mut self, from: &str, to: &str, line: &str) {
        let packet = packet(from, to, line);
        if self.last.is_ok() {
            self.last = self.oracle.sent(&packet, 1500);
        }
        self.oracle.delivered(&packet);
    }

    fn client(&mut self, line: &str) {
        self.say(CLIENT, SERVER, line);
    }

    fn server(&mut self, line: &str) {
        self.say(SERVER, CLIENT, line);
    }

    /// The oracle complained, in these words.
    #[track_caller]
    fn is_wrong(&self, words: &str) {
        let what = self.last.as_ref().expect_err("the oracle saw nothing");
        assert!(what.contains(words), "{what}");
    }
}

#[test]
fn an_ordinary_conversation_is_fine() {
    let mut talk = Talk::new();
    talk.server("PSH|ACK seq=1 ack=1 len=400 win=250");
    talk.client("ACK seq=1 ack=401 win=150");
    talk.server("FIN|ACK seq=401 ack=1 win=250");
    talk.client("ACK seq=1 ack=402 win=150");
    talk.client("FIN|ACK seq=1 ack=402 win=150");
    talk.server("ACK seq=402 ack=2 win=250");
    talk.server("PSH|ACK seq=1 ack=2 len=400 win=250");
    assert_eq!(talk.last, Ok(()));
}

#[test]
fn a_gap_is_seen() {
    let mut talk = Talk::new();
    talk.server("ACK seq=2 ack=1 len=10 win=250");
    talk.is_wrong("beyond SND.NXT");
}

#[test]
fn an_acknowledgement_of_nothing_is_seen() {
    let mut talk = Talk::new();
    talk.client("ACK seq=1 ack=2 win=250");
    talk.is_wrong("never sent");
}

#[test]
fn an_acknowledgement_that_moves_back_is_seen() {
    let mut talk = Talk::new();
    talk.server("ACK seq=1 ack=1 len=10 win=250");
    talk.client("ACK seq=1 ack=11 win=250");
    talk.client("ACK seq=1 ack=5 win=252");
    talk.is_wrong("moves back by 6");
}

#[test]
fn an_edge_that_moves_left_is_seen_and_rounding_is_not() {
    let mut talk = Talk::new();
    talk.server("ACK seq=1 ack=1 len=1 win=250");
    // 2 + 249 * 4 is three octets left of 1 + 250 * 4: rounded down.
    talk.client("ACK seq=1 ack=2 win=249");
    assert_eq!(talk.last, Ok(()));
    talk.client("ACK seq=1 ack=2 win=248");
    talk.is_wrong("moves left by 7");
}

#[test]
fn data_beyond_the_window_is_seen() {
    let mut talk = Talk::new();
    talk.server("ACK seq=1 ack=1 len=500 win=250");
    talk.server("ACK seq=501 ack=1 len=500 win=250");
    assert_eq!(talk.last, Ok(()));
    talk.server("ACK seq=1001 ack=1 len=2 win=250");
    talk.is_wrong("beyond the peer's window");
}

#[test]
fn a_window_in_a_syn_is_not_scaled() {
    let mut oracle = WireOracle::default();
    let syn = packet(CLIENT, SERVER, "SYN seq=0 win=1000 mss=1460 wscale=2");
    assert_eq!(oracle.sent(&syn, 1500), Ok(()));
    let answer = packet(SERVER, CLIENT, "SYN|ACK seq=0 ack=1 win=1000 wscale=2");
    assert_eq!(oracle.sent(&answer, 1500), Ok(()));
    oracle.delivered(&answer);
    let text = packet(CLIENT, SERVER, "ACK seq=1 ack=1 len=1200 win=250");
    // 536 octets are the default without an MSS option, 1001 the window and a probe.
    assert!(oracle.sent(&text, 1500).is_err());
}

#[test]
fn a_segment_longer_than_the_peer_takes_is_seen() {
    let mut talk = Talk::new();
    talk.server("ACK seq=1 ack=1 len=501 win=250");
    talk.is_wrong("MSS is 500");
}

#[test]
fn data_behind_the_fin_is_seen() {
    let mut talk = Talk::new();
    talk.server("FIN|ACK seq=1 ack=1 win=250");
    talk.server("ACK seq=2 ack=1 len=1 win=250");
    talk.is_wrong("behind the FIN");
}

#[test]
fn sacked_octets_that_were_never_sent_are_seen() {
    let mut talk = Talk::new();
    talk.client("ACK seq=1 ack=1 win=250 sack=5-9");
    talk.is_wrong("SACK");
}

#[test]
fn a_packet_longer_than_the_link_or_damaged_is_seen() {
    let mut oracle = WireOracle::default();
    let syn = packet(CLIENT, SERVER, "SYN seq=0 win=1000");
    assert!(oracle.sent(&syn, 39).is_err());
    let damaged = crate::impair::corrupt::flip_bit(&syn, 200);
    assert!(oracle.sent(&damaged, 1500).is_err());
}

#[test]
fn the_same_pair_may_begin_anew() {
    let mut talk = Talk::new();
    talk.server("ACK seq=1 ack=1 len=100 win=250");
    talk.client("ACK seq=1 ack=101 win=250");
    talk.client("SYN seq=5000 win=1000");
    talk.server("SYN|ACK seq=9000 ack=5001 win=1000");
    talk.client("ACK seq=5001 ack=9001 win=1000");
    assert_eq!(talk.last, Ok(()));
}

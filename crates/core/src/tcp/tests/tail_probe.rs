//! Tail loss probes and what they mean for the congestion window (RFC 8985 section 7.4). What
//! they look like on the wire stands in `ladders/loss/tail_probe_*`.

use core::time::Duration;

use super::harness::{Peer, Setup, Solo, pattern};
use crate::tcp::*;

/// One segment sent, probed for with itself, and not answered yet.
fn probed() -> Solo {
    let mut solo = Solo::established_sack(&Setup::default());
    solo.send(&pattern(500));
    solo.one();
    let left = solo.wait(Duration::from_millis(215));
    let [(_, probe)] = &left[..] else {
        panic!("one probe, not {left:?}");
    };
    assert!(probe.retransmission);
    solo
}

fn cwnd(solo: &mut Solo) -> usize {
    let now = solo.now;
    solo.end.connection().info(now).cwnd
}

/// The first block, at or below the ACK: these octets came twice.
fn came_twice(left: u32, right: u32) -> Options {
    let block = SackBlock {
        left: SeqNum::new(left),
        right: SeqNum::new(right),
    };
    Options {
        sack: [block].into_iter().collect(),
        ..Options::default()
    }
}

#[test]
fn a_probe_that_arrived_beside_the_original_costs_nothing() {
    let mut solo = probed();
    let before = cwnd(&mut solo);
    solo.say(Peer::seq(1).ack(501));
    solo.say(Peer::seq(1).ack(501).options(came_twice(1, 501)));
    solo.send(&pattern(500));
    solo.one();
    solo.say(Peer::seq(1).ack(1_001));
    assert!(cwnd(&mut solo) >= before);
}

#[test]
fn a_loss_that_only_the_probe_repaired_shrinks_the_window() {
    let mut solo = probed();
    let before = cwnd(&mut solo);
    solo.say(Peer::seq(1).ack(501));
    assert!(
        cwnd(&mut solo) >= before,
        "it may have been a late original"
    );
    solo.send(&pattern(500));
    solo.one();
    solo.say(Peer::seq(1).ack(1_001));
    assert!(cwnd(&mut solo) < before);
}

/// One probe, then the retransmission timeout: probing is no way around backing off.
#[test]
fn there_is_one_probe_and_then_the_timeout() {
    let mut solo = probed();
    let now = solo.now;
    assert_eq!(solo.end.connection().info(now).backoffs, 0);
    solo.wait(Duration::from_secs(3));
    let now = solo.now;
    assert!(solo.end.connection().info(now).backoffs >= 3);
}

//! Every state and every event in one table: a changed transition is a changed line.

use alloc::string::String;
use core::fmt::Write;

use super::harness::{Peer, Setup, Solo};
use crate::socket::Shutdown;
use crate::tcp::*;

/// A connection in each state, by name.
fn in_state(name: &str) -> Solo {
    let setup = Setup::default();
    if name == "SYN-SENT" {
        return Solo::opening(&setup).0;
    }
    if name == "SYN-RECEIVED" {
        let (mut solo, _) = Solo::opening(&setup);
        solo.say(Peer::seq(0).flags(Flags::SYN));
        solo.hear();
        return solo;
    }
    let mut solo = Solo::established(&setup);
    let close = |solo: &mut Solo| {
        let now = solo.now;
        let step = solo
            .end
            .connection()
            .shutdown(now, Shutdown::Write)
            .unwrap();
        solo.end.absorb(step);
        solo.hear();
    };
    match name {
        "ESTABLISHED" => {}
        "FIN-WAIT-1" => close(&mut solo),
        "FIN-WAIT-2" => {
            close(&mut solo);
            solo.say(Peer::seq(1).ack(2));
        }
        "CLOSE-WAIT" => solo.say(Peer::seq(1).ack(1).flags(Flags::FIN)),
        "CLOSING" => {
            close(&mut solo);
            solo.say(Peer::seq(1).ack(1).flags(Flags::FIN));
        }
        "LAST-ACK" => {
            solo.say(Peer::seq(1).ack(1).flags(Flags::FIN));
            close(&mut solo);
        }
        other => panic!("{other}"),
    }
    solo.hear();
    assert_eq!(std::format!("{}", solo.state()), name);
    solo
}

#[test]
fn every_state_meets_every_event() {
    let states = [
        "SYN-SENT",
        "SYN-RECEIVED",
        "ESTABLISHED",
        "FIN-WAIT-1",
        "FIN-WAIT-2",
        "CLOSE-WAIT",
        "CLOSING",
        "LAST-ACK",
    ];
    let mut table = String::new();
    for state in states {
        // What the peer sends next, and what acknowledges all of ours.
        let peer_fin = ["CLOSE-WAIT", "CLOSING", "LAST-ACK"].contains(&state);
        let our_fin = ["FIN-WAIT-1", "FIN-WAIT-2", "CLOSING", "LAST-ACK"].contains(&state);
        let next = match state {
            "SYN-SENT" => 0,
            _ => 1 + u32::from(peer_fin),
        };
        let all = 1 + u32::from(our_fin);
        let events: [(&str, Peer); 10] = [
            ("RST exact", Peer::seq(next).ack(all).flags(Flags::RST)),
            ("RST in window", Peer::seq(next + 9).flags(Flags::RST)),
            ("RST outside", Peer::seq(next + 9_000_000).flags(Flags::RST)),
            ("SYN", Peer::seq(0).flags(Flags::SYN)),
            ("SYN|ACK", Peer::seq(0).ack(1).flags(Flags::SYN)),
            ("ACK of all", Peer::seq(next).ack(all)),
            ("ACK of too much", Peer::seq(next).ack(all + 1)),
            ("text", Peer::seq(next).ack(1).text(b"text")),
            ("FIN", Peer::seq(next).ack(1).flags(Flags::FIN)),
            ("FIN|ACK of all", Peer::seq(next).ack(all).flags(Flags::FIN)),
        ];
        for (event, segment) in events {
            let mut solo = in_state(state);
            solo.say(segment);
            let mut answer = String::new();
            for wire in solo.hear() {
                let flags = wire.header.flags;
                for (bit, name) in [
                    (Flags::SYN, "SYN"),
                    (Flags::FIN, "FIN"),
                    (Flags::RST, "RST"),
                ] {
                    if flags.has(bit) {
                        let _ = write!(answer, " {name}");
                    }
                }
                let _ = write!(
                    answer,
                    " seq={}",
                    wire.header
                        .seq
                        .value()
                        .wrapping_sub(if wire.header.seq.value() == 0 {
                            0
                        } else {
                            solo.iss.value()
                        })
                );
                if wire.header.ack.is_some() {
                    let _ = write!(answer, " ack={}", solo.rel_ack(&wire));
                }
            }
            let after = std::format!("{}", solo.state());
            let error = solo
                .end
                .connection()
                .take_error()
                .map_or(String::new(), |why| std::format!(" {why:?}"));
            let _ = writeln!(table, "{state:<12} {event:<15} {after}{error};{answer}");
        }
    }
    insta::assert_snapshot!(table);
}

/// The machine's table by itself.
#[test]
fn phases_turn_as_the_standard_draws_them() {
    use crate::tcp::state::{Phase, Turn};
    let phases = [
        Phase::Established,
        Phase::FinWait1,
        Phase::FinWait2,
        Phase::CloseWait,
        Phase::Closing,
        Phase::LastAck,
    ];
    let mut table = String::new();
    for phase in phases {
        for turn in [Turn::Close, Turn::FinReceived, Turn::FinAcknowledged] {
            let _ = writeln!(table, "{phase:?} {turn:?} -> {:?}", phase.after(turn));
        }
    }
    insta::assert_snapshot!(table);
}

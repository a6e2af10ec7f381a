//! FEATURES section 10, bug 6: two ends of one connection that disagree about its numbers.
//!
//! Each takes the other's segments for strays and answers them. The answers must not go on
//! for ever.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use switchboard_core::{Entropy, RxPacket, Stack, State, TcpId, TcpOptions};
use switchboard_sim::packets::{SegmentParts, header, tcp, tcp_packet};
use switchboard_sim::{Seed, door, host};
use switchboard_wire::Instant;
use switchboard_wire::line::{Relative, Side, TcpLine};

/// How long the two are watched.
const WATCHED: Duration = Duration::from_secs(4 * 3_600);
/// Packets that the first minute may cost, and all the rest together.
const PACKETS_MAX: usize = 100;
const DELAY: Duration = Duration::from_millis(10);

/// An endpoint that believes itself connected to `peer`, whose numbers begin at `peer_iss`.
fn established(seed: u64, own: SocketAddr, peer: SocketAddr, peer_iss: u32) -> (Stack, TcpId) {
    let config = host::config(&[&format!("{}/24", own.ip())]);
    let mut stack = Stack::new(config, Entropy::from_seed(Seed(seed).expand()));
    let now = Instant::ZERO;
    let id = stack
        .call_tcp_connect(now, Some(own), peer, &TcpOptions::default())
        .expect("a free port");
    let syn = stack.poll_transmit(now).expect("a SYN");
    let packet = door::plain_packets(&syn).next().expect("one packet");
    let (_, _, syn, _) = tcp(&packet).expect("a segment");
    let mut relative = Relative::of(0, peer_iss);
    relative.observe(Side::Near, &syn);
    let line: TcpLine = "SYN|ACK seq=0 ack=1 mss=1460".parse().expect("a line");
    let answer = header(&SegmentParts {
        source: peer,
        destination: own,
        line: &line,
        relative: &relative,
        timestamp: 0,
        echo: 0,
    });
    let answer = tcp_packet(peer, own, &answer, &[]);
    stack.handle_packet(now, RxPacket::new(answer, now));
    while stack.poll_transmit(now).is_some() {}
    let info = stack.tcp_info(id).expect("a connection");
    assert_eq!(info.state, State::Established);
    (stack, id)
}

#[test]
fn two_ends_that_disagree_fall_silent() {
    let one: SocketAddr = ([10, 0, 0, 1], 40_000).into();
    let other: SocketAddr = ([10, 0, 0, 2], 80).into();
    let (a, a_id) = established(1, one, other, 1_000_000);
    let (b, _) = established(2, other, one, 2_000_000_000);
    let mut stacks = [a, b];
    let mut on_the_way: VecDeque<(Instant, usize, Bytes)> = VecDeque::new();
    let mut now = Instant::ZERO;
    let (mut early, mut late) = (0, 0);

    let mut data = Bytes::from_static(b"are you there?");
    stacks[0]
        .call_tcp_send(now, a_id, &mut data)
        .expect("there is room");
    loop {
        for (index, stack) in stacks.iter_mut().enumerate() {
            while let Some(transmit) = stack.poll_transmit(now) {
                for packet in door::plain_packets(&transmit) {
                    on_the_way.push_back((now + DELAY, 1 - index, packet));
                    let is_early = now.as_millis() < 60_000;
                    *if is_early { &mut early } else { &mut late } += 1;
                }
            }
            while stack.poll_event().is_some() {}
        }
        assert!(early < PACKETS_MAX, "an ACK loop: {early} in a minute");
        assert!(late < PACKETS_MAX, "an ACK loop: {late} later");
        let arrival = on_the_way.front().map(|&(at, ..)| at);
        let deadlines = stacks.iter().filter_map(Stack::poll_timeout);
        let Some(next) = deadlines.chain(arrival).min() else {
            break;
        };
        now = now.max(next);
        if now.saturating_since(Instant::ZERO) > WATCHED {
            break;
        }
        if arrival == Some(next) {
            if let Some((_, to, packet)) = on_the_way.pop_front() {
                stacks[to].handle_packet(now, RxPacket::new(packet, now));
            }
        } else {
            for stack in &mut stacks {
                stack.handle_timeout(now);
            }
        }
    }
    println!("{early} packets in the first minute, {late} later");
}

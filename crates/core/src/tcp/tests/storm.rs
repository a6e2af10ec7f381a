//! Transfers over links that lose, repeat and reorder: whatever is acknowledged arrives once,
//! in order, and both ends finish.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::harness::{Dice, MS, Pair, Setup, pattern};
use crate::config::CongestionControl;
use crate::socket::Shutdown;

fn setup(dice: &mut Dice) -> Setup {
    let mut setup = Setup {
        // Near the wrap, on either side of it (bug 7).
        iss: (dice.below(200_000) as u32).wrapping_sub(100_000),
        mss: [536, 1460, 8960, 100][dice.below(4) as usize],
        super_segment: dice.percent(30).then_some(65_495),
        ..Setup::default()
    };
    setup.config.timestamps = dice.percent(50);
    setup.config.sack = dice.percent(60);
    setup.config.window_scaling = dice.percent(70);
    setup.options.nodelay = dice.percent(30);
    setup.options.quick_ack = dice.percent(30);
    setup.options.receive_buffer = [4_096, 65_536, 1 << 20, 4 << 20][dice.below(4) as usize];
    setup.options.send_buffer = [4_096, 65_536, 1 << 20][dice.below(3) as usize];
    if dice.percent(50) {
        setup.options.congestion = CongestionControl::Reno;
    }
    setup
}

/// One seed: both ends send `len` octets, shut down, and read to the end.
fn both_ways(seed: u64) {
    let mut dice = Dice(seed);
    let (a, b) = (setup(&mut dice), setup(&mut dice));
    let len = [0, 1, 1_000, 30_000, 200_000][dice.below(5) as usize];
    let loss = dice.below(11);
    let chunk = [1, 700, 5_000, 100_000][dice.below(4) as usize].max(len / 200);
    let data = pattern(len);
    let mut pair = Pair::opening(&a, &b);
    pair.keep_log = false;
    let mut fate = Dice(seed ^ 0xabcdef);
    pair.link = Box::new(move |_, _, _| {
        if fate.percent(loss) {
            return vec![];
        }
        let jitter = if fate.percent(20) { fate.below(30) } else { 0 };
        let mut copies = vec![10 * MS + Duration::from_millis(jitter)];
        if fate.percent(3) {
            copies.push(25 * MS);
        }
        copies
    });
    let mut sent = [0, 0];
    let mut got = [Vec::new(), Vec::new()];
    let mut ended = [false, false];
    // Without clocks and SACK every loss of a repair costs a backed-off timeout (Karn).
    let until = pair.now + Duration::from_secs(50_000);
    loop {
        let now = pair.now;
        for (side, end) in [&mut pair.a, &mut pair.b].into_iter().enumerate() {
            let Some(connection) = &mut end.connection else {
                continue;
            };
            while sent[side] < len {
                let stop = len.min(sent[side] + chunk);
                match connection.send_slice(now, &data[sent[side]..stop], false) {
                    Ok(count) => sent[side] += count,
                    Err(_) => break,
                }
            }
            if sent[side] == len {
                sent[side] += 1;
                let step = connection
                    .shutdown(now, Shutdown::Write)
                    .unwrap_or_else(|why| {
                        panic!("seed {seed}: {why:?} {:?}", connection.info(now))
                    });
                end.absorb(step);
            }
            let connection = end.connection();
            // A reader that is not always there.
            if dice.percent(70) {
                while !ended[side] {
                    match connection.receive(now, 3_000) {
                        Ok(chunk) if chunk.is_empty() => ended[side] = true,
                        Ok(chunk) => got[side].extend_from_slice(&chunk),
                        Err(crate::ReceiveError::WouldBlock) => break,
                        Err(why) => panic!("seed {seed}: {why:?} {:?}", connection.info(now)),
                    }
                }
            }
        }
        if ended == [true, true] && pair.a.over && pair.b.over {
            break;
        }
        if !pair.step(until) {
            // Nothing pending: only a reader that looked away can be the reason.
            if pair.now >= until || pair.next_event().is_none_or(|at| at > until) {
                pair.now += MS;
                assert!(
                    pair.now < until,
                    "seed {seed}: stuck: sent {sent:?} of {len}, got {:?} {:?}, {:?} {:?}",
                    got[0].len(),
                    got[1].len(),
                    pair.a.connection().info(now),
                    pair.b.connection().info(now),
                );
            }
        }
    }
    assert!(
        got[0] == data && got[1] == data,
        "seed {seed}: the same octets"
    );
    assert!(pair.a.connection().take_error().is_none(), "seed {seed}");
    assert!(pair.b.connection().take_error().is_none(), "seed {seed}");
}

#[test]
fn what_is_acknowledged_arrives_once_and_in_order() {
    for seed in 0..600 {
        both_ways(seed);
    }
}

#[test]
fn the_same_with_many_more_seeds() {
    let first = std::env::var("STORM_FIRST").map_or(1_000, |first| first.parse().unwrap());
    for seed in first..20_000 {
        both_ways(seed);
    }
}

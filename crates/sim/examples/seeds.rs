//! Runs random worlds, one for each seed, and stops at the first that breaks a promise.
//!
//! ```text
//! cargo run -p switchboard-sim --release --example seeds -- --from 0 --count 10000
//! ```
//!
//! Every tenth seed runs twice and must give the same packets at the same moments with the
//! same fates.

use std::process::ExitCode;

use switchboard_sim::{Seed, swarm};

/// One seed of this many runs twice.
const TWICE_EVERY: u64 = 10;
/// A line of progress after this many seeds.
const PROGRESS_EVERY: u64 = 500;

const USAGE: &str = "usage: seeds [--from N] [--count N] [--keep-going]";

#[derive(Clone, Copy)]
struct Arguments {
    from: u64,
    count: u64,
    keep_going: bool,
}

fn arguments() -> Option<Arguments> {
    let mut found = Arguments {
        from: 0,
        count: 1_000,
        keep_going: false,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--from" => found.from = words.next()?.parse().ok()?,
            "--count" => found.count = words.next()?.parse().ok()?,
            "--keep-going" => found.keep_going = true,
            _ => return None,
        }
    }
    Some(found)
}

fn main() -> ExitCode {
    let Some(arguments) = arguments() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let (mut packets, mut octets, mut failed) = (0, 0, 0);
    for (done, seed) in (arguments.from..)
        .take(arguments.count as usize)
        .enumerate()
    {
        match one(Seed(seed)) {
            Ok(report) => {
                packets += report.packets;
                octets += report.octets;
            }
            Err(what) if arguments.keep_going => {
                failed += 1;
                println!("{}", what.lines().next().unwrap_or_default());
            }
            Err(what) => {
                println!("{what}");
                return ExitCode::FAILURE;
            }
        }
        let done = done as u64 + 1;
        if done.is_multiple_of(PROGRESS_EVERY) || done == arguments.count {
            println!("{done} seeds, {packets} packets, {octets} octets delivered, {failed} failed");
        }
    }
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn one(seed: Seed) -> Result<swarm::SwarmReport, String> {
    // A panic is a failure with a seed like any other.
    let run = || swarm::run(seed).map_err(|failure| failure.report());
    let first = std::panic::catch_unwind(run)
        .unwrap_or_else(|_| Err(format!("seed {seed}: the stack panicked")))?;
    if seed.0.is_multiple_of(TWICE_EVERY) {
        let second = run()?;
        if first != second {
            return Err(format!(
                "seed {seed}: two runs differ, {first:?} and {second:?}"
            ));
        }
    }
    Ok(first)
}

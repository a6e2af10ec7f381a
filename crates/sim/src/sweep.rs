//! One fault at a time, at every packet in turn.
//!
//! A scenario is run once to count its packets; then once for each packet and each kind of
//! fault, and every oracle must hold. Thousands of runs, milliseconds each, and nothing is
//! left to luck.

use std::time::Duration;

use crate::failure::Failure;
use crate::link::Fault;
use crate::rng::Seed;
use crate::scenario::Scenario;
use crate::world::World;

/// Bits of a packet that a sweep flips, one a run: IP header, ports, numbers, flags, text.
///
/// Taken modulo the packet's length, they cover every field at one packet or another.
const BITS: [usize; 12] = [3, 12, 66, 75, 130, 161, 197, 233, 270, 325, 413, 1_003];

/// What a sweep went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Packets of the run without a fault.
    pub packets: u64,
    /// Runs with one fault.
    pub runs: u64,
}

/// Every fault that a sweep tries on one packet.
pub fn faults() -> impl Iterator<Item = Fault> {
    let one = [
        Fault::Drop,
        Fault::Duplicate,
        // Overtaken by its neighbours; by a whole round trip; by its own retransmissions.
        Fault::Delay(Duration::from_millis(1)),
        Fault::Delay(Duration::from_millis(50)),
        Fault::Delay(Duration::from_secs(3)),
    ];
    one.into_iter().chain(BITS.map(Fault::Corrupt))
}

/// Runs `scenario` with each fault at each of its packets.
///
/// # Errors
///
/// The first run that broke a promise.
pub fn sweep(scenario: &Scenario) -> Result<SweepReport, Box<Failure>> {
    let clean = run(scenario, None)?;
    let mut report = SweepReport {
        packets: clean,
        runs: 0,
    };
    for packet in 0..clean {
        for fault in faults() {
            run(scenario, Some((packet, fault)))?;
            report.runs += 1;
        }
    }
    Ok(report)
}

/// One run; returns how many packets it had.
///
/// # Errors
///
/// The first promise that was broken.
pub fn run(scenario: &Scenario, fault: Option<(u64, Fault)>) -> Result<u64, Box<Failure>> {
    let mut world = World::new(Seed(1));
    if let Some((packet, fault)) = fault {
        world.set_fault(packet, fault);
        world.set_repeat_command(format!(
            "switchboard_sim::sweep::run(&scenario::named({:?}), Some(({packet}, Fault::{fault:?})))",
            scenario.name
        ));
    }
    (scenario.build)(&mut world);
    world.run_until_idle()?;
    Ok(world.trace().packets())
}

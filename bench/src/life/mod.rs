//! `bench life`: thousands of flows through `run`, new ones all the time, many killed on one
//! side or the other; every octet is accounted for, and the relay's memory and descriptors are
//! watched.

mod flow;
mod inside;
mod outside;

use std::ffi::OsString;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

pub(crate) use self::inside::{Flags as InsideFlags, run as run_inside};
use crate::load::READY;
use crate::run::launcher::{self, Kind, Launcher, Order};
use crate::run::running::Running;
use crate::run::{Programs, in_directory, limits, progress};

#[derive(clap::Args)]
pub(crate) struct Flags {
    /// Flows that stand at once
    #[arg(long, default_value_t = 10_000)]
    flows: usize,
    /// New flows per second; each takes the place of the oldest
    #[arg(long, default_value_t = 1_000)]
    rate: u32,
    /// Seconds from when all stand
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    #[command(flatten)]
    programs: Programs,
}

/// What one side saw.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) opened: u64,
    /// Ended in order, with every octet there and back.
    pub(crate) whole: u64,
    /// Killed by the side inside, and by the side outside.
    pub(crate) killed_inside: u64,
    pub(crate) killed_outside: u64,
    /// Octets of whole flows, out of the program and into it.
    pub(crate) octets_out: u64,
    pub(crate) octets_in: u64,
    /// What should not have been, with how often.
    pub(crate) wrong: std::collections::BTreeMap<String, u64>,
}

impl Tally {
    pub(crate) fn wrong(&mut self, what: &str) {
        *self.wrong.entry(what.to_owned()).or_default() += 1;
    }
}

/// Growth of the relay between a sixth of the time and its end that is no leak.
const SLACK: f64 = 1.1;
const SLACK_OCTETS: u64 = 4 << 20;

/// Descriptors more than before that are no leak: the control socket's callers come and go.
const SPARE: usize = 8;

/// How long the last flows may take to end, and a launcher to start.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn run(flags: &Flags) -> Result<(), String> {
    in_directory("switchboard-life", |directory| {
        limits::raise_open_files();
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        let load = launcher::copy_for_everybody(&own, directory);
        let load = load.map_err(|error| error.to_string())?;
        let path = flags.programs.find(Kind::Switchboard, directory)?;
        let launcher = Launcher {
            kind: Kind::Switchboard,
            path: path.unwrap_or_default(),
        };
        let outside = outside::start().map_err(|error| error.to_string())?;
        let host = launcher.host().ok_or("no host")?;
        let mut program: Vec<OsString> = vec![load.into(), "life-inside".into()];
        program.extend(
            outside
                .ports
                .iter()
                .map(|port| format!("{host}:{port}").into()),
        );
        for (flag, value) in [
            ("flows", flags.flows as u32),
            ("rate", flags.rate),
            ("seconds", flags.seconds),
        ] {
            program.push(format!("--{flag}={value}").into());
        }
        let order = Order {
            program: &program,
            mtu: None,
            tcp: &[],
            udp: &[],
            publish: None,
            v6: false,
            directory,
        };
        let mut running = launcher.spawn(&order).map_err(|error| error.to_string())?;
        while running.line(PATIENCE)? != READY {}
        watch(flags, &mut running, &outside, &launcher.path)
    })
}

/// Sockets that `switchboard sockets --json` calls established, if it can be asked.
fn established(switchboard: &PathBuf) -> Option<usize> {
    let output = launcher::unprivileged()
        .arg(switchboard)
        .args(["sockets", "--json"])
        .output()
        .ok()?;
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
    let sockets = report.get("sockets")?.as_array()?;
    let is_established = |row: &&serde_json::Value| row["state"] == "ESTABLISHED";
    Some(sockets.iter().filter(is_established).count())
}

fn watch(
    flags: &Flags,
    running: &mut Running,
    outside: &outside::Outside,
    switchboard: &PathBuf,
) -> Result<(), String> {
    let helper = running.helper();
    let (memory, descriptors) = (helper.resident(), helper.descriptors());
    running.tell("go")?;
    // Says so when all stand.
    running.line(Duration::from_secs(120))?;
    let sixth = Duration::from_secs(flags.seconds.into()) / 6;
    let mut samples = Vec::new();
    for turn in 0..6 {
        progress(&format!(
            "{} of {} s",
            sixth.as_secs() * turn,
            flags.seconds
        ));
        thread::sleep(sixth);
        samples.push(helper.resident());
    }
    let listed = established(switchboard);
    let said = running.line(PATIENCE * 2 + sixth)?;
    let inside: Tally = serde_json::from_str(&said).map_err(|error| format!("{error}: {said}"))?;
    // What was killed last is gone outside a moment later, on a busy machine seconds later.
    let deadline = Instant::now() + PATIENCE;
    let (mut left, mut descriptors_after);
    loop {
        thread::sleep(Duration::from_secs(1));
        left = established(switchboard);
        descriptors_after = helper.descriptors();
        let is_clean = left.unwrap_or(0) == 0 && descriptors_after <= descriptors + SPARE;
        if is_clean || Instant::now() > deadline {
            break;
        }
    }
    let memory_after = helper.resident();
    progress("");
    running.tell("end")?;

    let outside = outside.tally();
    let mib = |octets: u64| octets as f64 / f64::from(1 << 20);
    println!(
        "flows: {} opened, {} whole, {} killed inside, {} killed outside",
        inside.opened, inside.whole, inside.killed_inside, inside.killed_outside
    );
    println!(
        "octets of whole flows: {} out, {} in",
        inside.octets_out, inside.octets_in
    );
    let sampled: Vec<String> = samples
        .iter()
        .map(|octets| format!("{:.1}", mib(*octets)))
        .collect();
    println!(
        "helper's MiB: {:.1} before, {} meanwhile, {:.1} after",
        mib(memory),
        sampled.join(" "),
        mib(memory_after)
    );
    println!("helper's descriptors: {descriptors} before, {descriptors_after} after");
    let number =
        |count: Option<usize>| count.map_or("unknown".to_owned(), |count| count.to_string());
    println!(
        "sockets listed as established: {} meanwhile, {} after",
        number(listed),
        number(left)
    );

    let mut wrong: Vec<String> = Vec::new();
    for (side, tally) in [("inside", &inside), ("outside", &outside)] {
        wrong.extend(
            tally
                .wrong
                .iter()
                .map(|(what, count)| format!("{side}: {what}, {count} times")),
        );
    }
    for (what, a, b) in [
        ("flows that ended in order", inside.whole, outside.whole),
        ("octets out", inside.octets_out, outside.octets_out),
        ("octets in", inside.octets_in, outside.octets_in),
    ] {
        if a != b {
            wrong.push(format!("{what}: {a} inside, {b} outside"));
        }
    }
    let (first, last) = (samples[0], samples[5]);
    if last > (first as f64 * SLACK) as u64 + SLACK_OCTETS {
        wrong.push(format!(
            "memory grows from {:.1} to {:.1} MiB",
            mib(first),
            mib(last)
        ));
    }
    if descriptors_after > descriptors + SPARE {
        wrong.push(format!(
            "descriptors grow from {descriptors} to {descriptors_after}"
        ));
    }
    if left.is_some_and(|left| left > 0) {
        wrong.push(format!(
            "{} sockets are still listed as established",
            number(left)
        ));
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(wrong.join("; ")),
    }
}

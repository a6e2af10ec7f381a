//! What an idle connection, a datagram and a segment may cost: measured by counting octets,
//! instructions and allocations, which are the same on every machine, unlike time.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::cargo::{cargo, output};

/// Octets that an idle connection may hold at each end, tables' shares included.
const IDLE_OCTETS_MAX: f64 = 1_280.0;

/// How many times the instructions of 10 sockets a datagram may cost with 100,000.
const GROWTH_MAX: f64 = 1.2;

/// Allocations for each segment of a bulk transfer. Not quite none: a queue or a table may
/// still double once in a while.
const ALLOCATIONS_MAX: f64 = 0.001;

const FEW_SOCKETS: u32 = 10;
const MANY_SOCKETS: u32 = 100_000;
const DATAGRAMS: u32 = 20_000;

pub(crate) fn check() -> Result<(), String> {
    let examples = build()?;
    let gates = [idle, instructions, allocations];
    let problems: Vec<String> = gates
        .iter()
        .filter_map(|gate| gate(&examples).err())
        .collect();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems.join("\n       "))
    }
}

/// Builds the programs that are measured; returns their folder.
fn build() -> Result<PathBuf, String> {
    for (package, examples) in [
        ("switchboard-core", &["tcp_idle", "udp_cost"][..]),
        ("switchboard-bench", &["bulk_allocs"][..]),
    ] {
        let mut build = cargo();
        build.args(["build", "--quiet", "--release", "--package", package]);
        for example in examples {
            build.args(["--example", example]);
        }
        output(&mut build)?;
    }
    let metadata = output(cargo().args(["metadata", "--format-version=1", "--no-deps"]))?;
    let metadata: Value = serde_json::from_str(&metadata).map_err(|error| error.to_string())?;
    let target = metadata["target_directory"]
        .as_str()
        .ok_or("no target directory")?;
    Ok(Path::new(target).join("release").join("examples"))
}

fn idle(examples: &Path) -> Result<(), String> {
    let said = output(&mut Command::new(examples.join("tcp_idle")))?;
    let octets = number_before(&said, "octets")?;
    within(
        "idle connection",
        octets,
        IDLE_OCTETS_MAX,
        "octets at each end",
    )
}

fn instructions(examples: &Path) -> Result<(), String> {
    let few = instructions_for(examples, FEW_SOCKETS)?;
    let many = instructions_for(examples, MANY_SOCKETS)?;
    println!(
        "       a datagram there and back: {few:.0} instructions with {FEW_SOCKETS} sockets, {many:.0} with {MANY_SOCKETS}"
    );
    within(
        "instructions per datagram",
        many / few,
        GROWTH_MAX,
        "times as many",
    )
}

/// Instructions for each datagram, counted by callgrind inside the exchange alone.
fn instructions_for(examples: &Path, sockets: u32) -> Result<f64, String> {
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--tool=callgrind", "--toggle-collect=*udp_cost*exchange*"])
        .args(["--callgrind-out-file=/dev/null", "--log-fd=1"])
        .arg(examples.join("udp_cost"))
        .args([sockets.to_string(), DATAGRAMS.to_string()]);
    let said = output(&mut valgrind)?;
    let collected = said
        .lines()
        .find_map(|line| line.split_once("Collected : "))
        .ok_or_else(|| format!("callgrind does not say what it has collected:\n{said}"))?;
    let collected: f64 = collected
        .1
        .trim()
        .parse()
        .map_err(|error| format!("{error}"))?;
    if collected > 0.0 {
        Ok(collected / f64::from(DATAGRAMS))
    } else {
        Err("callgrind has found no function `exchange` in udp_cost".into())
    }
}

fn allocations(examples: &Path) -> Result<(), String> {
    let said = output(&mut Command::new(examples.join("bulk_allocs")))?;
    let each = number_before(&said, "allocations")?;
    within("bulk segment", each, ALLOCATIONS_MAX, "allocations")
}

/// The number right before `word`.
fn number_before(text: &str, word: &str) -> Result<f64, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let found = words.windows(2).find(|pair| pair[1] == word);
    let number = found.and_then(|pair| pair[0].parse().ok());
    number.ok_or_else(|| format!("no number of {word} in: {text}"))
}

fn within(what: &str, value: f64, max: f64, unit: &str) -> Result<(), String> {
    if value <= max {
        println!("gates: {what}: {value:.4} {unit}, at most {max}");
        Ok(())
    } else {
        Err(format!("{what}: {value:.4} {unit}, more than {max}"))
    }
}

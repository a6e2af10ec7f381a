//! `cargo xtask CHECK`: rules of the house that neither the compiler nor clippy knows; and what is
//! done seldom: `cargo xtask COMMAND ARGUMENTS`.

mod arrows;
mod cargo;
mod ffi;
mod gates;
mod nostd;
mod packetdrill;
mod parity;

use std::process::ExitCode;

/// A check: what it is called, what it does, and the function.
type Check = (&'static str, &'static str, fn() -> Result<(), String>);

const CHECKS: [Check; 4] = [
    (
        "arrows",
        "crates depend on each other only as ARCHITECTURE.md says",
        arrows::check,
    ),
    (
        "nostd",
        "wire and core build where there is no standard library",
        nostd::check,
    ),
    (
        "gates",
        "idle connection, instructions per datagram, allocations per segment",
        gates::check,
    ),
    (
        "parity",
        "docs/parity.md: tokio::net's methods beside ours (--check: compare, do not write)",
        parity::check,
    ),
];

/// Something to do: what it is called, what it does, and the function, which gets the arguments.
type Task = (
    &'static str,
    &'static str,
    fn(&[String]) -> Result<(), String>,
);

const TASKS: [Task; 3] = [
    (
        "ffi-header",
        "[--check]: writes crates/ffi/switchboard.h, or says whether it is current",
        ffi::write_header,
    ),
    (
        "ffi-install",
        "PREFIX: libswitchboard, switchboard.h and switchboard.pc",
        ffi::install,
    ),
    (
        "packetdrill",
        "BINARY SCRIPTS [--times N] [--kernel]: packetdrill's scripts against our TCP",
        packetdrill::run,
    ),
];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    if let Some((_, _, task)) = TASKS.iter().find(|task| task.0 == name) {
        let arguments: Vec<String> = arguments.collect();
        return conclude(&name, task(&arguments));
    }
    let Some((_, _, check)) = CHECKS.iter().find(|check| check.0 == name) else {
        eprintln!("usage: cargo xtask CHECK, or COMMAND ARGUMENTS");
        for (name, what, _) in CHECKS {
            eprintln!("  {name:11} {what}");
        }
        for (name, what, _) in TASKS {
            eprintln!("  {name:11} {what}");
        }
        return ExitCode::from(2);
    };
    conclude(&name, check())
}

fn conclude(name: &str, result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{name}: {problem}");
            ExitCode::FAILURE
        }
    }
}

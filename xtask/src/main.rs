//! `cargo xtask CHECK`: rules of the house that neither the compiler nor clippy knows.

mod arrows;
mod cargo;
mod gates;
mod nostd;
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

fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_default();
    let Some((_, _, check)) = CHECKS.iter().find(|check| check.0 == name) else {
        eprintln!("usage: cargo xtask CHECK");
        for (name, what, _) in CHECKS {
            eprintln!("  {name:8} {what}");
        }
        return ExitCode::from(2);
    };
    match check() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{name}: {problem}");
            ExitCode::FAILURE
        }
    }
}

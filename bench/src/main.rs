//! Switchboard beside its peers, in one invocation on one machine.
//!
//! `run` puts `switchboard run` beside other rootless networks and the bare kernel; `stack`
//! joins two stacks in memory. Each prints a table and can write JSON. Figures of different
//! invocations do not compare: machines are noisy, so everything is run in turn, several
//! rounds, and medians and ratios are shown.

#![forbid(unsafe_code)]

mod life;
mod load;
mod plot;
mod run;
mod stack;
mod table;
mod truth;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Switchboard beside its peers.
#[derive(Parser)]
struct Flags {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// `switchboard run` beside other rootless networks and the bare kernel.
    Run(run::Flags),
    /// Thousands of flows through `switchboard run`, new ones and kills all the time: leaks, and
    /// whether every octet is accounted for.
    Life(life::Flags),
    /// Two stacks back to back in memory.
    Stack(stack::Flags),
    /// What a program is told under each launcher, beside the bare kernel's answers.
    Truth(truth::Flags),
    /// What runs inside the networks that are measured.
    #[command(hide = true)]
    Load(load::Flags),
    /// What opens and kills inside the network whose life is watched.
    #[command(hide = true)]
    LifeInside(life::InsideFlags),
    /// What asks inside the networks that are tried.
    #[command(hide = true)]
    Probe(truth::probe::Flags),
    /// What answers outside of them.
    #[command(hide = true)]
    Outside,
}

/// Where the figures go besides the terminal.
#[derive(clap::Args, Clone)]
struct Output {
    /// Write all figures to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    let result = match Flags::parse().command {
        Command::Run(flags) => run::run(&flags),
        Command::Stack(flags) => stack::run(&flags),
        Command::Truth(flags) => truth::run(&flags),
        Command::Life(flags) => life::run(&flags),
        Command::LifeInside(flags) => life::run_inside(&flags).map_err(|error| error.to_string()),
        Command::Load(flags) => load::run(&flags).map_err(|error| error.to_string()),
        Command::Probe(flags) => truth::probe::run(&flags).map_err(|error| error.to_string()),
        Command::Outside => truth::server::run().map_err(|error| error.to_string()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

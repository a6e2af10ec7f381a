//! The `switchboard` command.
//!
//! Starting points: [`flags`] is what can be typed, [`cmd`] has one file for each command, and
//! [`run`] is how a program gets a network of its own. Protocol logic lives in the other crates.

#[cfg(target_os = "linux")]
mod attach;
mod cmd;
#[cfg(target_os = "linux")]
mod control;
mod flags;
#[cfg(target_os = "linux")]
mod machine;
#[cfg(target_os = "linux")]
mod run;
mod say;
#[cfg(target_os = "linux")]
mod words;

use std::process::ExitCode;

use clap::Parser as _;

use flags::{Arguments, Command};

/// What a command returns when it did its work.
pub(crate) const DONE: u8 = 0;
/// What a command other than `run` returns when it could not.
pub(crate) const FAILED: u8 = 1;
/// What a command other than `run` returns for a wrong command line.
pub(crate) const WRONG_USAGE: u8 = 2;
/// What `run` returns when Switchboard itself could not, as env, timeout and podman have it.
pub(crate) const RUN_FAILED: u8 = 125;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse_from(flags::command_line()) {
        Ok(arguments) => arguments,
        Err(error) => return ExitCode::from(flags::report(&error)),
    };
    let code = match arguments.command {
        Command::Run(flags) => cmd::run::main(&flags),
        Command::Open(flags) => cmd::open::main(&flags),
        Command::Tour(flags) => cmd::tour::main(&flags),
        Command::Sockets(flags) => cmd::sockets::main(&flags),
        Command::Set(flags) => cmd::set::main(&flags),
        Command::Top(flags) => cmd::top::main(&flags),
        Command::Doctor(flags) => cmd::doctor::main(&flags),
        Command::Attach(flags) => cmd::attach::main(&flags),
        Command::Slirp4netns(flags) => cmd::slirp4netns::main(&flags),
        Command::Pasta(flags) => cmd::pasta::main(&flags, cmd::pasta::Mode::Pasta),
        Command::Passt(flags) => cmd::pasta::main(&flags, cmd::pasta::Mode::Passt),
        Command::InstallLinks(flags) => cmd::links::main(&flags),
        Command::Man(flags) => cmd::paper::man(&flags),
        Command::Completion(flags) => cmd::paper::completion(&flags),
    };
    ExitCode::from(code)
}

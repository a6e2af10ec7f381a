//! `switchboard run -- CMD`.

mod ending;
mod explain;
mod localhost;
mod onlooker;
mod record;
mod world;

use std::io;
use std::path::Path;

use crate::flags::RunFlags;
use crate::run::relay::{Ended, News, Setup, set_up};
use crate::run::{Plan, SetupError, confine};
use crate::{RUN_FAILED, machine, say};

use localhost::Hints;
use world::World;

/// What `run` returns for a program that cannot be executed.
const NOT_EXECUTABLE: u8 = 126;
/// What `run` returns for a program that is not there.
const NOT_FOUND: u8 = 127;

/// Runs it; the exit code.
pub(crate) fn main(flags: &RunFlags) -> u8 {
    if flags.see.quiet {
        say::be_quiet();
    }
    let plan = match Plan::new(flags) {
        Ok(plan) => plan,
        Err(error) => return failed(error),
    };
    let setup = match set_up(&plan) {
        Ok(setup) => setup,
        Err(error) => return failed(refusal(&error)),
    };
    for warning in setup.warnings() {
        say::notice(warning);
    }
    // Current-thread: one core's cache holds the stack, and CMD has the others.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let ended = runtime.and_then(|runtime| runtime.block_on(drive(flags, &plan, setup)));
    match ended {
        Ok(ended) => exit_code(ended, flags),
        Err(error) => failed(error),
    }
}

/// From a set-up namespace to the end of CMD and of what it sent.
async fn drive(flags: &RunFlags, plan: &Plan, mut setup: Setup) -> io::Result<Ended> {
    let tun = setup.take_tun().ok_or(io::ErrorKind::NotFound)?;
    let listeners = setup.take_listeners();
    let start = setup.into_start()?;
    let mut world = World::begin(flags, plan, tun, start.link()).await?;
    // Before anything else can fail: the file stands already.
    if let Some(file) = world.control_file() {
        start.remove_at_end(file).await?;
    }
    world.open_ways_in(flags, plan, listeners).await?;
    confine().map_err(io::Error::other)?;
    world.start_recording()?;
    let mut hints = Hints::default();
    let ended = tokio::select! {
        ended = start.run(flags.program.wait, |news| match news {
            News::LoopbackRefused { port, program } => {
                if !world.explains_loopback(port, program.as_ref()) {
                    hints.refused(port, program.as_ref());
                }
            }
        }) => ended?,
        why = world.failed() => return Err(why),
    };
    // Whoever ended CMD by a signal wants an end, not the rest of an upload.
    if let Ended::Program(_) = ended {
        ending::let_it_arrive(&start, &world).await;
    }
    world.end().await;
    start.finish();
    Ok(ended)
}

/// The line that `doctor` would say of it too.
fn refusal(error: &SetupError) -> String {
    machine::Trouble::of(error, &machine::Facts::read()).line()
}

fn failed(why: impl std::fmt::Display) -> u8 {
    say::error(why);
    RUN_FAILED
}

fn exit_code(ended: Ended, flags: &RunFlags) -> u8 {
    let command = flags.program.command.first();
    let name = command.map(|name| Path::new(name).display().to_string());
    let name = name.unwrap_or_default();
    match ended {
        Ended::Program(code) | Ended::Killed(code) => code,
        Ended::NotStarted(errno) => {
            let error = io::Error::from_raw_os_error(errno);
            if error.kind() == io::ErrorKind::NotFound {
                say::error(format_args!("{name}: no such program"));
                NOT_FOUND
            } else {
                say::error(format_args!("{name}: {error}"));
                NOT_EXECUTABLE
            }
        }
        Ended::AgentLost => failed(format_args!(
            "the process that kept {name}'s network was killed, and {name} with it"
        )),
    }
}

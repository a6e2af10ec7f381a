//! `switchboard run -- CMD`.

mod doors;
mod ending;
mod explain;
mod join;
mod listening;
mod localhost;
mod onlooker;
mod proxy;
mod published;
mod record;
mod refusals;
mod wakeful;
mod world;

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustix::thread::CapabilitySet;

use crate::flags::RunFlags;
use crate::run::relay::{self, Ended, LateLink, News, Setup};
use crate::run::{Confinement, Plan, SetupError};
use crate::{RUN_FAILED, machine, say};

use localhost::Hints;
use wakeful::Wakeful;
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
    if let Some(which) = &flags.program.join {
        return join::main(flags, which);
    }
    let plan = match Plan::new(flags) {
        Ok(plan) => plan,
        Err(error) => return failed(error),
    };
    let setup = match relay::begin(&plan) {
        Ok(setup) => setup,
        Err(error) => return failed(refusal(&error)),
    };
    // Current-thread: one core's cache holds the stack, and CMD has the others.
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let wakeful = Wakeful::new();
    if let Some(wakeful) = &wakeful {
        wakeful.keep(&mut runtime);
    }
    let ended = match runtime.enable_all().build() {
        Ok(runtime) => runtime.block_on(drive(flags, &plan, setup, wakeful)),
        Err(error) => Err(error.into()),
    };
    match ended {
        Ok(ended) => exit_code(ended, flags),
        Err(Failed::SetUp(error)) => failed(refusal(&error)),
        Err(Failed::Relay(error)) => failed(error),
    }
}

/// Why there was no run, or no end of one.
enum Failed {
    /// The machine refused the namespaces or what is in them.
    SetUp(SetupError),
    /// The relay.
    Relay(io::Error),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Relay(error)
    }
}

/// From a namespace with a link to the end of CMD and of what it sent.
async fn drive(
    flags: &RunFlags,
    plan: &Plan,
    mut setup: Setup,
    wakeful: Option<Arc<Wakeful>>,
) -> Result<Ended, Failed> {
    // All this while the agent sets up the other end of the link.
    let end = setup
        .take_link()
        .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    let confinement = Confinement::prepare().map_err(io::Error::other)?;
    let link = LateLink::default();
    let mut world = World::begin(flags, plan, end, &link, wakeful).await?;
    let ready = setup.wait_until_ready(plan);
    if ready.is_err() {
        for file in world.control_files() {
            let _ = std::fs::remove_file(file);
        }
    }
    ready.map_err(Failed::SetUp)?;
    for warning in setup.warnings() {
        say::notice(warning);
    }
    warn_of_proxies(plan);
    let locals = setup.take_locals();
    let start = setup.into_start()?;
    link.set(start.link());
    // Before anything else can fail: the files stand already.
    for file in world.control_files() {
        start.remove_at_end(file.clone()).await?;
    }
    world.open_ways_in(flags, locals).await?;
    let_go_of_stdio();
    let kept = match flags.reach.publishes_auto() {
        // The program may begin to listen at a port below 1024 at any time.
        true => CapabilitySet::NET_BIND_SERVICE,
        false => CapabilitySet::empty(),
    };
    let confined = confinement.keeping(kept).apply();
    confined.map_err(io::Error::other)?;
    world.start_recording()?;
    world.watch_listeners(flags, start.link());
    let mut hints = Hints::default();
    let ended = tokio::select! {
        ended = start.run(flags.program.wait, |news| match news {
            News::LoopbackRefused { port, program } => {
                if !world.explains_loopback(port, program.as_ref()) {
                    hints.refused(port, program.as_ref());
                }
            }
        }) => ended?,
        why = world.failed() => return Err(why.into()),
    };
    // Whoever ended CMD by a signal wants an end, not the rest of an upload.
    if let Ended::Program(_) = ended {
        ending::let_it_arrive(&start, &world).await;
    }
    world.end().await;
    start.finish().await;
    Ok(ended)
}

/// What the environment says is told to CMD unchanged; where it leads nowhere, a person is told.
fn warn_of_proxies(plan: &Plan) {
    let variable = |name: &str| std::env::var(name).ok();
    for warning in proxy::warnings(variable, |port| plan.has_localhost(port)) {
        say::notice(warning);
    }
}

/// Standard input and output are CMD's: a pipe that CMD closes has no other end here. Errors go
/// where CMD's do, to the end.
fn let_go_of_stdio() {
    use rustix::fs::{Mode, OFlags};
    use std::os::fd::AsFd as _;
    let nowhere = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
    if let Ok(nowhere) = nowhere {
        let _ = nix::unistd::dup2_stdin(nowhere.as_fd());
        let _ = nix::unistd::dup2_stdout(nowhere.as_fd());
    }
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

//! The relay: the process that was started, and the only one that talks to the outside.

mod agent_link;
mod start;

use std::io;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::process::exit;

use nix::unistd::{ForkResult, fork};
use rustix::process::{Pid, Resource, Rlimit, WaitOptions, getrlimit, setrlimit, waitpid};

use super::agent;
use super::channel::Channel;
use super::link::LinkEnd;
use super::message::{FromAgent, SetupError, Step, ToAgent};
use super::plan::Plan;
use super::{signals, user_map};

pub(crate) use agent_link::{AgentLink, InsideSocket, LateLink};
pub(crate) use start::{Ended, LocalSocket, News, Setup, Start};

/// Forks the agent and waits until there is a link. The agent goes on setting up meanwhile:
/// see [`Setup::wait_until_ready`].
///
/// To be called while the process has one thread.
///
/// # Errors
///
/// What the machine refused.
pub(crate) fn begin(plan: &Plan) -> Result<Setup, SetupError> {
    let mut setup = fork_agent(plan)?;
    // An agent that joins a run has no link of its own.
    let stage = match plan.join {
        None => Stage::Link,
        Some(_) => Stage::Ready,
    };
    match talk_through(&mut setup, plan, stage) {
        Ok(()) => {
            raise_open_files();
            Ok(setup)
        }
        Err(error) => {
            setup.reap();
            Err(error)
        }
    }
}

fn fork_agent(plan: &Plan) -> Result<Setup, SetupError> {
    let process = |error: io::Error| SetupError::new(Step::Process, "start the agent", error);
    let (ours, theirs) = Channel::pair().map_err(process)?;
    signals::block().map_err(process)?;
    // SAFETY: this process has one thread until `Start::run`, so no lock is held by another
    // one that the child would wait for.
    let child = match unsafe { fork() }.map_err(|errno| process(errno.into()))? {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            drop(ours);
            agent::main(theirs, plan);
            exit(0);
        }
    };
    drop(theirs);
    Ok(Setup {
        agent: child.as_raw().unsigned_abs(),
        channel: ours,
        link: None,
        instead_of: None,
        locals: Vec::new(),
        warnings: Vec::new(),
    })
}

/// How far the agent has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// There is a link.
    Link,
    /// Everything stands.
    Ready,
}

/// The conversation with the agent until it has come to `stage`.
fn talk_through(setup: &mut Setup, plan: &Plan, stage: Stage) -> Result<(), SetupError> {
    let process = |error: io::Error| SetupError::new(Step::Process, "set up with the agent", error);
    loop {
        let received = setup.channel.receive().map_err(process)?;
        let (message, mut descriptors) =
            received.ok_or_else(|| process(io::ErrorKind::BrokenPipe.into()))?;
        match message {
            FromAgent::UserNamespaceMade => {
                user_map::write(setup.agent, &plan.caller, plan.map_root)?;
                let written = setup.channel.send(&ToAgent::MapsWritten, &[]);
                written.map_err(process)?;
            }
            FromAgent::Warning(text) => setup.warnings.push(text),
            FromAgent::Listening { tcp, port } => {
                let local = |fd: OwnedFd| match tcp {
                    true => LocalSocket::Tcp(port, TcpListener::from(fd)),
                    false => LocalSocket::Udp(port, UdpSocket::from(fd)),
                };
                setup.locals.extend(descriptors.drain(..).map(local));
            }
            FromAgent::Refused(error) => return Err(error),
            FromAgent::Link { kind, instead_of } => {
                let fds = std::mem::take(&mut descriptors);
                setup.link = Some(LinkEnd { kind, fds });
                setup.instead_of = instead_of;
                if stage == Stage::Link {
                    return Ok(());
                }
            }
            FromAgent::Ready => return Ok(()),
            _ => return Err(process(io::ErrorKind::InvalidData.into())),
        }
    }
}

/// Each flow costs the relay a descriptor. CMD keeps the limit that the caller had: the agent,
/// its parent, was forked before.
pub(crate) fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let _ = setrlimit(Resource::Nofile, raised);
}

/// Waits for the agent's end, so that no zombie stays.
pub(crate) fn reap(agent: u32) {
    if let Some(pid) = i32::try_from(agent).ok().and_then(Pid::from_raw) {
        let _ = rustix::io::retry_on_intr(|| waitpid(Some(pid), WaitOptions::empty()));
    }
}

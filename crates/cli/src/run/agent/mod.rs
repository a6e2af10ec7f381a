//! The agent: forked before any thread exists, and inside the namespaces ever after.
//!
//! Under `run --join` it enters the namespaces of another run ([`join`]) instead of making any.
//!
//! It sets up ([`namespace`], [`link`], [`files`]), passes the link out, starts CMD ([`program`])
//! and then serves: it passes signals on to CMD, reaps what CMD leaves behind, and tells the
//! relay who holds a socket ([`holder`]). It has no runtime, no thread and one loop.

pub(crate) mod descriptors;
mod files;
mod holder;
mod join;
mod link;
mod loopback;
mod namespace;
mod program;
mod serve;
mod sock_diag;

use std::os::fd::AsFd as _;

use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};

use super::channel::Channel;
use super::link::LinkEnd;
use super::message::{FromAgent, SetupError, Step, ToAgent};
use super::plan::{LocalPort, Plan};

/// The agent's whole life; the caller ends the process afterwards.
///
/// Nobody waits for the agent's last steps: the relay ends when the channel does, and the kernel
/// takes the namespace down behind its back, which is tens of milliseconds for the link alone.
pub(super) fn main(channel: Channel, plan: &Plan) {
    // Nothing that the terminal or anybody sends may stop the agent before CMD.
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None);
    // If the relay dies while the agent sets up; later the channel says so.
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    let link = match &plan.join {
        Some(run) => join::enter(&channel, run).map(|()| None),
        None => set_up(&channel, plan).map(Some),
    };
    let link = match link {
        Ok(link) => link,
        Err(error) => {
            let _ = channel.send(&FromAgent::Refused(error), &[]);
            return;
        }
    };
    // The channel does it now, and leaves time to tidy up.
    let _ = rustix::process::set_parent_process_death_signal(None);
    let mut at_end = Vec::new();
    let slow = loop {
        match channel.receive() {
            Ok(Some((ToAgent::RemoveAtEnd(path), _))) => at_end.push(path),
            Ok(Some((ToAgent::Start, _))) => break serve::run(&channel, plan, link.as_ref()),
            Ok(Some((ToAgent::End, _)) | None) | Err(_) => break None,
            Ok(Some(_)) => {}
        }
    };
    for path in at_end {
        let _ = std::fs::remove_file(path);
    }
    // The relay waits for this. Behind it the kernel waits for every processor, twice.
    drop(channel);
    drop(slow);
    drop(link);
}

/// Makes everything that the program will find. The link is the relay's from its first moment
/// on; the copy here makes its end the agent's business.
fn set_up(channel: &Channel, plan: &Plan) -> Result<LinkEnd, SetupError> {
    let process = |error: std::io::Error| SetupError::new(Step::Process, "the agent", error);
    namespace::enter_user()?;
    channel
        .send(&FromAgent::UserNamespaceMade, &[])
        .map_err(process)?;
    match channel.receive().map_err(process)? {
        Some((ToAgent::MapsWritten, _)) => {}
        _ => return Err(process(std::io::ErrorKind::BrokenPipe.into())),
    }
    namespace::enter_network()?;
    // The mount namespace is needed by the files only, but whether it can be made is told before
    // the relay begins.
    namespace::enter_mount()?;
    let (link, instead_of) = link::open(plan.link)?;
    let kind = link.kind;
    channel
        .send(&FromAgent::Link { kind, instead_of }, &link.borrow())
        .map_err(process)?;
    link::set_up(kind, plan)?;
    for warning in files::put_in_place(plan)? {
        channel
            .send(&FromAgent::Warning(warning), &[])
            .map_err(process)?;
    }
    for local in &plan.localhost {
        let listeners = loopback::listen(*local)?;
        let descriptors: Vec<_> = listeners.iter().map(|socket| socket.as_fd()).collect();
        let LocalPort { tcp, port } = *local;
        channel
            .send(&FromAgent::Listening { tcp, port }, &descriptors)
            .map_err(process)?;
    }
    channel.send(&FromAgent::Ready, &[]).map_err(process)?;
    Ok(link)
}

//! The helper that goes into the target's namespaces and passes the TAP out.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::exit;

use nix::unistd::{ForkResult, fork};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};
use serde::{Deserialize, Serialize};
use switchboard_device::tun::{self, LinkConfig, LinkError, OpenError, OpenTun};

use super::insider;
use super::plan::{Plan, Target};
use crate::run::channel::Channel;
use crate::run::message::During as _;
use crate::run::relay::reap;
use crate::run::{SetupError, Step};

/// The end of a link into the namespace.
#[derive(Debug)]
pub(crate) struct Joined {
    pub(super) tap: OwnedFd,
    /// Something of ours keeps the namespace alive: its end cannot be seen by the descriptor.
    pub(super) holds_namespace: bool,
    /// The helper, where it stays inside.
    pub(super) insider: Option<Channel>,
}

/// What the helper says, once.
#[derive(Debug, Serialize, Deserialize)]
enum FromHelper {
    /// Carries the TAP.
    Tap {
        holds_namespace: bool,
    },
    Refused(SetupError),
}

/// Has a helper make the TAP inside; it has ended when this returns, unless it is to stay.
///
/// To be called while the process has one thread.
///
/// # Errors
///
/// What the machine refused.
pub(super) fn join(plan: &Plan) -> Result<Joined, SetupError> {
    let process = |error: io::Error| SetupError::new(Step::Process, "start the helper", error);
    let (ours, theirs) = Channel::pair().map_err(process)?;
    // SAFETY: this process has one thread, so no lock is held by another one that the child
    // would wait for.
    let child = match unsafe { fork() }.map_err(|errno| process(errno.into()))? {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            drop(ours);
            // It fails where the parent is gone: then nobody needs it.
            let told = match inside(plan) {
                Ok((tap, holds_namespace)) => {
                    theirs.send(&FromHelper::Tap { holds_namespace }, &[tap.as_fd()])
                }
                Err(error) => {
                    let _ = theirs.send(&FromHelper::Refused(error), &[]);
                    exit(0)
                }
            };
            if told.is_ok() && plan.stays {
                insider::serve(&theirs);
            }
            exit(0);
        }
    };
    drop(theirs);
    let received = ours.receive();
    let stays = plan.stays && matches!(received, Ok(Some((FromHelper::Tap { .. }, _))));
    if !stays {
        reap(child.as_raw().unsigned_abs());
    }
    match received.map_err(process)? {
        Some((FromHelper::Tap { holds_namespace }, mut descriptors)) => {
            let tap = descriptors.pop();
            Ok(Joined {
                tap: tap.ok_or_else(|| process(io::ErrorKind::InvalidData.into()))?,
                holds_namespace: holds_namespace || stays,
                insider: stays.then_some(ours),
            })
        }
        Some((FromHelper::Refused(error), _)) => Err(error),
        None => Err(process(io::ErrorKind::BrokenPipe.into())),
    }
}

/// The TAP in the target's namespaces, and whether it keeps the network namespace alive.
fn inside(plan: &Plan) -> Result<(OwnedFd, bool), SetupError> {
    let network = enter(&plan.target)?;
    let (tap, holds_namespace) = if has_interface(&plan.ifname) {
        // Somebody inside made it: it can be taken over from inside only.
        (open(&plan.ifname)?, true)
    } else {
        (open_elsewhere(&plan.ifname, &network)?, false)
    };
    if let Some(station) = plan.station {
        tun::set_station(&tap.name, station).map_err(link_error)?;
    }
    if plan.link.is_some() || plan.stays {
        tun::configure("lo", &LinkConfig::default()).map_err(link_error)?;
    }
    if let Some(link) = &plan.link {
        tun::configure(&tap.name, link).map_err(link_error)?;
    }
    Ok((tap.fd, holds_namespace))
}

/// Enters the target's user namespace, where that is another than ours, and its network
/// namespace. Returns the latter's file.
fn enter(target: &Target) -> Result<File, SetupError> {
    let open =
        |path: &Path| File::open(path).during(Step::Join, &format!("open {}", path.display()));
    // Before anything is entered: the paths are the caller's.
    let network = open(&target.network)?;
    if is_own(&network, "/proc/self/ns/net") {
        let tried = format!(
            "attach to {}: it is the network of this process itself",
            target.network.display()
        );
        return Err(SetupError::new(
            Step::Join,
            tried,
            io::ErrorKind::InvalidInput,
        ));
    }
    let user = target.user.as_deref().map(open).transpose()?;
    if let Some(user) = user
        && !is_own(&user, "/proc/self/ns/user")
    {
        move_into_link_name_space(user.as_fd(), Some(LinkNameSpaceType::User))
            .during(Step::Join, "enter the user namespace")?;
    }
    enter_network(&network)?;
    Ok(network)
}

fn enter_network(network: &File) -> Result<(), SetupError> {
    move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))
        .during(Step::Join, "enter the network namespace")
}

/// Whether `file` is the namespace that this process is in.
fn is_own(file: &File, own: &str) -> bool {
    match (file.metadata(), std::fs::metadata(own)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

fn has_interface(name: &str) -> bool {
    tun::exists(name)
}

fn open(name: &str) -> Result<OpenTun, SetupError> {
    tun::open_tap(Path::new(tun::NODE), name).map_err(open_error)
}

/// The TAP made in a namespace of its own and moved to where it belongs. A descriptor keeps the
/// namespace alive in which it was opened (`tun_chr_open`): opened inside, it would outlive every
/// program there, and nobody would hear of their end.
fn open_elsewhere(name: &str, network: &File) -> Result<OpenTun, SetupError> {
    // SAFETY: the helper has one thread, and a network namespace is nothing that Rust relies on.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }
        .during(Step::NetworkNamespace, "make a network namespace")?;
    let tap = open(name)?;
    tun::move_to(name, network.as_fd()).map_err(link_error)?;
    enter_network(network)?;
    Ok(tap)
}

fn open_error(error: OpenError) -> SetupError {
    match error {
        OpenError::Node { path, source } => {
            SetupError::new(Step::TunOpen, path.display().to_string(), source)
        }
        OpenError::Attach { name, source } => {
            SetupError::new(Step::TunAttach, format!("make the TAP {name}"), source)
        }
    }
}

fn link_error(error: LinkError) -> SetupError {
    SetupError::new(Step::Link, error.tried, error.source)
}

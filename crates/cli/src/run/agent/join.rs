//! `run --join`: into the namespaces of a run that is under way.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::Path;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::run::channel::Channel;
use crate::run::message::{During as _, FromAgent, SetupError, Step};
use crate::run::plan::JoinedRun;

/// Enters the user, network and mount namespaces that the agent of `run` is in.
pub(super) fn enter(channel: &Channel, run: &JoinedRun) -> Result<(), SetupError> {
    let here = std::env::current_dir();
    let open = |name: &str| {
        let path = format!("/proc/{}/ns/{name}", run.agent);
        File::open(&path).during(Step::Join, &format!("open {path}"))
    };
    // All of them before any is entered: the paths are the caller's. The user namespace first:
    // in it this process may enter the others.
    let entered = [
        (open("user")?, LinkNameSpaceType::User, "user"),
        (open("net")?, LinkNameSpaceType::Network, "network"),
        (open("mnt")?, LinkNameSpaceType::Mount, "mount"),
    ];
    for (namespace, kind, name) in entered {
        move_into_link_name_space(namespace.as_fd(), Some(kind))
            .during(Step::Join, &format!("enter the run's {name} namespace"))?;
    }
    // Entering a mount namespace leads to its root directory.
    let here = here.during(Step::Join, "find the current directory")?;
    if let Err(error) = std::env::set_current_dir(&here) {
        let text = format!("{} is not there inside: {error}", here.display());
        std::env::set_current_dir(Path::new("/")).during(Step::Join, "enter /")?;
        let told = channel.send(&FromAgent::Warning(text), &[]);
        told.during(Step::Process, "the agent")?;
    }
    let told = channel.send(&FromAgent::Ready, &[]);
    told.during(Step::Process, "the agent")
}

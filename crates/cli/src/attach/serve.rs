//! The network of a namespace, until it ends.

use std::future::pending;
use std::io;
use std::sync::Arc;

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::thread::CapabilitySet;
use switchboard::Net;
use switchboard_device::ethernet::Ethernet;
use switchboard_device::tap::Tap;
use switchboard_gateway::{Flow, Gateway, Verdict};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{SignalKind, signal};

use super::Calls;
use super::api::Api;
use super::join::Joined;
use super::plan::Plan;
use crate::run::Confinement;

/// Serves it; returns once the namespace is gone, or whoever may has said so.
pub(super) async fn serve(
    plan: &Plan,
    joined: Joined,
    calls: Calls,
    standing: impl FnOnce(),
) -> io::Result<()> {
    let ends = Ends::watch(plan, &joined, calls.exit)?;
    let confinement = Confinement::prepare().map_err(io::Error::other)?;
    let mtu = usize::try_from(plan.mtu).unwrap_or(usize::MAX);
    let device = Ethernet::new(Tap::from_fd(joined.tap, mtu)?, plan.ethernet());
    let net = plan.gateway.network().build(device)?;
    let gateway = Gateway::builder(net.clone()).config(plan.gateway.clone());
    let gateway = match plan.ipv6 {
        true => gateway,
        false => gateway.policy(Arc::new(no_ipv6)),
    };
    let gateway = Arc::new(gateway.build().await?);
    let running = gateway.clone();
    tokio::spawn(async move { running.run().await });
    for forward in &plan.forwards {
        gateway.forward(*forward).await.map_err(|error| {
            let text = format!("cannot publish {}: {error}", forward.listen);
            io::Error::new(error.kind(), text)
        })?;
    }
    let mut kept = CapabilitySet::empty();
    if let Some(path) = &plan.api_socket {
        let guest = plan.gateway.program;
        Api::new(gateway, guest).listen(path).map_err(|error| {
            let text = format!("cannot listen at {}: {error}", path.display());
            io::Error::new(error.kind(), text)
        })?;
        // Ports below 1024 may be asked for as long as it runs.
        kept = CapabilitySet::NET_BIND_SERVICE;
    }
    let confined = confinement.keeping(kept).apply();
    confined.map_err(io::Error::other)?;
    if let Some(ready) = calls.ready {
        ready.say()?;
    }
    standing();
    ends.first(&net).await?;
    net.shutdown();
    Ok(())
}

/// What was not asked for is not there.
fn no_ipv6(flow: &Flow) -> Verdict {
    match flow.to.is_ipv6() {
        true => Verdict::unreachable(
            switchboard::Unreachable::Network,
            "this network has no IPv6",
        ),
        false => Verdict::Pass,
    }
}

/// Everything that ends a network.
struct Ends {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    exit: Option<super::descriptors::HangUp>,
    /// The process that was named, where the namespace's own end cannot be seen.
    process: Option<AsyncFd<std::os::fd::OwnedFd>>,
}

impl Ends {
    fn watch(
        plan: &Plan,
        joined: &Joined,
        exit: Option<super::descriptors::ExitFd>,
    ) -> io::Result<Self> {
        let named = plan.target.pid.filter(|_| joined.holds_namespace);
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            exit: exit.map(super::descriptors::ExitFd::watch).transpose()?,
            process: named.map(process).transpose()?,
        })
    }

    /// Waits for the first of them.
    async fn first(mut self, net: &Net) -> io::Result<()> {
        let exit = async {
            match &self.exit {
                Some(exit) => exit.gone().await,
                None => pending().await,
            }
        };
        let process = async {
            match &self.process {
                Some(process) => process.readable().await.map(|_| ()),
                None => pending().await,
            }
        };
        tokio::select! {
            why = net.closed() => match why {
                switchboard::Ended::LinkGone => Ok(()),
                why => Err(io::Error::other(format!("the network ended: {why}"))),
            },
            ended = exit => ended,
            ended = process => ended,
            _ = self.terminate.recv() => Ok(()),
            _ = self.interrupt.recv() => Ok(()),
        }
    }
}

/// Readable when the process `pid` has ended.
fn process(pid: u32) -> io::Result<AsyncFd<std::os::fd::OwnedFd>> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or(io::ErrorKind::InvalidInput)?;
    let fd = pidfd_open(pid, PidfdFlags::NONBLOCK)?;
    // SAFETY: an `OwnedFd` always names the same descriptor, and is not taken out.
    Ok(unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }?)
}

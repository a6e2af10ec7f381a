//! Our end of a link, until it ends.

use std::io;
use std::sync::Arc;

use rustix::thread::CapabilitySet;
use switchboard::{Clock, Net};
use switchboard_device::Device;
use switchboard_device::ethernet::Ethernet;
use switchboard_device::tap::Tap;
use switchboard_device::tee::{PacketSink, Tee};
use switchboard_gateway::Gateway;

use super::Calls;
use super::api::Api;
use super::ends::Ends;
use super::guest::Guest;
use super::insider::Insider;
use super::join::Joined;
use super::plan::{Plan, Served};
use super::ways::Ways;
use crate::cmd::run::record::Recording;
use crate::run::Confinement;

/// Serves a namespace; returns once it is gone, or whoever may has said so.
pub(super) async fn serve_namespace(
    plan: &Plan,
    joined: Joined,
    mut calls: Calls,
    standing: impl FnOnce() -> io::Result<()>,
) -> io::Result<()> {
    let named = plan.target.pid.filter(|_| joined.holds_namespace);
    let ends = Ends::watch(&mut calls, named)?;
    let mtu = usize::try_from(plan.served.mtu).unwrap_or(usize::MAX);
    let tap = Tap::from_fd(joined.tap, mtu)?;
    let insider = joined.insider.map(Insider::new).transpose()?;
    let end = End {
        served: &plan.served,
        insider: insider.map(Arc::new),
    };
    end.serve(tap, ends, calls, standing).await
}

/// Serves a guest; returns once it is gone, or whoever may has said so.
pub(super) async fn serve_guest(
    served: &Served,
    guest: Guest,
    mut calls: Calls,
    standing: impl FnOnce() -> io::Result<()>,
) -> io::Result<()> {
    let ends = Ends::watch(&mut calls, None)?;
    let mtu = usize::try_from(served.mtu).unwrap_or(usize::MAX);
    let device = guest.device(mtu)?;
    let end = End {
        served,
        insider: None,
    };
    end.serve(device, ends, calls, standing).await
}

/// Our end.
struct End<'a> {
    served: &'a Served,
    insider: Option<Arc<Insider>>,
}

impl End<'_> {
    async fn serve(
        self,
        frames: impl Device,
        ends: Ends,
        calls: Calls,
        standing: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        let confinement = Confinement::prepare().map_err(io::Error::other)?;
        let (net, gateway, recording) = self.begin(frames, &calls).await?;
        let kept = self.open(&gateway, calls.ways).await?;
        let confined = confinement.keeping(kept).apply();
        confined.map_err(io::Error::other)?;
        let recording = recording.map(Recording::start).transpose()?;
        if let Some(ready) = calls.ready {
            ready.say()?;
        }
        standing()?;
        let ended = ends.first(&net).await;
        net.shutdown();
        if let Some(recording) = recording {
            recording.finish();
        }
        ended
    }

    /// Stack and gateway on the link.
    async fn begin(
        &self,
        frames: impl Device,
        calls: &Calls,
    ) -> io::Result<(Net, Arc<Gateway>, Option<Recording>)> {
        let clock = Clock::start();
        let mut recording = None;
        let mut sinks: Vec<Box<dyn PacketSink>> = Vec::new();
        if let Some(path) = &calls.record {
            let (begun, sink) = Recording::begin(path)?;
            sinks.push(Box::new(sink));
            recording = Some(begun);
        }
        let device = Ethernet::new(frames, self.served.ethernet.clone());
        let config = &self.served.gateway;
        let network = config.network();
        let net = match sinks.is_empty() {
            true => network.build(device)?,
            false => {
                let at = clock;
                let device = Tee::new(device, sinks, move || at.now());
                network.clock(clock).build(device)?
            }
        };
        let mut builder = Gateway::builder(net.clone())
            .config(config.clone())
            .policy(Arc::new(self.served.rules));
        if let Some(log) = &calls.log {
            builder = builder.observer(log.clone());
        }
        if let Some(insider) = self.insider.as_ref().filter(|_| calls.loopback_to_loopback) {
            builder = builder.loopback_dial(insider.clone());
        }
        let gateway = Arc::new(builder.build().await?);
        if let Some(recording) = &recording {
            recording.label_from(gateway.registry());
        }
        let running = gateway.clone();
        tokio::spawn(async move { running.run().await });
        Ok((net, gateway, recording))
    }

    /// Every way in. Returns the capabilities that are needed as long as it runs.
    async fn open(
        &self,
        gateway: &Arc<Gateway>,
        ways: super::ways::WaysSpec,
    ) -> io::Result<CapabilitySet> {
        for forward in &self.served.forwards {
            gateway.forward(*forward).await.map_err(|error| {
                let text = format!("cannot publish {}: {error}", forward.listen);
                io::Error::new(error.kind(), text)
            })?;
        }
        let mut asked_later = ways.need_insider();
        let mut ways = Ways::new(ways, gateway.clone(), self.insider.clone());
        ways.open().await?;
        tokio::spawn(ways.keep());
        if let Some(path) = &self.served.api_socket {
            let guest = self.served.gateway.program;
            let api = Api::new(gateway.clone(), guest);
            api.listen(path).map_err(|error| {
                let text = format!("cannot listen at {}: {error}", path.display());
                io::Error::new(error.kind(), text)
            })?;
            asked_later = true;
        }
        // Ports below 1024 may be asked for as long as it runs.
        Ok(match asked_later {
            true => CapabilitySet::NET_BIND_SERVICE,
            false => CapabilitySet::empty(),
        })
    }
}

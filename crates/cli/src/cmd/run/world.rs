//! What is at the other end of the program's link: our stack, the gateway, the control socket.

use std::io::{self, IsTerminal as _};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec};
use switchboard::{Clock, Net};
use switchboard_device::tee::{PacketSink, Tee};
use switchboard_gateway::{
    DnsServers, Gateway, GatewayConfig, HandshakeRecorder, HostAddress, HostLoopback, Limits,
    Prefix, Program, Registry,
};

use super::doors::{Doors, Found};
use super::explain::{Explainer, Own};
use super::listening;
use super::onlooker::Recorder;
use super::published::Published;
use super::record::Recording;
use super::refusals::Refusals;
use super::wakeful::Wakeful;
use crate::control::{self, ServeError, Served};
use crate::flags::RunFlags;
use crate::flags::ports::{PortMap, PublishFlag};
use crate::run::relay::{AgentLink, LateLink, LocalSocket};
use crate::run::{LinkEnd, Network, Plan, host};
use crate::say;

/// Everything of the relay but its dealings with the agent.
pub(super) struct World {
    net: Net,
    /// Our end of the link once more, to see whether packets wait in it.
    watch: LinkEnd,
    gateway: Arc<Gateway>,
    explainer: Option<Explainer>,
    recording: Option<Recording>,
    published: Published,
    refusals: Arc<Refusals>,
    /// The files of the control socket.
    control: Vec<PathBuf>,
}

impl World {
    /// Begins to serve what comes out of `end`, on the current runtime.
    pub(super) async fn begin(
        flags: &RunFlags,
        plan: &Plan,
        end: LinkEnd,
        link: &LateLink,
        wakeful: Option<Arc<Wakeful>>,
    ) -> io::Result<Self> {
        let watch = end.try_clone()?;
        let config = config(flags, &plan.network);
        let clock = Clock::start();
        let recorder = HandshakeRecorder::new(&config.limits);
        let mut sinks: Vec<Box<dyn PacketSink>> = vec![Box::new(Recorder(recorder.clone()))];
        if let Some(wakeful) = wakeful {
            sinks.push(Box::new(wakeful.pulse()));
            tokio::spawn(wakeful.run());
        }
        let mut recording = None;
        if let Some(path) = &flags.see.record {
            let (begun, sink) = Recording::begin(path)?;
            sinks.push(Box::new(sink));
            recording = Some(begun);
        }
        let mtu = usize::try_from(plan.mtu).unwrap_or(usize::MAX);
        let device = Tee::new(end.into_device(mtu)?, sinks, move || clock.now());
        let net = config.network().clock(clock).build(device)?;
        let own = Own {
            dns: config.dns,
            builtin: config.builtin,
        };
        let found = Arc::new(Found::default());
        let refusals = Arc::new(Refusals::new(flags.guard.max_flows));
        let mut builder = Gateway::builder(net.clone())
            .config(config)
            .recorder(recorder.clone())
            .observer(found.clone())
            .observer(refusals.clone())
            .holder_lookup(Arc::new(link.clone()));
        if flags.see.explain || flags.see.record.is_some() {
            builder = builder.ask_for_each_holder();
        }
        let explainer = flags.see.explain.then(|| Explainer::start(recorder, own));
        if let Some(explainer) = &explainer {
            builder = builder.observer(explainer.listener());
        }
        let gateway = Arc::new(builder.build().await?);
        if let Some(recording) = &recording {
            recording.label_from(gateway.registry());
        }
        let running = gateway.clone();
        tokio::spawn(async move { running.run().await });
        let published = Published::new(gateway.clone());
        let control = control::serve(Served {
            name: flags.program.name.clone(),
            command: command_line(flags),
            map_root: flags.program.map_root,
            // Whoever asks may be somewhere else.
            record: flags
                .see
                .record
                .as_deref()
                .and_then(|path| std::path::absolute(path).ok()),
            registry: gateway.registry(),
            recorder: gateway.recorder(),
            inside: Arc::new(Doors {
                link: link.clone(),
                published: published.clone(),
                found,
            }),
        });
        let control = match control {
            Ok(files) => files,
            Err(error @ ServeError::NameTaken(_)) => {
                return Err(io::Error::other(error.to_string()));
            }
            Err(ServeError::Host(error)) => {
                say::notice(format_args!(
                    "`switchboard sockets` will not find this run: {error}"
                ));
                Vec::new()
            }
        };
        Ok(Self {
            net,
            watch,
            gateway,
            explainer,
            recording,
            published,
            refusals,
            control,
        })
    }

    /// `-p` and `--localhost`.
    pub(super) async fn open_ways_in(
        &self,
        flags: &RunFlags,
        locals: Vec<LocalSocket>,
    ) -> io::Result<()> {
        for publish in &flags.reach.publish {
            if let PublishFlag::Ports(ports) = publish {
                self.publish(ports).await?;
            }
        }
        for local in locals {
            match local {
                LocalSocket::Tcp(port, listener) => {
                    self.gateway.serve_inside_listener(listener, port)?;
                }
                LocalSocket::Udp(port, socket) => {
                    self.gateway.serve_inside_datagrams(socket, port)?;
                }
            }
        }
        Ok(())
    }

    async fn publish(&self, ports: &PortMap) -> io::Result<()> {
        for publish in ports.each() {
            let bound = self.published.publish(publish).await?;
            if publish.listen.port() == 0 {
                let port = publish.port;
                say::notice(format_args!("{bound} is the program's port {port}"));
            }
        }
        Ok(())
    }

    /// `-p auto`, or a hint for a person who published nothing.
    pub(super) fn watch_listeners(&self, flags: &RunFlags, link: AgentLink) {
        let program = self.gateway.config().program;
        if flags.reach.publishes_auto() {
            let published = self.published.clone();
            tokio::spawn(listening::publish(link, published, program));
        } else if flags.reach.publish.is_empty() && !flags.see.quiet && io::stderr().is_terminal() {
            tokio::spawn(listening::hint(link, program));
        }
    }

    /// The control socket's files.
    pub(super) fn control_files(&self) -> &[PathBuf] {
        &self.control
    }

    /// `--record`, once the relay is confined.
    pub(super) fn start_recording(&mut self) -> io::Result<()> {
        self.recording = self.recording.take().map(Recording::start).transpose()?;
        Ok(())
    }

    /// Every socket of the run.
    pub(super) fn registry(&self) -> Registry {
        self.gateway.registry()
    }

    /// Packets that have come out of the program's link so far.
    pub(super) fn packets_received(&self) -> u64 {
        self.net.stats().packets_received
    }

    /// Whether no program has sent a single packet.
    pub(super) fn is_untouched(&self) -> bool {
        let fds = self.watch.fds.iter();
        let mut link: Vec<_> = fds.map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        let at_once = Timespec::default();
        // In this order: what has left the link by then is counted already.
        let waits = rustix::event::poll(&mut link, Some(&at_once)) != Ok(0);
        !waits && self.packets_received() == 0
    }

    /// Returns only if the network ends before the program.
    pub(super) async fn failed(&self) -> io::Error {
        let why = self.net.closed().await;
        io::Error::other(format!("the program's network ended: {why}"))
    }

    /// `program` called its own localhost at `port`, where nobody listens. Whether somebody
    /// tells the whole story of it.
    pub(super) fn explains_loopback(&self, port: u16, program: Option<&Program>) -> bool {
        match &self.explainer {
            Some(explainer) => {
                explainer.loopback_refused(port, program.cloned());
                true
            }
            None => false,
        }
    }

    /// Ends the network, and says and writes what is still to be said and written.
    pub(super) async fn end(self) {
        if let Some(explainer) = self.explainer {
            explainer.finish().await;
        }
        self.refusals.sum_up();
        self.net.shutdown();
        if let Some(recording) = self.recording {
            recording.finish();
        }
    }
}

/// The gateway's addresses and doors.
fn config(flags: &RunFlags, network: &Network) -> GatewayConfig {
    let at = |v4, v6| HostAddress::new(network.host_v4(v4), network.host_v6(v6));
    let dns_servers = match &flags.reach.dns[..] {
        [] => DnsServers::Host,
        servers => DnsServers::These(servers.to_vec()),
    };
    GatewayConfig {
        program: at(host::PROGRAM_V4, host::PROGRAM_V6),
        gateway: at(host::GATEWAY, host::GATEWAY.into()),
        dns: at(host::DNS, host::DNS.into()),
        builtin: at(host::BUILTIN, host::BUILTIN.into()),
        silent: at(host::SILENT, host::SILENT.into()),
        networks: vec![
            Prefix::new(IpAddr::V4(network.v4.0), network.v4.1),
            Prefix::new(IpAddr::V6(network.v6), 64),
        ],
        host_loopback: if flags.reach.host_loopback {
            HostLoopback::AtGateway
        } else {
            HostLoopback::Closed
        },
        dns_servers,
        limits: Limits {
            flows: flags.guard.max_flows,
            ..Limits::default()
        },
        ..GatewayConfig::default()
    }
}

/// CMD as a person typed it.
fn command_line(flags: &RunFlags) -> String {
    let words = flags
        .program
        .command
        .iter()
        .map(|word| word.to_string_lossy());
    words.collect::<Vec<_>>().join(" ")
}

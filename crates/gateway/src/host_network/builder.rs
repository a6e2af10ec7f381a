//! How a host network is made.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::Arc;

use switchboard::device::tee::{PacketSink, Tee};
use switchboard::device::{Device, Offloads, pipe};
use switchboard::net::Resolve;
use switchboard::shape::{self, Conditions, Seed, ShapeHandle, Shaped};
use switchboard::{Cidr, Clock, Net, NetBuilder};

use super::HostNetwork;
use super::names::HostNames;
use super::recording::{LateContext, Recording};
use crate::config::{GatewayConfig, HostAddress, HostLoopback, Prefix};
use crate::gateway::Gateway;
use crate::observer::Observer;
use crate::policy::{AllowAll, Policy};

/// Longest packet of the pipe, in octets: what `run` has. Segments are not cut to it.
const MTU: usize = 65_520;

/// Packets that the pipe holds in each direction. What does not fit waits, none is dropped.
const CAPACITY: usize = 512;

/// Makes a [`HostNetwork`].
#[must_use]
pub struct HostNetworkBuilder {
    config: GatewayConfig,
    policy: Arc<dyn Policy>,
    observers: Vec<Arc<dyn Observer>>,
    resolver: Option<Box<dyn Resolve>>,
    record: Option<PathBuf>,
    sinks: Vec<Box<dyn PacketSink>>,
    shape: Option<(Conditions, Conditions)>,
    luck: Seed,
}

impl fmt::Debug for HostNetworkBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostNetworkBuilder")
            .field("config", &self.config)
            .field("record", &self.record)
            .finish_non_exhaustive()
    }
}

impl Default for HostNetworkBuilder {
    fn default() -> Self {
        Self {
            config: default_config(),
            policy: Arc::new(AllowAll),
            observers: Vec::new(),
            resolver: None,
            record: None,
            sinks: Vec::new(),
            shape: None,
            luck: Seed::default(),
        }
    }
}

/// Addresses that no host has on a link, so that none of the host's own networks is hidden:
/// 192.0.0.0/29, which RFC 7335 sets aside for what stays within one host, and a unique local
/// prefix (RFC 4193).
fn default_config() -> GatewayConfig {
    let v6 = |host| Ipv6Addr::new(0xfd5b, 3, 0, 0, 0, 0, 0, host);
    let host = |last: u8| HostAddress::new(Ipv4Addr::new(192, 0, 0, last), v6(last.into()));
    GatewayConfig {
        program: host(1),
        gateway: host(2),
        dns: host(3),
        builtin: host(4),
        silent: host(5),
        networks: vec![
            Prefix::new(IpAddr::V4(Ipv4Addr::new(192, 0, 0, 0)), 29),
            Prefix::new(IpAddr::V6(v6(0)), 64),
        ],
        ..GatewayConfig::default()
    }
}

impl HostNetworkBuilder {
    /// Whether 127.0.0.1 and ::1 of this network are the host's. Default false: they are the
    /// network's own. See [`HostNetwork`] on what follows.
    pub fn host_loopback(mut self, yes: bool) -> Self {
        self.config.host_loopback = if yes {
            HostLoopback::Shared
        } else {
            HostLoopback::Closed
        };
        self
    }

    /// Who decides what may leave, asked for every flow and name. Default: everything may.
    pub fn policy(mut self, policy: impl Policy + 'static) -> Self {
        self.policy = Arc::new(policy);
        self
    }

    /// Somebody to tell what happens. May be called more than once.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observers.push(observer);
        self
    }

    /// Records every packet of the network to this pcapng file, with the name that led to the
    /// far address as its comment. The file is made when the network starts.
    pub fn record(mut self, path: impl Into<PathBuf>) -> Self {
        self.record = Some(path.into());
        self
    }

    /// Shows every packet of the network to `sink`. May be called more than once.
    pub fn record_to(mut self, sink: impl PacketSink + 'static) -> Self {
        self.sinks.push(Box::new(sink));
        self
    }

    /// Puts a line of these conditions (`"delay=40ms loss=1%".parse()?`) in each direction between the network and its gateway;
    /// a delay of 40 ms makes round trips 80 ms longer. The MTU is 1500 octets then.
    /// [`HostNetwork::shape`] changes it while it runs.
    pub fn shape(self, conditions: Conditions) -> Self {
        self.shape_each(conditions.clone(), conditions)
    }

    /// The same with conditions of its own for each direction: `down`, toward the network, and
    /// `up`, away from it.
    pub fn shape_each(mut self, down: Conditions, up: Conditions) -> Self {
        self.shape = Some((down, up));
        self
    }

    /// What the luck of a [`shape`](Self::shape) follows from: the same seed loses the same
    /// packets of the same conversation.
    pub fn shape_seed(mut self, seed: Seed) -> Self {
        self.luck = seed;
        self
    }

    /// Who finds names instead of the host's resolver; the policy is asked before.
    pub fn resolver(mut self, resolver: impl Resolve) -> Self {
        self.resolver = Some(Box::new(resolver));
        self
    }

    /// Addresses, doors and bounds of the gateway, where the defaults will not do. Replaces
    /// what [`host_loopback`](Self::host_loopback) said.
    pub fn gateway_config(mut self, config: GatewayConfig) -> Self {
        self.config = config;
        self
    }

    /// Starts it on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// There is no current runtime with I/O and time, the system has no random numbers, or the
    /// record's file cannot be made.
    pub async fn start(self) -> io::Result<HostNetwork> {
        let offloads = Offloads {
            checksum: true,
            tso4: true,
            tso6: true,
            uso: true,
        };
        let Some((down, up)) = self.shape.clone() else {
            let (near, far) = pipe::pair(MTU, offloads, CAPACITY);
            return self.start_on(near, far, None).await;
        };
        // Both ends must know: the gateway's datagrams are to be fragmented, too.
        let (near, far) = pipe::pair(shape::MTU, offloads, CAPACITY);
        let near = Shaped::new(near, down, up, self.luck);
        let handle = near.handle();
        self.start_on(near, far, Some(handle)).await
    }

    async fn start_on(
        mut self,
        near: impl Device,
        far: impl Device,
        shape: Option<ShapeHandle>,
    ) -> io::Result<HostNetwork> {
        let clock = Clock::start();
        let late = LateContext::default();
        let mut recording = None;
        if let Some(path) = &self.record {
            let (running, sink) = Recording::begin(path, late.clone())?;
            recording = Some(running);
            self.sinks.push(Box::new(sink));
        }
        let outer = self.config.network().clock(clock).build(far)?;
        let mut gateway = Gateway::builder(outer.clone())
            .config(self.config.clone())
            .policy(self.policy);
        for observer in self.observers {
            gateway = gateway.observer(observer);
        }
        let gateway = Arc::new(gateway.build().await?);
        let _ = late.set(gateway.context().clone());
        let names = HostNames {
            context: gateway.context().clone(),
            resolver: self.resolver,
        };
        let net = inner(&self.config).clock(clock).resolver(names);
        let net = if self.sinks.is_empty() {
            net.build(near)?
        } else {
            net.build(Tee::new(near, self.sinks, move || clock.now()))?
        };
        let relay = tokio::spawn({
            let gateway = gateway.clone();
            async move { gateway.run().await }
        });
        Ok(HostNetwork {
            net,
            outer,
            gateway,
            relay,
            recording,
            shape,
        })
    }
}

/// The network whose gateway `config` describes.
fn inner(config: &GatewayConfig) -> NetBuilder {
    Net::builder()
        .addresses(config.program.addresses().map(Cidr::from))
        .foreign_loopback(config.host_loopback == HostLoopback::Shared)
}

//! A gateway: made of a network and a configuration, run until the network ends.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use switchboard::{IncomingFlows, Net, NetBuilder};
use switchboard_wire::Protocol;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::accept::Acceptor;
use crate::builtin::BuiltIn;
use crate::config::{GatewayConfig, HostLoopback};
use crate::context::Context;
use crate::dns::{self, Names};
use crate::forward::{self, Forward, Forwards};
use crate::holders::Holders;
use crate::observer::{HolderLookup, Observer, Observers};
use crate::outside::chunk::ChunkPool;
use crate::policy::{AllowAll, Policy};
use crate::recorder::HandshakeRecorder;
use crate::registry::{Registry, lock};

/// What a gateway is made of.
#[must_use]
pub struct GatewayBuilder {
    net: Net,
    config: GatewayConfig,
    observers: Observers,
    holder_lookup: Option<Arc<dyn HolderLookup>>,
    asks_for_each_holder: bool,
    policy: Arc<dyn Policy>,
    recorder: Option<HandshakeRecorder>,
}

impl fmt::Debug for GatewayBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayBuilder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl GatewayBuilder {
    /// Addresses, doors and bounds. Default: [`GatewayConfig::default`].
    pub fn config(mut self, config: GatewayConfig) -> Self {
        self.config = config;
        self
    }

    /// Somebody to tell what happens. May be called more than once.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observers.push(observer);
        self
    }

    /// Who knows which program holds a socket. Default: nobody.
    pub fn holder_lookup(mut self, lookup: Arc<dyn HolderLookup>) -> Self {
        self.holder_lookup = Some(lookup);
        self
    }

    /// Has the holder of each flow asked for as it begins, for somebody who tells of every flow.
    /// Default: of as many as [`Limits::holder_burst`](crate::Limits::holder_burst) and
    /// [`Limits::holder_pace`](crate::Limits::holder_pace) allow, of the others later.
    pub fn ask_for_each_holder(mut self) -> Self {
        self.asks_for_each_holder = true;
        self
    }

    /// What may leave. Default: [`AllowAll`].
    pub fn policy(mut self, policy: Arc<dyn Policy>) -> Self {
        self.policy = policy;
        self
    }

    /// The recorder that the device's tee shows its packets to. Default: one that sees none.
    pub fn recorder(mut self, recorder: HandshakeRecorder) -> Self {
        self.recorder = Some(recorder);
        self
    }

    /// Takes the network's flows and opens the built-in services' ports. Flows wait until
    /// [`Gateway::run`] is polled.
    ///
    /// # Errors
    ///
    /// A service's address is not one of the network's, or its port is taken.
    pub async fn build(self) -> io::Result<Gateway> {
        let limits = self.config.limits;
        let holders = Holders::new(
            self.holder_lookup,
            self.observers.clone(),
            self.asks_for_each_holder,
            &limits,
        );
        let context = Arc::new(Context {
            observers: self.observers,
            policy: self.policy,
            registry: Registry::new(limits, holders.clone()),
            holders,
            recorder: self
                .recorder
                .unwrap_or_else(|| HandshakeRecorder::new(&limits)),
            names: Names::new(limits.names),
            flows: AtomicU64::new(0),
            forwards: Forwards::default(),
            config: self.config,
        });
        let incoming = self.net.incoming();
        let services = Services {
            dns: dns::Service::bind(&self.net, &context).await?,
            builtin: BuiltIn::bind(&self.net, &context).await?,
        };
        Ok(Gateway {
            net: self.net,
            context,
            localhost: Arc::new(Semaphore::new(limits.localhost_flows)),
            pool: ChunkPool::default(),
            waiting: Mutex::new(Some((incoming, services))),
        })
    }
}

struct Services {
    dns: dns::Service,
    builtin: BuiltIn,
}

/// Relays every flow of a network to the host, and serves the built-in services.
pub struct Gateway {
    net: Net,
    context: Arc<Context>,
    pool: ChunkPool,
    /// Connections that the listeners of `--localhost` may still take, together.
    localhost: Arc<Semaphore>,
    /// What `run` takes.
    waiting: Mutex<Option<(IncomingFlows, Services)>>,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway")
            .field("config", &self.context.config)
            .finish_non_exhaustive()
    }
}

impl Gateway {
    /// A gateway for `net`, which [`GatewayConfig::network`] makes right.
    pub fn builder(net: Net) -> GatewayBuilder {
        GatewayBuilder {
            net,
            config: GatewayConfig::default(),
            observers: Observers::default(),
            holder_lookup: None,
            asks_for_each_holder: false,
            policy: Arc::new(AllowAll),
            recorder: None,
        }
    }

    /// Relays until the network ends; everything that it relayed ends with it. Once only: a
    /// second call returns at once.
    pub async fn run(&self) {
        let Some((incoming, services)) = lock(&self.waiting).take() else {
            return;
        };
        let mut tasks = JoinSet::new();
        services.dns.start(&mut tasks);
        services.builtin.start(&mut tasks);
        let acceptor = Acceptor::new(self.context.clone(), self.pool.clone());
        acceptor.run(incoming, &mut tasks).await;
    }

    pub(crate) fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// All sockets of the run.
    #[must_use]
    pub fn registry(&self) -> Registry {
        self.context.registry.clone()
    }

    /// The first packets of each conversation.
    #[must_use]
    pub fn recorder(&self) -> HandshakeRecorder {
        self.context.recorder.clone()
    }

    /// What it was told.
    #[must_use]
    pub fn config(&self) -> &GatewayConfig {
        &self.context.config
    }

    /// The name that led to `address`, if the directory gave it out of late.
    #[must_use]
    pub fn name_of(&self, address: std::net::IpAddr) -> Option<Arc<str>> {
        self.context.names.get(address)
    }

    /// Makes a port of the host a port of the program (`-p`); says where it listens.
    ///
    /// # Errors
    ///
    /// The host's: the port is taken, or may not be bound.
    pub async fn forward(&self, forward: Forward) -> io::Result<SocketAddr> {
        let shared = forward::Shared {
            net: self.net.clone(),
            context: self.context.clone(),
            pool: self.pool.clone(),
        };
        forward::open(shared, forward).await
    }

    /// Takes a forward back: `bound` is where it listens, as [`forward`](Self::forward) said.
    /// The port is free afterwards; connections that it brought go on. `false`: there is none.
    pub async fn close_forward(&self, protocol: Protocol, bound: SocketAddr) -> bool {
        forward::close(&self.context, protocol, bound).await
    }

    /// Serves a listener that was made inside, on the program's own loopback (`--localhost`):
    /// its callers reach `port` of the host's loopback, 127.0.0.1 or else ::1.
    ///
    /// # Errors
    ///
    /// The listener cannot be watched by this runtime.
    pub fn serve_inside_listener(
        &self,
        listener: std::net::TcpListener,
        port: u16,
    ) -> io::Result<()> {
        let permits = self.localhost.clone();
        forward::serve_inside(self.context.clone(), permits, listener, port)
    }

    /// The same for datagrams: `socket` was made on the program's own loopback, and whoever
    /// sends to it reaches `port` of the host's loopback in the same family.
    ///
    /// # Errors
    ///
    /// The socket cannot be watched by this runtime.
    pub fn serve_inside_datagrams(&self, socket: std::net::UdpSocket, port: u16) -> io::Result<()> {
        let permits = self.localhost.clone();
        forward::serve_inside_datagrams(self.context.clone(), permits, socket, port)
    }
}

impl GatewayConfig {
    /// A network for a gateway of this configuration: its own addresses are the gateway's,
    /// the directory's and the built-in server's, and flows to all others come to it.
    ///
    /// The first address of each family is the gateway's: it signs the ICMP errors that the
    /// stack sends itself.
    pub fn network(&self) -> NetBuilder {
        let hosts = [self.gateway, self.dns, self.builtin];
        let addresses = hosts.into_iter().flat_map(|host| host.addresses());
        Net::builder()
            .addresses(addresses.map(switchboard::Cidr::from))
            .any_address(true)
            .echo(true)
            .foreign_loopback(self.host_loopback == HostLoopback::Shared)
    }
}

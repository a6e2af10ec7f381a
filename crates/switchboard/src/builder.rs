//! How a network is made.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::IpAddr;
#[cfg(feature = "dns")]
use std::net::SocketAddr;
use std::sync::Arc;

use switchboard_core::limits::Limits;
use switchboard_core::{Cidr, Config, Entropy, Offloads, Stack, TcpConfig};
use switchboard_device::Device;

use crate::clock::Clock;
use crate::driver::Driver;
#[cfg(feature = "dns")]
use crate::names::{DnsConfig, Stub};
use crate::names::{HostResolver, Names, Resolve, Source, plain};
use crate::net::HappyEyeballs;
use crate::network::Net;
use crate::shard::ShardCell;

/// Makes a [`Net`] out of a device and addresses.
#[must_use]
pub struct NetBuilder {
    config: Config,
    seed: Option<[u8; 32]>,
    clock: Option<Clock>,
    hosts: HashMap<String, Vec<IpAddr>>,
    resolver: Option<Arc<dyn Resolve>>,
    #[cfg(feature = "dns")]
    dns: DnsConfig,
    happy_eyeballs: HappyEyeballs,
}

impl fmt::Debug for NetBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetBuilder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl NetBuilder {
    pub(crate) fn new() -> Self {
        Self {
            config: Config::default(),
            seed: None,
            clock: None,
            hosts: HashMap::new(),
            resolver: None,
            #[cfg(feature = "dns")]
            dns: DnsConfig::default(),
            happy_eyeballs: HappyEyeballs::default(),
        }
    }

    /// Adds an address of this host, with the prefix of its network: `"10.0.2.2/24".parse()`.
    pub fn address(mut self, address: Cidr) -> Self {
        self.config.addresses.push(address);
        self
    }

    /// Adds several addresses of this host.
    pub fn addresses(mut self, addresses: impl IntoIterator<Item = Cidr>) -> Self {
        self.config.addresses.extend(addresses);
        self
    }

    /// Takes flows to every other address too, as a gateway does: see [`Net::incoming`].
    pub fn any_address(mut self, yes: bool) -> Self {
        self.config.any_address = yes;
        self
    }

    /// Hands echo requests to other addresses to [`Net::incoming`] too.
    pub fn echo(mut self, yes: bool) -> Self {
        self.config.echo_to_application = yes;
        self
    }

    /// Leaves 127.0.0.1 and ::1 to whoever is at the other end of the device, instead of having
    /// a loopback of its own: what connects there leaves by the device, and nothing can listen
    /// there. For a network whose gateway lends its own loopback; both ends must agree.
    pub fn foreign_loopback(mut self, yes: bool) -> Self {
        self.config.foreign_loopback = yes;
        self
    }

    /// Where everything random comes from: keys, initial sequence numbers, ports. The same seed
    /// and the same packets give the same run. Default: the operating system's random numbers;
    /// a seed that somebody knows lets them forge segments.
    pub fn seed(mut self, seed: [u8; 32]) -> Self {
        self.seed = Some(seed);
        self
    }

    /// What all TCP connections share.
    pub fn tcp(mut self, tcp: TcpConfig) -> Self {
        self.config.tcp = tcp;
        self
    }

    /// Bounds of every queue and table.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.config.limits = limits;
        self
    }

    /// Hop limit of what is sent, in hops, where a socket has none of its own. Default 64.
    pub fn hop_limit(mut self, hops: u8) -> Self {
        self.config.hop_limit = hops;
        self
    }

    /// The clock, where it is to be shared. Default: one that starts now.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// A name that `connect("name:80")` and `lookup_host` find; several addresses may share it.
    pub fn host(mut self, name: impl Into<String>, address: IpAddr) -> Self {
        let name = plain(&name.into());
        self.hosts.entry(name).or_default().push(address);
        self
    }

    /// Who finds the names that no [`host`](Self::host) names. Name servers are not asked then.
    pub fn resolver(mut self, resolver: impl Resolve) -> Self {
        self.resolver = Some(Arc::new(resolver));
        self
    }

    /// Asks the host's own resolver (`getaddrinfo`) for the names that no [`host`](Self::host)
    /// names: by the host's sockets, outside of this network.
    pub fn host_resolver(self) -> Self {
        self.resolver(HostResolver)
    }

    /// A name server to ask, over this network's own sockets, for the names that no
    /// [`host`](Self::host) names. Several are asked in this order.
    #[cfg(feature = "dns")]
    pub fn nameserver(mut self, server: SocketAddr) -> Self {
        self.dns.servers.push(server);
        self
    }

    /// A domain that names may be short for; several are tried in this order.
    #[cfg(feature = "dns")]
    pub fn search(mut self, domain: impl Into<String>) -> Self {
        self.dns.search.push(domain.into());
        self
    }

    /// Everything about name servers: whom to ask, how long, how often. Replaces what
    /// [`nameserver`](Self::nameserver) and [`search`](Self::search) said before.
    #[cfg(feature = "dns")]
    pub fn dns(mut self, dns: DnsConfig) -> Self {
        self.dns = dns;
        self
    }

    /// How connections are made to a name that has several addresses.
    pub fn happy_eyeballs(mut self, happy_eyeballs: HappyEyeballs) -> Self {
        self.happy_eyeballs = happy_eyeballs.within_bounds();
        self
    }

    /// Makes the network and spawns its driver on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// There is no current runtime, or it has no time (`enable_time`), or the system has no
    /// random numbers.
    pub fn build(self, device: impl Device) -> io::Result<Net> {
        let runtime = tokio::runtime::Handle::try_current().map_err(io::Error::other)?;
        let (net, driver) = self.build_with_driver(device)?;
        // Its turns are bounded by a budget of its own.
        runtime.spawn(tokio::task::coop::unconstrained(driver));
        Ok(net)
    }

    /// Makes the network and leaves it to the caller to run its driver: where the network must
    /// exist before the runtime does ([`Net::install`]), or runs on another one.
    ///
    /// # Errors
    ///
    /// The system has no random numbers.
    pub fn build_with_driver(mut self, device: impl Device) -> io::Result<(Net, Driver)> {
        self.config.mtu = device.mtu();
        let offloads = device.offloads();
        self.config.offloads = Offloads {
            checksum: offloads.checksum,
            tso4: offloads.tso4,
            tso6: offloads.tso6,
            uso: offloads.uso,
        };
        let seed = match self.seed {
            Some(seed) => seed,
            None => random_seed()?,
        };
        let clock = self.clock.unwrap_or_default();
        let stack = Stack::new(self.config, Entropy::from_seed(seed));
        let cell = Arc::new(ShardCell::new(stack, Box::new(device), clock));
        let driver = Driver::new(Arc::clone(&cell));
        let source = match self.resolver {
            Some(resolver) => Source::Custom(resolver),
            #[cfg(feature = "dns")]
            None if !self.dns.servers.is_empty() => {
                Source::Servers(Box::new(Stub::new(self.dns, seed)))
            }
            None => Source::None,
        };
        let names = Names::new(self.hosts, source);
        let net = Net::new(cell, clock, names, self.happy_eyeballs);
        Ok((net, driver))
    }
}

/// 256 bits of the operating system's best.
pub(crate) fn random_seed() -> io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(seed)
}

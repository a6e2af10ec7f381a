//! `Net`: one host's network, what all its sockets belong to.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use switchboard_core::{Cidr, SocketEntry, Stats, TcpOptions, UdpOptions};

use crate::builder::NetBuilder;
use crate::clock::Clock;
use crate::errors::Ended;
use crate::incoming::IncomingFlows;
use crate::names::{Families, Names};
use crate::net::tcp::stream::connect_on;
use crate::net::{HappyEyeballs, TcpListener, TcpStream, ToSocketAddrs, UdpSocket, lookup_host_on};
use crate::shard::ShardCell;

/// A network: a device, the addresses that a host has on it, and the sockets of that host.
///
/// Cloning gives another handle of the same network. It lives as long as one of its handles or
/// sockets does; connections that were closed in order may still finish then.
#[derive(Clone)]
pub struct Net {
    inner: Arc<NetInner>,
}

pub(crate) struct NetInner {
    /// One lock a shard, none global. Every handle says which shard it belongs to.
    shards: Box<[Arc<ShardCell>]>,
    clock: Clock,
    names: Names,
    happy_eyeballs: HappyEyeballs,
}

impl Drop for NetInner {
    fn drop(&mut self) {
        for shard in &self.shards {
            shard.abandon();
        }
    }
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Net").finish_non_exhaustive()
    }
}

impl Net {
    /// How a network is made.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (device, _other_end) = switchboard::device::pipe::pair(1500, Default::default(), 256);
    /// let net = switchboard::Net::builder()
    ///     .address("10.0.0.1/24".parse()?)
    ///     .build(device)?;
    /// # Ok(()) }
    /// ```
    pub fn builder() -> NetBuilder {
        NetBuilder::new()
    }

    pub(crate) fn new(
        cell: Arc<ShardCell>,
        clock: Clock,
        names: Names,
        happy_eyeballs: HappyEyeballs,
    ) -> Self {
        Self::from_inner(Arc::new(NetInner {
            shards: Box::new([cell]),
            clock,
            names,
            happy_eyeballs,
        }))
    }

    pub(crate) fn from_inner(inner: Arc<NetInner>) -> Self {
        Self { inner }
    }

    pub(crate) fn downgrade(&self) -> Weak<NetInner> {
        Arc::downgrade(&self.inner)
    }

    /// The shard that a handle belongs to.
    pub(crate) fn shard(&self, shard: u8) -> &ShardCell {
        &self.inner.shards[usize::from(shard)]
    }

    /// The shard that a new socket is made on.
    pub(crate) fn home(&self) -> &ShardCell {
        &self.inner.shards[0]
    }

    pub(crate) fn names(&self) -> &Names {
        &self.inner.names
    }

    pub(crate) fn happy_eyeballs(&self) -> HappyEyeballs {
        self.inner.happy_eyeballs
    }

    /// Which addresses it can connect to at all: those of families that it has an address of.
    pub(crate) fn families(&self) -> Families {
        self.home().ask(|shard| {
            let config = shard.stack.config();
            let has = |is_v4| {
                let mut own = config.addresses.iter();
                config.any_address || own.any(|own| own.address.is_ipv4() == is_v4)
            };
            Families {
                v4: has(true),
                v6: has(false),
            }
        })
    }

    /// Connects to `addr` over this network: [`TcpStream::connect`] with the network named.
    ///
    /// # Errors
    ///
    /// As [`TcpStream::connect`].
    pub async fn tcp_connect(&self, addr: impl ToSocketAddrs) -> io::Result<TcpStream> {
        TcpStream::connect_on(self, addr).await
    }

    /// Connects to `remote` from `local`, whose address and port may be left open (unspecified,
    /// 0). A network that takes any address may speak from any.
    ///
    /// # Errors
    ///
    /// As [`TcpStream::connect`]; also `AddrInUse` and `AddrNotAvailable` for `local`.
    pub async fn tcp_connect_from(
        &self,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> io::Result<TcpStream> {
        let options = self.tcp_options();
        connect_on(self, Some(local), remote, &options).await
    }

    /// Connects with options, from `local` if it is given.
    ///
    /// # Errors
    ///
    /// As [`tcp_connect_from`](Self::tcp_connect_from).
    pub async fn tcp_connect_with(
        &self,
        local: Option<SocketAddr>,
        remote: SocketAddr,
        options: &TcpOptions,
    ) -> io::Result<TcpStream> {
        connect_on(self, local, remote, options).await
    }

    /// Listens on `addr` of this network: [`TcpListener::bind`] with the network named.
    ///
    /// # Errors
    ///
    /// As [`TcpListener::bind`].
    pub async fn tcp_listen(&self, addr: impl ToSocketAddrs) -> io::Result<TcpListener> {
        TcpListener::bind_on(self, addr).await
    }

    /// Binds a datagram socket of this network: [`UdpSocket::bind`] with the network named.
    ///
    /// # Errors
    ///
    /// As [`UdpSocket::bind`].
    pub async fn udp_bind(&self, addr: impl ToSocketAddrs) -> io::Result<UdpSocket> {
        UdpSocket::bind_on(self, addr).await
    }

    /// Looks up a name or an address as this network's sockets would.
    ///
    /// # Errors
    ///
    /// The name is not known, or whoever resolves names failed.
    pub async fn lookup_host<T: ToSocketAddrs>(
        &self,
        host: T,
    ) -> io::Result<impl Iterator<Item = SocketAddr> + use<T>> {
        lookup_host_on(self, host).await
    }

    /// The flows to addresses that no socket of ours claims
    /// ([`any_address`](NetBuilder::any_address)), and echo requests to them
    /// ([`echo`](NetBuilder::echo)). Where several exist, each flow goes to one of them; when the
    /// last one is dropped, flows are refused.
    pub fn incoming(&self) -> IncomingFlows {
        IncomingFlows::new(self.clone())
    }

    /// Counters since the network began.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.home().ask(|shard| shard.stack.stats().clone())
    }

    /// Every socket of the network.
    #[must_use]
    pub fn sockets(&self) -> Vec<SocketEntry> {
        let shards = self.inner.shards.iter();
        shards
            .flat_map(|cell| cell.ask(|shard| shard.stack.sockets().collect::<Vec<_>>()))
            .collect()
    }

    /// The host's own addresses.
    #[must_use]
    pub fn addresses(&self) -> Vec<Cidr> {
        self.home()
            .ask(|shard| shard.stack.config().addresses.clone())
    }

    /// Options of connections that set none of their own.
    #[must_use]
    pub fn tcp_options(&self) -> TcpOptions {
        self.home().ask(|shard| shard.stack.config().tcp.defaults)
    }

    /// Options of datagram sockets that set none of their own: as on Linux, who is not connected
    /// hears of no errors.
    pub(crate) fn udp_options(&self) -> UdpOptions {
        UdpOptions {
            receive_errors: false,
            ..UdpOptions::default()
        }
    }

    /// The clock of this network: for a capture of its packets, or another network that shall
    /// agree with it on time.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.inner.clock
    }

    /// Ends the network now, as if its cable were pulled: every socket fails, nothing more is
    /// sent, the device is dropped.
    pub fn shutdown(&self) {
        for shard in &self.inner.shards {
            shard.end(Ended::ShutDown);
        }
    }

    /// Waits until the network has ended, and says why.
    pub async fn closed(&self) -> Ended {
        self.home().ended().await
    }
}

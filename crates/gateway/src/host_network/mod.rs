//! A network in this process whose other end is the host's: `switchboard::net`'s types reach
//! real servers, without any right.
//!
//! ```text
//!   your code                                  this process                     other machines
//!   switchboard::net ── Net ══ pipe in memory ══ Net ── Gateway ── host sockets ──▶
//!                        ▲ recorded, shaped             ▲ refused, observed
//! ```

mod builder;
mod names;
mod recording;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use switchboard::device::tee::CaptureStats;
use switchboard::shape::ShapeHandle;
use switchboard::{Net, Stats};
use switchboard_wire::Protocol;
use tokio::task::JoinHandle;

pub use self::builder::HostNetworkBuilder;
use self::recording::Recording;
use crate::forward::Forward;
use crate::gateway::Gateway;
use crate::registry::Registry;

/// A [`Net`] whose other end is a [`Gateway`] in the same process: what its sockets do, the
/// host's sockets do for them.
///
/// Every conversation crosses our own stack twice, so it can be recorded, observed and refused
/// here, in process, and none of it needs a right. Names are looked up as the host's own
/// programs look them up (`/etc/hosts` and the host's name servers).
///
/// ```no_run
/// # async fn page() -> std::io::Result<()> {
/// use switchboard_gateway::HostNetwork;
///
/// let host = HostNetwork::start().await?;
/// let stream = host.net().tcp_connect("www.example.org:80").await?;
/// # drop(stream); Ok(()) }
/// ```
///
/// Code that names no network ([`switchboard::net::TcpStream::connect`]) uses it after
/// `host.net().use_on(&Handle::current())`.
///
/// # Loopback
///
/// The network is a machine of its own: its 127.0.0.1 is not the host's, and connecting there
/// is refused unless something inside listens. With
/// [`host_loopback(true)`](HostNetworkBuilder::host_loopback) 127.0.0.1 and ::1 *are* the
/// host's, for all of the network: `connect("127.0.0.1:6379")` reaches the host's server. Then
/// nothing inside can listen there (`AddrNotAvailable`): one address never means two machines.
///
/// # End
///
/// Dropping it ends everything at once, as if the cable were pulled: sockets of the network
/// fail, the host's connections are closed, published ports are free. The record is complete
/// when the drop returns.
#[must_use = "the network ends when this is dropped"]
pub struct HostNetwork {
    net: Net,
    outer: Net,
    gateway: Arc<Gateway>,
    relay: JoinHandle<()>,
    recording: Option<Recording>,
    shape: Option<ShapeHandle>,
}

/// Counters of a [`HostNetwork`].
#[derive(Clone, Debug)]
pub struct HostNetworkStats {
    /// The stack of the network itself.
    pub net: Stats,
    /// The stack of the gateway, at the other end of the pipe.
    pub gateway: Stats,
    /// The record's, if there is one.
    pub record: Option<CaptureStats>,
}

impl fmt::Debug for HostNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostNetwork")
            .field("gateway", &self.gateway)
            .finish_non_exhaustive()
    }
}

impl HostNetwork {
    /// A network to the host with nothing set: no record, everything may pass, the host's
    /// loopback closed.
    ///
    /// # Errors
    ///
    /// As [`HostNetworkBuilder::start`].
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// How one is made with more.
    pub fn builder() -> HostNetworkBuilder {
        HostNetworkBuilder::default()
    }

    /// The network, for sockets.
    #[must_use]
    pub fn net(&self) -> &Net {
        &self.net
    }

    /// The gateway at its other end.
    #[must_use]
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// Changes the shape of its line while it runs; `None` where it was started with none.
    #[must_use]
    pub fn shape(&self) -> Option<&ShapeHandle> {
        self.shape.as_ref()
    }

    /// All its sockets, with what the host knows of their far halves.
    #[must_use]
    pub fn registry(&self) -> Registry {
        self.gateway.registry()
    }

    /// Makes a TCP port of the host a port of this network: whoever connects to `host` reaches
    /// the listener at `inside`. Port 0 of `host` picks one; an unspecified address of `inside`
    /// is the network's own. Says where the host listens.
    ///
    /// # Errors
    ///
    /// The host's: the port is taken, or may not be bound.
    pub async fn publish_tcp(
        &self,
        host: SocketAddr,
        inside: SocketAddr,
    ) -> io::Result<SocketAddr> {
        self.publish(Protocol::Tcp, host, inside).await
    }

    /// The same for datagrams.
    ///
    /// # Errors
    ///
    /// As [`publish_tcp`](Self::publish_tcp).
    pub async fn publish_udp(
        &self,
        host: SocketAddr,
        inside: SocketAddr,
    ) -> io::Result<SocketAddr> {
        self.publish(Protocol::Udp, host, inside).await
    }

    async fn publish(
        &self,
        protocol: Protocol,
        listen: SocketAddr,
        mut target: SocketAddr,
    ) -> io::Result<SocketAddr> {
        if target.ip().is_unspecified() {
            let own = self.gateway.config().program.of_family(target.ip());
            target.set_ip(own.ok_or(io::ErrorKind::AddrNotAvailable)?);
        }
        let forward = Forward {
            protocol,
            listen,
            target,
        };
        self.gateway.forward(forward).await
    }

    /// The network's own address in the family of `other`: where listeners inside are called.
    #[must_use]
    pub fn address(&self, other: IpAddr) -> Option<IpAddr> {
        self.gateway.config().program.of_family(other)
    }

    /// Counters since it began.
    #[must_use]
    pub fn stats(&self) -> HostNetworkStats {
        HostNetworkStats {
            net: self.net.stats(),
            gateway: self.outer.stats(),
            record: self.recording.as_ref().map(Recording::stats),
        }
    }

    /// Ends it as dropping does, and says whether the record is whole.
    ///
    /// # Errors
    ///
    /// The record's file took no more; what was written before is readable.
    pub async fn close(mut self) -> io::Result<HostNetworkStats> {
        let mut stats = self.stats();
        self.cut();
        if let Some(recording) = self.recording.take() {
            let finished = tokio::task::spawn_blocking(|| recording.finish());
            stats.record = Some(finished.await.map_err(io::Error::other)??);
        }
        Ok(stats)
    }

    fn cut(&self) {
        self.net.shutdown();
        self.outer.shutdown();
        self.relay.abort();
    }
}

impl Drop for HostNetwork {
    fn drop(&mut self) {
        self.cut();
        if let Some(recording) = self.recording.take()
            && let Err(error) = recording.finish()
        {
            tracing::warn!(%error, "the record of a host network is not complete");
        }
    }
}

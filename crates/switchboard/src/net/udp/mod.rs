//! `UdpSocket`: messages, no guarantee.

mod multicast;
mod options;
mod peek;
mod ready;
mod recv;
mod send;

use std::fmt;
use std::io;
use std::net::SocketAddr;

use switchboard_core::{BindError, UdpError, UdpId, UdpOptions};

use crate::errors::SocketError;
use crate::net::addr::{ToSocketAddrs, destination, targets, try_each};
use crate::net::readiness::Handle;
use crate::network::Net;
use crate::shard::{ShardCell, WaitOn};

/// [`tokio::net::UdpSocket`] over a [`Net`].
///
/// Beyond tokio's methods: datagrams as [`Bytes`](bytes::Bytes) with all that came with them
/// ([`recv_message`](Self::recv_message), [`send_message`](Self::send_message)).
pub struct UdpSocket {
    net: Net,
    id: UdpId,
}

impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("UdpSocket");
        if let Ok(local) = self.local_addr() {
            debug.field("local", &local);
        }
        debug.finish_non_exhaustive()
    }
}

/// Making and connecting.
impl UdpSocket {
    /// Binds to `addr` of the ambient network; port 0 picks one.
    ///
    /// # Errors
    ///
    /// `NotFound` without an ambient network, `AddrInUse`, `AddrNotAvailable`.
    pub async fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<Self> {
        Self::bind_on(&Net::try_current()?, addr).await
    }

    /// As [`bind`](Self::bind), with the network named.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    pub async fn bind_on<A: ToSocketAddrs>(net: &Net, addr: A) -> io::Result<Self> {
        let options = net.udp_options();
        let targets = targets(&addr);
        try_each(net, targets, async |local| {
            Self::bind_with(net, local, &options)
        })
        .await
    }

    /// Binds with options.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    pub fn bind_with(net: &Net, local: SocketAddr, options: &UdpOptions) -> io::Result<Self> {
        let id = net.home().call(|shard, _, _| {
            shard.check()?;
            let bound = shard.stack.call_udp_bind(local, options);
            bound.map_err(|why: BindError| io::Error::from(SocketError::Bind { local, why }))
        })?;
        let net = net.clone();
        Ok(Self { net, id })
    }

    /// Sends to and receives from this endpoint alone from now on. Of several addresses the first
    /// that has a route.
    ///
    /// # Errors
    ///
    /// `NetworkUnreachable`, and what looking up the name brings.
    pub async fn connect<A: ToSocketAddrs>(&self, addr: A) -> io::Result<()> {
        let targets = targets(&addr);
        try_each(&self.net, targets, async |remote| {
            self.shard().call(|shard, _, _| {
                shard.check()?;
                let connected = shard.stack.call_udp_connect(self.id, destination(remote));
                connected.map_err(|why| io::Error::from(SocketError::Datagram(why)))
            })
        })
        .await
    }

    fn shard(&self) -> &ShardCell {
        self.net.shard(self.id.shard())
    }

    fn handle(&self) -> Handle<'_> {
        Handle::new(self.shard(), WaitOn::Udp(self.id))
    }

    /// Where it is bound, with the port that was picked.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let local = self.shard().ask(|shard| shard.stack.udp_local(self.id));
        local.map_err(|_| SocketError::NoSuchSocket.into())
    }

    /// Whom it is connected to.
    ///
    /// # Errors
    ///
    /// `NotConnected`.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        let remote = self.shard().ask(|shard| shard.stack.udp_remote(self.id));
        let remote = remote.map_err(|_| SocketError::NoSuchSocket)?;
        Ok(remote.ok_or(SocketError::NotConnected)?)
    }

    /// The network that it belongs to.
    #[must_use]
    pub fn net(&self) -> &Net {
        &self.net
    }
}

/// An ICMP error that one of our datagrams drew.
fn returned(error: UdpError) -> io::Error {
    SocketError::Returned {
        remote: error.remote,
        why: error.why,
        offender: error.offender,
    }
    .into()
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        self.handle().release(|shard, _| {
            // A stale handle means that it is gone already.
            let _ = shard.stack.call_udp_close(self.id);
        });
    }
}

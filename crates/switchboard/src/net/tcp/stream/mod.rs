//! `TcpStream`: one conversation. Step 6 of a packet's path: octets become an application's.

mod connect;
mod read;
mod ready;
mod status;
mod write;

use std::fmt;
use std::io;
use std::net::SocketAddr;

use switchboard_core::{Instant, TcpId};

pub(crate) use self::connect::{connect_bound, connect_on};
use super::eyeballs::race;
use super::split::{ReadHalf, WriteHalf};
use super::split_owned::{self, OwnedReadHalf, OwnedWriteHalf};
use crate::net::addr::{Targets, ToSocketAddrs, targets, try_each};
use crate::net::readiness::Handle;
use crate::network::Net;
use crate::shard::{Shard, ShardCell, WaitOn};

/// [`tokio::net::TcpStream`] over a [`Net`].
///
/// Dropping it closes in order: what was written is still sent, then FIN. Unread data at that
/// moment is lost to the application, so the peer gets a reset instead, as on host sockets.
///
/// Beyond tokio's methods: reading and writing [`Bytes`](bytes::Bytes) without a copy
/// ([`read_chunk`](Self::read_chunk), [`write_chunk`](Self::write_chunk)), [`info`](Self::info),
/// [`set_options`](Self::set_options) and [`abort`](Self::abort).
pub struct TcpStream {
    net: Net,
    id: TcpId,
    local: SocketAddr,
    remote: SocketAddr,
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpStream")
            .field("local", &self.local)
            .field("remote", &self.remote)
            .finish_non_exhaustive()
    }
}

/// Making and closing.
impl TcpStream {
    pub(crate) fn new(net: Net, id: TcpId, local: SocketAddr, remote: SocketAddr) -> Self {
        Self {
            net,
            id,
            local,
            remote,
        }
    }

    /// Connects to `addr` over the ambient network. Of a list of addresses one after the other
    /// is tried; the addresses of a name as [`HappyEyeballs`](crate::net::HappyEyeballs) says.
    /// Dropping the future gives every attempt up.
    ///
    /// # Errors
    ///
    /// `NotFound` without an ambient network; `ConnectionRefused`, `HostUnreachable`,
    /// `NetworkUnreachable`, `TimedOut`, `AddrNotAvailable` and others, as host sockets have them.
    /// [`SocketError::of`](crate::SocketError::of) tells more.
    pub async fn connect<A: ToSocketAddrs>(addr: A) -> io::Result<Self> {
        Self::connect_on(&Net::try_current()?, addr).await
    }

    /// As [`connect`](Self::connect), with the network named.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_on<A: ToSocketAddrs>(net: &Net, addr: A) -> io::Result<Self> {
        let options = net.tcp_options();
        match targets(&addr) {
            Targets::Name(name, port) => {
                let lookup = net.names().lookup(net, &name, net.families());
                race(lookup, port, net.happy_eyeballs(), |remote| {
                    Box::pin(connect_on(net, None, remote, &options))
                })
                .await
            }
            targets => {
                try_each(net, targets, async |remote| {
                    connect_on(net, None, remote, &options).await
                })
                .await
            }
        }
    }

    /// Resets the connection, now: the peer gets RST, what was not sent is forgotten.
    pub fn abort(self) {
        self.call(|shard, now| {
            // A stale handle means that it is gone already.
            let _ = shard.stack.call_tcp_abort(now, self.id);
        });
    }

    /// Borrows the two halves.
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        (ReadHalf(self), WriteHalf(self))
    }

    /// Two halves that may live in different tasks. Dropping the write half ends the stream in
    /// that direction (FIN).
    #[must_use]
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        split_owned::split(self)
    }
}

/// The way into the stack.
impl TcpStream {
    fn shard(&self) -> &ShardCell {
        self.net.shard(self.id.shard())
    }

    pub(in crate::net::tcp) fn call<T>(&self, call: impl FnOnce(&mut Shard, Instant) -> T) -> T {
        self.shard().call(|shard, now, _| call(shard, now))
    }

    pub(in crate::net::tcp) fn handle(&self) -> Handle<'_> {
        Handle::new(self.shard(), WaitOn::Tcp(self.id))
    }

    pub(in crate::net::tcp) fn id(&self) -> TcpId {
        self.id
    }
}

impl Drop for TcpStream {
    fn drop(&mut self) {
        self.handle().release(|shard, now| {
            // A stale handle means that it is gone already, by `abort`.
            let _ = shard.stack.call_tcp_close(now, self.id);
        });
    }
}

impl AsRef<Self> for TcpStream {
    fn as_ref(&self) -> &Self {
        self
    }
}

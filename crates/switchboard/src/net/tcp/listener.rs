//! `TcpListener`: the calls that arrive at one port.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use switchboard_core::{ListenerId, TcpOptions};

use super::stream::TcpStream;
use crate::errors::SocketError;
use crate::net::addr::{ToSocketAddrs, targets, try_each};
use crate::network::Net;
use crate::shard::{Shard, Side, WaitOn};
use crate::waiters::READ_SIDE;

/// Connections that wait for `accept`, where nobody says how many: tokio's number.
pub(crate) const BACKLOG: usize = 1024;

/// [`tokio::net::TcpListener`] over a [`Net`].
///
/// Dropping it stops listening; connections that nobody has accepted are reset.
pub struct TcpListener {
    net: Net,
    id: ListenerId,
    local: SocketAddr,
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("TcpListener");
        debug.field("local", &self.local).finish_non_exhaustive()
    }
}

impl TcpListener {
    /// Listens on `addr` of the ambient network; port 0 picks one.
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
        let options = net.tcp_options();
        let targets = targets(&addr);
        try_each(net, targets, async |local| {
            Self::listen(net, local, BACKLOG, &options)
        })
        .await
    }

    pub(crate) fn listen(
        net: &Net,
        local: SocketAddr,
        backlog: usize,
        options: &TcpOptions,
    ) -> io::Result<Self> {
        let (id, local) = net.home().call(|shard, _, _| {
            shard.check()?;
            let id = shard
                .stack
                .call_tcp_listen(local, backlog, options)
                .map_err(|why| SocketError::Listen { local, why })?;
            let local = shard
                .stack
                .listener_local(id)
                .map_err(|_| SocketError::NoSuchSocket)?;
            Ok::<_, io::Error>((id, local))
        })?;
        let net = net.clone();
        Ok(Self { net, id, local })
    }

    /// The next connection. Any number of tasks may wait; each connection goes to one. Cancel
    /// safe: a dropped future takes none.
    ///
    /// # Errors
    ///
    /// The network has ended.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let shard = self.net.shard(self.id.shard());
        shard
            .wait(WaitOn::Listener(self.id), READ_SIDE, |shard, now| {
                self.attempt(shard, now)
            })
            .await
    }

    /// As [`accept`](Self::accept); the last task that called is woken.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let shard = self.net.shard(self.id.shard());
        shard.poll(cx, WaitOn::Listener(self.id), Side::Read, |shard, now| {
            self.attempt(shard, now)
        })
    }

    fn attempt(
        &self,
        shard: &mut Shard,
        now: switchboard_core::Instant,
    ) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        match shard.stack.call_tcp_accept(now, self.id) {
            Ok(Some(accepted)) => {
                let stream = TcpStream::new(
                    self.net.clone(),
                    accepted.id,
                    accepted.local,
                    accepted.remote,
                );
                Poll::Ready(Ok((stream, accepted.remote)))
            }
            Ok(None) => Poll::Pending,
            Err(_) => Poll::Ready(Err(SocketError::NoSuchSocket.into())),
        }
    }

    /// Where it listens, with the port that was picked.
    ///
    /// # Errors
    ///
    /// None; tokio's signature.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }

    /// Hop limit of its connections, in hops.
    ///
    /// # Errors
    ///
    /// None; tokio's signature.
    pub fn ttl(&self) -> io::Result<u32> {
        let shard = self.net.shard(self.id.shard());
        Ok(shard.ask(|shard| {
            let config = shard.stack.config();
            u32::from(config.tcp.defaults.hop_limit.unwrap_or(config.hop_limit))
        }))
    }

    /// Not supported: set it on the connections, or with [`TcpSocket`](crate::net::TcpSocket)
    /// before listening.
    ///
    /// # Errors
    ///
    /// Always `Unsupported`.
    pub fn set_ttl(&self, _ttl: u32) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The network that it belongs to.
    #[must_use]
    pub fn net(&self) -> &Net {
        &self.net
    }
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        self.net.shard(self.id.shard()).call(|shard, now, woken| {
            if let Some(waiters) = shard.waiters(WaitOn::Listener(self.id)) {
                waiters.wake_all(woken);
            }
            // A stale handle means that it is gone already.
            let _ = shard.stack.call_tcp_unlisten(now, self.id);
        });
    }
}

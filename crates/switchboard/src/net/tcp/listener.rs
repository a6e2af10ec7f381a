//! `TcpListener`: the calls that arrive at one port.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use switchboard_core::{BoundId, ListenerId, TcpOptions};

use super::options::to_hops;
use super::stream::TcpStream;
use crate::errors::SocketError;
use crate::net::addr::{ToSocketAddrs, targets, try_each};
use crate::net::readiness::Handle;
use crate::network::Net;
use crate::shard::{Shard, ShardCell, Side, WaitOn};
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
            Self::listen(net, None, local, BACKLOG, &options)
        })
        .await
    }

    /// Listens on `local`; `bound` is that port, taken before.
    pub(crate) fn listen(
        net: &Net,
        bound: Option<BoundId>,
        local: SocketAddr,
        backlog: usize,
        options: &TcpOptions,
    ) -> io::Result<Self> {
        let (id, local) = net.home().call(|shard, _, _| {
            shard.check()?;
            if let Some(bound) = bound {
                // A stale handle would mean that the port is free anyway.
                let _ = shard.stack.call_tcp_unbind(bound);
            }
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
        self.handle()
            .wait(READ_SIDE, |shard, now| self.attempt(shard, now))
            .await
    }

    /// As [`accept`](Self::accept); the last task that called is woken.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        self.handle()
            .poll(cx, Side::Read, |shard, now| self.attempt(shard, now))
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

    /// IPv4 TTL or IPv6 hop limit that its connections begin with, in hops.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn ttl(&self) -> io::Result<u32> {
        let of_stack = self.shard().ask(|shard| shard.stack.config().hop_limit);
        Ok(self.options()?.hop_limit.unwrap_or(of_stack).into())
    }

    /// Sets the IPv4 TTL or IPv6 hop limit of connections that begin from now on, 1 to 255 hops.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for another number; the socket is gone.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        let hops = to_hops(ttl)?;
        self.set_options(&TcpOptions {
            hop_limit: Some(hops),
            ..self.options()?
        })
    }

    /// What its connections begin with.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn options(&self) -> io::Result<TcpOptions> {
        let options = self
            .shard()
            .ask(|shard| shard.stack.listener_options(self.id));
        options.map_err(|_| SocketError::NoSuchSocket.into())
    }

    /// Sets what connections that begin from now on begin with. Who may share the port stays as
    /// it was.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn set_options(&self, options: &TcpOptions) -> io::Result<()> {
        let set = self
            .shard()
            .call(|shard, _, _| shard.stack.set_listener_options(self.id, options));
        set.map_err(|_| SocketError::NoSuchSocket.into())
    }

    fn shard(&self) -> &ShardCell {
        self.net.shard(self.id.shard())
    }

    fn handle(&self) -> Handle<'_> {
        Handle::new(self.shard(), WaitOn::Listener(self.id))
    }

    /// The network that it belongs to.
    #[must_use]
    pub fn net(&self) -> &Net {
        &self.net
    }
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        self.handle().release(|shard, now| {
            // A stale handle means that it is gone already.
            let _ = shard.stack.call_tcp_unlisten(now, self.id);
        });
    }
}

//! Ways in: a port of the host is a port of the program (`-p`), and the other way round
//! (`--localhost`).

mod inside;
mod inside_udp;
mod tcp;
mod udp;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use socket2::{Domain, Socket, Type};
use switchboard::Net;
use switchboard_wire::Protocol;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::context::Context;
use crate::observer::BoxFuture;
use crate::outside::chunk::ChunkPool;
use crate::registry::lock;

pub(crate) use inside::serve_inside;
pub(crate) use inside_udp::serve_inside_datagrams;
pub(crate) use udp::Forwards;

/// A port of the host whose callers reach the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Where the host listens; port 0 picks one.
    pub listen: SocketAddr,
    /// Whom callers reach: an endpoint inside.
    pub target: SocketAddr,
}

/// A port of the inside's loopback that is the host's. Open until it is closed, or the network
/// ends.
#[derive(Debug)]
pub struct InsideListener(AbortHandle);

impl InsideListener {
    /// Ends it, and what it has connected.
    pub fn close(&self) {
        self.0.abort();
    }
}

/// Makes connections to the inside's own loopback, which never reaches the link: whoever is in
/// there.
pub trait LoopbackDial: Send + Sync {
    /// A connection to `port` of 127.0.0.1 or ::1 that stands, or is being made.
    fn dial(&self, port: u16, v6: bool) -> BoxFuture<'_, io::Result<std::net::TcpStream>>;
}

/// What a forward works with.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) net: Net,
    pub(crate) context: Arc<Context>,
    pub(crate) pool: ChunkPool,
}

/// A socket of the host at `listen`. One at an IPv6 address takes no IPv4 callers: mapped into
/// the other family they would lose their address inside, and `0.0.0.0` could not be published
/// beside `::`.
fn bind(kind: Type, listen: SocketAddr) -> io::Result<Socket> {
    let flags = kind.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(listen), flags, None)?;
    if listen.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A listener may begin while connections of the last one linger (TIME-WAIT).
    if kind == Type::STREAM {
        socket.set_reuse_address(true)?;
    }
    socket.bind(&listen.into())?;
    Ok(socket)
}

/// Ends a forward that is open.
pub(crate) struct Closer {
    close: oneshot::Sender<()>,
    /// Its port is free.
    closed: oneshot::Receiver<()>,
}

/// The forward's end of its [`Closer`].
pub(crate) struct Closing {
    close: oneshot::Receiver<()>,
    closed: oneshot::Sender<()>,
}

impl Closing {
    fn pair() -> (Closer, Self) {
        let (close, on_close) = oneshot::channel();
        let (on_closed, closed) = oneshot::channel();
        let closing = Self {
            close: on_close,
            closed: on_closed,
        };
        (Closer { close, closed }, closing)
    }
}

/// Opens a forward; it lasts until it is closed, or as long as the network does.
pub(crate) async fn open(shared: Shared, forward: Forward) -> io::Result<SocketAddr> {
    let context = shared.context.clone();
    let (closer, closing) = Closing::pair();
    let bound = match forward.protocol {
        Protocol::Tcp => tcp::open(shared, forward, closing).await?,
        Protocol::Udp => udp::open(shared, forward, closing).await?,
    };
    // One that failed by itself may have left its closer.
    lock(&context.forwards.closers).insert((forward.protocol, bound), closer);
    Ok(bound)
}

/// Closes the forward that listens at `bound`; its port is free afterwards. What it has
/// connected goes on. Whether there was one.
pub(crate) async fn close(context: &Context, protocol: Protocol, bound: SocketAddr) -> bool {
    let closer = lock(&context.forwards.closers).remove(&(protocol, bound));
    let Some(closer) = closer else {
        return false;
    };
    // Either fails where the network has ended, and the forward with it.
    let _ = closer.close.send(());
    let _ = closer.closed.await;
    true
}

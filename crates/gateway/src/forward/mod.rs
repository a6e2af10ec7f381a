//! Ways in: a port of the host is a port of the program (`-p`), and the other way round
//! (`--localhost`).

mod inside;
mod tcp;
mod udp;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use switchboard::Net;
use switchboard_wire::Protocol;

use crate::context::Context;
use crate::outside::chunk::ChunkPool;

pub(crate) use inside::serve_inside;
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

/// What a forward works with.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) net: Net,
    pub(crate) context: Arc<Context>,
    pub(crate) pool: ChunkPool,
}

/// Opens a forward; it lasts as long as the network does.
pub(crate) async fn open(shared: Shared, forward: Forward) -> io::Result<SocketAddr> {
    match forward.protocol {
        Protocol::Tcp => tcp::open(shared, forward).await,
        Protocol::Udp => udp::open(shared, forward).await,
    }
}

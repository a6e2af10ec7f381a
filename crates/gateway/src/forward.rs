//! Ways in: a port of the host is a port of the program (`-p`), and the other way round
//! (`--localhost`).

use std::net::SocketAddr;

use switchboard_wire::Protocol;

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

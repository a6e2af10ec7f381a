//! What raw and ping sockets share: errors in the host's words.

use std::io;
use std::net::SocketAddr;

use switchboard_core::{BindError, PacketError, PacketSendError};

use crate::errors::SocketError;

/// A socket, or why there is none at `local`.
pub(super) fn bound<T>(local: SocketAddr, bound: Result<T, BindError>) -> io::Result<T> {
    bound.map_err(|why| SocketError::Bind { local, why }.into())
}

/// Why nothing was sent.
pub(super) fn not_sent(why: PacketSendError) -> io::Error {
    match why {
        PacketSendError::NoSuchSocket => SocketError::NoSuchSocket.into(),
        why => SocketError::Packet(why).into(),
    }
}

/// An ICMP error that one of our packets drew.
pub(super) fn returned(error: &PacketError) -> io::Error {
    SocketError::Returned {
        remote: SocketAddr::new(error.remote, 0),
        why: error.why,
        offender: error.offender,
    }
    .into()
}

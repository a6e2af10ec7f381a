//! What is known of a connection.

use std::io;
use std::net::SocketAddr;
use std::task::Poll;

use switchboard_core::{Readiness, State, TcpInfo};

use super::TcpStream;
use crate::errors::{self, SocketError};
use crate::network::Net;

/// What is known of the connection.
impl TcpStream {
    /// Our endpoint.
    ///
    /// # Errors
    ///
    /// None; tokio's signature.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }

    /// The peer's endpoint.
    ///
    /// # Errors
    ///
    /// None; tokio's signature. It is told after a reset too.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.remote)
    }

    /// Takes the pending error, once (`SO_ERROR`).
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.call(|shard, _| match shard.stack.take_tcp_error(self.id) {
            Ok(lost) => Ok(lost.map(|lost| errors::lost(self.remote, lost))),
            Err(_) => Err(SocketError::NoSuchSocket.into()),
        })
    }

    /// State, round trip, windows, resends: what `ss -i` shows.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn info(&self) -> io::Result<TcpInfo> {
        let info = self.shard().ask(|shard| shard.stack.tcp_info(self.id));
        info.map_err(|_| SocketError::NoSuchSocket.into())
    }

    /// Whether the peer will send no more: its FIN has arrived, or the connection is gone. What
    /// arrived before can still be read.
    #[must_use]
    pub fn peer_closed(&self) -> bool {
        const GONE: Readiness = Readiness::READ_CLOSED
            .union(Readiness::ERROR)
            .union(Readiness::CLOSED);
        let ready = self.shard().ask(|shard| shard.stack.tcp_readiness(self.id));
        ready.is_ok_and(|ready| ready.intersects(GONE))
    }

    /// Waits until the connection has ended: both directions are done and acknowledged, or it
    /// was reset, timed out or aborted. What arrived before can still be read.
    ///
    /// # Errors
    ///
    /// The network has ended.
    pub async fn closed(&self) -> io::Result<()> {
        const ENDED: Readiness = Readiness::ERROR.union(Readiness::CLOSED);
        self.handle()
            .wait(ENDED, |shard, _| match shard.stack.tcp_readiness(self.id) {
                Ok(ready) if !ready.intersects(ENDED) => Poll::Pending,
                _ => Poll::Ready(Ok(())),
            })
            .await
    }

    /// The connection's state.
    #[must_use]
    pub fn state(&self) -> State {
        self.info().map_or(State::Closed, |info| info.state)
    }

    /// The network that it belongs to.
    #[must_use]
    pub fn net(&self) -> &Net {
        &self.net
    }
}

//! Opening a connection.

use std::io;
use std::net::SocketAddr;
use std::task::Poll;

use switchboard_core::{BoundId, Readiness, TcpId, TcpOptions};

use super::TcpStream;
use crate::errors::{self, SocketError};
use crate::net::addr::destination;
use crate::network::Net;
use crate::shard::{Shard, ShardCell, WaitOn};
use crate::waiters::WRITE_SIDE;

/// A connection that is being opened; aborted if nobody waits for it any more.
struct Opening<'a> {
    shard: &'a ShardCell,
    id: Option<TcpId>,
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.shard.call(|shard, now, _| {
                // A stale handle means that it is gone already.
                let _ = shard.stack.call_tcp_abort(now, id);
            });
        }
    }
}

/// Opens a connection and waits until it stands.
pub(crate) async fn connect_on(
    net: &Net,
    local: Option<SocketAddr>,
    remote: SocketAddr,
    options: &TcpOptions,
) -> io::Result<TcpStream> {
    connect_bound(net, None, local, remote, options).await
}

/// As [`connect_on`]; `bound` is the port of `local`, taken before.
pub(crate) async fn connect_bound(
    net: &Net,
    bound: Option<BoundId>,
    local: Option<SocketAddr>,
    remote: SocketAddr,
    options: &TcpOptions,
) -> io::Result<TcpStream> {
    let remote = destination(remote);
    let shard = net.home();
    let id = shard.call(|shard, now, _| {
        if let Some(bound) = bound {
            // A stale handle would mean that the port is free anyway.
            let _ = shard.stack.call_tcp_unbind(bound);
        }
        shard.check()?;
        let connect = shard.stack.call_tcp_connect(now, local, remote, options);
        connect.map_err(|why| io::Error::from(SocketError::Connect { remote, why }))
    })?;
    let mut opening = Opening {
        shard,
        id: Some(id),
    };
    let (local, remote) = shard
        .wait(WaitOn::Tcp(id), WRITE_SIDE, |shard, _| {
            attempt_connected(shard, id, remote)
        })
        .await?;
    opening.id = None;
    Ok(TcpStream::new(net.clone(), id, local, remote))
}

/// Whether the connection stands; its endpoints then.
fn attempt_connected(
    shard: &mut Shard,
    id: TcpId,
    remote: SocketAddr,
) -> Poll<io::Result<(SocketAddr, SocketAddr)>> {
    let stack = &mut shard.stack;
    match stack.take_tcp_error(id) {
        Ok(None) => {}
        Ok(Some(lost)) => return Poll::Ready(Err(errors::lost(remote, lost))),
        Err(_) => return Poll::Ready(Err(SocketError::NoSuchSocket.into())),
    }
    match stack.tcp_readiness(id) {
        Ok(ready) if ready.contains(Readiness::CONNECTED) => {}
        _ => return Poll::Pending,
    }
    let endpoints = stack.tcp_endpoints(id);
    Poll::Ready(endpoints.map_err(|_| SocketError::NoSuchSocket.into()))
}

//! A datagram flow that a gateway has accepted: one source inside, any destination.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};

use bytes::Bytes;
use switchboard_core::{ReceiveError, UdpError, UdpId, UdpMeta, UdpSendError, Unreachable};

use crate::errors::SocketError;
use crate::net::readiness::Handle;
use crate::network::Net;
use crate::shard::{Shard, ShardCell, Side, WaitOn};
use crate::waiters::{READ_SIDE, WRITE_SIDE};

/// Every datagram of one source that no bound socket claims, whatever its destination: made by
/// [`IncomingUdp::accept`](crate::IncomingUdp::accept).
///
/// A datagram's [`UdpMeta`] says who sent it (`remote`) and where it was going (`local`). What is
/// sent goes to `remote`, with `local` as its source: an address that is not ours, as a gateway
/// does.
pub struct UdpFlow {
    net: Net,
    id: UdpId,
    remote: SocketAddr,
}

impl fmt::Debug for UdpFlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("UdpFlow");
        debug.field("remote", &self.remote).finish_non_exhaustive()
    }
}

impl UdpFlow {
    pub(crate) fn new(net: Net, id: UdpId, remote: SocketAddr) -> Self {
        Self { net, id, remote }
    }

    fn shard(&self) -> &ShardCell {
        self.net.shard(self.id.shard())
    }

    fn handle(&self) -> Handle<'_> {
        Handle::new(self.shard(), WaitOn::Udp(self.id))
    }

    /// Whose datagrams these are.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        self.remote
    }

    fn attempt_recv(&self, shard: &mut Shard) -> Poll<io::Result<(Bytes, UdpMeta)>> {
        match shard.stack.call_udp_receive(self.id) {
            Ok(received) => Poll::Ready(Ok(received)),
            Err(ReceiveError::WouldBlock) => Poll::Pending,
            Err(_) => Poll::Ready(Err(SocketError::NoSuchSocket.into())),
        }
    }

    fn attempt_send(
        &self,
        shard: &mut Shard,
        now: switchboard_core::Instant,
        payload: &Bytes,
        meta: UdpMeta,
    ) -> Poll<io::Result<()>> {
        shard.check()?;
        let sent = shard
            .stack
            .call_udp_send(now, self.id, payload.clone(), Some(meta));
        match sent {
            Ok(()) => Poll::Ready(Ok(())),
            Err(UdpSendError::WouldBlock) => Poll::Pending,
            Err(why) => Poll::Ready(Err(SocketError::Datagram(why).into())),
        }
    }

    /// The next datagram. Cancel safe.
    ///
    /// # Errors
    ///
    /// The network has ended.
    pub async fn recv(&self) -> io::Result<(Bytes, UdpMeta)> {
        self.handle()
            .wait(READ_SIDE, |shard, _| self.attempt_recv(shard))
            .await
    }

    /// As [`recv`](Self::recv); the last task that called is woken.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Bytes, UdpMeta)>> {
        self.handle()
            .poll(cx, Side::Read, |shard, _| self.attempt_recv(shard))
    }

    /// As [`recv`](Self::recv), or `WouldBlock`.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, or the network has ended.
    pub fn try_recv(&self) -> io::Result<(Bytes, UdpMeta)> {
        self.handle().once(|shard, _| self.attempt_recv(shard))
    }

    /// Sends a datagram to `meta.remote` as if it came from `meta.local`, once there is room.
    ///
    /// # Errors
    ///
    /// `InvalidInput`: longer than IP or the path can carry; the network has ended.
    pub async fn send(&self, payload: Bytes, meta: UdpMeta) -> io::Result<()> {
        self.handle()
            .wait(WRITE_SIDE, |shard, now| {
                self.attempt_send(shard, now, &payload, meta)
            })
            .await
    }

    /// As [`send`](Self::send); the last task that called is woken.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn poll_send(
        &self,
        cx: &mut Context<'_>,
        payload: &Bytes,
        meta: UdpMeta,
    ) -> Poll<io::Result<()>> {
        self.handle().poll(cx, Side::Write, |shard, now| {
            self.attempt_send(shard, now, payload, meta)
        })
    }

    /// As [`send`](Self::send), or `WouldBlock`.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, or as [`send`](Self::send).
    pub fn try_send(&self, payload: Bytes, meta: UdpMeta) -> io::Result<()> {
        self.handle()
            .once(|shard, now| self.attempt_send(shard, now, &payload, meta))
    }

    /// Answers a datagram that was received with `meta` with an ICMP error from `offender`
    /// (`None`: from our first address of that family): what a relay learned outside.
    ///
    /// # Errors
    ///
    /// The network has ended.
    pub fn refuse(
        &self,
        meta: &UdpMeta,
        why: Unreachable,
        offender: Option<IpAddr>,
    ) -> io::Result<()> {
        self.shard().call(|shard, now, _| {
            shard.check()?;
            shard
                .stack
                .call_udp_refuse(now, self.id, meta, why, offender)
                .map_err(|_| SocketError::NoSuchSocket.into())
        })
    }

    /// Takes the ICMP error that one of our datagrams drew inside, if there is one.
    #[must_use]
    pub fn take_error(&self) -> Option<UdpError> {
        let error = self
            .shard()
            .call(|shard, _, _| shard.stack.take_udp_error(self.id));
        error.ok().flatten()
    }

    /// The network that it belongs to.
    #[must_use]
    pub fn net(&self) -> &Net {
        &self.net
    }
}

impl Drop for UdpFlow {
    fn drop(&mut self) {
        self.handle().release(|shard, _| {
            // A stale handle means that it is gone already.
            let _ = shard.stack.call_udp_close(self.id);
        });
    }
}

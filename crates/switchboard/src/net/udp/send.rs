//! Sending.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::task::{Context, Poll};

use bytes::Bytes;
use switchboard_core::{Instant, UdpMeta, UdpSendError};

use super::{UdpSocket, returned};
use crate::errors::SocketError;
use crate::net::addr::{ToSocketAddrs, destination, resolve, targets};
use crate::shard::{Shard, Side};
use crate::waiters::WRITE_SIDE;

/// Attempts, under the lock.
impl UdpSocket {
    fn attempt_send(
        &self,
        shard: &mut Shard,
        now: Instant,
        payload: &Bytes,
        meta: Option<UdpMeta>,
    ) -> Poll<io::Result<()>> {
        shard.check()?;
        let stack = &mut shard.stack;
        // The stack's send tells a connected socket what its error says and not who: take it
        // before (RFC 1122 section 4.1.3.3).
        if let Ok(Some(_)) = stack.udp_remote(self.id)
            && let Ok(Some(error)) = stack.take_udp_error(self.id)
        {
            return Poll::Ready(Err(returned(error)));
        }
        match stack.call_udp_send(now, self.id, payload.clone(), meta) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(UdpSendError::WouldBlock) => Poll::Pending,
            Err(why) => Poll::Ready(Err(SocketError::Datagram(why).into())),
        }
    }
}

/// Sending.
impl UdpSocket {
    /// Sends a datagram to whom the socket is connected. Cancel safe.
    ///
    /// # Errors
    ///
    /// `NotConnected`, `InvalidInput` for what is too long, `NetworkUnreachable`, or what an
    /// earlier datagram drew, as [`recv`](Self::recv).
    pub async fn send(&self, buf: &[u8]) -> io::Result<usize> {
        let payload = Bytes::copy_from_slice(buf);
        self.send_message(payload, None).await?;
        Ok(buf.len())
    }

    /// Sends a datagram to `addr`; if it is a name, to its first address of the socket's family.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn send_to<A: ToSocketAddrs>(&self, buf: &[u8], addr: A) -> io::Result<usize> {
        let found = resolve(&self.net, targets(&addr)).await?;
        let is_v4 = self.local_addr()?.is_ipv4();
        let own_family = found.iter().find(|found| found.is_ipv4() == is_v4);
        let Some(&remote) = own_family.or(found.first()) else {
            return Err(io::Error::new(
                ErrorKind::InvalidInput,
                "the name has no address to send to",
            ));
        };
        let payload = Bytes::copy_from_slice(buf);
        self.send_message(payload, Some(UdpMeta::to(destination(remote))))
            .await?;
        Ok(buf.len())
    }

    /// Sends a datagram without a copy, with all that shall go with it: to whom, from which
    /// address, hop limit, traffic class. `None`: to whom the socket is connected.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn send_message(&self, payload: Bytes, meta: Option<UdpMeta>) -> io::Result<()> {
        self.handle()
            .wait(WRITE_SIDE, |shard, now| {
                self.attempt_send(shard, now, &payload, meta)
            })
            .await
    }

    /// As [`send_message`](Self::send_message), or `WouldBlock`.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, or as [`send`](Self::send).
    pub fn try_send_message(&self, payload: Bytes, meta: Option<UdpMeta>) -> io::Result<()> {
        self.handle()
            .once(|shard, now| self.attempt_send(shard, now, &payload, meta))
    }

    /// As [`send_message`](Self::send_message); the last task that called is woken.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn poll_send_message(
        &self,
        cx: &mut Context<'_>,
        payload: &Bytes,
        meta: Option<UdpMeta>,
    ) -> Poll<io::Result<()>> {
        self.handle().poll(cx, Side::Write, |shard, now| {
            self.attempt_send(shard, now, payload, meta)
        })
    }

    /// As [`send`](Self::send); the last task that called is woken.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn poll_send(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let payload = Bytes::copy_from_slice(buf);
        let sent = self.handle().poll(cx, Side::Write, |shard, now| {
            self.attempt_send(shard, now, &payload, None)
        });
        sent.map_ok(|()| buf.len())
    }

    /// As [`send_to`](Self::send_to); the last task that called is woken.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        target: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        let payload = Bytes::copy_from_slice(buf);
        let sent = self.handle().poll(cx, Side::Write, |shard, now| {
            self.attempt_send(shard, now, &payload, Some(UdpMeta::to(destination(target))))
        });
        sent.map_ok(|()| buf.len())
    }

    /// As [`send`](Self::send), or `WouldBlock`.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, or as [`send`](Self::send).
    pub fn try_send(&self, buf: &[u8]) -> io::Result<usize> {
        self.try_send_message(Bytes::copy_from_slice(buf), None)?;
        Ok(buf.len())
    }

    /// As [`send_to`](Self::send_to), or `WouldBlock`.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, or as [`send`](Self::send).
    pub fn try_send_to(&self, buf: &[u8], target: SocketAddr) -> io::Result<usize> {
        self.try_send_message(
            Bytes::copy_from_slice(buf),
            Some(UdpMeta::to(destination(target))),
        )?;
        Ok(buf.len())
    }
}

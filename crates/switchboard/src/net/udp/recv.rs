//! Receiving.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, Bytes};
use switchboard_core::{ReceiveError, UdpMeta};
use tokio::io::ReadBuf;

use super::{UdpSocket, returned};
use crate::errors::SocketError;
use crate::shard::{Shard, Side};
use crate::waiters::READ_SIDE;

/// Attempts, under the lock.
impl UdpSocket {
    fn attempt_recv(&self, shard: &mut Shard) -> Poll<io::Result<(Bytes, UdpMeta)>> {
        match shard.stack.call_udp_receive(self.id) {
            Ok(received) => Poll::Ready(Ok(received)),
            Err(error) => self.not_received(shard, error),
        }
    }

    /// Nothing was received: perhaps an earlier datagram drew an error (RFC 1122 section 4.1.3.3).
    pub(super) fn not_received<T>(
        &self,
        shard: &mut Shard,
        error: ReceiveError,
    ) -> Poll<io::Result<T>> {
        match (error, shard.stack.take_udp_error(self.id)) {
            (ReceiveError::NoSuchSocket, _) | (_, Err(_)) => {
                Poll::Ready(Err(SocketError::NoSuchSocket.into()))
            }
            (_, Ok(Some(error))) => Poll::Ready(Err(returned(error))),
            (_, Ok(None)) => Poll::Pending,
        }
    }
}

/// Copies what fits; the rest of a datagram is lost, as on host sockets.
pub(super) fn copy(payload: &[u8], buf: &mut [u8]) -> usize {
    let count = payload.len().min(buf.len());
    buf[..count].copy_from_slice(&payload[..count]);
    count
}

/// Copies what fits.
pub(super) fn copy_to_buf(payload: &[u8], buf: &mut ReadBuf<'_>) {
    let count = payload.len().min(buf.remaining());
    buf.put_slice(&payload[..count]);
}

/// Appends what fits.
fn append(payload: &[u8], buf: &mut impl BufMut) -> usize {
    let count = payload.len().min(buf.chunk_mut().len());
    buf.put_slice(&payload[..count]);
    count
}

/// Receiving.
impl UdpSocket {
    /// Receives a datagram into `buf`; what does not fit is lost. Cancel safe.
    ///
    /// # Errors
    ///
    /// On a connected socket the ICMP error that an earlier datagram drew, once:
    /// `ConnectionRefused`, `HostUnreachable`, ... The network has ended.
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.recv_from(buf).await?.0)
    }

    /// As [`recv`](Self::recv), with the sender.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (payload, meta) = self.recv_message().await?;
        Ok((copy(&payload, buf), meta.remote))
    }

    /// As [`recv`](Self::recv), appending to `buf`.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub async fn recv_buf<B: BufMut>(&self, buf: &mut B) -> io::Result<usize> {
        Ok(self.recv_buf_from(buf).await?.0)
    }

    /// As [`recv_from`](Self::recv_from), appending to `buf`.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub async fn recv_buf_from<B: BufMut>(&self, buf: &mut B) -> io::Result<(usize, SocketAddr)> {
        let (payload, meta) = self.recv_message().await?;
        Ok((append(&payload, buf), meta.remote))
    }

    /// A datagram without a copy, with all that came with it: who sent it, to which of our
    /// addresses, hop limit, traffic class. Cancel safe.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub async fn recv_message(&self) -> io::Result<(Bytes, UdpMeta)> {
        self.handle()
            .wait(READ_SIDE, |shard, _| self.attempt_recv(shard))
            .await
    }

    /// As [`recv_message`](Self::recv_message); the last task that called is woken.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn poll_recv_message(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Bytes, UdpMeta)>> {
        self.handle()
            .poll(cx, Side::Read, |shard, _| self.attempt_recv(shard))
    }

    /// As [`recv_message`](Self::recv_message), or `WouldBlock`.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, or as [`recv`](Self::recv).
    pub fn try_recv_message(&self) -> io::Result<(Bytes, UdpMeta)> {
        self.handle().once(|shard, _| self.attempt_recv(shard))
    }

    /// As [`recv`](Self::recv); the last task that called is woken.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn poll_recv(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll_recv_from(cx, buf).map_ok(drop)
    }

    /// As [`recv_from`](Self::recv_from); the last task that called is woken.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<SocketAddr>> {
        let (payload, meta) = ready!(self.poll_recv_message(cx))?;
        copy_to_buf(&payload, buf);
        Poll::Ready(Ok(meta.remote))
    }

    /// As [`recv`](Self::recv), or `WouldBlock`.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, or as [`recv`](Self::recv).
    pub fn try_recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.try_recv_from(buf)?.0)
    }

    /// As [`recv_from`](Self::recv_from), or `WouldBlock`.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, or as [`recv`](Self::recv).
    pub fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (payload, meta) = self.try_recv_message()?;
        Ok((copy(&payload, buf), meta.remote))
    }

    /// As [`recv_buf`](Self::recv_buf), or `WouldBlock`.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, or as [`recv`](Self::recv).
    pub fn try_recv_buf<B: BufMut>(&self, buf: &mut B) -> io::Result<usize> {
        Ok(self.try_recv_buf_from(buf)?.0)
    }

    /// As [`recv_buf_from`](Self::recv_buf_from), or `WouldBlock`.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, or as [`recv`](Self::recv).
    pub fn try_recv_buf_from<B: BufMut>(&self, buf: &mut B) -> io::Result<(usize, SocketAddr)> {
        let (payload, meta) = self.try_recv_message()?;
        Ok((append(&payload, buf), meta.remote))
    }
}

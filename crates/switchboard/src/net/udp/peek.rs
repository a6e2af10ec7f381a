//! Looking at a datagram without taking it.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use switchboard_core::UdpMeta;
use tokio::io::ReadBuf;

use super::UdpSocket;
use super::recv::{copy, copy_to_buf};
use crate::shard::{Shard, Side};
use crate::waiters::READ_SIDE;

/// Looking without taking.
impl UdpSocket {
    fn attempt_peek(&self, shard: &mut Shard) -> Poll<io::Result<(Bytes, UdpMeta)>> {
        match shard.stack.call_udp_peek(self.id) {
            Ok(peeked) => Poll::Ready(Ok(peeked)),
            Err(error) => self.not_received(shard, error),
        }
    }

    /// Copies the next datagram, and leaves it to be received.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.peek_from(buf).await?.0)
    }

    /// As [`peek`](Self::peek), with the sender.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub async fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (payload, meta) = self
            .handle()
            .wait(READ_SIDE, |shard, _| self.attempt_peek(shard))
            .await?;
        Ok((copy(&payload, buf), meta.remote))
    }

    /// The next datagram's sender.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub async fn peek_sender(&self) -> io::Result<SocketAddr> {
        Ok(self.peek_from(&mut []).await?.1)
    }

    /// As [`peek`](Self::peek); the last task that called is woken.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll_peek_from(cx, buf).map_ok(drop)
    }

    /// As [`peek_from`](Self::peek_from); the last task that called is woken.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn poll_peek_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<SocketAddr>> {
        let peeked = self
            .handle()
            .poll(cx, Side::Read, |shard, _| self.attempt_peek(shard));
        let (payload, meta) = ready!(peeked)?;
        copy_to_buf(&payload, buf);
        Poll::Ready(Ok(meta.remote))
    }

    /// As [`peek_sender`](Self::peek_sender); the last task that called is woken.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn poll_peek_sender(&self, cx: &mut Context<'_>) -> Poll<io::Result<SocketAddr>> {
        self.poll_peek_from(cx, &mut ReadBuf::new(&mut []))
    }

    /// As [`peek`](Self::peek), or `WouldBlock`.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, or as [`recv`](Self::recv).
    pub fn try_peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.try_peek_from(buf)?.0)
    }

    /// As [`peek_from`](Self::peek_from), or `WouldBlock`.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, or as [`recv`](Self::recv).
    pub fn try_peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (payload, meta) = self.handle().once(|shard, _| self.attempt_peek(shard))?;
        Ok((copy(&payload, buf), meta.remote))
    }

    /// As [`peek_sender`](Self::peek_sender), or `WouldBlock`.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, or as [`recv`](Self::recv).
    pub fn try_peek_sender(&self) -> io::Result<SocketAddr> {
        Ok(self.try_peek_from(&mut [])?.1)
    }
}

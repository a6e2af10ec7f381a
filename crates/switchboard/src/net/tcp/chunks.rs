//! Reading and writing `Bytes` without a copy: what `tokio::net` does not have.

use std::io;
use std::task::{Context, Poll};

use bytes::Bytes;
use switchboard_core::Instant;

use super::split_owned::{OwnedReadHalf, OwnedWriteHalf};
use super::stream::TcpStream;
use crate::shard::{Shard, Side};
use crate::waiters::{READ_SIDE, WRITE_SIDE};

/// Reading and writing without a copy.
impl TcpStream {
    fn attempt_read_chunk(
        &self,
        shard: &mut Shard,
        now: Instant,
        max: usize,
    ) -> Poll<io::Result<Bytes>> {
        match shard.stack.call_tcp_receive(now, self.id(), max) {
            Ok(chunk) => Poll::Ready(Ok(chunk)),
            Err(error) => self.received(shard, error, Bytes::new()),
        }
    }

    fn attempt_write_chunk(
        &self,
        shard: &mut Shard,
        now: Instant,
        data: &mut Bytes,
    ) -> Poll<io::Result<usize>> {
        shard.check()?;
        match shard.stack.call_tcp_send(now, self.id(), data) {
            Ok(count) => Poll::Ready(Ok(count)),
            Err(error) => self.sent(shard, error),
        }
    }

    /// The next octets, at most `max`, in the memory that the device received them into. Empty:
    /// the end of the stream. Cancel safe.
    ///
    /// # Errors
    ///
    /// Why the connection was lost.
    pub async fn read_chunk(&self, max: usize) -> io::Result<Bytes> {
        self.handle()
            .wait(READ_SIDE, |shard, now| {
                self.attempt_read_chunk(shard, now, max)
            })
            .await
    }

    /// As [`read_chunk`](Self::read_chunk); the last task that called is woken.
    ///
    /// # Errors
    ///
    /// As [`read_chunk`](Self::read_chunk).
    pub fn poll_read_chunk(&self, cx: &mut Context<'_>, max: usize) -> Poll<io::Result<Bytes>> {
        self.handle().poll(cx, Side::Read, |shard, now| {
            self.attempt_read_chunk(shard, now, max)
        })
    }

    /// As [`read_chunk`](Self::read_chunk), or `WouldBlock`.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, or why the connection was lost.
    pub fn try_read_chunk(&self, max: usize) -> io::Result<Bytes> {
        self.handle()
            .once(|shard, now| self.attempt_read_chunk(shard, now, max))
    }

    /// Takes from the front of `data` what there is room for, at least one octet, without a copy;
    /// says how many. The memory stays in use until the peer has acknowledged it. Cancel safe:
    /// what was taken is no longer in `data`.
    ///
    /// # Errors
    ///
    /// `BrokenPipe` after `shutdown`, or why the connection was lost.
    pub async fn write_chunk(&self, data: &mut Bytes) -> io::Result<usize> {
        self.handle()
            .wait(WRITE_SIDE, |shard, now| {
                self.attempt_write_chunk(shard, now, data)
            })
            .await
    }

    /// Sends all of `data` without a copy.
    ///
    /// # Errors
    ///
    /// As [`write_chunk`](Self::write_chunk).
    pub async fn write_all_chunk(&self, mut data: Bytes) -> io::Result<()> {
        while !data.is_empty() {
            self.write_chunk(&mut data).await?;
        }
        Ok(())
    }

    /// As [`write_chunk`](Self::write_chunk); the last task that called is woken.
    ///
    /// # Errors
    ///
    /// As [`write_chunk`](Self::write_chunk).
    pub fn poll_write_chunk(
        &self,
        cx: &mut Context<'_>,
        data: &mut Bytes,
    ) -> Poll<io::Result<usize>> {
        self.handle().poll(cx, Side::Write, |shard, now| {
            self.attempt_write_chunk(shard, now, data)
        })
    }

    /// As [`write_chunk`](Self::write_chunk), or `WouldBlock`.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, or as [`write_chunk`](Self::write_chunk).
    pub fn try_write_chunk(&self, data: &mut Bytes) -> io::Result<usize> {
        self.handle()
            .once(|shard, now| self.attempt_write_chunk(shard, now, data))
    }
}

/// Reading without a copy.
impl OwnedReadHalf {
    /// See [`TcpStream::read_chunk`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn read_chunk(&self, max: usize) -> io::Result<Bytes> {
        self.stream().read_chunk(max).await
    }

    /// See [`TcpStream::poll_read_chunk`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn poll_read_chunk(&self, cx: &mut Context<'_>, max: usize) -> Poll<io::Result<Bytes>> {
        self.stream().poll_read_chunk(cx, max)
    }

    /// See [`TcpStream::try_read_chunk`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_read_chunk(&self, max: usize) -> io::Result<Bytes> {
        self.stream().try_read_chunk(max)
    }
}

/// Writing without a copy.
impl OwnedWriteHalf {
    /// See [`TcpStream::write_chunk`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn write_chunk(&self, data: &mut Bytes) -> io::Result<usize> {
        self.stream().write_chunk(data).await
    }

    /// See [`TcpStream::write_all_chunk`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn write_all_chunk(&self, data: Bytes) -> io::Result<()> {
        self.stream().write_all_chunk(data).await
    }

    /// See [`TcpStream::poll_write_chunk`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn poll_write_chunk(
        &self,
        cx: &mut Context<'_>,
        data: &mut Bytes,
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write_chunk(cx, data)
    }

    /// See [`TcpStream::try_write_chunk`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_write_chunk(&self, data: &mut Bytes) -> io::Result<usize> {
        self.stream().try_write_chunk(data)
    }
}

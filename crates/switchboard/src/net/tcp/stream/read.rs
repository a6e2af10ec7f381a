//! Reading, by tokio's names.

use std::io::{self, IoSliceMut};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BufMut;
use switchboard_core::{Instant, ReceiveError};
use tokio::io::{AsyncRead, ReadBuf};

use super::TcpStream;
use crate::errors::{self, SocketError};
use crate::shard::{Shard, Side};
use crate::waiters::READ_SIDE;

/// Attempts, under the lock.
impl TcpStream {
    /// What a receive that failed means to the caller. An error is told once; afterwards the
    /// stream is at its end, as on host sockets.
    pub(in crate::net::tcp) fn received<T>(
        &self,
        shard: &mut Shard,
        error: ReceiveError,
        end_of_stream: T,
    ) -> Poll<io::Result<T>> {
        Poll::Ready(match error {
            ReceiveError::WouldBlock => return Poll::Pending,
            ReceiveError::NoSuchSocket => Err(SocketError::NoSuchSocket.into()),
            ReceiveError::Lost(_) => match shard.stack.take_tcp_error(self.id) {
                Ok(Some(lost)) => Err(errors::lost(self.remote, lost)),
                _ => Ok(end_of_stream),
            },
        })
    }

    fn attempt_read_slice(
        &self,
        shard: &mut Shard,
        now: Instant,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match shard.stack.call_tcp_receive_slice(now, self.id, buf) {
            Ok(count) => Poll::Ready(Ok(count)),
            Err(error) => self.received(shard, error, 0),
        }
    }

    fn attempt_read_vectored(
        &self,
        shard: &mut Shard,
        now: Instant,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut count = 0;
        for buf in bufs.iter_mut().filter(|buf| !buf.is_empty()) {
            match shard.stack.call_tcp_receive_slice(now, self.id, buf) {
                Ok(read) => {
                    count += read;
                    if read < buf.len() {
                        break;
                    }
                }
                Err(_) if count > 0 => break,
                Err(error) => return self.received(shard, error, 0),
            }
        }
        Poll::Ready(Ok(count))
    }

    fn attempt_peek(&self, shard: &mut Shard, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        match shard.stack.call_tcp_peek(self.id, buf) {
            Ok(count) => Poll::Ready(Ok(count)),
            Err(error) => self.received(shard, error, 0),
        }
    }

    /// Appends what is there to `buf`, chunk by chunk: nothing is zeroed before it is written.
    fn attempt_read_buf(
        &self,
        shard: &mut Shard,
        now: Instant,
        buf: &mut impl BufMut,
        max: usize,
    ) -> Poll<io::Result<usize>> {
        let mut count = 0;
        while count < max {
            match shard.stack.call_tcp_receive(now, self.id, max - count) {
                Ok(chunk) if chunk.is_empty() => break,
                Ok(chunk) => {
                    buf.put_slice(&chunk);
                    count += chunk.len();
                }
                Err(_) if count > 0 => break,
                Err(error) => return self.received(shard, error, 0),
            }
        }
        Poll::Ready(Ok(count))
    }
}

/// Reading.
impl TcpStream {
    /// Reads what is there, or says `WouldBlock`.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, or why the connection was lost.
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.handle()
            .once(|shard, now| self.attempt_read_slice(shard, now, buf))
    }

    /// As [`try_read`](Self::try_read), into several buffers.
    ///
    /// # Errors
    ///
    /// As [`try_read`](Self::try_read).
    pub fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.handle()
            .once(|shard, now| self.attempt_read_vectored(shard, now, bufs))
    }

    /// As [`try_read`](Self::try_read), appending to `buf`.
    ///
    /// # Errors
    ///
    /// As [`try_read`](Self::try_read).
    pub fn try_read_buf<B: BufMut>(&self, buf: &mut B) -> io::Result<usize> {
        let max = buf.chunk_mut().len();
        self.handle()
            .once(|shard, now| self.attempt_read_buf(shard, now, buf, max))
    }

    /// Copies what will be read next, and leaves it to be read.
    ///
    /// # Errors
    ///
    /// Why the connection was lost.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.handle()
            .wait(READ_SIDE, |shard, _| self.attempt_peek(shard, buf))
            .await
    }

    /// As [`peek`](Self::peek); the last task that called is woken.
    ///
    /// # Errors
    ///
    /// As [`peek`](Self::peek).
    pub fn poll_peek(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        let unfilled = buf.initialize_unfilled();
        let count = ready!(self.handle().poll(cx, Side::Read, |shard, _| {
            self.attempt_peek(shard, unfilled)
        }))?;
        buf.advance(count);
        Poll::Ready(Ok(count))
    }

    pub(in crate::net::tcp) fn poll_read_here(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let max = buf.remaining();
        if max == 0 {
            return Poll::Ready(Ok(()));
        }
        if buf.initialized().len() < buf.capacity() {
            let read = self.handle().poll(cx, Side::Read, |shard, now| {
                self.attempt_read_buf(shard, now, buf, max)
            });
            return read.map_ok(drop);
        }
        // Nothing is left to zero, so it is one call of the stack.
        let unfilled = buf.initialize_unfilled();
        let count = ready!(self.handle().poll(cx, Side::Read, |shard, now| {
            self.attempt_read_slice(shard, now, unfilled)
        }))?;
        buf.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_read_here(cx, buf)
    }
}

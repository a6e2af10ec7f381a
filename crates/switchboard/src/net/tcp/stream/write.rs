//! Writing, by tokio's names.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use switchboard_core::{Instant, Lost, SendError, Shutdown};
use tokio::io::AsyncWrite;

use super::TcpStream;
use crate::errors::{self, SocketError};
use crate::shard::{Shard, Side};

/// Attempts, under the lock.
impl TcpStream {
    /// What a send that failed means to the caller. An error is told once; afterwards the pipe
    /// is broken, as on host sockets.
    pub(in crate::net::tcp) fn sent<T>(
        &self,
        shard: &mut Shard,
        error: SendError,
    ) -> Poll<io::Result<T>> {
        Poll::Ready(Err(match error {
            SendError::WouldBlock => return Poll::Pending,
            SendError::Lost(_) => match shard.stack.take_tcp_error(self.id) {
                // Linux: a reset after the peer's FIN is EPIPE, else ECONNRESET.
                Ok(Some(Lost::Reset)) if shard.stack.tcp_peer_finished(self.id) == Ok(true) => {
                    SocketError::SendClosed.into()
                }
                Ok(Some(lost)) => errors::lost(self.remote, lost),
                _ => SocketError::SendClosed.into(),
            },
            error => errors::send(self.remote, error),
        }))
    }

    fn attempt_write(
        &self,
        shard: &mut Shard,
        now: Instant,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        shard.check()?;
        match shard.stack.call_tcp_send_slice(now, self.id, buf) {
            Ok(count) => Poll::Ready(Ok(count)),
            Err(error) => self.sent(shard, error),
        }
    }

    fn attempt_write_vectored(
        &self,
        shard: &mut Shard,
        now: Instant,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        shard.check()?;
        let mut count = 0;
        for buf in bufs.iter().filter(|buf| !buf.is_empty()) {
            match shard.stack.call_tcp_send_slice(now, self.id, buf) {
                Ok(sent) => {
                    count += sent;
                    if sent < buf.len() {
                        break;
                    }
                }
                Err(_) if count > 0 => break,
                Err(error) => return self.sent(shard, error),
            }
        }
        Poll::Ready(Ok(count))
    }
}

/// Writing.
impl TcpStream {
    /// Writes what there is room for, or says `WouldBlock`.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, `BrokenPipe` after [`shutdown`](tokio::io::AsyncWriteExt::shutdown), or why
    /// the connection was lost.
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.handle()
            .once(|shard, now| self.attempt_write(shard, now, buf))
    }

    /// As [`try_write`](Self::try_write), from several buffers.
    ///
    /// # Errors
    ///
    /// As [`try_write`](Self::try_write).
    pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.handle()
            .once(|shard, now| self.attempt_write_vectored(shard, now, bufs))
    }

    pub(in crate::net::tcp) fn poll_write_here(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.handle().poll(cx, Side::Write, |shard, now| {
            self.attempt_write(shard, now, buf)
        })
    }

    pub(in crate::net::tcp) fn poll_write_vectored_here(
        &self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.handle().poll(cx, Side::Write, |shard, now| {
            self.attempt_write_vectored(shard, now, bufs)
        })
    }

    /// What `AsyncWrite` asks for. As tokio's, it is content if the connection is gone already.
    pub(in crate::net::tcp) fn shutdown_here(&self) -> io::Result<()> {
        match self.shutdown_write() {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        }
    }

    /// Ends the stream in this direction: FIN after what is queued. A second time does nothing.
    /// [`AsyncWriteExt::shutdown`](tokio::io::AsyncWriteExt::shutdown) for those who share the
    /// stream.
    ///
    /// # Errors
    ///
    /// `NotConnected`: the connection is gone; the network has ended.
    pub fn shutdown_write(&self) -> io::Result<()> {
        self.call(|shard, now| {
            shard.check()?;
            let shutdown = shard.stack.call_tcp_shutdown(now, self.id, Shutdown::Write);
            match shutdown {
                Ok(()) | Err(SendError::Closed | SendError::WouldBlock) => Ok(()),
                // Linux: ENOTCONN.
                Err(SendError::NoSuchSocket | SendError::Lost(_)) => {
                    Err(SocketError::NotConnected.into())
                }
            }
        })
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_here(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored_here(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shutdown_here())
    }
}

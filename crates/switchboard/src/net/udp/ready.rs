//! Readiness, by tokio's names.

use std::io;
use std::task::{Context, Poll};

use tokio::io::{Interest, Ready};

use super::UdpSocket;

/// Readiness.
impl UdpSocket {
    /// Waits until one of `interest` can be done. Others may be faster: be ready for
    /// `WouldBlock` afterwards.
    ///
    /// # Errors
    ///
    /// The network has ended.
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        self.handle().ready(interest).await
    }

    /// Waits until a datagram or an error can be received.
    ///
    /// # Errors
    ///
    /// The network has ended.
    pub async fn readable(&self) -> io::Result<()> {
        self.ready(Interest::READABLE).await.map(drop)
    }

    /// Waits until a datagram can be sent.
    ///
    /// # Errors
    ///
    /// The network has ended.
    pub async fn writable(&self) -> io::Result<()> {
        self.ready(Interest::WRITABLE).await.map(drop)
    }

    /// As [`readable`](Self::readable); the last task that called is woken.
    ///
    /// # Errors
    ///
    /// The network has ended.
    pub fn poll_recv_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.handle().poll_ready(cx, Interest::READABLE)
    }

    /// As [`writable`](Self::writable); the last task that called is woken.
    ///
    /// # Errors
    ///
    /// The network has ended.
    pub fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.handle().poll_ready(cx, Interest::WRITABLE)
    }

    /// Runs `f`, which uses the `try_*` methods, if `interest` is ready; else `WouldBlock`.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, or what `f` returns.
    pub fn try_io<R>(
        &self,
        interest: Interest,
        f: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        self.handle().try_io(interest, f)
    }

    /// Runs `f`, which uses the `try_*` methods, until it says something else than `WouldBlock`.
    ///
    /// # Errors
    ///
    /// What `f` returns, or the network's end.
    pub async fn async_io<R>(
        &self,
        interest: Interest,
        f: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        self.handle().async_io(interest, f).await
    }
}

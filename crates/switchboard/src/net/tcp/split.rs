//! The borrowed halves of a stream.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BufMut;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready};

use super::stream::TcpStream;

/// [`tokio::net::tcp::ReadHalf`]: made by [`TcpStream::split`].
#[derive(Debug)]
pub struct ReadHalf<'a>(pub(super) &'a TcpStream);

/// [`tokio::net::tcp::WriteHalf`]: made by [`TcpStream::split`].
///
/// Dropping it does not end the stream; [`shutdown`](tokio::io::AsyncWriteExt::shutdown) does.
#[derive(Debug)]
pub struct WriteHalf<'a>(pub(super) &'a TcpStream);

/// What both kinds of read half have, by way of the stream that `$stream` finds.
macro_rules! read_half_methods {
    () => {
        /// See [`TcpStream::poll_peek`].
        ///
        /// # Errors
        ///
        /// As there.
        pub fn poll_peek(
            &mut self,
            cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<usize>> {
            self.stream().poll_peek(cx, buf)
        }

        /// See [`TcpStream::peek`].
        ///
        /// # Errors
        ///
        /// As there.
        pub async fn peek(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            self.stream().peek(buf).await
        }

        /// See [`TcpStream::ready`].
        ///
        /// # Errors
        ///
        /// As there.
        pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
            self.stream().ready(interest).await
        }

        /// See [`TcpStream::readable`].
        ///
        /// # Errors
        ///
        /// As there.
        pub async fn readable(&self) -> io::Result<()> {
            self.stream().readable().await
        }

        /// See [`TcpStream::try_read`].
        ///
        /// # Errors
        ///
        /// As there.
        pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
            self.stream().try_read(buf)
        }

        /// See [`TcpStream::try_read_vectored`].
        ///
        /// # Errors
        ///
        /// As there.
        pub fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
            self.stream().try_read_vectored(bufs)
        }

        /// See [`TcpStream::try_read_buf`].
        ///
        /// # Errors
        ///
        /// As there.
        pub fn try_read_buf<B: BufMut>(&self, buf: &mut B) -> io::Result<usize> {
            self.stream().try_read_buf(buf)
        }

        /// See [`TcpStream::peer_addr`].
        ///
        /// # Errors
        ///
        /// As there.
        pub fn peer_addr(&self) -> io::Result<SocketAddr> {
            self.stream().peer_addr()
        }

        /// See [`TcpStream::local_addr`].
        ///
        /// # Errors
        ///
        /// As there.
        pub fn local_addr(&self) -> io::Result<SocketAddr> {
            self.stream().local_addr()
        }
    };
}

/// What both kinds of write half have.
macro_rules! write_half_methods {
    () => {
        /// See [`TcpStream::ready`].
        ///
        /// # Errors
        ///
        /// As there.
        pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
            self.stream().ready(interest).await
        }

        /// See [`TcpStream::writable`].
        ///
        /// # Errors
        ///
        /// As there.
        pub async fn writable(&self) -> io::Result<()> {
            self.stream().writable().await
        }

        /// See [`TcpStream::try_write`].
        ///
        /// # Errors
        ///
        /// As there.
        pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
            self.stream().try_write(buf)
        }

        /// See [`TcpStream::try_write_vectored`].
        ///
        /// # Errors
        ///
        /// As there.
        pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
            self.stream().try_write_vectored(bufs)
        }

        /// See [`TcpStream::peer_addr`].
        ///
        /// # Errors
        ///
        /// As there.
        pub fn peer_addr(&self) -> io::Result<SocketAddr> {
            self.stream().peer_addr()
        }

        /// See [`TcpStream::local_addr`].
        ///
        /// # Errors
        ///
        /// As there.
        pub fn local_addr(&self) -> io::Result<SocketAddr> {
            self.stream().local_addr()
        }
    };
}

/// Reading through a half.
macro_rules! read_half_io {
    ($half:ty) => {
        impl AsyncRead for $half {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                self.stream().poll_read_here(cx, buf)
            }
        }
    };
}

/// Writing through a half.
macro_rules! write_half_io {
    ($half:ty) => {
        impl AsyncWrite for $half {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.stream().poll_write_here(cx, buf)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                self.stream().poll_write_vectored_here(cx, bufs)
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                let half = self.get_mut();
                let result = half.stream().shutdown_here();
                if result.is_ok() {
                    half.record_shutdown();
                }
                Poll::Ready(result)
            }
        }
    };
}

pub(super) use {read_half_io, read_half_methods, write_half_io, write_half_methods};

impl ReadHalf<'_> {
    fn stream(&self) -> &TcpStream {
        self.0
    }

    read_half_methods!();
}

impl WriteHalf<'_> {
    fn stream(&self) -> &TcpStream {
        self.0
    }

    /// Dropping it does nothing anyway.
    fn record_shutdown(&mut self) {}

    write_half_methods!();
}

read_half_io!(ReadHalf<'_>);
write_half_io!(WriteHalf<'_>);

impl AsRef<TcpStream> for ReadHalf<'_> {
    fn as_ref(&self) -> &TcpStream {
        self.0
    }
}

impl AsRef<TcpStream> for WriteHalf<'_> {
    fn as_ref(&self) -> &TcpStream {
        self.0
    }
}

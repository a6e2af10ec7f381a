//! The owned halves of a stream.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BufMut;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready};

use super::split::{read_half_io, read_half_methods, write_half_io, write_half_methods};
use super::stream::TcpStream;

/// [`tokio::net::tcp::OwnedReadHalf`]: made by [`TcpStream::into_split`].
#[derive(Debug)]
pub struct OwnedReadHalf {
    stream: Arc<TcpStream>,
}

/// [`tokio::net::tcp::OwnedWriteHalf`]: made by [`TcpStream::into_split`].
///
/// Dropping it ends the stream in that direction (FIN), unless it is [forgotten](Self::forget).
#[derive(Debug)]
pub struct OwnedWriteHalf {
    stream: Arc<TcpStream>,
    shutdown_on_drop: bool,
}

/// The two halves are not of one stream: here they are, unchanged.
#[derive(Debug)]
pub struct ReuniteError(pub OwnedReadHalf, pub OwnedWriteHalf);

impl fmt::Display for ReuniteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the two halves are not of one stream")
    }
}

impl std::error::Error for ReuniteError {}

pub(super) fn split(stream: TcpStream) -> (OwnedReadHalf, OwnedWriteHalf) {
    let stream = Arc::new(stream);
    let read = OwnedReadHalf {
        stream: Arc::clone(&stream),
    };
    let write = OwnedWriteHalf {
        stream,
        shutdown_on_drop: true,
    };
    (read, write)
}

fn reunite(read: OwnedReadHalf, write: OwnedWriteHalf) -> Result<TcpStream, ReuniteError> {
    if !Arc::ptr_eq(&read.stream, &write.stream) {
        return Err(ReuniteError(read, write));
    }
    write.forget();
    match Arc::try_unwrap(read.stream) {
        Ok(stream) => Ok(stream),
        // Halves cannot be cloned, so two of one stream are all that there are.
        Err(_) => unreachable!("a stream has two halves"),
    }
}

impl OwnedReadHalf {
    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Makes one stream of two halves again.
    ///
    /// # Errors
    ///
    /// The halves are not of one stream.
    pub fn reunite(self, other: OwnedWriteHalf) -> Result<TcpStream, ReuniteError> {
        reunite(self, other)
    }

    read_half_methods!();
}

impl OwnedWriteHalf {
    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Makes one stream of two halves again.
    ///
    /// # Errors
    ///
    /// The halves are not of one stream.
    pub fn reunite(self, other: OwnedReadHalf) -> Result<TcpStream, ReuniteError> {
        reunite(other, self)
    }

    /// The direction has ended: dropping the half has nothing left to do.
    fn record_shutdown(&mut self) {
        self.shutdown_on_drop = false;
    }

    /// Drops the half without ending the stream in that direction.
    pub fn forget(mut self) {
        self.shutdown_on_drop = false;
    }

    write_half_methods!();
}

impl Drop for OwnedWriteHalf {
    fn drop(&mut self) {
        if self.shutdown_on_drop {
            // Whoever drops it asks for no answer; a lost connection has no direction to end.
            let _ = self.stream.shutdown_write();
        }
    }
}

read_half_io!(OwnedReadHalf);
write_half_io!(OwnedWriteHalf);

impl AsRef<TcpStream> for OwnedReadHalf {
    fn as_ref(&self) -> &TcpStream {
        &self.stream
    }
}

impl AsRef<TcpStream> for OwnedWriteHalf {
    fn as_ref(&self) -> &TcpStream {
        &self.stream
    }
}

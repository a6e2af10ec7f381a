//! tonic on our sockets: its server takes [`Incoming`], its client (`Endpoint`) the
//! [`Connector`](super::hyper::Connector).

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use tonic::transport::server::{Connected, TcpConnectInfo};

use crate::net::{TcpListener, TcpStream};

/// The connections of a listener as a stream, for `Router::serve_with_incoming`.
///
/// Without Nagle, as tonic's own: its frames shall not wait for acknowledgements.
#[derive(Debug)]
pub struct Incoming {
    listener: TcpListener,
    ended: bool,
}

impl Incoming {
    /// The connections of `listener`.
    #[must_use]
    pub fn new(listener: TcpListener) -> Self {
        Self {
            listener,
            ended: false,
        }
    }

    /// Where the listener is.
    ///
    /// # Errors
    ///
    /// As [`TcpListener::local_addr`].
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Stream for Incoming {
    type Item = io::Result<TcpStream>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        self.listener.poll_accept(cx).map(|accepted| {
            Some(match accepted {
                Ok((stream, _caller)) => stream.set_nodelay(true).map(|()| stream),
                Err(error) => {
                    // The network has ended: told once, or tonic would ask for ever.
                    self.ended = true;
                    Err(error)
                }
            })
        })
    }
}

impl Connected for TcpStream {
    /// What tonic says of the host's connections too: `Request::remote_addr` finds it.
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        TcpConnectInfo {
            local_addr: self.local_addr().ok(),
            remote_addr: self.peer_addr().ok(),
        }
    }
}

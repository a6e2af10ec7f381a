//! QUIC by quinn on our datagram sockets. Its runtime stays tokio's; its timers follow tokio's
//! clock, so paused time works as with TCP.

use std::fmt;
use std::future::Future;
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use quinn::udp::{EcnCodepoint, RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, Endpoint, EndpointConfig, ServerConfig, TokioRuntime, UdpPoller};
use switchboard_core::UdpMeta;
use switchboard_core::limits::UDP_SEGMENTS_MAX;

use crate::errors::SocketError;
use crate::net::{ToSocketAddrs, UdpSocket};
use crate::network::Net;

/// An endpoint on `local` of `net`: a server's with a `server` configuration, else a client's.
/// `config` is `EndpointConfig::default()` where quinn has a crypto provider of its own (its
/// features `rustls-ring`, `rustls-aws-lc-rs`).
///
/// # Errors
///
/// As [`UdpSocket::bind`].
pub async fn endpoint(
    net: &Net,
    local: impl ToSocketAddrs,
    config: EndpointConfig,
    server: Option<ServerConfig>,
) -> io::Result<Endpoint> {
    let socket = Socket::new(UdpSocket::bind_on(net, local).await?)?;
    Endpoint::new_with_abstract_socket(config, server, Arc::new(socket), Arc::new(TokioRuntime))
}

/// A datagram socket of ours as quinn wants it, for `Endpoint::new_with_abstract_socket`.
#[derive(Debug)]
pub struct Socket {
    udp: Arc<UdpSocket>,
}

impl Socket {
    /// Takes a bound socket. It must not be connected: QUIC paths change.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn new(udp: UdpSocket) -> io::Result<Self> {
        let mut options = udp.options()?;
        options.gro = true;
        udp.set_options(&options)?;
        Ok(Self { udp: Arc::new(udp) })
    }
}

/// The two bits of the traffic class that are ECN's (RFC 3168 section 5).
const ECN: u8 = 0b11;

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Poller {
            udp: Arc::clone(&self.udp),
            writable: None,
        })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let payload = Bytes::copy_from_slice(transmit.contents);
        let meta = to_meta(transmit)?;
        match self.udp.try_send_message(payload, Some(meta)) {
            Err(error) if is_fatal(&error) => Err(error),
            Err(error) => {
                // As if the network had lost it: QUIC finds out, and quinn would end the
                // connection for an error that may pass.
                tracing::debug!(%error, to = %transmit.destination, "datagram not sent");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut received = 0;
        for (buf, meta) in bufs.iter_mut().zip(meta) {
            let (payload, from) = match self.poll_message(cx, received > 0) {
                Poll::Ready(Ok(message)) => message,
                Poll::Ready(Err(_)) | Poll::Pending if received > 0 => break,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            };
            *meta = fill(buf, &payload, &from);
            received += 1;
        }
        Poll::Ready(Ok(received))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.udp.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        UDP_SEGMENTS_MAX
    }

    fn max_receive_segments(&self) -> usize {
        UDP_SEGMENTS_MAX
    }

    /// Don't Fragment is set on all that is sent, so quinn may look for the path's MTU.
    fn may_fragment(&self) -> bool {
        false
    }
}

impl Socket {
    /// The next datagram. `at_once`: there is one already, so nobody needs to be woken.
    fn poll_message(
        &self,
        cx: &mut Context<'_>,
        at_once: bool,
    ) -> Poll<io::Result<(Bytes, UdpMeta)>> {
        loop {
            let message = if at_once {
                match self.udp.try_recv_message() {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Poll::Pending,
                    message => message,
                }
            } else {
                ready!(self.udp.poll_recv_message(cx))
            };
            match message {
                // ICMP errors are no reason to end an endpoint: anybody can send them.
                Err(error) if is_returned(&error) => {}
                message => return Poll::Ready(message),
            }
        }
    }
}

/// Whether a datagram drew an ICMP error.
fn is_returned(error: &io::Error) -> bool {
    matches!(SocketError::of(error), Some(SocketError::Returned { .. }))
}

/// Whether nothing can be sent any more, or quinn itself must wait.
fn is_fatal(error: &io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock
        || matches!(
            SocketError::of(error),
            Some(SocketError::Ended(_) | SocketError::NoSuchSocket)
        )
}

/// Where a transmit goes, from which address, with which marks, in how many datagrams.
fn to_meta(transmit: &Transmit<'_>) -> io::Result<UdpMeta> {
    let mut meta = UdpMeta::to(transmit.destination);
    if let Some(source) = transmit.src_ip {
        meta.local.set_ip(source);
    }
    meta.traffic_class = Some(transmit.ecn.map_or(0, |ecn| ecn as u8));
    meta.dont_fragment = true;
    if let Some(size) = transmit.segment_size {
        let size = u16::try_from(size).ok().and_then(NonZeroU16::new);
        meta.segment_size = Some(size.ok_or(ErrorKind::InvalidInput)?);
    }
    Ok(meta)
}

/// Copies a datagram, or several of one size, for quinn and says what came with it.
fn fill(buf: &mut [u8], payload: &[u8], from: &UdpMeta) -> RecvMeta {
    // What does not fit is lost, as on host sockets; quinn's buffers hold what it allows peers.
    let len = payload.len().min(buf.len());
    buf[..len].copy_from_slice(&payload[..len]);
    let stride = from
        .segment_size
        .map_or(len, |size| usize::from(size.get()));
    RecvMeta {
        addr: from.remote,
        len,
        stride,
        ecn: from
            .traffic_class
            .and_then(|class| EcnCodepoint::from_bits(class & ECN)),
        dst_ip: Some(from.local.ip()),
    }
}

type Writable = Pin<Box<dyn Future<Output = io::Result<()>> + Send + Sync>>;

/// One task that waits until the socket takes a datagram.
struct Poller {
    udp: Arc<UdpSocket>,
    writable: Option<Writable>,
}

impl fmt::Debug for Poller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poller")
            .field("udp", &self.udp)
            .finish_non_exhaustive()
    }
}

impl UdpPoller for Poller {
    fn poll_writable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let udp = Arc::clone(&self.udp);
        let writable = self
            .writable
            .get_or_insert_with(|| Box::pin(async move { udp.writable().await }));
        let result = ready!(writable.as_mut().poll(cx));
        self.writable = None;
        Poll::Ready(result)
    }
}

//! `tokio::net`'s types over packets: TUN devices, tunnels, memory links, simulated networks.
//!
//! A program that has IP packets in its hands (a VPN client, a tunnel, a test, a simulator) gets
//! sockets here: our own TCP, UDP and ICMP, no kernel socket, no right, no unsafe code in this
//! crate. The types have the names and methods of `tokio::net`, so hyper, axum and whatever else
//! speaks to tokio's streams runs on them.
//!
//! ```text
//!      your program, hyper, axum ...
//!        │ TcpStream, TcpListener, UdpSocket, IncomingFlows
//!   ┌────┴──────────── Net ─────────────┐
//!   │  stack: TCP, UDP, ICMP, IPv4/v6   │   one lock; calls transmit at once
//!   │  driver: packets in, timers       │   one task on your runtime
//!   └────┬──────────────────────────────┘
//!        │ IP packets
//!      Device: a pipe in memory, a TUN, a tunnel of yours
//! ```
//!
//! # Start
//!
//! Two hosts joined by a pipe in memory; the second serves, the first calls.
//!
//! ```
//! use switchboard::{Net, device::pipe};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (near, far) = pipe::pair(1500, Default::default(), 256);
//! let client = Net::builder().address("10.0.0.1/24".parse()?).build(near)?;
//! let server = Net::builder().address("10.0.0.2/24".parse()?).build(far)?;
//!
//! let listener = server.tcp_listen("10.0.0.2:80").await?;
//! tokio::spawn(async move {
//!     let (mut stream, _caller) = listener.accept().await?;
//!     stream.write_all(b"hello").await
//! });
//!
//! let mut stream = client.tcp_connect("10.0.0.2:80").await?;
//! let mut said = String::new();
//! stream.read_to_string(&mut said).await?;
//! assert_eq!(said, "hello");
//! # Ok(()) }
//! ```
//!
//! A link of your own is a [`Device`](device::Device): three methods that never wait. A pair of
//! packet channels, as phone VPNs and WireGuard code have in their hands, takes a screen:
//!
//! ```
//! use std::{io, task::{Context, Poll}};
//! use bytes::Bytes;
//! use switchboard::device::Device;
//! use switchboard::{Instant, RxPacket, Transmit};
//! use tokio::sync::mpsc::{Receiver, Sender, error::TrySendError};
//!
//! struct Channels {
//!     from_tunnel: Receiver<Bytes>,
//!     to_tunnel: Sender<Bytes>,
//! }
//!
//! impl Device for Channels {
//!     fn mtu(&self) -> usize {
//!         1420
//!     }
//!
//!     fn poll_recv(
//!         &mut self,
//!         cx: &mut Context<'_>,
//!         now: &dyn Fn() -> Instant,
//!         _max: usize,
//!         batch: &mut Vec<RxPacket>,
//!     ) -> Poll<io::Result<usize>> {
//!         self.from_tunnel.poll_recv(cx).map(|packet| match packet {
//!             Some(packet) => {
//!                 batch.push(RxPacket::new(packet, now()));
//!                 Ok(1)
//!             }
//!             None => Ok(0), // The link is gone for good.
//!         })
//!     }
//!
//!     fn try_send(&mut self, transmit: &Transmit) -> io::Result<()> {
//!         let mut packet = transmit.head.to_vec();
//!         for slice in &transmit.payload {
//!             packet.extend_from_slice(slice);
//!         }
//!         match self.to_tunnel.try_send(packet.into()) {
//!             // A link may lose packets; one that would rather wait says `WouldBlock`.
//!             Ok(()) | Err(TrySendError::Full(_)) => Ok(()),
//!             Err(TrySendError::Closed(_)) => Err(io::ErrorKind::BrokenPipe.into()),
//!         }
//!     }
//!
//!     fn poll_send_ready(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
//!         Poll::Ready(Ok(()))
//!     }
//! }
//! ```
//!
//! # Which network a call means
//!
//! [`net::TcpStream::connect`] and its like name no network: they use the ambient one, so that
//! code written for tokio changes its import and nothing else. It is, in this order, the task's
//! ([`Net::scope`]), the thread's ([`Net::enter`], [`Net::install`]), the runtime's
//! ([`Net::use_on`]), the process's ([`Net::set_default`]); without any, the error says so. What
//! reaches a task that is *spawned*:
//!
//! | | current-thread runtime | multi-thread runtime |
//! |---|---|---|
//! | `net.scope(future)` | that task alone | that task alone |
//! | `net.enter()` | every task | the future in `block_on` |
//! | `net.install(&mut builder)` | blocking threads | every task but that in `block_on` |
//! | `net.use_on(handle)` | every task | every task |
//! | `Net::set_default(net)` | every task | every task |
//!
//! # Beyond tokio
//!
//! - [`net::TcpStream::read_chunk`] and [`write_chunk`](net::TcpStream::write_chunk): `Bytes`
//!   without a copy, between the device's memory and yours.
//! - [`Net::incoming`]: flows to *any* address, to be accepted, refused, or answered unreachable:
//!   what gateways, proxies and VPN servers are made of.
//! - [`net::TcpStream::info`], [`Net::sockets`], [`Net::stats`]: what goes on.
//! - [`SocketError`]: inside each `io::Error`, what was tried, what happened, and by whom.
//! - Virtual time: under `tokio::time::pause` the stack's timers run on tokio's clock, so a test
//!   of a timeout of two minutes takes a millisecond.

#![forbid(unsafe_code)]

pub mod adapters;
mod ambient;
mod builder;
mod clock;
mod driver;
mod errors;
#[cfg(doctest)]
mod guide;
mod incoming;
pub mod net;
mod network;
mod shard;
mod udp_flow;
mod waiters;

pub use ambient::Entered;
pub use builder::NetBuilder;
pub use clock::Clock;
pub use driver::Driver;
pub use errors::{Ended, SocketError};
pub use incoming::{IncomingEcho, IncomingFlow, IncomingFlows, IncomingTcp, IncomingUdp};
pub use network::Net;
pub use udp_flow::UdpFlow;

pub use switchboard_core::config::{CongestionControl, KeepAlive, Linger};
pub use switchboard_core::limits::Limits;
pub use switchboard_core::{
    AcceptError, BindError, Cidr, CidrError, ConnectError, EchoRequest, Endpoint, Instant,
    ListenError, Lost, Protocol, Refusal, RxPacket, SocketEntry, State, Stats, TcpConfig, TcpInfo,
    TcpOptions, Transmit, UdpError, UdpMeta, UdpOptions, UdpSendError, Unreachable,
};
/// Where packets come from and go to: what a [`Net`] is made of.
pub use switchboard_device as device;

/// The far endpoint of a connection, for `axum`'s `ConnectInfo<Caller>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Caller(pub std::net::SocketAddr);

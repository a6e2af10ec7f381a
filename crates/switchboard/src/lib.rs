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
//! # Packets in hand
//!
//! A phone VPN, WireGuard, any tunnel: whoever has whole IP packets to hand over and to take
//! away uses [`device::channel()`], both ways held back where they are full.
//!
//! ```
//! # use switchboard::Net;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (device, to_net, mut from_net) = switchboard::device::channel(1420, 256);
//! let net = Net::builder().address("10.8.0.2/32".parse()?).build(device)?;
//!
//! let connecting = tokio::spawn(async move { net.tcp_connect("10.8.0.1:443").await });
//! let syn = from_net.recv().await.expect("lives"); // encrypt it, and send it to the peer
//! let reset = peer(&syn); // what the peer answered, decrypted
//! to_net.send(reset).await?;
//! let error = connecting.await?.unwrap_err();
//! assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
//! # Ok(()) }
//! # fn peer(syn: &[u8]) -> Vec<u8> {
//! #     use switchboard::wire::{checksum, ipv4::Ipv4Header, tcp::{Flags, TcpHeader}};
//! #     let mut ip = Ipv4Header::parse(syn).unwrap();
//! #     let (header, _) = TcpHeader::parse(&syn[20..]).unwrap();
//! #     let mut tcp = Vec::new();
//! #     TcpHeader { source_port: header.destination_port, destination_port: header.source_port,
//! #         ack: header.seq + 1, flags: Flags::RST | Flags::ACK, ..TcpHeader::default() }.emit(&mut tcp);
//! #     let sum = checksum::pseudo(ip.destination.into(), ip.source.into(), ip.protocol, 20).plus(&tcp);
//! #     tcp[16..18].copy_from_slice(&sum.checksum().to_be_bytes());
//! #     (ip.source, ip.destination, ip.total_len) = (ip.destination, ip.source, 40);
//! #     let mut packet = Vec::new();
//! #     ip.emit(&mut packet);
//! #     packet.extend(tcp);
//! #     packet
//! # }
//! ```
//!
//! Any other link is a [`Device`](device::Device): three methods that never wait.
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
//! - [`net::PingSocket`], [`net::RawSocket`]: below the transports.
//! - [`Router`]: packets forwarded between devices, with a network of this process among them.
//! - `shape::Shaped` (feature `shape`): delay, loss, rate and the rest between a stack and any
//!   device, in real time.
//! - Names: [`NetBuilder::host`], name servers asked over the network's own sockets
//!   (`NetBuilder::nameserver`, feature `dns`), and RFC 8305 for a name with several addresses.
//! - [`adapters`]: hyper-util's client, tonic, quinn, axum.
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
mod names;
pub mod net;
mod network;
mod router;
#[cfg(feature = "shape")]
pub mod shape;
mod shard;
#[cfg(feature = "sim")]
pub mod sim;
mod udp_flow;
mod waiters;

pub use ambient::Entered;
pub use builder::NetBuilder;
pub use clock::Clock;
pub use driver::Driver;
pub use errors::{Ended, SocketError};
pub use incoming::{IncomingEcho, IncomingFlow, IncomingFlows, IncomingTcp, IncomingUdp};
pub use network::Net;
pub use router::Router;
pub use udp_flow::UdpFlow;

pub use switchboard_core::config::{CongestionControl, KeepAlive, Linger};
pub use switchboard_core::limits::Limits;
pub use switchboard_core::{
    AcceptError, BindError, Cidr, CidrError, ConnectError, EchoReply, EchoRequest, Endpoint,
    Instant, IpProtocol, IpVersion, ListenError, Lost, PacketError, PacketMeta, PacketOptions,
    PacketSendError, Protocol, Refusal, RxPacket, SocketEntry, SocketKind, State, Stats, TcpConfig,
    TcpInfo, TcpOptions, Transmit, UdpError, UdpMeta, UdpOptions, UdpSendError, Unreachable,
};
pub use switchboard_core::{DropReason, PortId, RouterStats};
/// Where packets come from and go to: what a [`Net`] is made of.
pub use switchboard_device as device;
/// Bytes to headers and back: for whoever looks at packets.
pub use switchboard_wire as wire;

/// The far endpoint of a connection, for `axum`'s `ConnectInfo<Caller>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Caller(pub std::net::SocketAddr);

//! `tokio::net`'s types over packets: TUN devices, tunnels, memory links, simulated networks.

#![forbid(unsafe_code)]

mod ambient;
mod builder;
mod clock;
mod driver;
mod errors;
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
    ListenError, Lost, Protocol, Refusal, SocketEntry, State, Stats, TcpConfig, TcpInfo,
    TcpOptions, UdpError, UdpMeta, UdpOptions, UdpSendError, Unreachable,
};
/// Where packets come from and go to: what a [`Net`] is made of.
pub use switchboard_device as device;

/// The far endpoint of a connection, for `axum`'s `ConnectInfo<Caller>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Caller(pub std::net::SocketAddr);

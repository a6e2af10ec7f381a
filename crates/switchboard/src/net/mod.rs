//! `tokio::net`'s types over a [`Net`](crate::Net).
//!
//! Same names, signatures, readiness and errors: a program changes its import. Functions without
//! a network in their arguments (`TcpStream::connect`, `TcpListener::bind`, ...) use the ambient
//! one, [`Net::try_current`](crate::Net::try_current); each has a sibling ending in `_on` that
//! takes it.

pub(crate) mod addr;
mod packet;
mod ping;
mod raw;
pub(crate) mod readiness;
pub mod tcp;
mod udp;

#[cfg(feature = "dns")]
pub use crate::names::{DnsConfig, DnsConfigError};
pub use crate::names::{NameError, Resolve, Resolving, ServerFailure};
pub use addr::{ToSocketAddrs, lookup_host, lookup_host_on};
pub use ping::PingSocket;
pub use raw::RawSocket;
pub use tcp::eyeballs::HappyEyeballs;
pub use tcp::listener::TcpListener;
pub use tcp::socket::TcpSocket;
pub use tcp::stream::TcpStream;
pub use udp::UdpSocket;

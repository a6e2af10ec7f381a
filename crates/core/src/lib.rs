//! The stack: packets and time in, packets and events out.
//!
//! [`Stack`] is one host. It has three inputs (`handle_packet`, `handle_timeout` and the
//! `call_*` methods) and three outputs (`poll_transmit`, `poll_event`, `poll_timeout`). After
//! any input, drain `poll_transmit` and `poll_event`; `poll_timeout` then says when to call
//! `handle_timeout`. Same seed and same inputs give the same outputs, bit for bit.
//!
//! There is no clock, thread, socket, global randomness or runtime in here, and the build
//! proves it: the crate has no `std` and forbids `unsafe`.
//!
//! # The path of a packet
//!
//! 1. a device (not here) hands over an [`RxPacket`]
//! 2. `ip`: `ingress` asks whether it is for us, `reassembly` makes it whole
//! 3. `demux`: which socket; `raw` and `ping` for those below the transports
//! 4. `tcp` or `udp`: what it means
//! 5. [`socket`], [`event`]: what the application holds, and hears of
//!
//! and back: `tcp::send` or `udp::queue` have something to send, `ready` says whose turn it
//! is, `ip::egress` writes the headers. `stack` takes things from one to the next.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod config;
mod deadlines;
mod demux;
pub mod drop_reason;
pub mod entropy;
pub mod error;
pub mod event;
mod ip;
pub mod limits;
mod multicast;
mod ping;
mod raw;
mod ready;
pub mod router;
mod slab;
pub mod socket;
mod stack;
pub mod stats;
mod tcp;
mod udp;

pub use config::{
    Cidr, CidrError, Config, IpVersion, Offloads, PacketOptions, TcpConfig, TcpOptions, UdpOptions,
};
pub use drop_reason::DropReason;
pub use entropy::Entropy;
pub use error::{
    AcceptError, BindError, ConnectError, ListenError, Lost, MembershipError, NoSuchSocket,
    PacketSendError, ReceiveError, SendError, UdpSendError, Unreachable,
};
pub use event::{Event, Incoming, Readiness};
pub use router::{PortConfig, PortId, Router, RouterStats};
pub use socket::{
    Accepted, BoundId, EchoReply, EchoRequest, FlowId, ListenerId, PacketError, PacketMeta, PingId,
    RawId, Refusal, Shutdown, SocketEntry, SocketKind, State, TcpId, UdpError, UdpId, UdpMeta,
};
pub use stack::Stack;
pub use stats::{Stats, TcpInfo};
pub use switchboard_wire::{Checksum, Endpoint, Instant, IpProtocol, Protocol, RxPacket, Transmit};

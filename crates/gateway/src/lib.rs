//! Accepts any flow from a stack and relays it to host sockets or to built-in services.
//!
//! The inside is a [`Net`](switchboard::Net) with `any_address`: whatever a program sends comes
//! out of `Net::incoming` as flows. For each of them the gateway finds out what the outside
//! says *first*, and only then answers inside; so refusals, unreachables and silence are what
//! they are outside.
//!
//! # The path of a flow
//!
//! 1. `accept`: takes it, asks `policy` and `destination`, starts its task
//! 2. `tcp_relay`, `udp_relay` (with `mapping`) or `echo`: to a socket of the host; or a
//!    listener of our own: `dns`, `builtin`
//! 3. `registry` and `observer`: what people see of it
//!
//! `forward` is the other way in: listeners of the host whose callers reach the program.
//!
//! The crate uses only what the `switchboard` crate offers everybody: no raw packets (the
//! handshake recorder is shown packets by the device's tee, it does not make any), and nothing
//! of the core's insides.

#![forbid(unsafe_code)]

mod accept;
mod builtin;
mod clients;
mod config;
mod context;
mod destination;
mod dns;
mod echo;
mod figures;
mod forward;
mod gateway;
#[cfg(doctest)]
mod guide;
mod holders;
mod host_network;
mod ladder;
pub mod limits;
mod mapping;
mod observer;
mod outside;
mod policy;
mod recorder;
mod registry;
mod tcp_relay;
mod udp_relay;
mod visit;

pub use config::{DnsServers, GatewayConfig, HostAddress, HostLoopback, Prefix};
pub use figures::{Half, Halves};
pub use forward::Forward;
pub use gateway::{Gateway, GatewayBuilder};
pub use host_network::{HostNetwork, HostNetworkBuilder, HostNetworkStats};
pub use ladder::{LadderLine, ladder};
pub use limits::Limits;
pub use mapping::Filtering;
pub use observer::{
    BoxFuture, Ending, Flow, FlowNumber, Happening, HolderLookup, Observer, Program, Refused,
    Resolution, Transport,
};
pub use policy::{AllowAll, Policy, Verdict};
pub use recorder::{Direction, FlowKey, HandshakeRecorder, RecordedPacket};
pub use registry::{Holder, Label, Registry, SocketRow, SocketState};

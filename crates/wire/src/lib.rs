//! Bytes to headers and back, checksums, and one packet as one line of text.
//!
//! This crate has no state, no clock and no socket. Parsing never panics; a value that
//! exists has been checked, and a refusal names the rule that the bytes broke.
//!
//! `packet` is the seam between devices and the stack: what a device receives and what the
//! stack transmits. `ip` reads a packet of either family as far as its transport header;
//! `tcp`, `udp` and `icmp` read on from there. `membership` has the messages of multicast groups. `offload` turns what only a device with
//! offloads could send into plain packets. `line` prints a packet in the notation that
//! ladders and traces share.

#![no_std]
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        reason = "a test stops at what it did not expect"
    )
)]

extern crate alloc;

pub mod arp;
pub mod checksum;
pub mod dhcp;
pub mod endpoint;
pub mod ethernet;
pub mod icmp;
pub mod ip;
pub mod ipv4;
pub mod ipv6;
pub mod line;
pub mod malformed;
pub mod membership;
pub mod ndp;
pub mod offload;
pub mod output;
pub mod packet;
pub mod pcapng;
pub mod tcp;
pub mod time;
pub mod udp;

pub use endpoint::{Endpoint, Protocol};
pub use ip::{IpPacket, IpProtocol};
pub use malformed::Malformed;
pub use output::Output;
pub use packet::{Checksum, Head, Payload, RxPacket, Transmit};
pub use time::Instant;

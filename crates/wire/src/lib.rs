//! Bytes to headers and back, checksums, and one packet as one line of text.
//!
//! This crate has no state, no clock and no socket. Parsing never panics; a value that
//! exists has been checked, and a refusal names the rule that the bytes broke.
//!
//! `packet` is the seam between devices and the stack: what a device receives and what the
//! stack transmits.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod endpoint;
pub mod packet;
pub mod pcapng;
pub mod time;

pub use endpoint::{Endpoint, Protocol};
pub use packet::{Checksum, Head, Payload, RxPacket, Transmit};
pub use time::Instant;

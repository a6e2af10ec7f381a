//! IPv6 (RFC 8200).

pub mod extensions;
pub mod header;

pub use extensions::{Answer, FragmentHeader};
pub use header::Ipv6Header;

/// The smallest packet that every link carries whole (RFC 8200 section 5).
pub const MTU_MIN: usize = 1280;

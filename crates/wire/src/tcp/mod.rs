//! TCP's header (RFC 9293 section 3.1).

pub mod fast_open;
pub mod flags;
pub mod header;
pub mod options;
pub mod segment;

pub use fast_open::{FastOpen, FastOpenCookie};
pub use flags::Flags;
pub use header::{CHECKSUM_AT, HEADER_MAX, HEADER_MIN, TcpHeader};
pub use options::{SACK_BLOCKS_MAX, SackBlocks, TcpOptions, Timestamps};
pub use segment::TcpSegment;

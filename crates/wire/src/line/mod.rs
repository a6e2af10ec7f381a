//! One packet as one line of text: the notation that ladders, traces, captures and the
//! command line share.
//!
//! ```text
//! SYN|ACK  seq=0     ack=1             mss=1460 wscale=7 sack ts
//! PSH|ACK  seq=1     ack=1     len=96
//! ACK      seq=1     ack=201   sack=301-401
//! udp 10.0.2.100:40112 > 10.0.2.3:53
//! icmp 10.0.2.2 > 10.0.2.100  10.0.2.4 tcp port 81 unreachable
//! ```
//!
//! A TCP line can be read back ([`TcpLine`] is `FromStr`), which makes it the language of
//! behaviour tests. The words for the rest are tcpdump's.

mod icmp;
mod packet;
mod parse;
mod relative;
mod tcp;

#[cfg(test)]
mod tests;

pub use packet::{PacketLine, UdpLine};
pub use parse::LineError;
pub use relative::{Relative, Side};
pub use tcp::{Layout, TcpLine, TimestampsShown};

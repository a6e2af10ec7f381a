//! TCP (RFC 9293), one connection at a time.
//!
//! Packet path, step 4 of 6: before this `demux::table`, after this `socket`.
//!
//! A [`Connection`] knows nothing of tables, of handles, of IP or of clocks. What happens to it
//! is a call with `now`; what it did is a [`Step`]; what it wants sent is asked for by
//! `next_segment`, and when it wants to be woken by `deadline`.
//!
//! The folder is the standard's table of contents: `call` is section 3.10.1 to 3.10.6,
//! `arrives` is 3.10.7, `timeout` is 3.10.8.

pub(crate) mod connection;
pub(crate) mod isn;
pub(crate) mod ports;
pub(crate) mod segment;
pub(crate) mod seq;
pub(crate) mod step;
pub(crate) mod syn;
pub(crate) mod time_wait;

pub(crate) use connection::{Connection, LinkLimits, OpenParams, Shared};
pub(crate) use isn::IsnGenerator;
pub(crate) use ports::PortHash;
pub(crate) use segment::{
    Flags, FourTuple, Header, Options, Outgoing, Reply, SackBlock, SackBlocks, Segment, Text,
    Timestamps,
};
pub(crate) use seq::SeqNum;
pub(crate) use step::{Next, Step};
pub(crate) use syn::{Listened, PendingStep, PendingSyn, listen, reset_for};
pub(crate) use time_wait::{TimeWait, TimeWaitStep};

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

mod arrives;
mod call;
mod challenge;
mod congestion;
mod connection;
mod cookies;
mod fast_open;
mod handshake;
mod isn;
mod loss;
mod ports;
mod recv;
mod segment;
mod send;
mod seq;
mod state;
mod step;
mod syn;
mod tcb;
#[cfg(test)]
mod tests;
mod time_wait;
mod timeout;
mod timers;
mod timestamps;

pub(crate) use arrives::closed::reset_for;
pub(crate) use arrives::listen::{Listened, listen};
pub(crate) use connection::{Connection, LinkLimits, OpenParams, Shared};
pub(crate) use cookies::{Cookies, Known};
pub(crate) use fast_open::SynText;
pub(crate) use isn::IsnGenerator;
pub(crate) use ports::PortHash;
pub(crate) use segment::{
    Flags, FourTuple, Header, Options, Outgoing, SackBlock, Segment, Text, Timestamps,
};
pub(crate) use seq::SeqNum;
pub(crate) use step::{Next, Step};
pub(crate) use syn::{PendingStep, PendingSyn};
pub(crate) use time_wait::{TimeWait, TimeWaitStep};

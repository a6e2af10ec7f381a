//! One connection, in any state but LISTEN and TIME-WAIT.

use alloc::sync::Arc;
use core::net::IpAddr;

use bytes::Bytes;
use switchboard_wire::Instant;

use super::segment::{FourTuple, Outgoing, Segment, Text};
use super::seq::SeqNum;
use super::step::Step;
use super::syn::PendingSyn;
use crate::config::{TcpConfig, TcpOptions};
use crate::error::{Lost, ReceiveError, SendError, Unreachable};
use crate::event::Readiness;
use crate::socket::{Shutdown, State};
use crate::stats::TcpInfo;

/// What all connections of a stack share.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    /// Timers, and what is offered.
    pub(crate) config: TcpConfig,
    /// Out-of-order ranges that one connection keeps.
    pub(crate) out_of_order_ranges: usize,
    /// Challenge ACKs a second and connection.
    pub(crate) challenge_acks_per_second: u32,
}

/// What the link and the path let a connection do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LinkLimits {
    /// The MSS that we announce: the link's MTU without IP and TCP headers, options not
    /// counted (RFC 9293 section 3.7.1, RFC 6691).
    pub(crate) receive_mss: u16,
    /// The same of the path to the peer, as far as known: bounds what we send.
    pub(crate) path_mss: u16,
    /// Longest TCP header and text that one transmit may have, where the device cuts
    /// super-segments for this family (65535 less the IP header); `None` where it does not.
    pub(crate) super_segment: Option<u16>,
}

/// How a connection begins.
#[derive(Clone, Debug)]
pub(crate) struct OpenParams {
    pub(crate) tuple: FourTuple,
    /// Our initial sequence number, from `IsnGenerator::isn`.
    pub(crate) iss: SeqNum,
    /// Added to our timestamps clock, from `IsnGenerator::timestamp_offset`.
    pub(crate) timestamp_offset: u32,
    pub(crate) options: TcpOptions,
    pub(crate) link: LinkLimits,
    pub(crate) shared: Arc<Shared>,
}

/// One connection.
pub(crate) struct Connection {}

/// How it begins.
impl Connection {
    /// Active open: SYN waits in `next_segment`.
    pub(crate) fn open(now: Instant, params: OpenParams) -> Self {
        unimplemented!()
    }
    /// Passive open: SYN|ACK waits in `next_segment`.
    pub(crate) fn answer(now: Instant, syn: &PendingSyn, params: OpenParams) -> Self {
        unimplemented!()
    }
}

/// What happens to it.
impl Connection {
    /// SEGMENT ARRIVES (RFC 9293 section 3.10.7).
    pub(crate) fn on_segment(&mut self, now: Instant, segment: &Segment, text: Text) -> Step {
        unimplemented!()
    }
    /// The moment that `deadline` named has come. Harmless if it has not.
    pub(crate) fn on_timeout(&mut self, now: Instant) -> Step {
        unimplemented!()
    }
    /// An ICMP error that quotes one of our segments. Checks the quoted sequence number first
    /// (RFC 5927 section 4). Not for `TooBig`: see `quotes_us` and `on_path_mtu`.
    pub(crate) fn on_icmp(
        &mut self,
        now: Instant,
        why: Unreachable,
        offender: IpAddr,
        quoted: SeqNum,
    ) -> Step {
        unimplemented!()
    }
    /// Whether a segment with this sequence number may be on its way: what an ICMP error must
    /// quote before a path MTU is learned from it (RFC 5927 section 7).
    pub(crate) fn quotes_us(&self, quoted: SeqNum) -> bool {
        unimplemented!()
    }
    /// The path MTU changed: the MSS that it allows, as in `LinkLimits::path_mss`.
    pub(crate) fn on_path_mtu(&mut self, now: Instant, path_mss: u16) {
        unimplemented!()
    }
}

/// What it wants.
impl Connection {
    /// Fills `out` with the next segment to send. `false`: none now.
    pub(crate) fn next_segment(&mut self, now: Instant, out: &mut Outgoing) -> bool {
        unimplemented!()
    }
    /// Whether `next_segment` has one.
    pub(crate) fn wants_transmit(&self, now: Instant) -> bool {
        unimplemented!()
    }
    /// When `on_timeout` is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        unimplemented!()
    }
}

/// What the application asks (RFC 9293 section 3.10.2 to 3.10.6).
impl Connection {
    /// Takes from the front of `data` what there is room for, without a copy.
    pub(crate) fn send(&mut self, now: Instant, data: &mut Bytes) -> Result<usize, SendError> {
        unimplemented!()
    }
    /// Copies from `data` what there is room for.
    pub(crate) fn send_slice(&mut self, now: Instant, data: &[u8]) -> Result<usize, SendError> {
        unimplemented!()
    }
    /// Octets that `send` would take now.
    pub(crate) fn room(&self) -> usize {
        unimplemented!()
    }
    /// The next chunk, at most `max` octets. Empty: end of stream.
    pub(crate) fn receive(&mut self, now: Instant, max: usize) -> Result<Bytes, ReceiveError> {
        unimplemented!()
    }
    /// Copies into `buffer`. 0: end of stream (or an empty buffer).
    pub(crate) fn receive_slice(
        &mut self,
        now: Instant,
        buffer: &mut [u8],
    ) -> Result<usize, ReceiveError> {
        unimplemented!()
    }
    /// As `receive_slice`, but the octets stay.
    pub(crate) fn peek(&self, buffer: &mut [u8]) -> Result<usize, ReceiveError> {
        unimplemented!()
    }
    /// Closes one half or both; the application keeps its handle.
    pub(crate) fn shutdown(&mut self, now: Instant, how: Shutdown) -> Result<Step, SendError> {
        unimplemented!()
    }
    /// The application lets go of its handle. From now on nobody reads; the object is dropped
    /// when a step (this one, or a later one) says `Next::Drop` or `Next::TimeWait`.
    /// If the network side is over already, this step says `Next::Drop`.
    pub(crate) fn close(&mut self, now: Instant) -> Step {
        unimplemented!()
    }
    /// RST, now (no reply where the state wants none). Always `Next::Drop`.
    pub(crate) fn abort(&mut self, now: Instant) -> Step {
        unimplemented!()
    }
    pub(crate) fn options(&self) -> TcpOptions {
        unimplemented!()
    }
    pub(crate) fn set_options(&mut self, now: Instant, options: &TcpOptions) {
        unimplemented!()
    }
    /// Takes the pending error, once.
    pub(crate) fn take_error(&mut self) -> Option<Lost> {
        unimplemented!()
    }
}

/// What is known of it.
impl Connection {
    pub(crate) fn tuple(&self) -> &FourTuple {
        unimplemented!()
    }
    pub(crate) fn state(&self) -> State {
        unimplemented!()
    }
    /// What is true now.
    pub(crate) fn readiness(&self) -> Readiness {
        unimplemented!()
    }
    pub(crate) fn info(&self, now: Instant) -> TcpInfo {
        unimplemented!()
    }
    /// Octets of memory that its queues pin: for the stack's own bound.
    pub(crate) fn pinned(&self) -> usize {
        unimplemented!()
    }
}

//! One host's stack: inputs, outputs, wiring and nothing else.

use core::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use switchboard_wire::{Instant, RxPacket, Transmit};

use crate::config::{Config, TcpOptions, UdpOptions};
use crate::entropy::Entropy;
use crate::error::{
    AcceptError, BindError, ConnectError, ListenError, Lost, NoSuchSocket, ReceiveError, SendError,
    UdpSendError, Unreachable,
};
use crate::event::{Event, Readiness};
use crate::socket::{Accepted, Shutdown, SocketEntry, UdpError};
use crate::socket::{EchoRequest, FlowId, ListenerId, Refusal, TcpId, UdpId, UdpMeta};
use crate::stats::{Stats, TcpInfo};

/// One host's stack.
pub struct Stack {}

/// Inputs.
impl Stack {
    /// A host with these addresses. Same `entropy` and same inputs: same outputs.
    pub fn new(config: Config, entropy: Entropy) -> Self {
        unimplemented!()
    }
    /// A packet arrived from the device.
    pub fn handle_packet(&mut self, now: Instant, packet: RxPacket) {
        unimplemented!()
    }
    /// The moment that `poll_timeout` named has come. Harmless if it has not.
    pub fn handle_timeout(&mut self, now: Instant) {
        unimplemented!()
    }
}

/// Outputs: after any input, drain the first two; then the third says when to come back.
impl Stack {
    /// The next packet to send.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        unimplemented!()
    }
    /// The next thing an application may be waiting for.
    pub fn poll_event(&mut self) -> Option<Event> {
        unimplemented!()
    }
    /// When `handle_timeout` is due; `None` while nothing waits for time to pass.
    pub fn poll_timeout(&self) -> Option<Instant> {
        unimplemented!()
    }
}

/// TCP: what an application asks (RFC 9293 section 3.10.1 to 3.10.6).
impl Stack {
    /// Opens a connection: SYN leaves with the next `poll_transmit`. `CONNECTED` or `ERROR`
    /// readiness follows. `local` may leave address and port open; a gateway (`any_address`)
    /// may use any local address.
    pub fn call_tcp_connect(
        &mut self,
        now: Instant,
        local: Option<SocketAddr>,
        remote: SocketAddr,
        options: &TcpOptions,
    ) -> Result<TcpId, ConnectError> {
        unimplemented!()
    }
    /// Listens on `local`; port 0 picks one. An unspecified address takes all of ours.
    pub fn call_tcp_listen(
        &mut self,
        local: SocketAddr,
        backlog: usize,
        options: &TcpOptions,
    ) -> Result<ListenerId, ListenError> {
        unimplemented!()
    }
    pub fn listener_local(&self, id: ListenerId) -> Result<SocketAddr, NoSuchSocket> {
        unimplemented!()
    }
    /// The oldest connection of the backlog that stands.
    pub fn call_tcp_accept(
        &mut self,
        now: Instant,
        id: ListenerId,
    ) -> Result<Option<Accepted>, NoSuchSocket> {
        unimplemented!()
    }
    /// Stops listening; connections not accepted yet are reset.
    pub fn call_tcp_unlisten(&mut self, now: Instant, id: ListenerId) -> Result<(), NoSuchSocket> {
        unimplemented!()
    }
    /// Takes from the front of `data` what there is room for, without a copy.
    pub fn call_tcp_send(
        &mut self,
        now: Instant,
        id: TcpId,
        data: &mut Bytes,
    ) -> Result<usize, SendError> {
        unimplemented!()
    }
    /// Copies from `data` what there is room for.
    pub fn call_tcp_send_slice(
        &mut self,
        now: Instant,
        id: TcpId,
        data: &[u8],
    ) -> Result<usize, SendError> {
        unimplemented!()
    }
    /// Octets that `call_tcp_send` would take now.
    pub fn tcp_send_room(&self, id: TcpId) -> Result<usize, NoSuchSocket> {
        unimplemented!()
    }
    /// The next chunk that arrived, at most `max` octets, without a copy. Empty: the peer has
    /// sent its FIN and everything before it has been read.
    pub fn call_tcp_receive(
        &mut self,
        now: Instant,
        id: TcpId,
        max: usize,
    ) -> Result<Bytes, ReceiveError> {
        unimplemented!()
    }
    /// Copies what arrived into `buffer`. 0: end of stream (or an empty buffer).
    pub fn call_tcp_receive_slice(
        &mut self,
        now: Instant,
        id: TcpId,
        buffer: &mut [u8],
    ) -> Result<usize, ReceiveError> {
        unimplemented!()
    }
    /// As `call_tcp_receive_slice`, but the octets stay.
    pub fn call_tcp_peek(&mut self, id: TcpId, buffer: &mut [u8]) -> Result<usize, ReceiveError> {
        unimplemented!()
    }
    /// Closes one half or both; the handle stays good.
    pub fn call_tcp_shutdown(
        &mut self,
        now: Instant,
        id: TcpId,
        how: Shutdown,
    ) -> Result<(), SendError> {
        unimplemented!()
    }
    /// The application lets go: orderly close by the linger option, RST if unread data is lost
    /// (RFC 9293 section 3.6.1, MUST-12 reasoning; RFC 2525 section 2.17). The handle is stale afterwards.
    pub fn call_tcp_close(&mut self, now: Instant, id: TcpId) -> Result<(), NoSuchSocket> {
        unimplemented!()
    }
    /// RST, now. The handle is stale afterwards.
    pub fn call_tcp_abort(&mut self, now: Instant, id: TcpId) -> Result<(), NoSuchSocket> {
        unimplemented!()
    }
    pub fn tcp_options(&self, id: TcpId) -> Result<TcpOptions, NoSuchSocket> {
        unimplemented!()
    }
    pub fn set_tcp_options(
        &mut self,
        now: Instant,
        id: TcpId,
        options: &TcpOptions,
    ) -> Result<(), NoSuchSocket> {
        unimplemented!()
    }
    /// State, endpoints, RTT, window, resends: what `ss -i` shows.
    pub fn tcp_info(&self, id: TcpId) -> Result<TcpInfo, NoSuchSocket> {
        unimplemented!()
    }
    /// What is true now (events are edges).
    pub fn tcp_readiness(&self, id: TcpId) -> Result<Readiness, NoSuchSocket> {
        unimplemented!()
    }
    pub fn tcp_endpoints(&self, id: TcpId) -> Result<(SocketAddr, SocketAddr), NoSuchSocket> {
        unimplemented!()
    }
    /// Takes the pending error, once (`SO_ERROR`).
    pub fn take_tcp_error(&mut self, id: TcpId) -> Result<Option<Lost>, NoSuchSocket> {
        unimplemented!()
    }
}

/// Flows to any address.
impl Stack {
    /// Completes the handshake of a pending TCP flow; the connection is readable and writable at once after `CONNECTED`.
    pub fn accept_tcp(
        &mut self,
        now: Instant,
        flow: FlowId,
        options: &TcpOptions,
    ) -> Result<TcpId, AcceptError> {
        unimplemented!()
    }
    /// Makes a socket of a pending UDP flow; its first datagrams (kept, bounded) are readable.
    pub fn accept_udp(
        &mut self,
        now: Instant,
        flow: FlowId,
        options: &UdpOptions,
    ) -> Result<UdpId, AcceptError> {
        unimplemented!()
    }
    /// Turns a flow away.
    pub fn refuse(&mut self, now: Instant, flow: FlowId, how: Refusal) -> Result<(), AcceptError> {
        unimplemented!()
    }
    /// The next echo request to an address that is not ours.
    pub fn receive_echo(&mut self) -> Option<EchoRequest> {
        unimplemented!()
    }
    /// Answers one, as its destination.
    pub fn reply_echo(&mut self, now: Instant, request: &EchoRequest, payload: Bytes) {
        unimplemented!()
    }
    /// Answers one with an ICMP error from `offender`.
    pub fn refuse_echo(
        &mut self,
        now: Instant,
        request: &EchoRequest,
        why: Unreachable,
        offender: Option<IpAddr>,
    ) {
        unimplemented!()
    }
}

/// UDP.
impl Stack {
    pub fn call_udp_bind(
        &mut self,
        local: SocketAddr,
        options: &UdpOptions,
    ) -> Result<UdpId, BindError> {
        unimplemented!()
    }
    pub fn call_udp_connect(&mut self, id: UdpId, remote: SocketAddr) -> Result<(), UdpSendError> {
        unimplemented!()
    }
    /// `meta.local` may name another source than the socket's own on accepted flows and gateways.
    pub fn call_udp_send(
        &mut self,
        now: Instant,
        id: UdpId,
        payload: Bytes,
        meta: Option<UdpMeta>,
    ) -> Result<(), UdpSendError> {
        unimplemented!()
    }
    pub fn call_udp_receive(&mut self, id: UdpId) -> Result<(Bytes, UdpMeta), ReceiveError> {
        unimplemented!()
    }
    pub fn call_udp_peek(&self, id: UdpId) -> Result<(Bytes, UdpMeta), ReceiveError> {
        unimplemented!()
    }
    /// Answers a datagram that `id` received (source `meta.remote`, destination `meta.local`) with an ICMP error: what a relay learned outside.
    pub fn call_udp_refuse(
        &mut self,
        now: Instant,
        id: UdpId,
        meta: &UdpMeta,
        why: Unreachable,
        offender: Option<IpAddr>,
    ) -> Result<(), NoSuchSocket> {
        unimplemented!()
    }
    pub fn take_udp_error(&mut self, id: UdpId) -> Result<Option<UdpError>, NoSuchSocket> {
        unimplemented!()
    }
    pub fn udp_local(&self, id: UdpId) -> Result<SocketAddr, NoSuchSocket> {
        unimplemented!()
    }
    pub fn udp_remote(&self, id: UdpId) -> Result<Option<SocketAddr>, NoSuchSocket> {
        unimplemented!()
    }
    pub fn udp_readiness(&self, id: UdpId) -> Result<Readiness, NoSuchSocket> {
        unimplemented!()
    }
    pub fn udp_options(&self, id: UdpId) -> Result<UdpOptions, NoSuchSocket> {
        unimplemented!()
    }
    pub fn set_udp_options(&mut self, id: UdpId, options: &UdpOptions) -> Result<(), NoSuchSocket> {
        unimplemented!()
    }
    pub fn call_udp_close(&mut self, id: UdpId) -> Result<(), NoSuchSocket> {
        unimplemented!()
    }
}

/// What it knows of itself.
impl Stack {
    pub fn stats(&self) -> &Stats {
        unimplemented!()
    }
    pub fn sockets(&self) -> impl Iterator<Item = SocketEntry> {
        core::iter::empty()
    }
    pub fn config(&self) -> &Config {
        unimplemented!()
    }
}

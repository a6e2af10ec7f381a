//! Ping sockets: what an application asks, and answers that arrive.

use core::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use switchboard_wire::Instant;
use switchboard_wire::icmp::{Echo, HEADER_LEN};

use super::Stack;
use super::inputs::Admitted;
use super::packet_sockets::{WAITING_MAX, packet_datagram, packet_meta};
use crate::config::PacketOptions;
use crate::demux::addresses::Destination;
use crate::demux::plain;
use crate::drop_reason::DropReason;
use crate::error::{BindError, NoSuchSocket, PacketSendError, ReceiveError};
use crate::event::Readiness;
use crate::ip::egress::Message;
use crate::ip::icmp;
use crate::raw::socket::{Kind, PacketSocket};
use crate::socket::{EchoReply, PacketError, PacketMeta, PingId};

/// Ping sockets.
impl Stack {
    /// Binds a ping socket: the port of `local` is the identifier of its echo requests, 0 picks
    /// one that is free; an unspecified address takes answers to all of ours, and says which
    /// family it speaks.
    ///
    /// # Errors
    ///
    /// [`BindError`].
    pub fn call_ping_bind(
        &mut self,
        local: SocketAddr,
        options: &PacketOptions,
    ) -> Result<PingId, BindError> {
        let local = plain(local);
        let (address, ipv6) = (local.ip(), local.is_ipv6());
        self.check_packet_bind(address)?;
        let identifier = match local.port() {
            0 => self.free_identifier(ipv6).ok_or(BindError::AddressInUse)?,
            asked if self.pings.find(ipv6, asked).is_some() => {
                return Err(BindError::AddressInUse);
            }
            asked => asked,
        };
        let socket = PacketSocket::new(Kind::Ping { identifier }, address, options);
        let key = self.packet_sockets.insert(socket);
        self.pings.insert(ipv6, identifier, key);
        Ok(self.ping_id(key))
    }

    /// An identifier that nobody has, from a random one on.
    fn free_identifier(&mut self, ipv6: bool) -> Option<u16> {
        let start = self.entropy.secret_u64() as u16;
        (0..=u16::MAX)
            .map(|tries| start.wrapping_add(tries))
            .find(|identifier| *identifier != 0 && self.pings.find(ipv6, *identifier).is_none())
    }

    /// Hears `remote` only from now on, and pings it where nobody else is named; hears of
    /// errors by its next call. An unspecified address ends that.
    ///
    /// # Errors
    ///
    /// [`PacketSendError::NoRoute`], `NoSuchSocket`.
    pub fn call_ping_connect(&mut self, id: PingId, remote: IpAddr) -> Result<(), PacketSendError> {
        let remote = plain(SocketAddr::new(remote, 0)).ip();
        let has_route = remote.is_unspecified() || self.has_route(remote);
        let (_, socket) = self
            .packet_socket_mut(id)
            .ok_or(PacketSendError::NoSuchSocket)?;
        if !has_route || socket.ipv6 != remote.is_ipv6() {
            return Err(PacketSendError::NoRoute);
        }
        socket.remote = Some(remote).filter(|remote| !remote.is_unspecified());
        Ok(())
    }

    /// Sends an echo request.
    ///
    /// # Errors
    ///
    /// [`PacketSendError`]. After `WouldBlock`, `WRITABLE` follows.
    pub fn call_ping_send(
        &mut self,
        now: Instant,
        id: PingId,
        sequence: u16,
        payload: Bytes,
        meta: Option<PacketMeta>,
    ) -> Result<(), PacketSendError> {
        self.check_packet_send(id)?;
        let (_, socket) = self
            .packet_socket(id)
            .ok_or(PacketSendError::NoSuchSocket)?;
        let (ipv6, kind) = (socket.ipv6, socket.kind);
        let Kind::Ping { identifier } = kind else {
            return Err(PacketSendError::NoSuchSocket);
        };
        let ip = self.packet_head(id, meta, icmp::protocol(ipv6))?;
        self.check_packet_length(now, &ip, HEADER_LEN + payload.len())?;
        let echo = Echo {
            identifier,
            sequence,
        };
        let message = Message::icmp(icmp::echo_request(echo, ipv6), payload, ipv6);
        self.stats.packets_from_sockets += 1;
        self.emit_message(now, ip, message);
        Ok(())
    }

    /// The oldest answer that waits.
    ///
    /// # Errors
    ///
    /// [`ReceiveError::WouldBlock`], `NoSuchSocket`.
    pub fn call_ping_receive(&mut self, id: PingId) -> Result<EchoReply, ReceiveError> {
        let datagram = self.packet_receive(id)?;
        Ok(EchoReply {
            sequence: datagram.meta.remote.port(),
            meta: packet_meta(&datagram.meta),
            payload: datagram.payload,
        })
    }

    /// The oldest ICMP error that one of its requests drew, once; on the way of a traceroute
    /// "time exceeded", from each router.
    ///
    /// # Errors
    ///
    /// [`NoSuchSocket`].
    pub fn take_ping_error(&mut self, id: PingId) -> Result<Option<PacketError>, NoSuchSocket> {
        let (_, socket) = self.packet_socket_mut(id).ok_or(NoSuchSocket)?;
        Ok(socket.pop_error().map(|error| PacketError {
            why: error.why,
            offender: error.offender,
            remote: error.remote.ip(),
            sequence: Some(error.remote.port()),
        }))
    }

    /// Where it is bound; the port is its identifier.
    ///
    /// # Errors
    ///
    /// [`NoSuchSocket`].
    pub fn ping_local(&self, id: PingId) -> Result<SocketAddr, NoSuchSocket> {
        let (_, socket) = self.packet_socket(id).ok_or(NoSuchSocket)?;
        let Kind::Ping { identifier } = socket.kind else {
            return Err(NoSuchSocket);
        };
        Ok(SocketAddr::new(socket.local, identifier))
    }

    /// Whom it is connected to.
    ///
    /// # Errors
    ///
    /// [`NoSuchSocket`].
    pub fn ping_remote(&self, id: PingId) -> Result<Option<IpAddr>, NoSuchSocket> {
        let (_, socket) = self.packet_socket(id).ok_or(NoSuchSocket)?;
        Ok(socket.remote)
    }

    /// What is true now.
    ///
    /// # Errors
    ///
    /// [`NoSuchSocket`].
    pub fn ping_readiness(&self, id: PingId) -> Result<Readiness, NoSuchSocket> {
        let (_, socket) = self.packet_socket(id).ok_or(NoSuchSocket)?;
        Ok(socket.readiness(self.outbox.len() < WAITING_MAX))
    }

    /// Its options.
    ///
    /// # Errors
    ///
    /// [`NoSuchSocket`].
    pub fn ping_options(&self, id: PingId) -> Result<PacketOptions, NoSuchSocket> {
        let (_, socket) = self.packet_socket(id).ok_or(NoSuchSocket)?;
        Ok(socket.options)
    }

    /// Changes its options.
    ///
    /// # Errors
    ///
    /// [`NoSuchSocket`].
    pub fn set_ping_options(
        &mut self,
        id: PingId,
        options: &PacketOptions,
    ) -> Result<(), NoSuchSocket> {
        let (_, socket) = self.packet_socket_mut(id).ok_or(NoSuchSocket)?;
        socket.options = *options;
        Ok(())
    }

    /// The application lets go. The handle is stale afterwards.
    ///
    /// # Errors
    ///
    /// [`NoSuchSocket`].
    pub fn call_ping_close(&mut self, id: PingId) -> Result<(), NoSuchSocket> {
        let (key, _) = self.packet_socket(id).ok_or(NoSuchSocket)?;
        self.close_packet_socket(key);
        Ok(())
    }

    /// An echo reply: for whoever asked with that identifier.
    pub(super) fn echo_reply_arrives(&mut self, admitted: &Admitted<'_>, echo: Echo) {
        let packet = &admitted.packet;
        let key = self
            .pings
            .find(packet.is_ipv6(), echo.identifier)
            .filter(|_| admitted.destination == Destination::Ours)
            .filter(|key| {
                let socket = self.packet_sockets.get(*key);
                socket.is_some_and(|socket| socket.hears(packet.source, packet.destination))
            });
        let Some(key) = key else {
            return self.drop_packet(DropReason::IcmpIgnored);
        };
        let payload = super::icmp_in::echo_payload(admitted);
        self.packet_to_socket(key, packet_datagram(admitted, payload, echo.sequence));
    }
}

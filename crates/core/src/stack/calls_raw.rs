//! Raw sockets: what an application asks, and packets that arrive.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::Bytes;
use switchboard_wire::checksum;
use switchboard_wire::icmp::CHECKSUM_AT;
use switchboard_wire::ip::IpProtocol;
use switchboard_wire::ipv4::Ipv4Header;
use switchboard_wire::{Instant, Malformed, Transmit};

use super::Stack;
use super::inputs::Admitted;
use super::packet_sockets::{WAITING_MAX, packet_datagram, packet_meta};
use crate::config::{IpVersion, PacketOptions};
use crate::demux::plain;
use crate::error::{BindError, NoSuchSocket, PacketSendError, ReceiveError};
use crate::event::Readiness;
use crate::ip::egress::{IpHead, Message};
use crate::raw::socket::{Kind, PacketSocket};
use crate::slab::Key;
use crate::socket::{PacketError, PacketMeta, RawId};

/// Raw sockets, as Linux's.
impl Stack {
    /// Opens a raw socket. It gets a copy of every packet of `protocol` that comes in here, its
    /// IP header included over IPv4 and left out over IPv6, whole again where it was fragmented,
    /// before the transport sees it and whatever that makes of it.
    ///
    /// # Errors
    ///
    /// [`BindError::NoBuffers`].
    pub fn call_raw_open(
        &mut self,
        version: IpVersion,
        protocol: IpProtocol,
        options: &PacketOptions,
    ) -> Result<RawId, BindError> {
        let any = match version {
            IpVersion::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpVersion::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        self.check_packet_bind(any)?;
        let socket = PacketSocket::new(Kind::Raw { protocol }, any, options);
        let key = self.packet_sockets.insert(socket);
        self.raws.insert(any.is_ipv6(), protocol, key);
        Ok(self.raw_id(key))
    }

    /// Hears packets to `local` only, and sends from there. Unspecified: all addresses.
    ///
    /// # Errors
    ///
    /// [`BindError::AddressNotAvailable`]; also where the handle is stale.
    pub fn call_raw_bind(&mut self, id: RawId, local: IpAddr) -> Result<(), BindError> {
        let may = self.may_bind(local);
        let socket = self.packet_socket_mut(id).map(|(_, socket)| socket);
        let socket = socket.filter(|socket| may && socket.ipv6 == local.is_ipv6());
        socket.ok_or(BindError::AddressNotAvailable)?.local = local;
        Ok(())
    }

    /// Hears `remote` only from now on, and sends there where nobody else is named; hears of
    /// ICMP errors about what it sent there. An unspecified address ends that.
    ///
    /// # Errors
    ///
    /// [`PacketSendError::NoRoute`], `NoSuchSocket`.
    pub fn call_raw_connect(&mut self, id: RawId, remote: IpAddr) -> Result<(), PacketSendError> {
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

    /// Sends what follows an IP header, or with `PacketOptions::header_included` a whole IPv4
    /// packet, in which length, checksum, and, where they are zero, source and identification
    /// are filled in. ICMPv6 gets its checksum, which needs the addresses (RFC 3542 section
    /// 3.1).
    ///
    /// # Errors
    ///
    /// [`PacketSendError`]. After `WouldBlock`, `WRITABLE` follows.
    pub fn call_raw_send(
        &mut self,
        now: Instant,
        id: RawId,
        payload: Bytes,
        meta: Option<PacketMeta>,
    ) -> Result<(), PacketSendError> {
        self.check_packet_send(id)?;
        let (_, socket) = self
            .packet_socket(id)
            .ok_or(PacketSendError::NoSuchSocket)?;
        let (ipv6, kind) = (socket.ipv6, socket.kind);
        let header_included = socket.options.header_included && !ipv6;
        let Kind::Raw { protocol } = kind else {
            return Err(PacketSendError::NoSuchSocket);
        };
        if header_included {
            return self.send_whole(now, &payload);
        }
        let ip = self.packet_head(id, meta, protocol)?;
        self.check_packet_length(now, &ip, payload.len())?;
        let payload = if protocol == IpProtocol::ICMPV6 && ipv6 {
            summed(&ip, &payload)
        } else {
            payload
        };
        self.stats.packets_from_sockets += 1;
        self.emit_message(now, ip, Message::bare(payload));
        Ok(())
    }

    /// Sends a packet whose header the application wrote.
    fn send_whole(&mut self, now: Instant, packet: &[u8]) -> Result<(), PacketSendError> {
        let mut octets = Vec::from(packet);
        let malformed = PacketSendError::Malformed;
        let words = octets.first().ok_or(malformed(Malformed::Empty))? & 0xf;
        let header_len = usize::from(words) * 4;
        let len = u16::try_from(octets.len()).map_err(|_| PacketSendError::TooLong {
            limit: usize::from(u16::MAX),
        })?;
        let header = octets.get_mut(..header_len.max(20));
        let header = header.ok_or(malformed(Malformed::Ipv4Truncated))?;
        // Not a rule of the format yet: the checksum is filled in first.
        if let [_, _, l0, l1, _, _, _, _, _, _, c0, c1, ..] = header {
            [*l0, *l1] = len.to_be_bytes();
            [*c0, *c1] = [0, 0];
        }
        let sum = checksum::checksum(header).to_be_bytes();
        if let Some(field) = header.get_mut(10..12) {
            field.copy_from_slice(&sum);
        }
        let mut header = Ipv4Header::parse(&octets).map_err(malformed)?;
        let destination = IpAddr::V4(header.destination);
        if !self.has_route(destination) {
            return Err(PacketSendError::NoRoute);
        }
        let limit = self.mtu_to(destination, now);
        if octets.len() > limit {
            return Err(PacketSendError::TooLong { limit });
        }
        if header.source.is_unspecified() {
            let source = self.addresses.source_for(destination);
            let Some(IpAddr::V4(source)) = source else {
                return Err(PacketSendError::NoRoute);
            };
            header.source = source;
        }
        if header.identification == 0 {
            let ids = &mut self.identifications;
            let next = ids.next(header.source.into(), destination, header.protocol);
            header.identification = next as u16;
        }
        let mut transmit = Transmit::default();
        header.emit(&mut transmit.head);
        let body = Bytes::from(octets).slice(header_len.min(usize::from(len))..);
        if !body.is_empty() {
            transmit.payload.push(body);
        }
        let (way, _) = self.way_to(destination);
        self.stats.packets_from_sockets += 1;
        self.push_out(way, transmit);
        Ok(())
    }

    /// The oldest packet that waits: see [`Self::call_raw_open`] for what is in it.
    ///
    /// # Errors
    ///
    /// [`ReceiveError::WouldBlock`], `NoSuchSocket`.
    pub fn call_raw_receive(&mut self, id: RawId) -> Result<(Bytes, PacketMeta), ReceiveError> {
        let datagram = self.packet_receive(id)?;
        Ok((datagram.payload, packet_meta(&datagram.meta)))
    }

    /// The oldest ICMP error about what it sent to the peer that it is connected to, once.
    ///
    /// # Errors
    ///
    /// [`NoSuchSocket`].
    pub fn take_raw_error(&mut self, id: RawId) -> Result<Option<PacketError>, NoSuchSocket> {
        let (_, socket) = self.packet_socket_mut(id).ok_or(NoSuchSocket)?;
        Ok(socket.pop_error().map(|error| PacketError {
            why: error.why,
            offender: error.offender,
            remote: error.remote.ip(),
            sequence: None,
        }))
    }

    /// Where it is bound; unspecified where nowhere.
    ///
    /// # Errors
    ///
    /// [`NoSuchSocket`].
    pub fn raw_local(&self, id: RawId) -> Result<IpAddr, NoSuchSocket> {
        let (_, socket) = self.packet_socket(id).ok_or(NoSuchSocket)?;
        Ok(socket.local)
    }

    /// Whom it is connected to.
    ///
    /// # Errors
    ///
    /// [`NoSuchSocket`].
    pub fn raw_remote(&self, id: RawId) -> Result<Option<IpAddr>, NoSuchSocket> {
        let (_, socket) = self.packet_socket(id).ok_or(NoSuchSocket)?;
        Ok(socket.remote)
    }

    /// What is true now.
    ///
    /// # Errors
    ///
    /// [`NoSuchSocket`].
    pub fn raw_readiness(&self, id: RawId) -> Result<Readiness, NoSuchSocket> {
        let (_, socket) = self.packet_socket(id).ok_or(NoSuchSocket)?;
        Ok(socket.readiness(self.outbox.len() < WAITING_MAX))
    }

    /// Its options.
    ///
    /// # Errors
    ///
    /// [`NoSuchSocket`].
    pub fn raw_options(&self, id: RawId) -> Result<PacketOptions, NoSuchSocket> {
        let (_, socket) = self.packet_socket(id).ok_or(NoSuchSocket)?;
        Ok(socket.options)
    }

    /// Changes its options.
    ///
    /// # Errors
    ///
    /// [`NoSuchSocket`].
    pub fn set_raw_options(
        &mut self,
        id: RawId,
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
    pub fn call_raw_close(&mut self, id: RawId) -> Result<(), NoSuchSocket> {
        let (key, _) = self.packet_socket(id).ok_or(NoSuchSocket)?;
        self.close_packet_socket(key);
        Ok(())
    }

    /// Raw sockets get their copies. Whether any of them heard it.
    pub(super) fn raw_arrives(&mut self, admitted: &Admitted<'_>) -> bool {
        let (packet, ipv6) = (&admitted.packet, admitted.packet.is_ipv6());
        let hears = |key: &Key| {
            let socket = self.packet_sockets.get(*key);
            socket.is_some_and(|socket| socket.hears(packet.source, packet.destination))
        };
        let all = self.raws.find(ipv6, packet.protocol).iter().copied();
        let keys: Vec<Key> = all.filter(hears).collect();
        let end = packet.total_len().min(admitted.rx.bytes.len());
        let start = if ipv6 { packet.header_len.min(end) } else { 0 };
        let Some((first, others)) = keys.split_first() else {
            return false;
        };
        let datagram = packet_datagram(admitted, admitted.rx.bytes.slice(start..end), 0);
        for key in others {
            self.packet_to_socket(*key, datagram.clone());
        }
        self.packet_to_socket(*first, datagram);
        true
    }
}

/// An ICMPv6 message with its checksum; one that is too short for one as it is.
fn summed(ip: &IpHead, message: &Bytes) -> Bytes {
    let mut octets = Vec::from(&message[..]);
    let at = usize::from(CHECKSUM_AT);
    if let Some(field) = octets.get_mut(at..at + 2) {
        field.fill(0);
        let sum = ip.pseudo(message.len()).plus(&octets).checksum();
        if let Some(field) = octets.get_mut(at..at + 2) {
            field.copy_from_slice(&sum.to_be_bytes());
        }
    }
    octets.into()
}

//! What raw and ping sockets share: arrivals, errors, room, news, closing.

use core::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use switchboard_wire::Instant;
use switchboard_wire::icmp::Quote;
use switchboard_wire::ip::IpProtocol;
use switchboard_wire::packet::IP_PACKET_MAX;

use super::Stack;
use super::inputs::Admitted;
use crate::demux::addresses::Destination;
use crate::demux::plain;
use crate::drop_reason::DropReason;
use crate::error::{BindError, PacketSendError, ReceiveError, Unreachable};
use crate::event::{Event, Readiness};
use crate::ip::egress::{IpHead, ip_header_len};
use crate::raw::socket::{Kind, PacketSocket};
use crate::ready::Who;
use crate::slab::Key;
use crate::socket::{PacketMeta, PingId, RawId, UdpError, UdpMeta};
use crate::udp::queue::Datagram;

/// Packets that may wait for the device before raw and ping sockets are told to wait.
pub(super) const WAITING_MAX: usize = 256;

/// A handle of either kind.
#[derive(Clone, Copy, Debug)]
pub(super) enum PacketId {
    Ping(PingId),
    Raw(RawId),
}

impl From<PingId> for PacketId {
    fn from(id: PingId) -> Self {
        Self::Ping(id)
    }
}

impl From<RawId> for PacketId {
    fn from(id: RawId) -> Self {
        Self::Raw(id)
    }
}

impl Stack {
    /// Makes room for one more socket, or says why it cannot be bound to `local`.
    pub(super) fn check_packet_bind(&self, local: IpAddr) -> Result<(), BindError> {
        if !self.may_bind(local) {
            return Err(BindError::AddressNotAvailable);
        }
        if self.packet_sockets.len() >= self.config.limits.packet_sockets {
            return Err(BindError::NoBuffers);
        }
        Ok(())
    }

    pub(super) fn packet_socket(&self, id: impl Into<PacketId>) -> Option<(Key, &PacketSocket)> {
        let (key, is_ping) = self.packet_key(id.into())?;
        let socket = self.packet_sockets.get(key)?;
        (matches!(socket.kind, Kind::Ping { .. }) == is_ping).then_some((key, socket))
    }

    pub(super) fn packet_socket_mut(
        &mut self,
        id: impl Into<PacketId>,
    ) -> Option<(Key, &mut PacketSocket)> {
        let (key, is_ping) = self.packet_key(id.into())?;
        let socket = self.packet_sockets.get_mut(key)?;
        (matches!(socket.kind, Kind::Ping { .. }) == is_ping).then_some((key, socket))
    }

    fn packet_key(&self, id: PacketId) -> Option<(Key, bool)> {
        Some(match id {
            PacketId::Ping(id) => (self.key_of(id.shard, id.index, id.generation)?, true),
            PacketId::Raw(id) => (self.key_of(id.shard, id.index, id.generation)?, false),
        })
    }

    pub(super) fn packet_event(&mut self, key: Key) -> Option<Event> {
        let socket = self.packet_sockets.get_mut(key)?;
        let news = core::mem::take(&mut socket.news);
        let kind = socket.kind;
        if news.is_empty() {
            return None;
        }
        Some(match kind {
            Kind::Ping { .. } => Event::Ping(self.ping_id(key), news),
            Kind::Raw { .. } => Event::Raw(self.raw_id(key), news),
        })
    }

    fn tell_packet(&mut self, key: Key, news: Readiness) {
        let Some(socket) = self.packet_sockets.get_mut(key) else {
            return;
        };
        if socket.news.is_empty() {
            self.events.push(Who::Packet(key));
        }
        socket.news |= news;
    }

    /// A packet for a socket that hears it.
    pub(super) fn packet_to_socket(&mut self, key: Key, datagram: Datagram) {
        if self.is_out_of_memory() {
            return self.drop_packet(DropReason::OutOfMemory);
        }
        let Some(socket) = self.packet_sockets.get_mut(key) else {
            return;
        };
        let max = socket.options.receive_buffer;
        match socket.received.push(datagram, max, &mut self.spare) {
            Ok(charge) => {
                self.recharge(0, charge);
                self.stats.packets_to_sockets += 1;
                self.tell_packet(key, Readiness::READABLE);
            }
            Err(_) => self.drop_packet(DropReason::ReceiveBufferFull),
        }
    }

    pub(super) fn packet_receive(
        &mut self,
        id: impl Into<PacketId>,
    ) -> Result<Datagram, ReceiveError> {
        let (key, _) = self.packet_socket(id).ok_or(ReceiveError::NoSuchSocket)?;
        let socket = self.packet_sockets.get_mut(key);
        let socket = socket.ok_or(ReceiveError::NoSuchSocket)?;
        let datagram = socket
            .received
            .pop(&mut self.spare)
            .ok_or(ReceiveError::WouldBlock)?;
        self.recharge(datagram.charge, 0);
        self.wake_waiters();
        Ok(datagram)
    }

    /// What an ICMP error quotes may have been sent by a ping or raw socket.
    pub(super) fn error_to_packet_sockets(
        &mut self,
        now: Instant,
        why: Unreachable,
        offender: IpAddr,
        quote: &Quote<'_>,
    ) -> bool {
        let ipv6 = quote.destination.is_ipv6();
        let echo = quote.echo();
        let ping = echo.and_then(|echo| self.pings.find(ipv6, echo.identifier));
        // Raw sockets hear of their peer only: an error names no socket.
        let raw = self.raws.find(ipv6, quote.protocol).iter().copied();
        let connected = raw.filter(|key| {
            let socket = self.packet_sockets.get(*key);
            socket.is_some_and(|socket| socket.remote == Some(quote.destination))
        });
        let keys: alloc::vec::Vec<Key> = ping.into_iter().chain(connected).collect();
        let sequence = echo.map_or(0, |echo| echo.sequence);
        let error = UdpError {
            why,
            offender,
            remote: SocketAddr::new(quote.destination, sequence),
        };
        for key in &keys {
            if let Some(socket) = self.packet_sockets.get_mut(*key) {
                socket.push_error(error);
            }
            self.tell_packet(*key, Readiness::ERROR | Readiness::READABLE);
        }
        if !keys.is_empty() {
            self.learn_path_mtu(now, why, quote);
        }
        !keys.is_empty()
    }

    /// Whether a socket may send now: an earlier error first, then room. After `WouldBlock`,
    /// `WRITABLE` follows.
    pub(super) fn check_packet_send(
        &mut self,
        id: impl Into<PacketId>,
    ) -> Result<(), PacketSendError> {
        let is_full = self.outbox.len() >= WAITING_MAX;
        let (key, socket) = self
            .packet_socket_mut(id)
            .ok_or(PacketSendError::NoSuchSocket)?;
        if socket.remote.is_some()
            && let Some(error) = socket.pop_error()
        {
            return Err(PacketSendError::Unreachable(error.why));
        }
        if is_full {
            if !core::mem::replace(&mut socket.wants_room, true) {
                self.packet_waiters.push(key);
            }
            return Err(PacketSendError::WouldBlock);
        }
        Ok(())
    }

    /// The device's queue is short again.
    pub(super) fn wake_packet_waiters(&mut self) {
        for key in core::mem::take(&mut self.packet_waiters) {
            if let Some(socket) = self.packet_sockets.get_mut(key) {
                socket.wants_room = false;
                self.tell_packet(key, Readiness::WRITABLE);
            }
        }
    }

    /// The header of what a socket sends, where the caller left things open.
    pub(super) fn packet_head(
        &self,
        id: impl Into<PacketId>,
        meta: Option<PacketMeta>,
        protocol: IpProtocol,
    ) -> Result<IpHead, PacketSendError> {
        let (_, socket) = self
            .packet_socket(id)
            .ok_or(PacketSendError::NoSuchSocket)?;
        let asked = meta.map(|meta| plain(SocketAddr::new(meta.remote, 0)).ip());
        let remote = asked
            .filter(|remote| !remote.is_unspecified())
            .or(socket.remote)
            .ok_or(PacketSendError::NotConnected)?;
        if remote.is_ipv6() != socket.ipv6 || !self.has_route(remote) {
            return Err(PacketSendError::NoRoute);
        }
        let options = &socket.options;
        let to_all = self.addresses.classify(remote) == Destination::Broadcast;
        if to_all && !options.broadcast {
            return Err(PacketSendError::BroadcastNotAllowed);
        }
        let own = SocketAddr::new(socket.local, 0);
        let local = meta.map(|meta| SocketAddr::new(meta.local, 0));
        let source = self
            .udp_source(local, own, remote)
            .ok_or(PacketSendError::NoRoute)?;
        let mut ip = self.ip_head(source.ip(), remote, protocol);
        let of_socket = if remote.is_multicast() {
            Some(options.multicast_hop_limit)
        } else {
            options.hop_limit
        };
        let hop_limit = meta.and_then(|meta| meta.hop_limit).or(of_socket);
        ip.hop_limit = hop_limit.unwrap_or(ip.hop_limit);
        let class = meta.and_then(|meta| meta.traffic_class);
        ip.traffic_class = class.unwrap_or(options.traffic_class);
        ip.dont_fragment = meta.is_some_and(|meta| meta.dont_fragment);
        Ok(ip)
    }

    /// Whether `len` octets behind the IP header may leave so.
    pub(super) fn check_packet_length(
        &self,
        now: Instant,
        ip: &IpHead,
        len: usize,
    ) -> Result<(), PacketSendError> {
        let header = ip_header_len(ip.is_ipv6());
        let longest = if ip.dont_fragment {
            self.mtu_to(ip.destination, now)
        } else {
            IP_PACKET_MAX
        };
        let limit = longest - header.min(longest);
        if len > limit {
            return Err(PacketSendError::TooLong { limit });
        }
        Ok(())
    }

    /// The application lets go of a socket.
    pub(super) fn close_packet_socket(&mut self, key: Key) {
        let Some(socket) = self.packet_sockets.remove(key) else {
            return;
        };
        match socket.kind {
            Kind::Ping { identifier } => self.pings.remove(socket.ipv6, identifier),
            Kind::Raw { protocol } => self.raws.remove(socket.ipv6, protocol, key),
        }
        self.recharge(socket.received.charged(), 0);
        self.wake_waiters();
    }
}

/// What a packet that arrived brings: `payload` of it, and `port` in the place of one.
pub(super) fn packet_datagram(admitted: &Admitted<'_>, payload: Bytes, port: u16) -> Datagram {
    let packet = &admitted.packet;
    let meta = UdpMeta {
        remote: SocketAddr::new(packet.source, port),
        local: SocketAddr::new(packet.destination, 0),
        hop_limit: Some(packet.hop_limit),
        traffic_class: Some(packet.traffic_class),
        dont_fragment: packet.dont_fragment && !packet.is_ipv6(),
        segment_size: None,
    };
    Datagram::received(payload, admitted.rx.slot_size, meta)
}

/// The same in the application's words.
pub(super) fn packet_meta(meta: &UdpMeta) -> PacketMeta {
    PacketMeta {
        remote: meta.remote.ip(),
        local: meta.local.ip(),
        hop_limit: meta.hop_limit,
        traffic_class: meta.traffic_class,
        dont_fragment: meta.dont_fragment,
    }
}

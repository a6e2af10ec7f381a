//! UDP: what an application asks.

use core::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use switchboard_wire::Instant;
use switchboard_wire::packet::IP_PACKET_MAX;
use switchboard_wire::udp::HEADER_LEN;

use super::Stack;
use super::emit::Limited;
use crate::config::UdpOptions;
use crate::demux::addresses::{Destination, unspecified};
use crate::demux::plain;
use crate::demux::ports::{EPHEMERAL_COUNT, EPHEMERAL_FIRST};
use crate::demux::udp_table::{Source, places};
use crate::error::{BindError, NoSuchSocket, ReceiveError, UdpSendError, Unreachable};
use crate::event::Readiness;
use crate::ip::egress::{ip_header_len, udp_payload_max};
use crate::ip::icmp;
use crate::limits::UDP_SEGMENTS_MAX;
use crate::ready::Who;
use crate::slab::Key;
use crate::socket::{Refusal, UdpError, UdpId, UdpMeta};
use crate::udp::queue::Datagram;
use crate::udp::socket::UdpSocket;

/// UDP.
impl Stack {
    /// Binds a datagram socket to `local`; port 0 picks one, an unspecified address takes all
    /// of ours.
    ///
    /// # Errors
    ///
    /// [`BindError`].
    pub fn call_udp_bind(
        &mut self,
        local: SocketAddr,
        options: &UdpOptions,
    ) -> Result<UdpId, BindError> {
        let mut local = plain(local);
        if !self.may_bind(local.ip()) {
            return Err(BindError::AddressNotAvailable);
        }
        if self.udp.len() >= self.config.limits.udp_sockets {
            return Err(BindError::NoBuffers);
        }
        if local.port() == 0 {
            let port = self.free_udp_port(local, options);
            local.set_port(port.ok_or(BindError::AddressInUse)?);
        } else if !self.is_udp_free(local, options) {
            return Err(BindError::AddressInUse);
        }
        let key = self.udp.insert(UdpSocket::new(local, options));
        let (places, count) = places(local, options.only_v6);
        for place in places.into_iter().take(count) {
            self.udp_table.bind(place, key);
        }
        Ok(self.udp_id(key))
    }

    /// Our own addresses, all of them, a group; a gateway stands in for every address.
    pub(super) fn may_bind(&self, address: IpAddr) -> bool {
        address.is_unspecified()
            || self.config.any_address
            || self.addresses.classify(address) != Destination::Foreign
    }

    /// Whether a socket with `options` may have `local`: sharing takes `SO_REUSEADDR` on both
    /// sides. The wildcard and an address may both have a port: the address is asked first.
    fn is_udp_free(&self, local: SocketAddr, options: &UdpOptions) -> bool {
        let (places, count) = places(local, options.only_v6);
        let places = places.get(..count).unwrap_or_default();
        self.udp_table.holders(places).all(|key| {
            let other = self.udp.get(key);
            options.reuse_address && other.is_none_or(|other| other.options.reuse_address)
        })
    }

    /// A port that nobody has, from a random place on (RFC 6056 section 3.3.1).
    fn free_udp_port(&mut self, local: SocketAddr, options: &UdpOptions) -> Option<u16> {
        let exclusive = UdpOptions {
            reuse_address: false,
            ..*options
        };
        let start = self.entropy.secret_u64() % u64::from(EPHEMERAL_COUNT);
        let range = u64::from(EPHEMERAL_COUNT);
        (0..range).find_map(|tries| {
            let place = u16::try_from((start + tries) % range).ok()?;
            let port = EPHEMERAL_FIRST + place;
            let local = SocketAddr::new(local.ip(), port);
            self.is_udp_free(local, &exclusive).then_some(port)
        })
    }

    /// Hears `remote` only from now on, and sends there where nothing else is said. An
    /// unspecified address or port 0 ends that.
    ///
    /// # Errors
    ///
    /// [`UdpSendError::NoRoute`], `BroadcastNotAllowed` and `NoSuchSocket`.
    pub fn call_udp_connect(&mut self, id: UdpId, remote: SocketAddr) -> Result<(), UdpSendError> {
        let (key, socket) = self.udp_socket(id).ok_or(UdpSendError::NoSuchSocket)?;
        let remote = plain(remote);
        let is_none = remote.ip().is_unspecified() || remote.port() == 0;
        if !is_none && !self.has_route(remote.ip()) {
            return Err(UdpSendError::NoRoute);
        }
        self.check_broadcast(remote.ip(), &socket.options)?;
        self.leave_peer(key);
        let own = self.udp_own(key).ok_or(UdpSendError::NoSuchSocket)?;
        let source = self.udp_source(None, own, remote.ip());
        let Some(socket) = self.udp.get_mut(key) else {
            return Err(UdpSendError::NoSuchSocket);
        };
        if is_none {
            return Ok(());
        }
        let local = source.ok_or(UdpSendError::NoRoute)?;
        socket.remote = Some(remote);
        self.udp_table.connect(local, remote, key);
        Ok(())
    }

    /// Ends a connected socket's tie to its peer.
    fn leave_peer(&mut self, key: Key) {
        let Some(own) = self.udp_own(key) else { return };
        let Some(peer) = self
            .udp
            .get_mut(key)
            .and_then(|socket| socket.remote.take())
        else {
            return;
        };
        if let Some(local) = self.udp_source(None, own, peer.ip()) {
            self.udp_table.disconnect(local, peer, key);
        }
    }

    fn udp_own(&self, key: Key) -> Option<SocketAddr> {
        self.udp.get(key).map(|socket| socket.local)
    }

    /// Sends one datagram, or with `meta.segment_size` several. `meta.local` may name another source than the socket's own on
    /// accepted flows and gateways.
    ///
    /// # Errors
    ///
    /// [`UdpSendError`]. After `WouldBlock`, `WRITABLE` follows.
    pub fn call_udp_send(
        &mut self,
        now: Instant,
        id: UdpId,
        payload: Bytes,
        meta: Option<UdpMeta>,
    ) -> Result<(), UdpSendError> {
        let (key, socket) = self.udp_socket_mut(id).ok_or(UdpSendError::NoSuchSocket)?;
        // A connected socket hears of the error that an earlier datagram drew (RFC 1122
        // section 4.1.3.3); others ask for it, as it may be about any of their peers.
        if socket.remote.is_some()
            && let Some(error) = socket.pop_error()
        {
            return Err(UdpSendError::Unreachable(error.why));
        }
        let mut meta = self.complete_meta(key, meta)?;
        self.check_length(now, payload.len(), &mut meta)?;
        let is_out_of_memory = self.is_out_of_memory();
        let Some(socket) = self.udp.get_mut(key) else {
            return Err(UdpSendError::NoSuchSocket);
        };
        // One datagram of a socket may always wait, however little memory there is.
        if is_out_of_memory && !socket.unsent.is_empty() {
            socket.wants_room = true;
            return Err(UdpSendError::WouldBlock);
        }
        let max = socket.options.send_buffer;
        let datagram = Datagram::queued(payload, meta);
        let Ok(charge) = socket.unsent.push(datagram, max, &mut self.spare) else {
            socket.wants_room = true;
            return Err(UdpSendError::WouldBlock);
        };
        self.line.enter(Who::Udp(key), &mut socket.is_in_line);
        self.recharge(0, charge);
        Ok(())
    }

    /// Fills in what the caller left open.
    fn complete_meta(&self, key: Key, meta: Option<UdpMeta>) -> Result<UdpMeta, UdpSendError> {
        let socket = self.udp.get(key).ok_or(UdpSendError::NoSuchSocket)?;
        let asked = meta.map(|meta| plain(meta.remote));
        let remote = asked
            .filter(|remote| !remote.ip().is_unspecified() && remote.port() != 0)
            .or(socket.remote)
            .or(socket.source)
            .ok_or(UdpSendError::NotConnected)?;
        if !self.has_route(remote.ip()) {
            return Err(UdpSendError::NoRoute);
        }
        if remote.is_ipv4() {
            self.check_broadcast(remote.ip(), &socket.options)?;
        }
        let local = self
            .udp_source(meta.map(|meta| meta.local), socket.local, remote.ip())
            .ok_or(UdpSendError::NoRoute)?;
        let options = &socket.options;
        let of_socket = if remote.ip().is_multicast() {
            Some(options.multicast_hop_limit)
        } else {
            options.hop_limit
        };
        Ok(UdpMeta {
            remote,
            local,
            hop_limit: meta.and_then(|meta| meta.hop_limit).or(of_socket),
            traffic_class: meta
                .and_then(|meta| meta.traffic_class)
                .or(Some(options.traffic_class)),
            dont_fragment: meta.is_some_and(|meta| meta.dont_fragment),
            segment_size: meta.and_then(|meta| meta.segment_size),
        })
    }

    /// Whether the socket may send to everybody, if that is what `remote` means (`SO_BROADCAST`).
    fn check_broadcast(&self, remote: IpAddr, options: &UdpOptions) -> Result<(), UdpSendError> {
        let to_all =
            !options.broadcast && self.addresses.classify(remote) == Destination::Broadcast;
        if to_all {
            return Err(UdpSendError::BroadcastNotAllowed);
        }
        Ok(())
    }

    /// Whether a payload of `len` octets may leave so. One that is no longer than its segments
    /// is a datagram as any other.
    fn check_length(
        &self,
        now: Instant,
        len: usize,
        meta: &mut UdpMeta,
    ) -> Result<(), UdpSendError> {
        let ipv6 = meta.remote.is_ipv6();
        let longest = udp_payload_max(ipv6);
        let mtu = self.mtu_to(meta.remote.ip(), now).min(IP_PACKET_MAX);
        let uncut = mtu.saturating_sub(ip_header_len(ipv6) + HEADER_LEN);
        meta.segment_size = meta.segment_size.filter(|size| len > size.get().into());
        let limit = match meta.segment_size.map(|size| usize::from(size.get())) {
            Some(size) if size > uncut => {
                return Err(UdpSendError::SegmentTooLong { limit: uncut });
            }
            // A super-datagram has a header with a length of its own.
            Some(size) => {
                (size * UDP_SEGMENTS_MAX).min(IP_PACKET_MAX - ip_header_len(ipv6) - HEADER_LEN)
            }
            None if meta.dont_fragment => uncut.min(longest),
            None => longest,
        };
        if len > limit {
            return Err(UdpSendError::TooLong { limit });
        }
        Ok(())
    }

    /// The oldest datagram that waits.
    ///
    /// # Errors
    ///
    /// [`ReceiveError::WouldBlock`] and `NoSuchSocket`.
    pub fn call_udp_receive(&mut self, id: UdpId) -> Result<(Bytes, UdpMeta), ReceiveError> {
        let (key, _) = self.udp_socket(id).ok_or(ReceiveError::NoSuchSocket)?;
        let socket = self.udp.get_mut(key).ok_or(ReceiveError::NoSuchSocket)?;
        let datagram = socket.received.pop(&mut self.spare);
        let datagram = datagram.ok_or(ReceiveError::WouldBlock)?;
        self.recharge(datagram.charge, 0);
        self.wake_waiters();
        Ok((datagram.payload, datagram.meta))
    }

    /// As `call_udp_receive`, but the datagram stays.
    ///
    /// # Errors
    ///
    /// As `call_udp_receive`.
    pub fn call_udp_peek(&self, id: UdpId) -> Result<(Bytes, UdpMeta), ReceiveError> {
        let (_, socket) = self.udp_socket(id).ok_or(ReceiveError::NoSuchSocket)?;
        let datagram = socket.received.front().ok_or(ReceiveError::WouldBlock)?;
        Ok((datagram.payload.clone(), datagram.meta))
    }

    /// Answers a datagram that `id` received (source `meta.remote`, destination `meta.local`)
    /// with an ICMP error: what a relay learned outside.
    ///
    /// # Errors
    ///
    /// [`NoSuchSocket`].
    pub fn call_udp_refuse(
        &mut self,
        now: Instant,
        id: UdpId,
        meta: &UdpMeta,
        why: Unreachable,
        offender: Option<IpAddr>,
    ) -> Result<(), NoSuchSocket> {
        let (_, socket) = self.udp_socket(id).ok_or(NoSuchSocket)?;
        // A datagram whose destination the caller does not know was for the socket itself.
        let mut local = plain(meta.local);
        if local.ip() == unspecified(local.is_ipv6()) {
            local = socket.local;
        }
        let remote = plain(meta.remote);
        if local.is_ipv6() != remote.is_ipv6() {
            return Ok(());
        }
        let quote = icmp::quote_udp(remote, local, meta.hop_limit.unwrap_or(1), &[]);
        let how = Refusal::Unreachable { why, offender };
        self.refuse_udp(now, remote, local, how, quote, Limited::OnPurpose);
        Ok(())
    }

    /// The oldest ICMP error that one of its datagrams drew, once.
    ///
    /// # Errors
    ///
    /// [`NoSuchSocket`].
    pub fn take_udp_error(&mut self, id: UdpId) -> Result<Option<UdpError>, NoSuchSocket> {
        let (_, socket) = self.udp_socket_mut(id).ok_or(NoSuchSocket)?;
        Ok(socket.pop_error())
    }

    /// Where it is bound; of an accepted flow, where its first datagram went.
    ///
    /// # Errors
    ///
    /// [`NoSuchSocket`].
    pub fn udp_local(&self, id: UdpId) -> Result<SocketAddr, NoSuchSocket> {
        let (_, socket) = self.udp_socket(id).ok_or(NoSuchSocket)?;
        Ok(socket.local)
    }

    /// Whom it is connected to; of an accepted flow, its source.
    ///
    /// # Errors
    ///
    /// [`NoSuchSocket`].
    pub fn udp_remote(&self, id: UdpId) -> Result<Option<SocketAddr>, NoSuchSocket> {
        let (_, socket) = self.udp_socket(id).ok_or(NoSuchSocket)?;
        Ok(socket.remote.or(socket.source))
    }

    /// What is true now (events are edges).
    ///
    /// # Errors
    ///
    /// [`NoSuchSocket`].
    pub fn udp_readiness(&self, id: UdpId) -> Result<Readiness, NoSuchSocket> {
        let (_, socket) = self.udp_socket(id).ok_or(NoSuchSocket)?;
        Ok(socket.readiness())
    }

    /// Its options.
    ///
    /// # Errors
    ///
    /// [`NoSuchSocket`].
    pub fn udp_options(&self, id: UdpId) -> Result<UdpOptions, NoSuchSocket> {
        let (_, socket) = self.udp_socket(id).ok_or(NoSuchSocket)?;
        Ok(socket.options)
    }

    /// Changes its options. `only_v6` is for before it is bound, and stays as it is.
    ///
    /// # Errors
    ///
    /// [`NoSuchSocket`].
    pub fn set_udp_options(&mut self, id: UdpId, options: &UdpOptions) -> Result<(), NoSuchSocket> {
        let (_, socket) = self.udp_socket_mut(id).ok_or(NoSuchSocket)?;
        let only_v6 = socket.options.only_v6;
        socket.options = UdpOptions {
            only_v6,
            ..options.within_bounds()
        };
        Ok(())
    }

    /// The application lets go: what is unread and unsent is gone. The handle is stale
    /// afterwards.
    ///
    /// # Errors
    ///
    /// [`NoSuchSocket`].
    pub fn call_udp_close(&mut self, id: UdpId) -> Result<(), NoSuchSocket> {
        let (key, socket) = self.udp_socket(id).ok_or(NoSuchSocket)?;
        let (local, only_v6) = (socket.local, socket.options.only_v6);
        self.leave_peer(key);
        let (places, count) = places(local, only_v6);
        for place in places.into_iter().take(count) {
            self.udp_table.unbind(place, key);
        }
        let Some(socket) = self.udp.get_mut(key) else {
            return Ok(());
        };
        let unread = core::mem::take(&mut socket.received);
        let source = socket.source;
        let groups = core::mem::take(&mut socket.groups);
        // What was sent before has left, as far as the application knows.
        socket.is_closed = !socket.unsent.is_empty();
        socket.news = Readiness::NONE;
        if !socket.is_closed {
            self.udp.remove(key);
        }
        if let Some(source) = source {
            self.udp_table.clear_source(source, Source::Socket(key));
        }
        self.recharge(unread.charged(), 0);
        self.wake_waiters();
        self.leave_groups(self.now, &groups);
        Ok(())
    }

    fn udp_socket(&self, id: UdpId) -> Option<(Key, &UdpSocket)> {
        let key = self.key_of(id.shard, id.index, id.generation)?;
        let socket = self.udp.get(key).filter(|socket| !socket.is_closed)?;
        Some((key, socket))
    }

    pub(super) fn udp_socket_mut(&mut self, id: UdpId) -> Option<(Key, &mut UdpSocket)> {
        let key = self.key_of(id.shard, id.index, id.generation)?;
        let socket = self.udp.get_mut(key).filter(|socket| !socket.is_closed)?;
        Some((key, socket))
    }
}

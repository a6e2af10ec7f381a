//! A UDP datagram arrived, and a datagram leaves.

use alloc::collections::VecDeque;
use core::net::{IpAddr, SocketAddr};
use core::num::NonZeroU16;

use bytes::Bytes;
use switchboard_wire::ip::IpProtocol;
use switchboard_wire::udp::{HEADER_LEN, UdpDatagram};
use switchboard_wire::{Instant, Transmit};

use super::emit::flow_label;
use super::inputs::Admitted;
use super::{Stack, Way};
use crate::demux::addresses::Destination;
use crate::demux::four_tuple;
use crate::demux::pending::Pending;
use crate::demux::udp_table::{Found, Source};
use crate::drop_reason::DropReason;
use crate::error::Unreachable;
use crate::event::Readiness;
use crate::ip::egress::{IpHead, Message};
use crate::ip::icmp::Say;
use crate::ready::Who;
use crate::slab::Key;
use crate::socket::UdpMeta;
use crate::udp::queue::{Datagram, Spare};
use crate::udp::socket::UdpSocket;

/// Datagrams of one pending flow that are kept for whoever accepts it.
const KEPT_MAX: usize = 16;

/// The parts of a datagram, or of a super-datagram.
struct Arrived {
    payload: Bytes,
    meta: UdpMeta,
    /// Octets in each datagram that it stands for.
    step: usize,
    /// The same, if it came as a super-datagram.
    segment_size: Option<NonZeroU16>,
    slot_size: usize,
}

impl Arrived {
    /// The datagrams, as slices of the slot. Several of one slot share what it pins. With
    /// `gro` they stay together.
    fn datagrams(&self, gro: bool) -> impl Iterator<Item = Datagram> {
        let is_one = self.payload.len() <= self.step;
        let step = if gro { self.payload.len() } else { self.step };
        let segment_size = self.segment_size.filter(|_| gro && !is_one);
        let count = self.payload.len().div_ceil(step.max(1)).max(1);
        let share = self.slot_size / count;
        let meta = UdpMeta {
            segment_size,
            ..self.meta
        };
        (0..count).map(move |number| {
            let start = number * step;
            let end = (start + step).min(self.payload.len());
            Datagram::received(self.payload.slice(start..end), share, meta)
        })
    }
}

impl Stack {
    pub(super) fn udp_arrives(&mut self, now: Instant, admitted: &Admitted<'_>) {
        let arrived = match UdpDatagram::parse(&admitted.packet, admitted.rx.checksum) {
            Ok(datagram) => arrived(admitted, &datagram),
            Err(rule) => return self.stats.drop_malformed(rule),
        };
        let (local, remote) = (arrived.meta.local, arrived.meta.remote);
        match admitted.destination {
            Destination::Broadcast | Destination::Multicast => {
                let group = local.ip();
                let is_group = admitted.destination == Destination::Multicast;
                let all = self.udp_table.find_all(local, |key| {
                    let socket = self.udp.get(key);
                    !is_group || socket.is_some_and(|socket| socket.hears_group(group))
                });
                if all.is_empty() {
                    return self.drop_packet(DropReason::NoGroupMember);
                }
                for key in all {
                    self.udp_to_socket(key, &arrived);
                }
            }
            _ => match self.find_udp(local, remote, admitted.is_ours()) {
                Some(Found::Socket(key)) => self.udp_to_socket(key, &arrived),
                Some(Found::Flow(key)) => self.udp_to_flow(key, &arrived),
                None if self.is_ours_alone(admitted) => {
                    self.drop_packet(DropReason::NoSocket);
                    let say = Say::Unreachable(Unreachable::Port);
                    self.complain(now, admitted.rx, &admitted.packet, say);
                }
                None => match self.udp_table.find_source(remote) {
                    Some(Found::Socket(key)) => self.udp_to_socket(key, &arrived),
                    Some(Found::Flow(key)) => self.udp_to_flow(key, &arrived),
                    None => self.udp_to_anybody(now, admitted, &arrived),
                },
            },
        }
    }

    /// Who takes a datagram from `remote` to `local`, or an error about one sent the other
    /// way. A connected socket hears one peer only; for others it is not there.
    pub(super) fn find_udp(
        &self,
        local: SocketAddr,
        remote: SocketAddr,
        is_ours: bool,
    ) -> Option<Found> {
        let hears = |key| self.udp.get(key).is_some_and(|socket| socket.hears(remote));
        self.udp_table.find(local, remote, is_ours, hears)
    }

    fn udp_to_socket(&mut self, key: Key, arrived: &Arrived) {
        let gro = self.udp.get(key).is_some_and(|socket| socket.options.gro);
        for datagram in arrived.datagrams(gro) {
            if self.is_out_of_memory() {
                self.drop_packet(DropReason::OutOfMemory);
                continue;
            }
            let Some(socket) = self.udp.get_mut(key) else {
                return;
            };
            if !socket.hears(arrived.meta.remote) {
                self.drop_packet(DropReason::WrongPeer);
                continue;
            }
            let max = socket.options.receive_buffer;
            match socket.received.push(datagram, max, &mut self.spare) {
                Ok(charge) => {
                    self.recharge(0, charge);
                    self.stats.datagrams_received += 1;
                    self.tell_udp(key, Readiness::READABLE);
                }
                Err(_) => self.drop_packet(DropReason::ReceiveBufferFull),
            }
        }
    }

    fn udp_to_flow(&mut self, key: Key, arrived: &Arrived) {
        for datagram in arrived.datagrams(false) {
            if self.is_out_of_memory() {
                return self.drop_packet(DropReason::OutOfMemory);
            }
            let Some(Pending::Udp { kept, .. }) = self.pending.get_mut(key) else {
                return;
            };
            if kept.len() >= KEPT_MAX {
                return self.drop_packet(DropReason::ReceiveBufferFull);
            }
            let charge = datagram.charge;
            kept.push_back(datagram);
            self.recharge(0, charge);
            self.stats.datagrams_received += 1;
        }
    }

    /// A source that nobody knows sends to an address that is not ours.
    fn udp_to_anybody(&mut self, now: Instant, admitted: &Admitted<'_>, arrived: &Arrived) {
        let limits = &self.config.limits;
        if self.pending.len() >= limits.pending_flows {
            self.drop_packet(DropReason::PendingFull);
            let say = Say::Unreachable(Unreachable::Port);
            return self.complain(now, admitted.rx, &admitted.packet, say);
        }
        let pending = Pending::Udp {
            remote: arrived.meta.remote,
            local: arrived.meta.local,
            kept: VecDeque::new(),
        };
        let key = self.pending.insert(pending, now + limits.pending_flow_age);
        self.udp_table
            .set_source(arrived.meta.remote, Source::Flow(key));
        self.udp_to_flow(key, arrived);
        self.events.push(Who::Incoming(key));
    }

    /// A datagram socket's turn to send one datagram, written into `transmit`. `None`: it has
    /// none, or it left in several packets.
    pub(super) fn udp_turn(
        &mut self,
        now: Instant,
        key: Key,
        transmit: &mut Transmit,
    ) -> Option<Way> {
        let front = self.udp.get(key).and_then(|socket| socket.unsent.front());
        let leaves_uncut = front.is_some_and(|datagram| {
            let segment_size = datagram.meta.segment_size;
            segment_size.is_some_and(|segment_size| {
                self.leaves_uncut(now, datagram.meta.remote.ip(), segment_size)
            })
        });
        let socket = self.udp.get_mut(key)?;
        socket.is_in_line = false;
        let was_full = socket.unsent.charged() >= socket.options.send_buffer;
        let datagram = next_datagram(socket, leaves_uncut, &mut self.spare)?;
        let is_last = socket.unsent.is_empty();
        if !is_last {
            self.line.enter(Who::Udp(key), &mut socket.is_in_line);
        }
        let is_over = is_last && socket.is_closed;
        let has_room = socket.unsent.charged() < socket.options.send_buffer;
        // A full queue may be waited for by somebody who was never refused: who asked first.
        let is_awaited = has_room && (was_full | core::mem::take(&mut socket.wants_room));
        let loops = socket.options.multicast_loop;
        if is_over {
            self.udp.remove(key);
        }
        self.recharge(datagram.charge, 0);
        self.wake_waiters();
        if is_awaited {
            self.tell_udp(key, Readiness::WRITABLE);
        }
        self.emit_datagram(now, datagram, loops, transmit)
    }

    /// One datagram leaves. `loops`: members of its group on this host hear it too; a broadcast
    /// always comes back, as on Linux.
    fn emit_datagram(
        &mut self,
        now: Instant,
        datagram: Datagram,
        loops: bool,
        transmit: &mut Transmit,
    ) -> Option<Way> {
        let meta = datagram.meta;
        let mut ip = IpHead {
            source: meta.local.ip(),
            destination: meta.remote.ip(),
            protocol: IpProtocol::UDP,
            hop_limit: meta.hop_limit.unwrap_or(self.config.hop_limit),
            traffic_class: meta.traffic_class.unwrap_or(0),
            dont_fragment: meta.dont_fragment,
            flow_label: 0,
            identification: 0,
            router_alert: false,
        };
        if ip.is_ipv6() {
            let tuple = four_tuple(meta.local, meta.remote);
            ip.flow_label = flow_label(self.tcp_table.hash(&tuple));
        }
        self.stats.datagrams_sent += 1;
        let message = Message::udp(meta.local, meta.remote, datagram.payload);
        let (to, segment_size) = (ip.destination, meta.segment_size);
        let way = match self.addresses.classify(to) {
            Destination::Ours => Way::Back,
            Destination::Foreign => Way::Out,
            kind => {
                let is_group = kind == Destination::Multicast;
                if !is_group || loops && self.hears_group(to) {
                    let (message, mut copy) = (message.clone(), Transmit::default());
                    if self.make_datagram(now, Way::Back, ip, message, segment_size, &mut copy) {
                        self.push_out(Way::Back, copy);
                    }
                }
                // RFC 1112 section 6.1: with TTL 0 it does not leave the host.
                if is_group && ip.hop_limit == 0 {
                    return None;
                }
                Way::Out
            }
        };
        let is_whole = self.make_datagram(now, way, ip, message, segment_size, transmit);
        is_whole.then_some(way)
    }

    fn make_datagram(
        &mut self,
        now: Instant,
        way: Way,
        ip: IpHead,
        message: Message,
        segment_size: Option<NonZeroU16>,
        transmit: &mut Transmit,
    ) -> bool {
        let Some(segment_size) = segment_size else {
            return self.make_message(now, way, ip, message, transmit);
        };
        self.make_super_datagram(ip, message, segment_size, transmit);
        true
    }

    /// The address that a datagram to `remote` leaves from: the one asked for, the socket's
    /// own, or the best of ours.
    pub(super) fn udp_source(
        &self,
        asked: Option<SocketAddr>,
        own: SocketAddr,
        remote: IpAddr,
    ) -> Option<SocketAddr> {
        let asked_port = asked.map_or(0, |asked| asked.port());
        let port = if asked_port == 0 {
            own.port()
        } else {
            asked_port
        };
        let named = asked
            .map(|asked| asked.ip())
            .filter(|asked| !asked.is_unspecified())
            .or_else(|| (!own.ip().is_unspecified()).then(|| own.ip()));
        let address = match named {
            Some(address) => address,
            None => self.addresses.source_for(remote)?,
        };
        let may = self.config.any_address || self.addresses.is_ours(address);
        let fits = address.is_ipv4() == remote.is_ipv4();
        (may && fits).then(|| SocketAddr::new(address, port))
    }
}

/// The next datagram of a socket: of a super-datagram that nobody behind us cuts, its first
/// segment.
fn next_datagram(
    socket: &mut UdpSocket,
    leaves_uncut: bool,
    spare: &mut Spare,
) -> Option<Datagram> {
    if leaves_uncut {
        socket.unsent.pop(spare)
    } else {
        socket.unsent.pop_segment(spare)
    }
}

/// What a datagram that was read and verified brings.
fn arrived(admitted: &Admitted<'_>, datagram: &UdpDatagram<'_>) -> Arrived {
    let Admitted { rx, packet, .. } = admitted;
    let start = (packet.header_len + HEADER_LEN).min(rx.bytes.len());
    let end = (start + datagram.payload.len()).min(rx.bytes.len());
    let payload = rx.bytes.slice(start..end);
    let step = rx
        .segment_size
        .map_or(payload.len(), |size| size.get().into());
    Arrived {
        step: step.max(1),
        segment_size: rx.segment_size,
        payload,
        meta: UdpMeta {
            remote: SocketAddr::new(packet.source, datagram.source_port),
            local: SocketAddr::new(packet.destination, datagram.destination_port),
            hop_limit: Some(packet.hop_limit),
            traffic_class: Some(packet.traffic_class),
            // IPv6 routers never cut: it says nothing of what the sender wants.
            dont_fragment: packet.dont_fragment && !packet.is_ipv6(),
            segment_size: None,
        },
        slot_size: rx.slot_size,
    }
}

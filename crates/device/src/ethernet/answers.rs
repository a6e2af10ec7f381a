//! What stations ask of their router, and what we ask of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use switchboard_wire::arp::{ArpMessage, ArpOperation};
use switchboard_wire::checksum::{pseudo_v4, pseudo_v6};
use switchboard_wire::dhcp::{CLIENT_PORT, DhcpKind, DhcpLease, DhcpRequest, SERVER_PORT};
use switchboard_wire::ethernet::{EtherType, EthernetHeader, MacAddr};
use switchboard_wire::icmp::v6::Icmpv6Message;
use switchboard_wire::ipv4::{HEADER_MIN, Ipv4Header};
use switchboard_wire::ndp::{self, ALL_NODES, HOP_LIMIT, NeighborMessage};
use switchboard_wire::udp::{self, UdpDatagram, UdpHeader};
use switchboard_wire::{Instant, IpPacket, IpProtocol, Malformed, RxPacket};

use super::{Ethernet, Lease, frame_of};
use crate::Device;

/// Types of ICMPv6 that are neighbour discovery: solicitations, advertisements, redirects.
const NEIGHBOR_DISCOVERY: std::ops::RangeInclusive<u8> = 133..=137;

impl<D: Device> Ethernet<D> {
    pub(super) fn on_arp(&mut self, message: &[u8]) {
        let message = match ArpMessage::parse(message) {
            Ok(message) => message,
            Err(_) => return self.drops.malformed += 1,
        };
        let asked = IpAddr::V4(message.target_ip);
        let answers =
            message.operation == ArpOperation::Request && self.answers(asked, message.is_probe());
        if !message.sender_ip.is_unspecified() {
            self.learn(IpAddr::V4(message.sender_ip), message.sender);
        }
        if answers {
            let reply = ArpMessage {
                operation: ArpOperation::Reply,
                sender: self.config.station,
                sender_ip: message.target_ip,
                target: message.sender,
                target_ip: message.sender_ip,
            };
            self.say_arp(&reply, message.sender);
        }
    }

    /// Whether we say that `address` is here. `probed`: somebody asks whether it may take it.
    fn answers(&self, address: IpAddr, probed: bool) -> bool {
        if probed {
            return self.config.owns(address);
        }
        self.config.owns(address)
            || self.config.answers_for(address) && !self.neighbors.knows(address)
    }

    /// Where is `address`?
    pub(super) fn ask_for(&mut self, address: IpAddr) {
        let station = self.config.station;
        match address {
            IpAddr::V4(target_ip) => {
                let own = self.config.own.iter().find_map(|own| match own {
                    IpAddr::V4(own) => Some(*own),
                    IpAddr::V6(_) => None,
                });
                let request = ArpMessage {
                    operation: ArpOperation::Request,
                    sender: station,
                    sender_ip: own.unwrap_or(Ipv4Addr::UNSPECIFIED),
                    target: MacAddr::default(),
                    target_ip,
                };
                self.say_arp(&request, MacAddr::BROADCAST);
            }
            IpAddr::V6(target) => {
                let packet = ndp::solicitation(self.config.link_local, target, station);
                self.say_v6(packet, ndp::solicited_node(target), MacAddr::BROADCAST);
            }
        }
    }

    fn say_arp(&mut self, message: &ArpMessage, to: MacAddr) {
        let mut octets = Vec::with_capacity(switchboard_wire::arp::LEN);
        message.emit(&mut octets);
        let frame = frame_of(octets, EtherType::ARP, self.config.station, to);
        self.enqueue(frame);
    }

    /// `to` is the station where the address is no group.
    fn say_v6(&mut self, packet: Vec<u8>, address: Ipv6Addr, to: MacAddr) {
        let to = MacAddr::of_group(IpAddr::V6(address)).unwrap_or(to);
        let frame = frame_of(packet, EtherType::IPV6, self.config.station, to);
        self.enqueue(frame);
    }

    /// Whether the packet was for the router itself: then it is answered, and goes no further.
    pub(super) fn answer_packet(&mut self, header: &EthernetHeader, packet: &RxPacket) -> bool {
        let Ok(ip) = IpPacket::parse(&packet.bytes) else {
            // The stack counts what is wrong with it.
            return false;
        };
        let first = ip.body().first().copied();
        let answered = match ip.protocol {
            IpProtocol::ICMPV6 if first.is_some_and(|kind| NEIGHBOR_DISCOVERY.contains(&kind)) => {
                self.on_neighbor_discovery(header, &ip)
            }
            IpProtocol::UDP if self.config.lease.is_some() && !ip.is_ipv6() => {
                match self.on_datagram(&ip, packet) {
                    Ok(answered) => return answered,
                    Err(malformed) => Err(malformed),
                }
            }
            _ => return false,
        };
        if answered.is_err() {
            self.drops.malformed += 1;
        }
        true
    }

    fn on_neighbor_discovery(
        &mut self,
        header: &EthernetHeader,
        ip: &IpPacket<'_>,
    ) -> Result<(), Malformed> {
        let (IpAddr::V6(from), IpAddr::V6(to)) = (ip.source, ip.destination) else {
            return Ok(());
        };
        if ip.hop_limit != HOP_LIMIT {
            // From beyond the link: a forgery (RFC 4861 section 7.1).
            self.drops.not_for_us += 1;
            return Ok(());
        }
        if !self.config.neighbor_discovery {
            self.drops.not_for_us += 1;
            return Ok(());
        }
        let pseudo = pseudo_v6(from, to, IpProtocol::ICMPV6, ip.body().len());
        let message = Icmpv6Message::parse(ip.body(), pseudo)?;
        match NeighborMessage::parse(&message)? {
            Some(NeighborMessage::Solicitation { target, source }) => {
                self.on_solicitation(from, target, source.unwrap_or(header.source));
            }
            Some(NeighborMessage::Advertisement { target, station }) => {
                self.learn(IpAddr::V6(target), station.unwrap_or(header.source));
            }
            Some(NeighborMessage::RouterSolicitation { source }) => {
                self.advertise_router(from, source.unwrap_or(header.source));
            }
            None => {}
        }
        Ok(())
    }

    fn on_solicitation(&mut self, from: Ipv6Addr, target: Ipv6Addr, station: MacAddr) {
        // From nobody: somebody is about to take the address (RFC 4862 section 5.4.3).
        let probed = from.is_unspecified();
        if !probed {
            self.learn(IpAddr::V6(from), station);
        }
        if self.answers(IpAddr::V6(target), probed) {
            let to = if probed { ALL_NODES } else { from };
            let packet = ndp::advertisement(target, to, self.config.station, !probed);
            self.say_v6(packet, to, station);
        }
    }

    fn advertise_router(&mut self, from: Ipv6Addr, station: MacAddr) {
        let Some(advertisement) = &self.config.advertisement else {
            return;
        };
        let to = if from.is_unspecified() {
            ALL_NODES
        } else {
            from
        };
        let packet = advertisement.packet(self.config.link_local, to);
        if !from.is_unspecified() {
            self.learn(IpAddr::V6(from), station);
        }
        self.say_v6(packet, to, station);
    }

    /// Whether it was for the DHCP server.
    fn on_datagram(&mut self, ip: &IpPacket<'_>, packet: &RxPacket) -> Result<bool, Malformed> {
        let body = ip.body();
        let is_to_server = matches!(
            *body,
            [_, _, d0, d1, ..] if u16::from_be_bytes([d0, d1]) == SERVER_PORT
        );
        let Some(lease) = self.config.lease.clone().filter(|_| is_to_server) else {
            return Ok(false);
        };
        let is_here = ip.destination == IpAddr::V4(Ipv4Addr::BROADCAST)
            || ip.destination == IpAddr::V4(lease.server);
        if !is_here {
            return Ok(false);
        }
        let datagram = UdpDatagram::parse(ip, packet.checksum)?;
        let request = DhcpRequest::parse(datagram.payload)?;
        if let Some(kind) = self.dhcp_answer(packet.arrived, &lease, &request) {
            self.say_dhcp(&lease, &request, kind);
        }
        Ok(true)
    }

    /// What kind of answer a client gets: there is one address, for the first who asks, as long as
    /// its lease lasts (RFC 2131 section 4.3).
    fn dhcp_answer(
        &mut self,
        now: Instant,
        lease: &DhcpLease,
        request: &DhcpRequest,
    ) -> Option<DhcpKind> {
        let holds = |held: Lease| held.ends > now && held.station != request.station;
        let is_other = self.leased_to.is_some_and(holds);
        match request.kind {
            DhcpKind::Discover if is_other => None,
            DhcpKind::Discover => Some(DhcpKind::Offer),
            DhcpKind::Request => {
                let asked = request.requested.unwrap_or(request.client_ip);
                if request.server.is_some_and(|server| server != lease.server) {
                    return None;
                }
                if is_other || asked != lease.address {
                    return Some(DhcpKind::Nak);
                }
                self.leased_to = Some(Lease {
                    station: request.station,
                    ends: now + Duration::from_secs(u64::from(lease.seconds)),
                });
                Some(DhcpKind::Ack)
            }
            DhcpKind::Inform => Some(DhcpKind::Ack),
            DhcpKind::Release | DhcpKind::Decline if !is_other => {
                self.leased_to = None;
                None
            }
            _ => None,
        }
    }

    fn say_dhcp(&mut self, lease: &DhcpLease, request: &DhcpRequest, kind: DhcpKind) {
        let payload = lease.answer(request, kind);
        // RFC 2131 section 4.1: to the address that the client has; else to the one that it is
        // given, unless it cannot hear that yet.
        let (to, station) = if kind == DhcpKind::Nak || request.broadcast {
            (Ipv4Addr::BROADCAST, MacAddr::BROADCAST)
        } else if request.client_ip.is_unspecified() {
            (lease.address, request.station)
        } else {
            (request.client_ip, request.station)
        };
        let packet = datagram(lease.server, to, &payload);
        let frame = frame_of(packet, EtherType::IPV4, self.config.station, station);
        self.enqueue(frame);
    }
}

/// A packet of the DHCP server's.
fn datagram(from: Ipv4Addr, to: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    let total = HEADER_MIN + udp::HEADER_LEN + payload.len();
    let total_len = u16::try_from(total).unwrap_or(u16::MAX);
    let mut header = UdpHeader::new(SERVER_PORT, CLIENT_PORT, payload.len());
    let mut octets = Vec::with_capacity(udp::HEADER_LEN);
    header.emit(&mut octets);
    let sum = pseudo_v4(from, to, IpProtocol::UDP, udp::HEADER_LEN + payload.len());
    // Zero would say that there is none (RFC 768).
    header.checksum = match sum.plus(&octets).plus(payload).checksum() {
        0 => u16::MAX,
        checksum => checksum,
    };
    let mut packet = Vec::with_capacity(total);
    Ipv4Header::new(from, to, IpProtocol::UDP, total_len).emit(&mut packet);
    header.emit(&mut packet);
    packet.extend_from_slice(payload);
    packet
}

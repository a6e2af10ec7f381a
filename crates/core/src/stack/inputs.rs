//! Inputs: a packet, or the time.

use switchboard_wire::ip::{IpPacket, IpProtocol};
use switchboard_wire::{Instant, RxPacket};

use super::Stack;
use crate::demux::addresses::Destination;
use crate::drop_reason::DropReason;
use crate::ip::icmp::Say;
use crate::ip::ingress::{self, Origin, Refused};
use crate::ip::reassembly::Reassembled;

/// A packet that was admitted.
pub(super) struct Admitted<'a> {
    pub(super) rx: &'a RxPacket,
    pub(super) packet: IpPacket<'a>,
    pub(super) destination: Destination,
}

impl Admitted<'_> {
    /// Whether it is for an address of ours, or for everybody, us included.
    pub(super) fn is_ours(&self) -> bool {
        self.destination != Destination::Foreign
    }
}

impl Stack {
    /// Whether ports of ours that no socket holds refuse by themselves. A gateway's do not:
    /// what comes to them from the link goes to the application, as flows to others do.
    pub(super) fn is_ours_alone(&self, admitted: &Admitted<'_>) -> bool {
        let from_us = self.addresses.is_ours(admitted.packet.source);
        admitted.is_ours() && (from_us || !self.config.any_address)
    }

    /// A packet arrived from the device.
    pub fn handle_packet(&mut self, now: Instant, packet: RxPacket) {
        self.now = self.now.max(now);
        self.stats.packets_received += 1;
        self.arrive(now, &packet, Origin::Device);
    }

    /// A packet arrived from somewhere.
    pub(super) fn arrive(&mut self, now: Instant, rx: &RxPacket, origin: Origin) {
        let packet = match IpPacket::parse(&rx.bytes) {
            Ok(packet) => packet,
            Err(rule) => return self.stats.drop_malformed(rule),
        };
        let any_address = self.config.any_address;
        match ingress::admit(&packet, &self.addresses, any_address, origin) {
            Err(refused) => self.turn_away(now, rx, &packet, refused),
            Ok(destination) if packet.fragment.is_some() => {
                self.reassemble(now, rx, &packet, destination);
            }
            Ok(destination) => self.deliver(
                now,
                Admitted {
                    rx,
                    packet,
                    destination,
                },
            ),
        }
    }

    /// Drops a packet, and tells its sender where that is due.
    fn turn_away(&mut self, now: Instant, rx: &RxPacket, packet: &IpPacket<'_>, refused: Refused) {
        self.drop_packet(refused.reason);
        if let Some(say) = refused.say {
            self.complain(now, rx, packet, say);
        }
    }

    /// A fragment: delivered when all of its packet is there.
    fn reassemble(
        &mut self,
        now: Instant,
        rx: &RxPacket,
        packet: &IpPacket<'_>,
        destination: Destination,
    ) {
        let Some(fragment) = packet.fragment else {
            return;
        };
        let reassembly = if packet.is_ipv6() {
            &mut self.reassembly_v6
        } else {
            &mut self.reassembly_v4
        };
        let result = reassembly.on_fragment(now, rx, packet, fragment);
        for _ in 0..reassembly.take_evicted() {
            self.stats.drop(DropReason::ReassemblyFull);
        }
        let whole = match result {
            Reassembled::Waits => return,
            Reassembled::Dropped(reason) => return self.drop_packet(reason),
            Reassembled::Whole(whole) => whole,
        };
        match IpPacket::parse(&whole.bytes) {
            Ok(packet) => {
                self.stats.reassembled += 1;
                self.deliver(
                    now,
                    Admitted {
                        rx: &whole,
                        packet,
                        destination,
                    },
                );
            }
            Err(rule) => self.stats.drop_malformed(rule),
        }
    }

    /// To the transport.
    fn deliver(&mut self, now: Instant, admitted: Admitted<'_>) {
        let is_heard = !self.raws.is_empty() && self.raw_arrives(&admitted);
        match admitted.packet.protocol {
            IpProtocol::TCP => self.tcp_arrives(now, &admitted),
            IpProtocol::UDP => self.udp_arrives(now, &admitted),
            IpProtocol::ICMP if !admitted.packet.is_ipv6() => self.icmp_v4_arrives(now, &admitted),
            IpProtocol::ICMPV6 if admitted.packet.is_ipv6() => self.icmp_v6_arrives(now, &admitted),
            IpProtocol::IGMP if !admitted.packet.is_ipv6() => self.igmp_arrives(now, &admitted),
            IpProtocol::NO_NEXT_HEADER if admitted.packet.is_ipv6() => {
                self.drop_packet(DropReason::UnknownProtocol);
            }
            _ if is_heard => {}
            _ => {
                self.drop_packet(DropReason::UnknownProtocol);
                let packet = &admitted.packet;
                // RFC 8200 section 4 wants the octet that names the unknown header.
                let say = if packet.is_ipv6() {
                    Say::Parameter {
                        code:
                            switchboard_wire::icmp::v6::parameter_problem::UNRECOGNISED_NEXT_HEADER,
                        pointer: u32::try_from(packet.protocol_at).unwrap_or(0),
                    }
                } else {
                    Say::Unreachable(crate::error::Unreachable::Protocol)
                };
                self.complain(now, admitted.rx, packet, say);
            }
        }
    }

    /// The moment that `poll_timeout` named has come. Harmless if it has not.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.time_connections(now);
        while let Some(key) = self.time_waits.pop_due(now) {
            self.remove_time_wait(key);
        }
        while let Some(key) = self.pending.pop_due(now) {
            self.expire_pending(now, key);
        }
        for ipv6 in [false, true] {
            self.time_reassembly(now, ipv6);
        }
        self.path_mtus.expire(now);
        self.report_groups(now);
    }

    /// Connections whose time has come, each once: one that wants to be woken again at this
    /// very moment waits for the next call, so that no fault can keep us here.
    fn time_connections(&mut self, now: Instant) {
        for _ in 0..self.deadlines.len() {
            let Some(index) = self.deadlines.pop_due(now) else {
                return;
            };
            let Some(key) = self.tcp.key_at(index) else {
                continue;
            };
            let Some(socket) = self.tcp.get_mut(key) else {
                continue;
            };
            match socket.connection.deadline() {
                Some(deadline) if deadline <= now => {
                    let step = socket.connection.on_timeout(now);
                    self.after_step(key, step);
                }
                later => self.deadlines.set(index, later),
            }
        }
    }

    /// Fragments whose rest did not come (RFC 1122 section 3.3.2, RFC 8200 section 4.5).
    fn time_reassembly(&mut self, now: Instant, ipv6: bool) {
        loop {
            let reassembly = if ipv6 {
                &mut self.reassembly_v6
            } else {
                &mut self.reassembly_v4
            };
            let Some(timed_out) = reassembly.expire(now) else {
                return;
            };
            self.drop_packet(DropReason::ReassemblyTimeout);
            if let Some(first) = timed_out.first {
                let rx = RxPacket::new(first, now);
                if let Ok(packet) = IpPacket::parse(&rx.bytes) {
                    self.complain(now, &rx, &packet, Say::ReassemblyTimeExceeded);
                }
            }
        }
    }
}

//! What the router says itself: answers to echo requests, and ICMP errors.

use core::net::IpAddr;

use bytes::Bytes;
use switchboard_wire::icmp::v4::{Icmpv4Header, Icmpv4Message};
use switchboard_wire::icmp::v6::{Icmpv6Header, Icmpv6Message};
use switchboard_wire::icmp::{Echo, HEADER_LEN};
use switchboard_wire::ip::IpProtocol;
use switchboard_wire::{Instant, Malformed, Transmit};

use super::pass::quoted;
use super::{Outlet, Passing, Router};
use crate::drop_reason::DropReason;
use crate::error::Unreachable;
use crate::ip::egress::{IpHead, Message, Summing, ip_header_len};
use crate::ip::icmp::{self, Say};
use crate::ip::ingress::Refused;

/// Hop limit of what the router sends itself (RFC 1340's default).
const HOP_LIMIT: u8 = 64;

/// Internetwork control: the precedence of ICMP errors over IPv4 (RFC 1812 section 4.3.2.5).
const ERROR_TRAFFIC_CLASS: u8 = 0xc0;

impl Router {
    /// It is for the router: an echo request is answered (RFC 1812 section 4.3.3.6), nothing
    /// else is served.
    pub(super) fn deliver(&mut self, now: Instant, passing: &Passing<'_>, out: &mut Outlet<'_>) {
        let packet = &passing.packet;
        if packet.fragment.is_some() {
            // A router puts nothing together for itself.
            return self.stats.drops.drop(DropReason::NotForUs);
        }
        match echo_request(passing) {
            Ok(Some(echo)) => self.answer(passing, echo, out),
            Ok(None) => {
                let why = match packet.protocol {
                    IpProtocol::UDP => Unreachable::Port,
                    IpProtocol::ICMP | IpProtocol::ICMPV6 => {
                        return self.stats.drops.drop(DropReason::IcmpIgnored);
                    }
                    _ => Unreachable::Protocol,
                };
                let refused = Refused {
                    reason: DropReason::NoSocket,
                    say: Some(Say::Unreachable(why)),
                };
                self.turn_away(now, passing, refused, out);
            }
            Err(rule) => self.stats.drops.drop_malformed(rule),
        }
    }

    fn answer(&mut self, passing: &Passing<'_>, echo: Echo, out: &mut Outlet<'_>) {
        let packet = &passing.packet;
        let ipv6 = packet.is_ipv6();
        let header = icmp::echo_reply(echo, ipv6);
        let start = (packet.header_len + HEADER_LEN).min(packet.total_len());
        let payload = passing.rx.bytes.slice(start..packet.total_len());
        let message = Message::icmp(header, payload, ipv6);
        // RFC 1812 section 4.3.3.6: from whom it was sent to, with its class.
        let ip = ip_head(packet.destination, packet.source, packet.traffic_class);
        if self.send(ip, message, out) {
            self.stats.echoes_answered += 1;
        }
    }

    /// Drops a packet, and tells its sender where that is due.
    pub(super) fn turn_away(
        &mut self,
        now: Instant,
        passing: &Passing<'_>,
        refused: Refused,
        out: &mut Outlet<'_>,
    ) {
        self.stats.drops.drop(refused.reason);
        let Some(say) = refused.say else {
            return;
        };
        if !may_complain(passing) {
            return;
        }
        let to = passing.packet.source;
        let Some(offender) = self.signature(passing, to) else {
            return self.stats.drops.drop(DropReason::NoRoute);
        };
        if !self.icmp_limit.allows(to, now) {
            return self.stats.drops.drop(DropReason::IcmpRateLimit);
        }
        let ipv6 = to.is_ipv6();
        let mut quote: Bytes = quoted(passing);
        quote.truncate(icmp::quote_max(ipv6));
        let message = Message::icmp(icmp::header(say, ipv6), quote, ipv6);
        let class = if ipv6 { 0 } else { ERROR_TRAFFIC_CLASS };
        if self.send(ip_head(offender, to, class), message, out) {
            self.stats.icmp_errors_sent += 1;
        }
    }

    /// Who signs an error: our address where the error leaves (RFC 1812 section 4.3.2.4), else
    /// where the packet came in, else any of the family; `None` where there is no way back or
    /// we have no address.
    fn signature(&self, passing: &Passing<'_>, to: IpAddr) -> Option<IpAddr> {
        let is_same = |own: &IpAddr| own.is_ipv6() == to.is_ipv6();
        let of_port = |port| {
            let config = self.ports.get(&port)?;
            let addresses = config.addresses.iter().map(|cidr| cidr.address);
            addresses.into_iter().find(is_same)
        };
        let back = self.table.find(to)?;
        of_port(back)
            .or_else(|| of_port(passing.from))
            .or_else(|| self.own.keys().copied().find(is_same))
    }

    /// Sends a message of our own. False: there is no way to whom it is for.
    fn send(&mut self, mut ip: IpHead, message: Message, out: &mut Outlet<'_>) -> bool {
        let port = self.table.find(ip.destination);
        let Some((port, config)) = port.and_then(|port| Some((port, self.ports.get(&port)?)))
        else {
            self.stats.drops.drop(DropReason::NoRoute);
            return false;
        };
        let mtu = config.mtu;
        let ids = &mut self.identifications;
        ip.identification = ids.next(ip.source, ip.destination, ip.protocol);
        if ip_header_len(ip.is_ipv6()) + message.len() <= mtu {
            let mut transmit = Transmit::default();
            message.whole(&ip, Summing::Here, None, &mut transmit);
            out(port, transmit);
            return true;
        }
        message.fragments(&ip, mtu, |fragment| {
            self.stats.fragments_sent += 1;
            out(port, fragment);
        });
        true
    }
}

fn ip_head(source: IpAddr, destination: IpAddr, traffic_class: u8) -> IpHead {
    IpHead {
        source,
        destination,
        protocol: icmp::protocol(destination.is_ipv6()),
        hop_limit: HOP_LIMIT,
        traffic_class,
        dont_fragment: false,
        flow_label: 0,
        identification: 0,
        router_alert: false,
    }
}

/// Whether an error about this packet may be sent at all (RFC 1812 section 4.3.2.7, RFC 4443
/// section 2.4, e): none about errors, and over IPv4 none about later fragments. What is not
/// from one machine to one machine never comes so far.
fn may_complain(passing: &Passing<'_>) -> bool {
    let packet = &passing.packet;
    let is_later_fragment = packet.fragment.is_some_and(|fragment| fragment.offset != 0);
    !icmp::is_error(packet) && (packet.is_ipv6() || !is_later_fragment)
}

/// The echo request that it is.
fn echo_request(passing: &Passing<'_>) -> Result<Option<Echo>, Malformed> {
    let packet = &passing.packet;
    match packet.protocol {
        IpProtocol::ICMP if !packet.is_ipv6() => {
            match Icmpv4Message::parse(packet.body())?.header {
                Icmpv4Header::EchoRequest(echo) => Ok(Some(echo)),
                _ => Ok(None),
            }
        }
        IpProtocol::ICMPV6 if packet.is_ipv6() => {
            match Icmpv6Message::parse(packet.body(), packet.pseudo_header())?.header {
                Icmpv6Header::EchoRequest(echo) => Ok(Some(echo)),
                _ => Ok(None),
            }
        }
        _ => Ok(None),
    }
}

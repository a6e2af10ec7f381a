//! Forwarding between devices: RFC 1812 and RFC 8200, as far as point-to-point links need it.
//!
//! A [`Router`] has ports, each with addresses, an MTU and offloads, and routes. A packet goes
//! in with the port it came from, and comes out as no, one or several transmits, each with the
//! port it leaves by. There is no I/O, no queue and no clock in here: whoever drives it queues
//! for ports that are slow.
//!
//! 1. `checks`: may it be forwarded at all
//! 2. `table`: which way
//! 3. `pass`: one hop less, cut, fragmented or too long
//! 4. `local`: what is for the router itself, and the errors that it sends

mod checks;
mod local;
mod pass;
mod table;
#[cfg(test)]
mod tests;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;

use switchboard_wire::ip::IpPacket;
use switchboard_wire::ipv4::MTU_MIN;
use switchboard_wire::packet::IP_PACKET_MAX;
use switchboard_wire::{Instant, Malformed, RxPacket, Transmit};

use self::table::Table;
use crate::config::{Cidr, Offloads};
use crate::demux::hash::SecretHash;
use crate::drop_reason::DropReason;
use crate::entropy::Entropy;
use crate::ip::identification::Identifications;
use crate::ip::rate_limit::RateLimit;
use crate::limits::Limits;
use crate::stats::Stats;

/// One port of a [`Router`]. Never given again to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortId(u32);

/// What a router is told of a port.
#[derive(Clone, Debug)]
pub struct PortConfig {
    /// The router's own addresses there, with the networks that are reached by it.
    pub addresses: Vec<Cidr>,
    /// Longest packet of the link, in octets; at least 1280 where it has IPv6 (RFC 8200 section
    /// 5).
    pub mtu: usize,
    /// What the device takes off the router's hands.
    pub offloads: Offloads,
    /// Whether packets may leave by the port that they came from, because several machines are
    /// behind it. Without, such a packet is told that nobody is there: on a link with one
    /// other end it would go to and fro until its hops are spent (RFC 4443 section 3.1, code 3).
    pub hairpin: bool,
}

impl Default for PortConfig {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            mtu: 1500,
            offloads: Offloads::default(),
            hairpin: false,
        }
    }
}

/// Counters of a router since it began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouterStats {
    /// Packets that came in, super-segments once.
    pub received: u64,
    /// Packets that went on, super-segments once.
    pub forwarded: u64,
    /// Octets of those.
    pub forwarded_octets: u64,
    /// Super-segments that were cut because the next device takes none.
    pub cut: u64,
    /// Fragments made (RFC 791 section 3.2).
    pub fragments_sent: u64,
    /// Echo requests to the router itself that were answered.
    pub echoes_answered: u64,
    /// ICMP errors sent.
    pub icmp_errors_sent: u64,
    drops: Stats,
}

impl RouterStats {
    /// Packets dropped for `reason`.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.drops.dropped(reason)
    }

    /// Each reason for which packets were dropped, with how many.
    pub fn drops(&self) -> impl Iterator<Item = (DropReason, u64)> {
        self.drops.drops()
    }

    /// Packets that broke `rule`.
    #[must_use]
    pub fn malformed(&self, rule: Malformed) -> u64 {
        self.drops.malformed(rule)
    }
}

/// Where the router's transmits go: the port, and what leaves by it.
pub type Outlet<'a> = dyn FnMut(PortId, Transmit) + 'a;

/// Forwards packets between ports.
#[derive(Debug)]
pub struct Router {
    ports: BTreeMap<PortId, PortConfig>,
    next_port: u32,
    table: Table,
    /// Our own addresses, and the ports that they belong to.
    own: BTreeMap<IpAddr, PortId>,
    identifications: Identifications,
    icmp_limit: RateLimit,
    stats: RouterStats,
}

/// A packet on its way through.
struct Passing<'a> {
    from: PortId,
    rx: &'a RxPacket,
    packet: IpPacket<'a>,
}

impl Router {
    /// A router without ports. Of `limits` the ICMP rates count. The same `entropy` and the
    /// same inputs give the same outputs.
    #[must_use]
    pub fn new(limits: &Limits, mut entropy: Entropy) -> Self {
        let identifications = Identifications::new(
            SecretHash::new(entropy.secret_key()),
            entropy.visible_u64() as u32,
        );
        let secret = SecretHash::new(entropy.secret_key());
        Self {
            ports: BTreeMap::new(),
            next_port: 0,
            table: Table::default(),
            own: BTreeMap::new(),
            identifications,
            icmp_limit: RateLimit::new(limits.icmp_errors_per_second, limits.icmp_burst, secret),
            stats: RouterStats::default(),
        }
    }

    /// Adds a port; the networks of its addresses are reached by it from here on.
    pub fn add_port(&mut self, mut config: PortConfig) -> PortId {
        let port = PortId(self.next_port);
        self.next_port += 1;
        config.mtu = config.mtu.clamp(MTU_MIN, IP_PACKET_MAX);
        for cidr in &config.addresses {
            self.own.insert(cidr.address, port);
            self.table.insert(*cidr, port);
        }
        self.ports.insert(port, config);
        port
    }

    /// Takes a port away, with its addresses and all routes by it.
    pub fn remove_port(&mut self, port: PortId) {
        self.ports.remove(&port);
        self.own.retain(|_, owner| *owner != port);
        self.table.forget(port);
    }

    /// What is to go to `network` leaves by `port`; the longest prefix counts. A route to the
    /// same network makes room.
    pub fn add_route(&mut self, network: Cidr, port: PortId) {
        self.table.insert(network, port);
    }

    /// Forgets the route to `network`. Says whether there was one.
    pub fn remove_route(&mut self, network: Cidr) -> bool {
        self.table.remove(network)
    }

    /// What a port was made with.
    #[must_use]
    pub fn port(&self, port: PortId) -> Option<&PortConfig> {
        self.ports.get(&port)
    }

    /// Counters since it began.
    #[must_use]
    pub fn stats(&self) -> &RouterStats {
        &self.stats
    }

    /// What a port had no room for: its driver says so.
    pub fn on_port_full(&mut self) {
        self.stats.drops.drop(DropReason::PortFull);
    }

    /// What was to leave by a port whose device is gone: its driver says so.
    pub fn on_port_gone(&mut self) {
        self.stats.drops.drop(DropReason::PortGone);
    }

    /// A packet came in by `from`.
    pub fn handle_packet(
        &mut self,
        now: Instant,
        from: PortId,
        packet: &RxPacket,
        out: &mut Outlet<'_>,
    ) {
        self.stats.received += 1;
        let parsed = match IpPacket::parse(&packet.bytes) {
            Ok(parsed) => parsed,
            Err(rule) => return self.stats.drops.drop_malformed(rule),
        };
        // What a link appended is not part of the packet, and does not go on.
        let trimmed;
        let (rx, packet) = if parsed.total_len() < packet.bytes.len() {
            trimmed = RxPacket {
                bytes: packet.bytes.slice(..parsed.total_len()),
                ..packet.clone()
            };
            match IpPacket::parse(&trimmed.bytes) {
                Ok(parsed) => (&trimmed, parsed),
                Err(rule) => return self.stats.drops.drop_malformed(rule),
            }
        } else {
            (packet, parsed)
        };
        let passing = Passing { from, rx, packet };
        match self.decide(&passing) {
            Ok(Decision::Forward(port)) => self.pass(now, &passing, port, out),
            Ok(Decision::Local) => self.deliver(now, &passing, out),
            Err(refused) => self.turn_away(now, &passing, refused, out),
        }
    }
}

/// What becomes of a packet that may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    /// It leaves by this port.
    Forward(PortId),
    /// It is for the router.
    Local,
}

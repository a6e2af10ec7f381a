//! One host's stack: inputs, outputs, wiring and nothing else.
//!
//! What a thing means is decided elsewhere (`ip`, `demux`, `tcp`, `udp`); here it is taken from
//! one to the next.

mod calls_bind;
mod calls_fast_open;
mod calls_ping;
mod calls_raw;
mod calls_tcp;
mod calls_udp;
mod echo;
mod emit;
mod flows;
mod icmp_in;
mod inputs;
mod multicast;
mod outputs;
mod packet_sockets;
mod tcp_in;
mod tcp_sockets;
mod udp_in;

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use switchboard_wire::packet::IP_PACKET_MAX;
use switchboard_wire::{Instant, Transmit, ipv4};

use crate::config::{Config, TcpConfig};
use crate::deadlines::Deadlines;
use crate::demux::addresses::Addresses;
use crate::demux::bound::BoundPorts;
use crate::demux::hash::SecretHash;
use crate::demux::listeners::Listeners;
use crate::demux::pending::PendingFlows;
use crate::demux::table::Table;
use crate::demux::time_waits::TimeWaits;
use crate::demux::udp_table::UdpTable;
use crate::drop_reason::DropReason;
use crate::entropy::Entropy;
use crate::event::Readiness;
use crate::ip::identification::Identifications;
use crate::ip::path_mtu::PathMtus;
use crate::ip::rate_limit::RateLimit;
use crate::ip::reassembly::Reassembly;
use crate::ip::route::RouteTable;
use crate::multicast::groups::Groups;
use crate::ping::table::PingTable;
use crate::raw::socket::{Kind, PacketSocket};
use crate::raw::table::RawTable;
use crate::ready::Line;
use crate::slab::{Key, Slab};
use crate::socket::{EchoRequest, SocketEntry, SocketKind, State};
use crate::stats::Stats;
use crate::tcp::{Connection, Cookies, IsnGenerator, Outgoing, PortHash, Shared};
use crate::udp::queue::Spare;
use crate::udp::socket::UdpSocket;

/// Answers that may wait for the device: enough for a batch of packets that all draw one.
const OUTBOX_MAX: usize = 4096;

/// One host's stack.
pub struct Stack {
    config: Config,
    entropy: Entropy,
    stats: Stats,
    /// The latest moment that anybody told.
    now: Instant,

    addresses: Addresses,
    routes: RouteTable,
    path_mtus: PathMtus,
    reassembly_v4: Reassembly,
    reassembly_v6: Reassembly,
    identifications: Identifications,
    icmp_limit: RateLimit,

    tcp: Slab<TcpSocket>,
    tcp_table: Table,
    listeners: Listeners,
    bound: BoundPorts,
    time_waits: TimeWaits,
    pending: PendingFlows,
    isn: IsnGenerator,
    cookies: Cookies,
    ports: PortHash,
    shared: Arc<Shared>,
    deadlines: Deadlines,

    udp: Slab<UdpSocket>,
    udp_table: UdpTable,
    /// Buffers for the queues of datagrams.
    spare: Spare,
    packet_sockets: Slab<PacketSocket>,
    raws: RawTable,
    pings: PingTable,
    /// Raw and ping sockets that wait for room.
    packet_waiters: Vec<Key>,
    groups: Groups,
    echoes: VecDeque<EchoRequest>,
    is_echo_announced: bool,

    /// Whose turn it is to send.
    line: Line,
    /// Who has news for the application.
    events: Line,
    /// Who was refused memory and waits for some.
    waiters: VecDeque<Key>,
    /// Answers and fragments, before whoever stands in line.
    outbox: VecDeque<(Way, Transmit)>,
    /// Where connections write their segments: kept, so that it is not made each time.
    outgoing: Outgoing,
}

/// Which way a packet leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Out of the device.
    Out,
    /// Back in.
    Back,
}

/// A connection, and what the stack knows of it.
struct TcpSocket {
    connection: Connection,
    /// Hash of its four-tuple.
    hash: u64,
    owner: Owner,
    /// It has its four-tuple in the table; not so once the network side is over.
    holds_tuple: bool,
    /// What became true since the last event.
    news: Readiness,
    is_in_line: bool,
    /// It waits in `waiters`.
    is_waiting: bool,
    /// All buffers together left it nothing to send into; it is told when its own share is
    /// free again, whatever the others hold.
    was_refused_memory: bool,
    /// What it pins, as counted last.
    charged: usize,
    /// The path MTU that it was told last.
    path_mtu: usize,
}

/// Who a connection belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// The application, which has its name.
    Application,
    /// A listener: its handshake is not complete.
    HalfOpen(Key),
    /// A listener: it waits for `accept`.
    Ready(Key),
    /// The application has let go of it.
    Nobody,
}

impl Stack {
    /// A host with these addresses. Same `entropy` and same inputs: same outputs.
    #[must_use]
    pub fn new(mut config: Config, mut entropy: Entropy) -> Self {
        config.mtu = config.mtu.clamp(ipv4::MTU_MIN, IP_PACKET_MAX);
        let identifications = Identifications::new(
            SecretHash::new(entropy.secret_key()),
            entropy.visible_u64() as u32,
        );
        let mut secret = || SecretHash::new(entropy.secret_key());
        let limits = &config.limits;
        let addresses = Addresses::new(&config.addresses, !config.foreign_loopback);
        let routes = RouteTable::for_link(addresses.iter(), config.any_address);
        let reassembly =
            |secret| Reassembly::new(limits.reassembly_octets, limits.reassembly_age, secret);
        let shared = Arc::new(Shared {
            config: config.tcp.clone(),
            out_of_order_ranges: limits.out_of_order_ranges,
            challenge_acks_per_second: limits.challenge_acks_per_second,
        });
        Self {
            stats: Stats::default(),
            now: Instant::ZERO,
            routes,
            path_mtus: PathMtus::new(config.mtu, limits.path_mtus, secret()),
            reassembly_v4: reassembly(secret()),
            reassembly_v6: reassembly(secret()),
            identifications,
            icmp_limit: RateLimit::new(limits.icmp_errors_per_second, limits.icmp_burst, secret()),
            tcp: Slab::default(),
            tcp_table: Table::new(secret()),
            listeners: Listeners::new(secret()),
            bound: BoundPorts::default(),
            time_waits: TimeWaits::default(),
            pending: PendingFlows::default(),
            udp: Slab::default(),
            udp_table: UdpTable::new(&secret()),
            spare: Spare::default(),
            isn: IsnGenerator::new(entropy.secret_key()),
            cookies: Cookies::new(limits.fast_open_cookies),
            ports: PortHash::new(entropy.secret_key()),
            shared,
            deadlines: Deadlines::default(),
            packet_sockets: Slab::default(),
            raws: RawTable::new(SecretHash::new(entropy.secret_key())),
            pings: PingTable::new(SecretHash::new(entropy.secret_key())),
            packet_waiters: Vec::new(),
            groups: Groups::new(limits.groups),
            echoes: VecDeque::new(),
            is_echo_announced: false,
            line: Line::default(),
            events: Line::default(),
            waiters: VecDeque::new(),
            outbox: VecDeque::new(),
            outgoing: Outgoing::default(),
            addresses,
            config,
            entropy,
        }
    }
}

/// What it knows of itself.
impl Stack {
    /// Counters since it began.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// All sockets: listeners, connections, records of TIME-WAIT, datagram, ping and raw sockets.
    pub fn sockets(&self) -> impl Iterator<Item = SocketEntry> {
        let listeners = self.listeners.iter().map(|(_, listener)| SocketEntry {
            kind: SocketKind::Tcp,
            local: listener.local,
            remote: None,
            state: Some(State::Listen),
        });
        let connections = self.tcp.iter().map(|(_, socket)| SocketEntry {
            kind: SocketKind::Tcp,
            local: socket.connection.tuple().local,
            remote: Some(socket.connection.tuple().remote),
            state: Some(socket.connection.state()),
        });
        let records = self.time_waits.iter().map(|record| SocketEntry {
            kind: SocketKind::Tcp,
            local: record.tuple.local,
            remote: Some(record.tuple.remote),
            state: Some(State::TimeWait),
        });
        let open = self.udp.iter().filter(|(_, socket)| !socket.is_closed);
        let datagrams = open.map(|(_, socket)| SocketEntry {
            kind: SocketKind::Udp,
            local: socket.local,
            remote: socket.remote.or(socket.source),
            state: None,
        });
        let packets = self.packet_sockets.iter().map(|(_, socket)| {
            let (kind, port) = match socket.kind {
                Kind::Ping { identifier } => (SocketKind::Ping, identifier),
                Kind::Raw { protocol } => (SocketKind::Raw(protocol), 0),
            };
            SocketEntry {
                kind,
                local: SocketAddr::new(socket.local, port),
                remote: socket.remote.map(|remote| SocketAddr::new(remote, 0)),
                state: None,
            }
        });
        let streams = listeners.chain(connections).chain(records);
        streams.chain(datagrams).chain(packets)
    }

    /// What it was made with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What connections that are opened or answered from now on have in common; those that exist
    /// keep what they have.
    pub fn set_tcp_config(&mut self, config: TcpConfig) {
        self.shared = Arc::new(Shared {
            config: config.clone(),
            ..(*self.shared).clone()
        });
        self.config.tcp = config;
    }
}

/// What its parts share.
impl Stack {
    /// Longest packet to `destination`.
    fn mtu_to(&self, destination: IpAddr, now: Instant) -> usize {
        if self.addresses.is_ours(destination) {
            return IP_PACKET_MAX;
        }
        self.path_mtus.get(destination, now)
    }

    /// Whether there is a way to `destination`.
    fn has_route(&self, destination: IpAddr) -> bool {
        self.addresses.is_ours(destination) || self.routes.find(destination).is_some()
    }

    /// Whether all buffers together pin what they may.
    fn is_out_of_memory(&self) -> bool {
        self.stats.pinned_octets >= self.config.limits.buffers
    }

    /// Buffers pin `now` instead of `before` octets.
    fn recharge(&mut self, before: usize, now: usize) {
        self.stats.pinned_octets = (self.stats.pinned_octets + now).saturating_sub(before);
    }

    fn drop_packet(&mut self, reason: DropReason) {
        self.stats.drop(reason);
    }
}

/// A stack moves between threads.
const _: () = {
    const fn is_send<T: Send>() {}
    is_send::<Stack>();
};

//! A stack, its application, and what must be true after every step.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::LazyLock;
use std::time::Duration;

use switchboard_core::config::{Cidr, Config, Offloads};
use switchboard_core::entropy::Entropy;
use switchboard_core::event::{Event, Incoming};
use switchboard_core::limits::Limits;
use switchboard_core::socket::{FlowId, ListenerId, TcpId, UdpId};
use switchboard_core::{Stack, TcpOptions, UdpOptions};
use switchboard_wire::line::PacketLine;
use switchboard_wire::offload::cut;
use switchboard_wire::packet::Checksum;
use switchboard_wire::tcp::TcpSegment;
use switchboard_wire::udp::UdpDatagram;
use switchboard_wire::{Instant, IpPacket, IpProtocol, RxPacket, Transmit};

use super::input::Input;
use super::pattern::{Reader, is_text};

/// Our own addresses.
pub const OWN_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
pub const OWN_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);

/// Packets that one step may send. A window, a backlog of fragments: a few hundred; more is a
/// loop.
const TRANSMITS_PER_STEP: usize = 5_000;
/// Times that one moment may be due again.
const TIMEOUTS_PER_MOMENT: usize = 64;
/// Deadlines between the last call and silence.
const DEADLINES_TO_SILENCE: usize = 50_000;
/// Own packets that are remembered.
const RECENT_MAX: usize = 16;

/// One direction of a conversation as its packets show it.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// The stack's endpoint.
    pub near: SocketAddr,
    /// The peer's endpoint.
    pub far: SocketAddr,
    /// What the stack sends next.
    pub snd_nxt: u32,
    /// What the stack expects next.
    pub rcv_nxt: u32,
    /// The stack's latest timestamp.
    pub timestamp: Option<u32>,
}

pub struct Host {
    pub stack: Stack,
    pub now: Instant,
    pub tcp: Vec<TcpId>,
    /// What the application has sent and read of its connections.
    pub streams: BTreeMap<TcpId, Stream>,
    /// Initial sequence numbers of the connections that the stack has opened or answered.
    initial: BTreeMap<(SocketAddr, SocketAddr), u32>,
    pub udp: Vec<UdpId>,
    pub listeners: Vec<ListenerId>,
    pub flows: Vec<Flow>,
    pub seen: Vec<Seen>,
    pub recent: VecDeque<Vec<u8>>,
    /// Whether peers say only what belongs at their sequence numbers, so that what is read
    /// can be checked.
    pub checks_text: bool,
    config: Config,
}

/// How far inputs of this thread came: a corpus that reaches nothing tests nothing.
#[derive(Clone, Debug, Default)]
pub struct Reached {
    /// States of connections that were seen, by number.
    pub states: [bool; 11],
    /// What happened, with how often.
    pub counts: BTreeMap<&'static str, u64>,
}

thread_local! {
    static REACHED: RefCell<Reached> = RefCell::default();
}

/// How far the inputs of this thread came.
pub fn reached() -> Reached {
    REACHED.with_borrow(Reached::clone)
}

/// One connection as its application knows it.
#[derive(Default)]
pub struct Stream {
    /// Octets that the stack took.
    pub sent: u32,
    /// What came out.
    pub reader: Reader,
}

/// A flow that waits for a verdict.
#[derive(Clone, Copy)]
pub enum Flow {
    Tcp(FlowId),
    Udp(FlowId),
}

fn limits(input: &mut Input<'_>) -> Limits {
    if input.is_set() {
        return Limits::default();
    }
    Limits {
        connections: 6,
        time_wait: 3,
        pending_flows: 3,
        syn_backlog: 2,
        udp_sockets: 4,
        reassembly_octets: 32 << 10,
        out_of_order_ranges: 4,
        buffers: 1 << 20,
        path_mtus: 3,
        echo_requests: 2,
        ..Limits::default()
    }
}

fn config(input: &mut Input<'_>) -> Config {
    let offloaded = input.is_set();
    Config {
        addresses: vec![
            Cidr {
                address: OWN_V4.into(),
                prefix_len: 24,
            },
            Cidr {
                address: OWN_V6.into(),
                prefix_len: 64,
            },
        ],
        any_address: input.is_set(),
        echo_to_application: input.is_set(),
        mtu: input.pick(&[1500, 1280, 9000, 65_520]),
        offloads: Offloads {
            checksum: offloaded,
            tso4: offloaded,
            tso6: offloaded,
            uso: offloaded,
        },
        limits: limits(input),
        ..Config::default()
    }
}

impl Host {
    pub fn new(input: &mut Input<'_>) -> Self {
        let config = config(input);
        let mut host = Self {
            stack: Stack::new(config.clone(), Entropy::from_seed([input.u8(); 32])),
            now: Instant::from_millis(1),
            tcp: Vec::new(),
            streams: BTreeMap::new(),
            initial: BTreeMap::new(),
            udp: Vec::new(),
            listeners: Vec::new(),
            flows: Vec::new(),
            seen: Vec::new(),
            recent: VecDeque::new(),
            checks_text: true,
            config,
        };
        for address in [IpAddr::from(OWN_V4), IpAddr::from(OWN_V6)] {
            let tcp = TcpOptions::default();
            let listener = host
                .stack
                .call_tcp_listen(SocketAddr::new(address, 80), 4, &tcp);
            host.listeners.extend(listener);
            let udp = UdpOptions {
                receive_buffer: 64 << 10,
                ..UdpOptions::default()
            };
            let bound = host.stack.call_udp_bind(SocketAddr::new(address, 53), &udp);
            host.udp.extend(bound);
        }
        host
    }

    pub fn receive(&mut self, mut packet: RxPacket) {
        packet.arrived = self.now;
        self.tell(|| format!("<-  {}", PacketLine(&packet.bytes)));
        self.stack.handle_packet(self.now, packet);
        self.settle();
    }

    pub fn advance(&mut self, by: Duration) {
        self.tell(|| format!("{by:?} pass"));
        self.now += by;
        self.stack.handle_timeout(self.now);
        self.settle();
    }

    /// To the next deadline, if there is one; false if not.
    pub fn advance_to_deadline(&mut self) -> bool {
        let Some(deadline) = self.stack.poll_timeout() else {
            return false;
        };
        self.now = self.now.max(deadline);
        self.stack.handle_timeout(self.now);
        self.settle();
        true
    }

    /// Drains what one input caused, and checks it.
    pub fn settle(&mut self) {
        for _ in 0..TIMEOUTS_PER_MOMENT {
            self.drain();
            match self.stack.poll_timeout() {
                Some(deadline) if deadline <= self.now => self.stack.handle_timeout(self.now),
                _ => {
                    self.check_bounds();
                    return;
                }
            }
        }
        panic!("a deadline stays due: the driver would spin");
    }

    fn drain(&mut self) {
        let mut sent = 0;
        while let Some(transmit) = self.stack.poll_transmit(self.now) {
            sent += 1;
            assert!(sent < TRANSMITS_PER_STEP, "one step sends without end");
            self.check_transmit(&transmit);
        }
        while let Some(event) = self.stack.poll_event() {
            self.tell(|| format!("event {event:?}"));
            match event {
                Event::Incoming(Incoming::Tcp { id, .. }) => self.flows.push(Flow::Tcp(id)),
                Event::Incoming(Incoming::Udp { id, .. }) => self.flows.push(Flow::Udp(id)),
                Event::Acceptable(listener) => {
                    let accepted = self.stack.call_tcp_accept(self.now, listener);
                    if let Ok(Some(accepted)) = accepted {
                        self.tcp.push(accepted.id);
                    }
                }
                _ => {}
            }
        }
    }

    fn check_bounds(&self) {
        let limits = &self.config.limits;
        let most = limits.connections
            + limits.time_wait
            + limits.pending_flows
            + limits.udp_sockets
            + self.listeners.len();
        assert!(
            self.stack.sockets().count() <= most,
            "sockets beyond limits"
        );
        REACHED.with_borrow_mut(|reached| {
            for state in self.stack.sockets().filter_map(|entry| entry.state) {
                reached.states[state as usize] = true;
            }
        });
        // One call and one packet may go over the line that stops the next.
        let slack = 5 << 20;
        let pinned = self.stack.stats().pinned_octets;
        assert!(pinned <= limits.buffers + slack, "{pinned} octets pinned");
    }

    /// Whatever the stack sends is legal, whole and no longer than the link takes.
    fn check_transmit(&mut self, transmit: &Transmit) {
        let offloads = &self.config.offloads;
        assert!(offloads.checksum || transmit.checksum.is_none());
        assert!(offloads.tso4 || transmit.segment_size.is_none());
        assert!(transmit.segment_size.is_none() || transmit.checksum.is_some());
        assert!(transmit.len() <= 65_535);
        for piece in cut(transmit) {
            let octets = piece.to_bytes();
            assert!(
                octets.len() <= self.config.mtu,
                "longer than the link takes"
            );
            self.check_packet(&octets);
            if self.recent.len() == RECENT_MAX {
                self.recent.pop_front();
            }
            self.recent.push_back(octets.to_vec());
        }
    }

    /// Prints what happens, if `SWITCHBOARD_FUZZ_TRACE` is set: for looking at one input.
    pub fn tell(&self, what: impl FnOnce() -> String) {
        static IS_WANTED: LazyLock<bool> =
            LazyLock::new(|| std::env::var_os("SWITCHBOARD_FUZZ_TRACE").is_some());
        if *IS_WANTED {
            eprintln!("{:>20}  {}", self.now.to_string(), what());
        }
    }

    fn check_packet(&mut self, octets: &[u8]) {
        self.tell(|| format!("->  {}", PacketLine(octets)));
        let ip = IpPacket::parse(octets).expect("the stack sends legal packets");
        assert_eq!(ip.complaint, None);
        if !self.config.any_address {
            assert!([IpAddr::from(OWN_V4), OWN_V6.into()].contains(&ip.source));
        }
        if ip.fragment.is_some() {
            return;
        }
        match ip.protocol {
            IpProtocol::TCP => {
                let segment = TcpSegment::parse(&ip, Checksum::Unknown);
                self.remember(&ip, &segment.expect("the stack sends legal segments"));
            }
            IpProtocol::UDP => {
                UdpDatagram::parse(&ip, Checksum::Unknown).expect("legal datagrams");
            }
            _ => {}
        }
    }

    fn remember(&mut self, ip: &IpPacket<'_>, segment: &TcpSegment<'_>) {
        let header = &segment.header;
        let near = SocketAddr::new(ip.source, header.source_port);
        let far = SocketAddr::new(ip.destination, header.destination_port);
        if header.flags.syn() {
            self.initial.insert((near, far), header.seq);
        }
        if let Some(initial) = self.initial.get(&(near, far)) {
            let at = header.seq.wrapping_sub(*initial).wrapping_sub(1);
            assert!(is_text(at, segment.text), "not the octets that were sent");
        }
        let ends = u32::from(header.flags.syn()) + u32::from(header.flags.fin());
        let seen = Seen {
            near,
            far,
            snd_nxt: header.seq.wrapping_add(segment.text.len() as u32 + ends),
            rcv_nxt: header.ack,
            timestamp: header.options.timestamps.map(|ts| ts.value),
        };
        self.seen
            .retain(|other| (other.near, other.far) != (near, far));
        if self.seen.len() == RECENT_MAX {
            self.seen.remove(0);
        }
        self.seen.push(seen);
    }

    fn report(&self) {
        let stats = self.stack.stats();
        REACHED.with_borrow_mut(|reached| {
            for (what, count) in [
                ("connections opened", stats.connections_opened),
                ("connections answered", stats.connections_answered),
                ("segments sent again", stats.segments_retransmitted),
                ("resets sent", stats.resets_sent),
                ("datagrams received", stats.datagrams_received),
                ("datagrams sent", stats.datagrams_sent),
                ("packets reassembled", stats.reassembled),
                ("fragments sent", stats.fragments_sent),
                ("ICMP errors sent", stats.icmp_errors_sent),
                ("ICMP errors received", stats.icmp_errors_received),
            ] {
                *reached.counts.entry(what).or_default() += count;
            }
            for (reason, count) in stats.drops() {
                *reached.counts.entry(reason.text()).or_default() += count;
            }
        });
    }

    /// The application lets go of everything; nobody answers any more. In the end nothing may
    /// be left: no socket, no octet, no deadline.
    pub fn finish(mut self) {
        self.tell(|| "the application lets go".to_string());
        for id in std::mem::take(&mut self.tcp) {
            let _ = self.stack.call_tcp_close(self.now, id);
        }
        for id in std::mem::take(&mut self.udp) {
            let _ = self.stack.call_udp_close(id);
        }
        for id in std::mem::take(&mut self.listeners) {
            let _ = self.stack.call_tcp_unlisten(self.now, id);
        }
        while self.stack.receive_echo().is_some() {}
        self.settle();
        self.report();
        for _ in 0..DEADLINES_TO_SILENCE {
            if !self.advance_to_deadline() {
                let left: Vec<_> = self.stack.sockets().collect();
                assert!(left.is_empty(), "sockets without a deadline: {left:?}");
                assert_eq!(self.stack.stats().pinned_octets, 0, "octets stay pinned");
                return;
            }
        }
        panic!("deadlines without end");
    }
}

//! The first packets of each conversation, kept for the page and for `--explain`.
//!
//! The device's tee shows every packet; this looks at the first octets of each and keeps what
//! belongs to the beginning of a flow. On the data path it costs one look into a table for each
//! packet or super-segment.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use switchboard::device::tee::{self, PacketSink, PacketView};
use switchboard_wire::{Instant, Protocol};

use crate::limits::Limits;
use crate::registry::lock;

/// Octets kept of each packet: every header and the beginning of the text.
const SNAP: usize = 192;

/// Which way a packet went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// `->`: from the program.
    Out,
    /// `<-`: to the program.
    In,
}

/// One conversation as packets show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowKey {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The program's endpoint.
    pub inner: SocketAddr,
    /// The far endpoint.
    pub outer: SocketAddr,
}

/// A packet that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedPacket {
    /// When it passed, on the clock of the stack.
    pub at: Instant,
    /// Which way.
    pub direction: Direction,
    /// Octets of the whole IP packet.
    pub len: usize,
    /// Its first octets, from the IP header on: all headers and the beginning of the text.
    pub bytes: Box<[u8]>,
}

/// Keeps the first packets of each flow. Clones are the same recorder.
#[derive(Clone)]
pub struct HandshakeRecorder {
    flows: Arc<Mutex<Flows>>,
}

struct Flows {
    packets_max: usize,
    flows_max: usize,
    table: HashMap<FlowKey, Vec<RecordedPacket>>,
    /// Flows in the order in which they began; the oldest makes room.
    order: VecDeque<FlowKey>,
}

impl HandshakeRecorder {
    /// A recorder with these bounds.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self {
            flows: Arc::new(Mutex::new(Flows {
                packets_max: limits.recorded_packets,
                flows_max: limits.recorded_flows,
                table: HashMap::new(),
                order: VecDeque::new(),
            })),
        }
    }

    /// Looks at a packet that passes the device. `head` is the packet from its IP header on,
    /// or as much of its beginning as is at hand; `len` is the length of all of it.
    pub fn record(&self, direction: Direction, at: Instant, head: &[u8], len: usize) {
        self.record_with(direction, at, head, || {
            (len, head.get(..SNAP).unwrap_or(head).into())
        });
    }

    fn record_with(
        &self,
        direction: Direction,
        at: Instant,
        head: &[u8],
        octets: impl FnOnce() -> (usize, Box<[u8]>),
    ) {
        let Some((key, begins)) = peek(direction, head) else {
            return;
        };
        lock(&self.flows).record(key, begins, || {
            let (len, bytes) = octets();
            RecordedPacket {
                at,
                direction,
                len,
                bytes,
            }
        });
    }

    /// The first packets of `flow`, oldest first; empty if it is not, or no longer, known.
    #[must_use]
    pub fn packets(&self, flow: &FlowKey) -> Vec<RecordedPacket> {
        lock(&self.flows)
            .table
            .get(flow)
            .cloned()
            .unwrap_or_default()
    }
}

/// At the gateway's end of the link: what the device received, the program sent.
impl PacketSink for HandshakeRecorder {
    fn packet(&mut self, at: Instant, direction: tee::Direction, packet: PacketView<'_>) {
        let direction = match direction {
            tee::Direction::Inbound => Direction::Out,
            tee::Direction::Outbound => Direction::In,
        };
        self.record_with(direction, at, packet.head(), || {
            (packet.len(), beginning(&packet))
        });
    }
}

/// A packet's first octets, headers and text.
fn beginning(packet: &PacketView<'_>) -> Box<[u8]> {
    let head = packet.head();
    let mut octets = head.get(..SNAP).unwrap_or(head).to_vec();
    if let PacketView::Sent(transmit) = packet {
        for slice in &transmit.payload {
            let room = SNAP.saturating_sub(octets.len());
            octets.extend_from_slice(slice.get(..room).unwrap_or(slice));
        }
    }
    octets.into_boxed_slice()
}

/// How a packet stands to its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begins {
    /// It belongs to one that is known, or to none.
    Never,
    /// It begins one unless that is known: a datagram of the program.
    IfUnknown,
    /// It begins one: a SYN.
    Anew,
}

impl Flows {
    fn record(&mut self, key: FlowKey, begins: Begins, packet: impl FnOnce() -> RecordedPacket) {
        if begins == Begins::IfUnknown && !self.table.contains_key(&key) {
            self.begin(key);
        }
        if begins == Begins::Anew {
            let packet = packet();
            // The same endpoints may begin anew; a SYN that is sent again is no beginning.
            let again = self
                .table
                .get(&key)
                .is_some_and(|kept| kept.first().is_some_and(|first| same_syn(first, &packet)));
            if !again {
                self.begin(key);
            }
            return self.keep(&key, || packet);
        }
        self.keep(&key, packet);
    }

    fn begin(&mut self, key: FlowKey) {
        if self.table.insert(key, Vec::new()).is_some() {
            self.order.retain(|other| *other != key);
        }
        self.order.push_back(key);
        while self.order.len() > self.flows_max {
            if let Some(oldest) = self.order.pop_front() {
                self.table.remove(&oldest);
            }
        }
    }

    fn keep(&mut self, key: &FlowKey, packet: impl FnOnce() -> RecordedPacket) {
        if let Some(kept) = self.table.get_mut(key)
            && kept.len() < self.packets_max
        {
            kept.push(packet());
        }
    }
}

/// Whether two SYNs are one, sent twice: same initial sequence number.
fn same_syn(a: &RecordedPacket, b: &RecordedPacket) -> bool {
    let seq = |packet: &RecordedPacket| {
        let transport = transport_start(&packet.bytes)?;
        packet
            .bytes
            .get(transport + 4..transport + 8)
            .map(<[u8]>::to_vec)
    };
    a.direction == b.direction && seq(a).is_some() && seq(a) == seq(b)
}

/// Where the transport header begins, for packets without extension headers.
pub(crate) fn transport_start(head: &[u8]) -> Option<usize> {
    match head.first()? >> 4 {
        4 => Some(usize::from(head.first()? & 0x0f) * 4),
        6 => Some(40),
        _ => None,
    }
}

/// Which flow a packet belongs to, and whether it begins one. `None`: neither TCP nor UDP, a
/// later fragment, or not whole enough to tell.
fn peek(direction: Direction, head: &[u8]) -> Option<(FlowKey, Begins)> {
    let (protocol, source, destination): (u8, IpAddr, IpAddr) = match head.first()? >> 4 {
        4 => {
            let offset = u16::from_be_bytes(head.get(6..8)?.try_into().ok()?) & 0x1fff;
            if offset != 0 {
                return None;
            }
            let address = |at: usize| {
                let octets: [u8; 4] = head.get(at..at + 4)?.try_into().ok()?;
                Some(Ipv4Addr::from(octets))
            };
            (*head.get(9)?, address(12)?.into(), address(16)?.into())
        }
        6 => {
            let address = |at: usize| {
                let octets: [u8; 16] = head.get(at..at + 16)?.try_into().ok()?;
                Some(Ipv6Addr::from(octets))
            };
            (*head.get(6)?, address(8)?.into(), address(24)?.into())
        }
        _ => return None,
    };
    let start = transport_start(head)?;
    let port = |at: usize| {
        let octets: [u8; 2] = head.get(start + at..start + at + 2)?.try_into().ok()?;
        Some(u16::from_be_bytes(octets))
    };
    let source = SocketAddr::new(source, port(0)?);
    let destination = SocketAddr::new(destination, port(2)?);
    let (protocol, begins) = match protocol {
        6 => {
            let flags = *head.get(start + 13)?;
            // SYN without ACK.
            let begins = if flags & 0x12 == 0x02 {
                Begins::Anew
            } else {
                Begins::Never
            };
            (Protocol::Tcp, begins)
        }
        17 => match direction {
            Direction::Out => (Protocol::Udp, Begins::IfUnknown),
            Direction::In => (Protocol::Udp, Begins::Never),
        },
        _ => return None,
    };
    let (inner, outer) = match direction {
        Direction::Out => (source, destination),
        Direction::In => (destination, source),
    };
    let key = FlowKey {
        protocol,
        inner,
        outer,
    };
    Some((key, begins))
}

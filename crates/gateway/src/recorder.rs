//! The first packets of each conversation, kept for the page and for `--explain`.
//!
//! The device's tee shows every packet; this looks at the first octets of each and keeps what
//! belongs to the beginning of a flow. On the data path it costs one comparison of flags and,
//! for segments without SYN, one look into a small filter.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};

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
        let Some((key, begins)) = peek(direction, head) else {
            return;
        };
        let mut flows = lock(&self.flows);
        flows.record(key, begins, || RecordedPacket {
            at,
            direction,
            len,
            bytes: head.get(..SNAP).unwrap_or(head).into(),
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

impl Flows {
    fn record(&mut self, key: FlowKey, begins: bool, packet: impl FnOnce() -> RecordedPacket) {
        if begins {
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
fn peek(direction: Direction, head: &[u8]) -> Option<(FlowKey, bool)> {
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
            (Protocol::Tcp, flags & 0x12 == 0x02)
        }
        17 => (Protocol::Udp, false),
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

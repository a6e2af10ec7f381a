//! The packets of this conversation, as they passed the program's end of the link.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use switchboard_wire::Instant;
use switchboard_wire::ip::{IpPacket, IpProtocol};
use switchboard_wire::line::Side;
use switchboard_wire::tcp::TcpHeader;
use switchboard_wire::udp::UdpHeader;
use tokio::sync::Notify;

/// Packets of the beginning that are kept.
const BEGINNING_MAX: usize = 256;
/// Packets of the end that are kept.
const END_MAX: usize = 16;

/// One packet that passed.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// When, on the network's clock.
    pub(super) at: Instant,
    /// Who sent it: `Near` is the program.
    pub(super) from: Side,
    /// Its place in the log, from 0.
    pub(super) number: usize,
    bytes: Vec<u8>,
}

/// What can be said of all packets that passed, kept or not.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    /// All of them.
    pub(super) packets: usize,
    /// Datagrams among them.
    pub(super) udp: usize,
    /// Segments among them.
    pub(super) tcp: usize,
    /// Segments whose text had passed before.
    pub(super) resent: usize,
    /// Octets of text that came to the program, once each.
    pub(super) received: u64,
    near: Half,
    far: Half,
}

/// One direction of the connection: `open` has only one.
#[derive(Clone, Copy, Debug, Default)]
struct Half {
    /// Sequence number behind the last octet that passed.
    next: Option<u32>,
    /// Its FIN has passed.
    fin: bool,
    /// The other side has acknowledged everything up to its FIN, or the line was cut.
    over: bool,
}

impl Totals {
    /// Whether both sides have hung up and know it of each other.
    pub(super) const fn is_over(&self) -> bool {
        self.near.over && self.far.over
    }

    fn count(&mut self, from: Side, bytes: &[u8]) {
        self.packets += 1;
        let Ok(packet) = IpPacket::parse(bytes) else {
            return;
        };
        match packet.protocol {
            IpProtocol::UDP => self.udp += 1,
            IpProtocol::TCP => {
                self.tcp += 1;
                if let Ok((header, header_len)) = TcpHeader::parse(packet.body()) {
                    self.segment(from, &header, packet.body_len() - header_len);
                }
            }
            _ => {}
        }
    }

    fn segment(&mut self, from: Side, header: &TcpHeader, len: usize) {
        let flags = header.flags;
        if flags.rst() {
            (self.near.over, self.far.over) = (true, true);
            return;
        }
        let (own, other) = match from {
            Side::Near => (&mut self.near, &mut self.far),
            Side::Far => (&mut self.far, &mut self.near),
        };
        let len = u32::try_from(len).unwrap_or(0);
        let end = header
            .seq
            .wrapping_add(len + u32::from(flags.syn()) + u32::from(flags.fin()));
        let ahead = |next: u32| end.wrapping_sub(next).cast_signed();
        match own.next {
            Some(next) if ahead(next) <= 0 => {
                self.resent += usize::from(end != header.seq);
            }
            next => {
                own.next = Some(end);
                if from == Side::Far {
                    let fresh = next.map_or(len, |next| end.wrapping_sub(next).min(len));
                    self.received += u64::from(fresh);
                }
            }
        }
        own.fin |= flags.fin();
        if flags.ack() && other.fin && other.next == Some(header.ack) {
            other.over = true;
        }
    }
}

#[derive(Default)]
struct Log {
    beginning: Vec<Seen>,
    end: VecDeque<Seen>,
    totals: Totals,
}

#[derive(Default)]
struct Shared {
    log: Mutex<Log>,
    grew: Notify,
}

/// Everything that passed, oldest first: the beginning, the end, and totals of all. Clones are
/// the same log.
#[derive(Clone, Default)]
pub(super) struct PacketLog(Arc<Shared>);

impl PacketLog {
    fn lock(&self) -> MutexGuard<'_, Log> {
        self.0.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A packet passes.
    pub(super) fn push(&self, at: Instant, from: Side, packet: &[u8]) {
        let mut log = self.lock();
        let seen = Seen {
            at,
            from,
            number: log.totals.packets,
            bytes: packet.to_vec(),
        };
        log.totals.count(from, packet);
        if log.beginning.len() < BEGINNING_MAX {
            log.beginning.push(seen);
        } else {
            if log.end.len() == END_MAX {
                log.end.pop_front();
            }
            log.end.push_back(seen);
        }
        drop(log);
        self.0.grew.notify_one();
    }

    /// What is kept of the packets from the `from`th on.
    pub(super) fn since(&self, from: usize) -> Vec<Seen> {
        let log = self.lock();
        let all = log.beginning.iter().chain(&log.end);
        all.filter(|seen| seen.number >= from).cloned().collect()
    }

    /// What can be said of all that has passed.
    pub(super) fn totals(&self) -> Totals {
        self.lock().totals
    }

    /// Waits until both sides have hung up.
    pub(super) async fn over(&self) {
        while !self.totals().is_over() {
            self.0.grew.notified().await;
        }
    }
}

/// A TCP segment of the log.
pub(super) struct SeenSegment<'a> {
    pub(super) seen: &'a Seen,
    pub(super) header: TcpHeader,
    /// What it carries.
    pub(super) text: &'a [u8],
}

impl Seen {
    /// The segment, if the packet is one between these two endpoints.
    pub(super) fn segment(&self, near: SocketAddr, far: SocketAddr) -> Option<SeenSegment<'_>> {
        let packet = IpPacket::parse(&self.bytes).ok()?;
        if packet.protocol != IpProtocol::TCP {
            return None;
        }
        let body = packet.body();
        let (header, header_len) = TcpHeader::parse(body).ok()?;
        let source = SocketAddr::new(packet.source, header.source_port);
        let destination = SocketAddr::new(packet.destination, header.destination_port);
        let expected = match self.from {
            Side::Near => (near, far),
            Side::Far => (far, near),
        };
        ((source, destination) == expected).then(|| SeenSegment {
            seen: self,
            text: body.get(header_len..).unwrap_or_default(),
            header,
        })
    }

    /// Who calls `far`, if the packet is a first SYN to it.
    pub(super) fn caller_of(&self, far: SocketAddr) -> Option<SocketAddr> {
        let packet = IpPacket::parse(&self.bytes).ok()?;
        if packet.protocol != IpProtocol::TCP || self.from != Side::Near {
            return None;
        }
        let (header, _) = TcpHeader::parse(packet.body()).ok()?;
        let called = SocketAddr::new(packet.destination, header.destination_port);
        let calls = header.flags.syn() && called == far;
        calls.then(|| SocketAddr::new(packet.source, header.source_port))
    }

    /// Source and destination, if the packet is a datagram.
    pub(super) fn datagram(&self) -> Option<(SocketAddr, SocketAddr)> {
        let packet = IpPacket::parse(&self.bytes).ok()?;
        if packet.protocol != IpProtocol::UDP {
            return None;
        }
        let header = UdpHeader::parse(packet.body()).ok()?;
        Some((
            SocketAddr::new(packet.source, header.source_port),
            SocketAddr::new(packet.destination, header.destination_port),
        ))
    }
}

/// `->` leaves the program, `<-` comes to it.
pub(super) const fn arrow(from: Side) -> &'static str {
    match from {
        Side::Near => "->",
        Side::Far => "<-",
    }
}

/// How a line's text begins: the first line of what a segment carries, if it is readable.
pub(super) fn first_line(text: &[u8]) -> &str {
    let line = text
        .split(|octet| *octet == b'\r' || *octet == b'\n')
        .next();
    let line = line.unwrap_or_default();
    let line = line.get(..32).unwrap_or(line);
    match std::str::from_utf8(line) {
        Ok(line) if !line.chars().any(char::is_control) => line,
        _ => "",
    }
}

//! Running a script: a stack, a clock that jumps, and a peer made of lines.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use switchboard_core::{
    ConnectError, Entropy, Event, ListenerId, Lost, Readiness, ReceiveError, SendError, Stack,
    TcpId, UdpId, UdpOptions, Unreachable,
};
use switchboard_wire::line::{Relative, Side, TcpLine};
use switchboard_wire::{Instant, RxPacket};

use super::settings::{Settings, set_option};
use super::{Call, Peer, Script, Step};
use crate::door;
use crate::packets::{self, SegmentParts};
use crate::pattern::Pattern;
use crate::rng::Seed;

/// Deadlines between two lines before it counts as a busy loop.
const DEADLINES_MAX: u32 = 10_000;

/// Our side's octets and the peer's.
const OURS: Pattern = Pattern(1);
const PEERS: Pattern = Pattern(2);

/// Something that happened.
#[derive(Clone, Debug)]
pub(super) struct Actual {
    pub(super) at: Instant,
    pub(super) what: What,
    /// What is wrong with it.
    pub(super) complaint: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    /// A line of the script was done.
    Input(String),
    /// The application heard.
    News(String),
    /// We sent a segment; with `Some` to another port than the first connection's.
    Segment { port: Option<u16>, line: TcpLine },
    /// We sent something else.
    Other(String),
}

pub(super) fn run(script: &Script) -> Vec<Actual> {
    let mut runner = Runner::new(&script.settings);
    for item in &script.items {
        match &item.step {
            Step::News(_) | Step::Sent(_) => continue,
            Step::Call(_) | Step::Peer(_) | Step::End | Step::Idle => {}
        }
        runner.advance(item.at);
        let index = runner.actual.len();
        runner.record(What::Input(item.source.clone()));
        let complaint = match &item.step {
            Step::Call(call) => runner.call(call).err(),
            Step::Peer(peer) => runner.peer(peer).err(),
            Step::Idle => runner
                .stack
                .poll_timeout()
                .map(|at| format!("a deadline is left at {at}")),
            Step::End | Step::News(_) | Step::Sent(_) => None,
        };
        runner.actual[index].complaint = complaint;
        runner.drain();
    }
    if let Some(last) = script.items.last() {
        runner.advance(last.at);
    }
    runner.actual
}

struct Runner<'a> {
    settings: &'a Settings,
    stack: Stack,
    now: Instant,
    actual: Vec<Actual>,
    us: SocketAddr,
    peer: SocketAddr,
    listener: Option<ListenerId>,
    connection: Option<TcpId>,
    udp: Option<UdpId>,
    sent: u64,
    received: u64,
    /// Where numbers begin, by the peer's port.
    relatives: BTreeMap<u16, Relative>,
    /// Our timestamp that the peer echoes.
    last_timestamp: u32,
    /// The last packet that we sent: what an ICMP error quotes.
    last_packet: Option<Bytes>,
}

impl<'a> Runner<'a> {
    fn new(settings: &'a Settings) -> Self {
        let (us, peer): (IpAddr, IpAddr) = if settings.is_v6 {
            (
                [0xfd00, 0, 0, 0, 0, 0, 0, 1].into(),
                [0xfd00, 0, 0, 0, 0, 0, 0, 2].into(),
            )
        } else {
            ([10, 0, 0, 1].into(), [10, 0, 0, 2].into())
        };
        let entropy = Entropy::from_seed(Seed(1).expand());
        Self {
            settings,
            stack: Stack::new(settings.config.clone(), entropy),
            now: Instant::ZERO,
            actual: Vec::new(),
            us: SocketAddr::new(us, 40_000),
            peer: SocketAddr::new(peer, 80),
            listener: None,
            connection: None,
            udp: None,
            sent: 0,
            received: 0,
            relatives: BTreeMap::new(),
            last_timestamp: 0,
            last_packet: None,
        }
    }

    fn record(&mut self, what: What) {
        self.actual.push(Actual {
            at: self.now,
            what,
            complaint: None,
        });
    }

    /// Lets every deadline up to `to` fire.
    fn advance(&mut self, to: Instant) {
        for _ in 0..DEADLINES_MAX {
            match self.stack.poll_timeout() {
                Some(at) if at <= to => {
                    self.now = self.now.max(at);
                    self.stack.handle_timeout(self.now);
                    self.drain();
                }
                _ => {
                    self.now = to;
                    return;
                }
            }
        }
        self.record(What::Other("deadlines without end".to_owned()));
        self.now = to;
    }

    fn drain(&mut self) {
        loop {
            if let Some(transmit) = self.stack.poll_transmit(self.now) {
                for packet in door::plain_packets(&transmit) {
                    self.sent(packet);
                }
            } else if let Some(event) = self.stack.poll_event() {
                self.hear(event);
            } else {
                return;
            }
        }
    }

    /// Notes a packet that we sent.
    fn sent(&mut self, packet: Bytes) {
        let what = match packets::tcp(&packet) {
            Ok((_, destination, header, text)) if destination.ip() == self.peer.ip() => {
                let peer_iss = self.settings.peer_iss;
                let relative = self.relatives.entry(destination.port()).or_default();
                relative.observe(Side::Near, &header);
                // The peer's numbers begin where the script says, whoever speaks first.
                if let Some(near) = relative.initial(Side::Near) {
                    *relative = Relative::of(near, peer_iss);
                }
                if let Some(timestamps) = header.options.timestamps {
                    self.last_timestamp = timestamps.value;
                }
                let line = relative.full_line(Side::Near, &header, text.len());
                let at = u64::from(line.seq.unwrap_or(1).max(1)) - 1;
                let is_wrong = OURS.first_difference(at, &text).is_some();
                let port = (destination.port() != self.peer.port()).then(|| destination.port());
                self.record(What::Segment { port, line });
                is_wrong.then(|| "not the octets that were sent".to_owned())
            }
            _ => {
                let text = switchboard_wire::line::PacketLine(&packet).to_string();
                let words: Vec<&str> = text.split_whitespace().collect();
                self.record(What::Other(words.join(" ")));
                None
            }
        };
        if let Some(last) = self.actual.last_mut() {
            last.complaint = what;
        }
        self.last_packet = Some(packet);
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Acceptable(_) => self.record(What::News("acceptable".to_owned())),
            Event::Tcp(id, readiness) if Some(id) == self.connection => {
                if readiness.contains(Readiness::ERROR)
                    && let Ok(Some(lost)) = self.stack.take_tcp_error(id)
                {
                    self.record(What::News(lost_in_words(lost)));
                } else if readiness.contains(Readiness::CONNECTED) && self.listener.is_none() {
                    // Of an accepted one it is no news.
                    self.record(What::News("connected".to_owned()));
                }
            }
            Event::Udp(id, readiness) if readiness.contains(Readiness::ERROR) => {
                if let Ok(Some(error)) = self.stack.take_udp_error(id) {
                    self.record(What::News(format!(
                        "unreachable {}",
                        why_in_words(error.why)
                    )));
                }
            }
            _ => {}
        }
    }

    fn call(&mut self, call: &Call) -> Result<(), String> {
        match call {
            Call::Connect => self.connect(),
            Call::FastOpen { octets, taken } => self.fast_open(*octets, *taken),
            Call::Listen { backlog } => self.listen(*backlog),
            Call::Accept => self.accept(),
            Call::Bind(port) => self.bind(*port),
            Call::SendTo(octets) => self.send_to(*octets),
            Call::ReceiveFrom(octets) => self.receive_from(*octets),
            Call::Unlisten => {
                let id = self.listener.take().ok_or("nobody listens")?;
                self.stack
                    .call_tcp_unlisten(self.now, id)
                    .map_err(|error| error.to_string())
            }
            _ => {
                let id = self.connection.ok_or("there is no connection")?;
                self.call_connection(id, call)
            }
        }
    }

    fn connect(&mut self) -> Result<(), String> {
        let id = self
            .stack
            .call_tcp_connect(self.now, Some(self.us), self.peer, &self.settings.options)
            .map_err(|error| format!("{error:?}"))?;
        self.connection = Some(id);
        (self.sent, self.received) = (0, 0);
        Ok(())
    }

    fn fast_open(&mut self, octets: usize, claimed: usize) -> Result<(), String> {
        let mut data = OURS.octets(0, octets);
        let (us, options) = (Some(self.us), &self.settings.options);
        let id = self
            .stack
            .call_tcp_fast_open(self.now, us, self.peer, options, &mut data)
            .map_err(|error| format!("{error:?}"))?;
        let taken = octets - data.len();
        self.connection = Some(id);
        (self.sent, self.received) = (taken as u64, 0);
        (taken == claimed)
            .then_some(())
            .ok_or_else(|| format!("{taken} taken"))
    }

    fn listen(&mut self, backlog: usize) -> Result<(), String> {
        self.us.set_port(80);
        self.peer.set_port(40_000);
        let id = self
            .stack
            .call_tcp_listen(self.us, backlog, &self.settings.options)
            .map_err(|error| format!("{error:?}"))?;
        self.listener = Some(id);
        Ok(())
    }

    fn accept(&mut self) -> Result<(), String> {
        let listener = self.listener.ok_or("nobody listens")?;
        let accepted = self
            .stack
            .call_tcp_accept(self.now, listener)
            .map_err(|error| error.to_string())?
            .ok_or("nobody waits")?;
        self.connection = Some(accepted.id);
        (self.sent, self.received) = (0, 0);
        Ok(())
    }

    fn call_connection(&mut self, id: TcpId, call: &Call) -> Result<(), String> {
        let now = self.now;
        match call {
            Call::Send { octets, taken } => self.send(id, *octets, *taken),
            Call::Receive(octets) => self.receive(id, *octets),
            Call::ReceiveNothing => match self.stack.call_tcp_receive(now, id, usize::MAX) {
                Err(ReceiveError::WouldBlock) => Ok(()),
                Ok(octets) => Err(format!("{} octets", octets.len())),
                Err(error) => Err(format!("{error:?}")),
            },
            Call::ReceiveEnd => match self.stack.call_tcp_receive(now, id, usize::MAX) {
                Ok(octets) if octets.is_empty() => Ok(()),
                Ok(octets) => Err(format!("{} octets", octets.len())),
                Err(error) => Err(format!("{error:?}")),
            },
            Call::Shutdown(how) => self
                .stack
                .call_tcp_shutdown(now, id, *how)
                .map_err(|error| format!("{error:?}")),
            Call::Close => self
                .stack
                .call_tcp_close(now, id)
                .map_err(|error| error.to_string()),
            Call::Abort => self
                .stack
                .call_tcp_abort(now, id)
                .map_err(|error| error.to_string()),
            Call::Set(word) => {
                let mut options = self.stack.tcp_options(id).map_err(|e| e.to_string())?;
                set_option(&mut options, word)?;
                self.stack
                    .set_tcp_options(now, id, &options)
                    .map_err(|error| error.to_string())
            }
            Call::State(claimed) => {
                let info = self.stack.tcp_info(id).map_err(|error| error.to_string())?;
                let found = info.state.to_string();
                (found == *claimed).then_some(()).ok_or(found)
            }
            _ => Err("no call of a connection".to_owned()),
        }
    }

    fn send(&mut self, id: TcpId, octets: usize, claimed: usize) -> Result<(), String> {
        let mut data = OURS.octets(self.sent, octets);
        let mut taken = 0;
        while taken < octets {
            match self.stack.call_tcp_send(self.now, id, &mut data) {
                Ok(0) | Err(SendError::WouldBlock) => break,
                Ok(count) => taken += count,
                Err(error) => return Err(format!("{error:?}")),
            }
        }
        self.sent += taken as u64;
        (taken == claimed)
            .then_some(())
            .ok_or_else(|| format!("{taken} taken"))
    }

    fn receive(&mut self, id: TcpId, wanted: usize) -> Result<(), String> {
        let mut got = 0;
        while got < wanted {
            match self.stack.call_tcp_receive(self.now, id, wanted - got) {
                Ok(octets) if octets.is_empty() => return Err(format!("the end after {got}")),
                Ok(octets) => {
                    if let Some(at) = PEERS.first_difference(self.received, &octets) {
                        return Err(format!("octet {at} is not the one sent there"));
                    }
                    got += octets.len();
                    self.received += octets.len() as u64;
                }
                Err(error) => return Err(format!("{error:?} after {got}")),
            }
        }
        Ok(())
    }

    fn bind(&mut self, port: u16) -> Result<(), String> {
        self.us.set_port(port);
        self.peer.set_port(53);
        let id = self
            .stack
            .call_udp_bind(self.us, &UdpOptions::default())
            .map_err(|error| format!("{error:?}"))?;
        self.stack
            .call_udp_connect(id, self.peer)
            .map_err(|error| format!("{error:?}"))?;
        self.udp = Some(id);
        Ok(())
    }

    fn send_to(&mut self, octets: usize) -> Result<(), String> {
        let id = self.udp.ok_or("there is no datagram socket")?;
        self.stack
            .call_udp_send(self.now, id, OURS.octets(0, octets), None)
            .map_err(|error| format!("{error:?}"))
    }

    fn receive_from(&mut self, octets: usize) -> Result<(), String> {
        let id = self.udp.ok_or("there is no datagram socket")?;
        match self.stack.call_udp_receive(id) {
            Ok((payload, _)) if payload == PEERS.octets(0, octets) => Ok(()),
            Ok((payload, _)) => Err(format!("{} octets, or others", payload.len())),
            Err(error) => Err(format!("{error:?}")),
        }
    }

    fn peer(&mut self, peer: &Peer) -> Result<(), String> {
        let packet = match peer {
            Peer::Segment {
                port,
                is_damaged,
                line,
            } => {
                let packet = self.peer_segment(port.unwrap_or(self.peer.port()), line);
                if *is_damaged {
                    let last = packet.len() * 8 - 1;
                    crate::impair::corrupt::flip_bit(&packet, last)
                } else {
                    packet
                }
            }
            Peer::Icmp { why, from, seq } => {
                let last = self.last_packet.clone().ok_or("nothing was sent yet")?;
                let relative = self
                    .relatives
                    .get(&self.peer.port())
                    .copied()
                    .unwrap_or_default();
                let seq = seq.map(|seq| relative.absolute(Side::Near, seq));
                packets::icmp_error(*why, *from, &last, seq).ok_or("no such error")?
            }
            Peer::Datagram { from, to, len } => {
                let source = SocketAddr::new(self.peer.ip(), *from);
                let destination = SocketAddr::new(self.us.ip(), *to);
                packets::udp_packet(source, destination, &PEERS.octets(0, *len))
            }
        };
        self.stack
            .handle_packet(self.now, RxPacket::new(packet, self.now));
        Ok(())
    }

    fn peer_segment(&mut self, port: u16, line: &TcpLine) -> Bytes {
        let peer_iss = self.settings.peer_iss;
        let near = self
            .relatives
            .get(&port)
            .and_then(|relative| relative.initial(Side::Near))
            .unwrap_or(0);
        let relative = Relative::of(near, peer_iss);
        let header = packets::header(&SegmentParts {
            source: SocketAddr::new(self.peer.ip(), port),
            destination: self.us,
            line,
            relative: &relative,
            // A clock of milliseconds that does not start at zero.
            timestamp: 5_000 + self.now.as_millis() as u32,
            echo: self.last_timestamp,
        });
        let at = u64::from(line.seq.unwrap_or(1).max(1)) - 1;
        let source = SocketAddr::new(self.peer.ip(), port);
        packets::tcp_packet(source, self.us, &header, &PEERS.octets(at, line.len))
    }
}

fn lost_in_words(lost: Lost) -> String {
    match lost {
        Lost::Reset => "reset".to_owned(),
        Lost::TimedOut { .. } | Lost::NeverConnected(ConnectError::TimedOut { .. }) => {
            "timed out".to_owned()
        }
        Lost::NeverConnected(ConnectError::Refused) => "refused".to_owned(),
        Lost::NeverConnected(ConnectError::Unreachable { why, .. }) => {
            format!("unreachable {}", why_in_words(why))
        }
        Lost::NeverConnected(error) => format!("{error:?}"),
        Lost::Aborted => "aborted".to_owned(),
    }
}

/// The words that a script uses for ICMP errors.
const fn why_in_words(why: Unreachable) -> &'static str {
    match why {
        Unreachable::Network => "net",
        Unreachable::Host => "host",
        Unreachable::Protocol => "protocol",
        Unreachable::Port => "port",
        Unreachable::TooBig { .. } => "too-big",
        Unreachable::SourceRoute => "source-route",
        Unreachable::Prohibited => "prohibited",
        Unreachable::TimeExceeded => "time-exceeded",
        Unreachable::ParameterProblem => "parameter-problem",
    }
}

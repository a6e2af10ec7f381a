//! Sockets as the control socket tells them.

use serde::{Deserialize, Serialize};
use std::time::Duration;

use switchboard_gateway::{
    Half, Halves, HandshakeRecorder, Holder, SocketRow, SocketState, ladder,
};
use switchboard_wire::line::Layout;

use crate::run::relay::InsideSocket;
use crate::words;

/// First packets that are told of a conversation.
const PACKETS_TOLD: usize = 8;

/// One socket of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// The same conversation keeps its number; none for a socket that never reached the
    /// gateway, as a listener's or one on the program's own loopback.
    pub(crate) number: Option<u64>,
    pub(crate) program: String,
    pub(crate) pid: Option<u32>,
    /// `tcp://10.0.2.100:41866`.
    pub(crate) endpoint: String,
    pub(crate) peer: Option<String>,
    /// The name that led to the peer.
    pub(crate) peer_name: Option<String>,
    pub(crate) state: String,
    /// Round trip of the far half.
    pub(crate) rtt_us: Option<u64>,
    /// Segments sent again in the far half.
    pub(crate) resent: Option<u64>,
    /// Octets that the program received.
    pub(crate) received: u64,
    /// Octets that the program sent.
    pub(crate) sent: u64,
    pub(crate) age_ms: u64,
    /// How long it has been over.
    pub(crate) ended_ms: Option<u64>,
    /// Whether the peer called (`-p`).
    pub(crate) inward: bool,
    /// How long the directory took to find the peer's name.
    pub(crate) found_us: Option<u64>,
    /// Why it came to nothing, or was cut off.
    pub(crate) outcome: Option<String>,
}

/// One conversation from near.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Conversation {
    /// Between the program and us.
    pub(crate) near: Option<HalfReport>,
    /// Between this machine and the desk.
    pub(crate) far: Option<HalfReport>,
    /// The first packets of the near half, as lines.
    pub(crate) packets: Vec<String>,
}

/// One half of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HalfReport {
    pub(crate) local: Option<String>,
    pub(crate) remote: Option<String>,
    pub(crate) rtt_us: Option<u64>,
    pub(crate) variation_us: Option<u64>,
    pub(crate) resent: Option<u64>,
    /// Octets of a full segment.
    pub(crate) segment: Option<u64>,
    /// Octets sent and not acknowledged yet.
    pub(crate) in_flight: Option<u64>,
    /// Octets that wait to be sent.
    pub(crate) unsent: Option<u64>,
}

impl From<Half> for HalfReport {
    fn from(half: Half) -> Self {
        Self {
            local: half.local.map(|address| address.to_string()),
            remote: half.remote.map(|address| address.to_string()),
            rtt_us: half.rtt.map(micros),
            variation_us: half.rtt_variation.map(micros),
            resent: half.resent,
            segment: half.segment,
            in_flight: half.in_flight,
            unsent: half.unsent,
        }
    }
}

impl Conversation {
    /// Of `row`'s halves, and what the recorder keeps of it.
    pub(super) fn of(row: &SocketRow, halves: Halves, recorder: &HandshakeRecorder) -> Self {
        let key = row.peer.map(|outer| switchboard_gateway::FlowKey {
            protocol: row.endpoint.protocol,
            inner: row.endpoint.address,
            outer,
        });
        let packets = key.map_or_else(Vec::new, |key| recorder.packets(&key));
        let lines = ladder(&packets);
        let lines = lines.iter().take(PACKETS_TOLD).map(|line| {
            let packet = line.text(Layout::NARROW);
            format!(
                "{:>6.2} ms  {}  {}",
                line.millis(),
                line.arrow(),
                packet.trim_end()
            )
        });
        Self {
            packets: lines.collect(),
            near: halves.near.map(HalfReport::from),
            far: halves.far.map(HalfReport::from),
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Why a conversation came to nothing, or was cut off, in the words of `--explain`.
fn outcome(row: &SocketRow) -> Option<String> {
    let (peer, who) = (row.peer?, caller(&row.program));
    if let Some(why) = &row.why {
        return Some(words::refused(why, peer.ip(), peer.port(), &who));
    }
    match row.state {
        SocketState::NoAnswer => Some(words::no_answer(peer.ip(), Some(row.age), &who)),
        SocketState::Reset => Some(words::cut_off(row.received, &who)),
        _ => None,
    }
}

fn caller(holder: &Holder) -> String {
    match holder {
        Holder::Program(program) => program.name.to_string(),
        _ => "the program".to_owned(),
    }
}

impl Row {
    /// Whether it is one of our own services.
    pub(crate) fn is_builtin(&self) -> bool {
        self.program == Holder::BuiltIn.to_string()
    }
}

impl From<&SocketRow> for Row {
    fn from(row: &SocketRow) -> Self {
        Self {
            ended_ms: row.ended.map(millis),
            inward: row.inward,
            found_us: None,
            outcome: outcome(row),
            number: Some(row.number),
            program: row.program.to_string(),
            pid: row.pid,
            endpoint: row.endpoint.to_string(),
            peer: row.peer.map(|peer| peer.to_string()),
            peer_name: row.peer_name.as_deref().map(str::to_owned),
            state: row.state.to_string(),
            rtt_us: row.rtt.map(micros),
            resent: row.resent,
            received: row.received,
            sent: row.sent,
            age_ms: millis(row.age),
        }
    }
}

impl From<InsideSocket> for Row {
    fn from(socket: InsideSocket) -> Self {
        let protocol = if socket.tcp { "tcp" } else { "udp" };
        let program = socket.program.map_or(Holder::Unknown, Holder::Program);
        Self {
            pid: match &program {
                Holder::Program(program) => Some(program.pid),
                _ => None,
            },
            program: program.to_string(),
            endpoint: format!("{protocol}://{}", socket.local),
            peer: socket.peer.map(|peer| peer.to_string()),
            state: socket.state.to_owned(),
            ..Self::default()
        }
    }
}

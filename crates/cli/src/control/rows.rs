//! Sockets as the control socket tells them.

use serde::{Deserialize, Serialize};
use switchboard_gateway::{Holder, SocketRow};

use crate::run::relay::InsideSocket;

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
}

impl From<&SocketRow> for Row {
    fn from(row: &SocketRow) -> Self {
        let micros = |rtt: std::time::Duration| u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX);
        Self {
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
            age_ms: u64::try_from(row.age.as_millis()).unwrap_or(u64::MAX),
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

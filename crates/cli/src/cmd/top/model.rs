//! What is known of the run: two answers of it make rates.

use std::collections::HashMap;
use std::time::Duration;

use crate::control::{Row, RunInfo, RunReport};

/// How long a failed call stays.
const FAILED_SHOWN_MS: u64 = 10_000;
/// How long a conversation that is over stays.
const ENDED_SHOWN_MS: u64 = 3_000;

/// Remembers the last answer.
#[derive(Debug, Default)]
pub(super) struct Model {
    age_ms: u64,
    /// Octets received and sent, by the conversation's number.
    octets: HashMap<u64, (u64, u64)>,
}

/// Everything that is shown.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) run: RunInfo,
    pub(super) sockets: Vec<Socket>,
    /// Octets of the recording so far.
    pub(super) recorded: Option<u64>,
    /// The run is over: what is shown is the last that it said.
    pub(super) ended: bool,
}

/// One socket.
#[derive(Clone, Debug, Default)]
pub(super) struct Socket {
    pub(super) row: Row,
    /// Bits per second that the program received; none for what is no conversation.
    pub(super) down: Option<u64>,
    /// Bits per second that it sent.
    pub(super) up: Option<u64>,
}

/// What tells a socket from others, from answer to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) number: Option<u64>,
    pub(super) endpoint: String,
    pub(super) peer: Option<String>,
}

impl Model {
    /// A new answer of the run.
    pub(super) fn take(&mut self, report: RunReport) -> Snapshot {
        let elapsed_ms = report.run.age_ms.saturating_sub(self.age_ms);
        let before = std::mem::take(&mut self.octets);
        let mut sockets = Vec::new();
        for row in report.sockets {
            let shown = match has_failed(&row) {
                true => FAILED_SHOWN_MS,
                false => ENDED_SHOWN_MS,
            };
            let gone = row.ended_ms.is_some_and(|ms| ms > shown);
            // Our own services listen in every run, and talk to the programs that are shown.
            if gone || row.is_builtin() {
                continue;
            }
            let now = (row.received, row.sent);
            let (mut down, mut up) = (None, None);
            if let Some(number) = row.number {
                self.octets.insert(number, now);
                // A conversation that is new has moved all that it has since it began.
                let (received, sent) = before.get(&number).copied().unwrap_or_default();
                down = Some(per_second(now.0.saturating_sub(received), elapsed_ms));
                up = Some(per_second(now.1.saturating_sub(sent), elapsed_ms));
            }
            sockets.push(Socket { row, down, up });
        }
        self.age_ms = report.run.age_ms;
        let recorded = report.run.record.as_deref();
        let recorded = recorded.and_then(|path| std::fs::metadata(path).ok());
        Snapshot {
            run: report.run,
            sockets,
            recorded: recorded.map(|file| file.len()),
            ended: false,
        }
    }
}

/// Bits per second.
fn per_second(octets: u64, elapsed_ms: u64) -> u64 {
    octets
        .saturating_mul(8_000)
        .checked_div(elapsed_ms)
        .unwrap_or(0)
}

impl Socket {
    pub(super) fn key(&self) -> Key {
        Key {
            number: self.row.number,
            endpoint: self.row.endpoint.clone(),
            peer: self.row.peer.clone(),
        }
    }

    /// Both directions together.
    pub(super) fn rate(&self) -> u64 {
        self.down.unwrap_or(0) + self.up.unwrap_or(0)
    }

    pub(super) fn age(&self) -> Duration {
        Duration::from_millis(self.row.age_ms)
    }

    /// `tcp` or `udp`.
    pub(super) fn protocol(&self) -> &str {
        self.row.endpoint.split("://").next().unwrap_or_default()
    }

    /// The socket's own address and port.
    pub(super) fn local(&self) -> &str {
        let parts = self.row.endpoint.split_once("://");
        parts.map_or("", |(_, address)| address)
    }

    /// Its port.
    pub(super) fn local_port(&self) -> &str {
        port_of(self.local())
    }

    /// The other end as it is called; nobody's of a listener.
    pub(super) fn remote(&self) -> Option<String> {
        let peer = self.row.peer.as_deref()?;
        Some(match &self.row.peer_name {
            Some(name) => format!("{name}:{}", port_of(peer)),
            None => peer.to_owned(),
        })
    }

    /// The state in nine columns: `ss(8)` shortens alike.
    pub(super) fn state(&self) -> &str {
        match self.row.state.as_str() {
            "ESTABLISHED" => "ESTAB",
            "CLOSE-WAIT" => "CLOSE-WT",
            "FIN-WAIT-1" => "FIN-WAIT1",
            "FIN-WAIT-2" => "FIN-WAIT2",
            "SYN-RECEIVED" => "SYN-RECV",
            "UNREACHABLE" => "UNREACH",
            state => state,
        }
    }

    /// Whether the call came to nothing, or was cut off.
    pub(super) fn has_failed(&self) -> bool {
        has_failed(&self.row)
    }

    /// Name and process id.
    pub(super) fn program(&self) -> (&str, &str) {
        let program = self.row.program.as_str();
        match program
            .strip_suffix(']')
            .and_then(|rest| rest.rsplit_once('['))
        {
            Some((name, pid)) => (name, pid),
            None => (program, ""),
        }
    }
}

fn has_failed(row: &Row) -> bool {
    let failures = ["REFUSED", "UNREACHABLE", "NO ANSWER", "CUT OFF"];
    failures.contains(&row.state.as_str())
}

pub(super) fn port_of(address: &str) -> &str {
    address.rsplit_once(':').map_or("", |(_, port)| port)
}

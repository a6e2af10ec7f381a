//! What the page shows, before it is text, HTML or JSON.

use std::sync::Arc;

use serde::{Serialize, Serializer};
use switchboard::TcpInfo;
use switchboard_wire::line::Layout;
use switchboard_wire::{Endpoint, Protocol};

use crate::context::Context;
use crate::ladder::{LadderLine, ladder};
use crate::observer::Flow;
use crate::recorder::FlowKey;
use crate::registry::{Holder, SocketRow, SocketState};

/// Sockets that the page lists; the rest is a number.
const ROWS_MAX: usize = 200;

/// One visit to the page.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Page {
    /// The visitor's socket.
    pub(super) you: End,
    /// Ours.
    pub(super) this: End,
    /// The name that led here, if the directory gave one out.
    pub(super) name: Option<String>,
    /// The connection's state.
    pub(super) state: String,
    /// Its round trip.
    #[serde(rename = "rtt_us", serialize_with = "micros")]
    pub(super) rtt: Option<std::time::Duration>,
    /// Segments of ours that were sent again.
    pub(super) resent: u64,
    /// Its first packets.
    #[serde(rename = "packets", serialize_with = "packets")]
    pub(super) lines: Vec<LadderLine>,
    /// Sockets of this run.
    pub(super) sockets: Vec<SocketRow>,
    /// Sockets that are not listed.
    pub(super) sockets_not_listed: usize,
}

/// One end of the conversation.
#[derive(Clone, Debug, Serialize)]
pub(super) struct End {
    #[serde(serialize_with = "display")]
    pub(super) socket: Endpoint,
    #[serde(rename = "holder")]
    pub(super) held_by: String,
}

fn display<T: std::fmt::Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

fn micros<S: Serializer>(value: &Option<std::time::Duration>, to: S) -> Result<S::Ok, S::Error> {
    value.map(|rtt| rtt.as_micros()).serialize(to)
}

fn packets<S: Serializer>(lines: &[LadderLine], to: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Packet {
        ms: f64,
        direction: &'static str,
        packet: String,
    }
    to.collect_seq(lines.iter().map(|line| Packet {
        // Whole microseconds.
        ms: (line.millis() * 1000.0).round() / 1000.0,
        direction: line.arrow(),
        packet: line.text(Layout::WIDE).trim_end().to_owned(),
    }))
}

impl Page {
    /// The page for the visitor of `flow`.
    pub(super) async fn new(context: &Context, flow: &Arc<Flow>, info: Option<TcpInfo>) -> Self {
        let holder = context.holders.of(flow).await.map(ToString::to_string);
        let (you, this) = (flow.from, flow.to);
        let key = FlowKey {
            protocol: Protocol::Tcp,
            inner: you,
            outer: this,
        };
        let mut sockets = listed(context.registry.look().await, Endpoint::tcp(this));
        let sockets_not_listed = sockets.len().saturating_sub(ROWS_MAX);
        sockets.truncate(ROWS_MAX);
        Self {
            you: End {
                socket: Endpoint::tcp(you),
                held_by: holder.unwrap_or_else(|| "a program not found out".to_owned()),
            },
            this: End {
                socket: Endpoint::tcp(this),
                held_by: "the built-in web server".to_owned(),
            },
            name: flow.name.as_deref().map(str::to_owned),
            state: info.map_or("ESTABLISHED".to_owned(), |info| info.state.to_string()),
            rtt: info.and_then(|info| info.srtt),
            resent: info.map_or(0, |info| info.retransmits),
            lines: up_to_the_request(ladder(&context.recorder.packets(&key))),
            sockets,
            sockets_not_listed,
        }
    }

    /// `nothing sent again`, `1 segment sent again`.
    pub(super) fn resent_words(&self) -> String {
        match self.resent {
            0 => "nothing sent again".to_owned(),
            1 => "1 segment sent again".to_owned(),
            count => format!("{count} segments sent again"),
        }
    }

    /// `0.08 ms`.
    pub(super) fn rtt_words(&self) -> Option<String> {
        self.rtt
            .map(|rtt| format!("{:.2} ms", rtt.as_secs_f64() * 1000.0))
    }
}

/// The handshake and the visitor's request; what comes after it is the page itself, being
/// written.
fn up_to_the_request(mut lines: Vec<LadderLine>) -> Vec<LadderLine> {
    if let Some(request) = lines.iter().position(|line| line.packet.len > 0) {
        lines.truncate(request + 1);
    }
    lines
}

/// The rows in the order in which people look for them: programs first, what lives first, and
/// of our own listeners only the one that was visited.
fn listed(mut rows: Vec<SocketRow>, this: Endpoint) -> Vec<SocketRow> {
    rows.retain(|row| {
        let is_ours = row.program == Holder::BuiltIn;
        !is_ours || row.state != SocketState::Listen || row.endpoint == this
    });
    rows.sort_by_key(|row| {
        let is_ours = row.program == Holder::BuiltIn;
        let listens = row.state == SocketState::Listen;
        (is_ours, !row.state.is_live(), listens, row.number)
    });
    rows
}

//! The control socket of a run: other commands ask it what the run is doing, and change it.
//!
//! `$XDG_RUNTIME_DIR/switchboard/PID.sock`, HTTP with JSON: `curl --unix-socket PATH
//! http://run/sockets` works as well as `switchboard sockets`.
//!
//! - `GET /run`: [`RunInfo`]
//! - `GET /sockets`: [`RunReport`]
//! - `GET /sockets/NUMBER`: [`Conversation`]
//! - `POST /set`: [`Change`], answered by [`Published`]
//! - `POST /join`: [`Joining`], answered by [`RunInfo`]

mod client;
mod directory;
mod rows;
mod server;

use serde::{Deserialize, Serialize};

pub(crate) use client::{AskError, Run, find, wait_for};
pub(crate) use rows::{Conversation, HalfReport, Row};
pub(crate) use server::{Inside, ServeError, Served, serve};

/// What a run says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunInfo {
    /// The relay's process id, which names the run.
    pub(crate) pid: u32,
    /// What `--name` calls it.
    pub(crate) name: Option<String>,
    /// CMD and its arguments.
    pub(crate) command: String,
    /// How long it has been running.
    pub(crate) age_ms: u64,
    /// A process in its namespaces.
    pub(crate) agent: Option<u32>,
    /// Whether its programs see themselves as uid 0.
    pub(crate) map_root: bool,
    /// Where its packets are recorded.
    pub(crate) record: Option<String>,
}

/// What a run says of itself and its sockets.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RunReport {
    #[serde(flatten)]
    pub(crate) run: RunInfo,
    /// Ports of this machine that are the program's.
    pub(crate) published: Vec<Published>,
    pub(crate) sockets: Vec<Row>,
}

/// A port of this machine that is the program's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Published {
    /// `tcp://127.0.0.1:8080`.
    pub(crate) listen: String,
    /// The program's port.
    pub(crate) port: u16,
}

/// What is to be changed, in the order in which it is.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Change {
    /// As `set -p` takes them: `+8080:80`, `-8080:80`.
    pub(crate) publish: Vec<String>,
}

/// A process that has joined the run's namespaces and starts programs there.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Joining {
    pub(crate) pid: u32,
}

/// The body of every answer that is none.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) error: String,
}

//! The control socket of a run: other commands ask it what the run is doing.
//!
//! `$XDG_RUNTIME_DIR/switchboard/PID.sock`, HTTP with JSON: `curl --unix-socket PATH
//! http://run/sockets` works as well as `switchboard sockets`.

mod client;
mod directory;
mod server;

use serde::{Deserialize, Serialize};

pub(crate) use client::{AskError, ask};
pub(crate) use directory::runs;
pub(crate) use server::serve;

/// What a run says of itself and its sockets: the answer to `GET /sockets`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RunReport<Row> {
    /// The relay's process id, which names the run.
    pub(crate) pid: u32,
    /// CMD and its arguments.
    pub(crate) command: String,
    /// How long it has been running.
    pub(crate) age_ms: u64,
    pub(crate) sockets: Vec<Row>,
}

/// One socket as `sockets` prints it; the report has more.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) program: String,
    pub(crate) endpoint: String,
    pub(crate) peer: Option<String>,
    pub(crate) state: String,
}

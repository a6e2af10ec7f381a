//! A network for a namespace that exists already, or for a guest that has a link of its own.
//!
//! A helper is forked before any thread exists ([`join`]). It enters the user and network
//! namespaces of the target, makes the TAP there, passes its descriptor out and ends, unless
//! sockets have to be made inside later ([`insider`]). This process, in the host's namespaces,
//! then serves the descriptor ([`serve`]) until the namespace's own end takes the interface away.
//! A guest's link is a socket instead ([`guest`]).

pub(crate) mod api;
pub(crate) mod background;
pub(crate) mod descriptors;
mod ends;
pub(crate) mod guest;
mod insider;
mod join;
mod listening;
pub(crate) mod log;
mod plan;
pub(crate) mod ports;
mod rules;
mod serve;
pub(crate) mod spawn;
pub(crate) mod template;
pub(crate) mod ways;

pub(crate) use plan::{
    LEASE_SECONDS, Plan, QUEUE_PACKETS, Served, Subnet, Target, own_addresses, station_of,
};
pub(crate) use rules::Rules;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::run::SetupError;
use crate::run::relay::raise_open_files;
use descriptors::{ExitFd, ReadyFd};
use guest::Guest;
use log::Log;
use ways::WaysSpec;

/// Why a namespace could not be served.
#[derive(Debug)]
pub(crate) enum AttachError {
    /// The machine refused the namespaces or the interface.
    SetUp(SetupError),
    /// This process.
    Host(io::Error),
}

impl fmt::Display for AttachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetUp(error) => {
                let facts = crate::machine::Facts::read();
                let trouble = crate::machine::Trouble::of(error, &facts);
                f.write_str(&trouble.line())
            }
            Self::Host(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for AttachError {}

impl From<io::Error> for AttachError {
    fn from(error: io::Error) -> Self {
        Self::Host(error)
    }
}

/// Who is told, who tells us, and what else is wanted.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    /// Hears that the network stands.
    pub(crate) ready: Option<ReadyFd>,
    /// Its hang-up ends everything.
    pub(crate) exit: Option<ExitFd>,
    /// This process's end ends everything; the terminal's signals are its alone.
    pub(crate) child: Option<u32>,
    /// The removal of this file ends everything.
    pub(crate) file: Option<PathBuf>,
    /// Ports that are forwarded.
    pub(crate) ways: WaysSpec,
    /// Whether callers from this machine's loopback reach the inside's.
    pub(crate) loopback_to_loopback: bool,
    /// Where every packet is recorded.
    pub(crate) record: Option<PathBuf>,
    pub(crate) log: Option<Arc<Log>>,
}

/// Serves `plan` from the first to the last; `standing` is called once the network stands. To be
/// called while the process has one thread.
///
/// # Errors
///
/// [`AttachError`].
pub(crate) fn run(
    plan: &Plan,
    calls: Calls,
    standing: impl FnOnce() -> io::Result<()>,
) -> Result<(), AttachError> {
    let joined = join::join(plan).map_err(AttachError::SetUp)?;
    on_runtime(serve::serve_namespace(plan, joined, calls, standing))
}

/// As [`run`], for a guest.
///
/// # Errors
///
/// [`AttachError`].
pub(crate) fn run_guest(
    served: &Served,
    guest: Guest,
    calls: Calls,
    standing: impl FnOnce() -> io::Result<()>,
) -> Result<(), AttachError> {
    on_runtime(serve::serve_guest(served, guest, calls, standing))
}

fn on_runtime(served: impl Future<Output = io::Result<()>>) -> Result<(), AttachError> {
    raise_open_files();
    // Current-thread: one core's cache holds the stack, and the programs have the others.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(served)?)
}

//! A network for a namespace that exists already.
//!
//! A helper is forked before any thread exists ([`join`]). It enters the user and network
//! namespaces of the target, makes the TAP there, passes its descriptor out and ends: nothing of
//! ours stays inside. This process, in the host's namespaces, then serves the descriptor
//! ([`serve`]) until the namespace's own end takes the interface away.

pub(crate) mod api;
pub(crate) mod descriptors;
mod join;
mod plan;
mod serve;

pub(crate) use plan::{Plan, Target};

use std::fmt;
use std::io;

use crate::run::SetupError;
use crate::run::relay::raise_open_files;
use descriptors::{ExitFd, ReadyFd};

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

/// Who is told, and who tells us.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    /// Hears that the network stands.
    pub(crate) ready: Option<ReadyFd>,
    /// Its hang-up ends everything.
    pub(crate) exit: Option<ExitFd>,
}

/// Serves `plan` from the first to the last; `standing` is called once the network stands. To be
/// called while the process has one thread.
///
/// # Errors
///
/// [`AttachError`].
pub(crate) fn run(plan: &Plan, calls: Calls, standing: impl FnOnce()) -> Result<(), AttachError> {
    let joined = join::join(plan).map_err(AttachError::SetUp)?;
    raise_open_files();
    // Current-thread: one core's cache holds the stack, and the programs have the others.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(serve::serve(plan, joined, calls, standing))?)
}

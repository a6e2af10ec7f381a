//! How a program gets a network of its own: three processes.
//!
//! - The **relay** is the process that was started: stack and gateway, in the host's namespaces.
//! - The **agent** is forked from it before any thread exists. It makes the user, network and
//!   mount namespaces and stays inside them: it opens the link (a TUN, or a veth pair) and passes it out, makes whatever
//!   socket must live inside, finds out which program holds a socket, and is the parent of CMD.
//! - **CMD** is the program, a child of the agent.
//!
//! All three stay in the caller's process group, so the terminal treats them as one job: Ctrl-C
//! and Ctrl-Z reach CMD once, from the terminal, and relay and agent let them pass.
//!
//! In the order of a run: [`plan`] is decided, the agent [`agent`] sets up, [`relay`] runs.

pub(crate) mod agent;
mod caller;
pub(crate) mod channel;
mod confine;
pub(crate) mod host;
mod link;
pub(crate) mod message;
mod network;
mod plan;
pub(crate) mod relay;
mod signals;
pub(crate) mod user_map;

pub(crate) use caller::Caller;
pub(crate) use confine::Confinement;
pub(crate) use link::{LinkEnd, LinkKind};
pub(crate) use message::{SetupError, Step, Wanted};

pub(crate) use network::{HostRoutes, Network, NetworkError};
pub(crate) use plan::{JoinedRun, Plan};

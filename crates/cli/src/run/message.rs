//! What relay and agent tell each other.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use switchboard_wire::Protocol;

use super::link::LinkKind;

/// From the relay to the agent.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToAgent {
    /// The user and group maps are written.
    MapsWritten,
    /// Start CMD.
    Start,
    /// Remove this file when the run is over: the relay, confined, cannot.
    RemoveAtEnd(PathBuf),
    /// The relay was sent this signal; CMD is to have it too.
    Signal(Passed),
    /// Who holds the socket at `inner` that talks to `outer`?
    Holder {
        id: u64,
        tcp: bool,
        inner: SocketAddr,
        outer: SocketAddr,
    },
    /// Which sockets are there that the relay does not see?
    Sockets { id: u64, wanted: Wanted },
    /// This process, none of ours, has joined the namespaces and starts programs in them.
    Joined { pid: u32 },
    /// CMD has ended: does anything that it sent still wait in the namespace's kernel?
    Unsent,
    /// The run is over: tidy up and hang up.
    End,
}

/// A signal that somebody sent to the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Passed {
    /// Its number.
    pub(super) number: i32,
    /// The process that sent it; 0 if that cannot be seen from here.
    pub(super) sender: u32,
}

/// From the agent to the relay.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum FromAgent {
    /// The user namespace stands; its maps are awaited.
    UserNamespaceMade,
    /// There is a link, not set up yet. Carries its descriptors.
    Link {
        kind: LinkKind,
        /// What a TUN was refused with, where something else takes its place.
        instead_of: Option<SetupError>,
    },
    /// Everything stands.
    Ready,
    /// It could not be set up; the agent has ended.
    Refused(SetupError),
    /// Something that is not fatal, for the person.
    Warning(String),
    /// CMD could not be executed: the error of `execve(2)`.
    NotStarted { errno: i32 },
    /// CMD ended.
    Ended(Ending),
    /// CMD and everything that it left behind has ended.
    AllEnded,
    /// Answer to [`ToAgent::Holder`].
    Holder { id: u64, program: Option<Holder> },
    /// A part of the answer to [`ToAgent::Sockets`].
    Sockets {
        id: u64,
        sockets: Vec<Seen>,
        /// Whether another part follows.
        more: bool,
    },
    /// Listens inside for `--localhost`. Carries one or two sockets.
    Listening { tcp: bool, port: u16 },
    /// A program called its own localhost where nobody listens.
    LoopbackRefused { port: u16, program: Option<Holder> },
    /// Answer to [`ToAgent::Unsent`]: sockets without a process that still have data to send.
    Unsent { sockets: usize },
}

/// Which sockets of the namespace are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Wanted {
    /// TCP listeners, whoever holds them.
    Listeners,
    /// TCP listeners with their programs.
    HeldListeners,
    /// Those, and every socket on the namespace's own loopback.
    Local,
}

/// A socket that the agent saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    pub(super) tcp: bool,
    pub(super) local: SocketAddr,
    pub(super) peer: Option<SocketAddr>,
    /// As `tcp_states.h` has it.
    pub(super) state: u8,
    pub(super) program: Option<Holder>,
}

/// A process that holds a socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Holder {
    pub(super) pid: u32,
    pub(super) name: String,
}

/// How CMD ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Ending {
    /// It exited with this code.
    Exit(i32),
    /// This signal ended it.
    Signal(i32),
}

impl Ending {
    /// Whether a signal ended it.
    pub(super) fn is_signal(self) -> bool {
        matches!(self, Self::Signal(_))
    }

    /// The exit code that passes it on, as shells have it.
    pub(super) fn exit_code(self) -> u8 {
        let code = match self {
            Self::Exit(code) => code,
            Self::Signal(signal) => 128 + signal,
        };
        u8::try_from(code & 0xff).unwrap_or(u8::MAX)
    }
}

/// A step of setting up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Step {
    /// Joining namespaces that exist.
    Join,
    /// Making the user namespace.
    UserNamespace,
    /// Writing its user and group maps.
    UserMap,
    /// Making the network namespace.
    NetworkNamespace,
    /// Making the mount namespace.
    MountNamespace,
    /// Opening `/dev/net/tun`.
    TunOpen,
    /// Making a device of it.
    TunAttach,
    /// Making a veth pair and its packet sockets.
    Veth,
    /// Giving the link addresses and routes.
    Link,
    /// Putting our resolver files in place.
    Files,
    /// Listening on the program's localhost (`--localhost`).
    Localhost,
    /// Something between the processes.
    Process,
}

/// A step of setting up that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SetupError {
    /// Which.
    pub(crate) step: Step,
    /// The kernel's error number; 0 if it was none of the kernel's.
    pub(crate) errno: i32,
    /// What was tried.
    pub(crate) tried: String,
}

impl SetupError {
    /// `error` happened when `step` tried `tried`.
    pub(crate) fn new(step: Step, tried: impl Into<String>, error: impl Into<io::Error>) -> Self {
        Self {
            step,
            errno: error.into().raw_os_error().unwrap_or(0),
            tried: tried.into(),
        }
    }
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.errno == 0 {
            return f.write_str(&self.tried);
        }
        let error = io::Error::from_raw_os_error(self.errno);
        write!(f, "{}: {error}", self.tried)
    }
}

/// Puts a step's name beside an error.
pub(crate) trait During<T> {
    /// `tried` is what was being done, for a person.
    fn during(self, step: Step, tried: &str) -> Result<T, SetupError>;
}

impl<T, E: Into<io::Error>> During<T> for Result<T, E> {
    fn during(self, step: Step, tried: &str) -> Result<T, SetupError> {
        self.map_err(|error| SetupError::new(step, tried, error))
    }
}

/// [`Protocol`] as messages carry it.
pub(super) fn is_tcp(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::Tcp)
}

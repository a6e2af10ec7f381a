//! What happens in a gateway, as values: `--explain`, `top`, capture labels and the built-in
//! page are all told by these.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::Serialize;
use switchboard::{Refusal, Unreachable};
use switchboard_wire::{Endpoint, Protocol};
use tokio::sync::Notify;

/// A boxed future, as traits that are used as objects need it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A process that holds a socket.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Program {
    /// Its process id, as the host counts.
    pub pid: u32,
    /// Its name, as `comm` has it.
    pub name: Arc<str>,
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.name, self.pid)
    }
}

/// Finds the program that holds a socket inside. `run` asks the agent in the namespace.
pub trait HolderLookup: Send + Sync {
    /// Who holds the socket at `inner` that talks to `outer`?
    fn holder(
        &self,
        protocol: Protocol,
        inner: SocketAddr,
        outer: SocketAddr,
    ) -> BoxFuture<'_, Option<Program>>;
}

/// Counts flows of one gateway, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct FlowNumber(pub u64);

/// What a flow is spoken in: a protocol with ports, or ICMP echo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// RFC 9293.
    Tcp,
    /// RFC 768.
    Udp,
    /// Echo of RFC 792 and RFC 4443; the "ports" are the identifier and 0.
    Echo,
}

impl Transport {
    /// The protocol with ports, if it is one.
    #[must_use]
    pub const fn protocol(self) -> Option<Protocol> {
        match self {
            Self::Tcp => Some(Protocol::Tcp),
            Self::Udp => Some(Protocol::Udp),
            Self::Echo => None,
        }
    }
}

impl From<Protocol> for Transport {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Tcp => Self::Tcp,
            Protocol::Udp => Self::Udp,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Echo => "icmp",
        })
    }
}

/// One conversation that crosses the gateway.
#[derive(Debug)]
pub struct Flow {
    /// Its number.
    pub number: FlowNumber,
    /// What it is spoken in.
    pub transport: Transport,
    /// The program's endpoint. For a flow that came in through a forward, the caller's.
    pub from: SocketAddr,
    /// Whom it wants, as the caller wrote it.
    pub to: SocketAddr,
    /// The name that led to `to`, if the directory gave one out.
    pub name: Option<Arc<str>>,
    /// Whether somebody outside called the program (`-p`).
    pub inward: bool,
    pub(crate) holder: OnceLock<Option<Program>>,
    pub(crate) holder_found: Notify,
    /// Nobody has been asked about the holder yet.
    pub(crate) holder_put_off: AtomicBool,
}

impl Flow {
    /// Waits until finding the holder has come to an end; found or not.
    pub async fn holder_known(&self) -> Option<&Program> {
        loop {
            let found = self.holder_found.notified();
            if let Some(holder) = self.holder.get() {
                return holder.as_ref();
            }
            found.await;
        }
    }

    /// Nobody is asked about the holder for now.
    pub(crate) fn put_off(&self) {
        self.holder_put_off.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_put_off(&self) -> bool {
        self.holder_put_off.load(Ordering::Relaxed)
    }

    /// Whether it was put off; from now on it is not.
    pub(crate) fn take_put_off(&self) -> bool {
        self.holder_put_off.swap(false, Ordering::Relaxed)
    }

    pub(crate) fn set_holder(&self, holder: Option<Program>) {
        let _ = self.holder.set(holder);
        self.holder_found.notify_waiters();
    }

    /// The program's endpoint, and the other one.
    #[must_use]
    pub fn inner_and_outer(&self) -> (SocketAddr, SocketAddr) {
        if self.inward {
            (self.to, self.from)
        } else {
            (self.from, self.to)
        }
    }

    /// The program that holds the inside socket, once that is found out.
    #[must_use]
    pub fn holder(&self) -> Option<&Program> {
        self.holder.get().and_then(Option::as_ref)
    }

    /// Whether finding the holder has come to an end.
    #[must_use]
    pub fn is_holder_known(&self) -> bool {
        self.holder.get().is_some()
    }

    /// The inside endpoint, where it has a port.
    #[must_use]
    pub fn endpoint(&self) -> Option<Endpoint> {
        let protocol = self.transport.protocol()?;
        let (address, _) = self.inner_and_outer();
        Some(Endpoint { protocol, address })
    }

    /// The other side: its name if known, else its address; then the port.
    #[must_use]
    pub fn destination(&self) -> String {
        match (&self.name, self.transport) {
            (Some(name), Transport::Echo) => name.to_string(),
            (Some(name), _) => format!("{name}:{}", self.to.port()),
            (None, Transport::Echo) => self.to.ip().to_string(),
            (None, _) => self.to.to_string(),
        }
    }
}

/// Why a flow was turned away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The machine is there, nobody answers at that port.
    NobodyThere,
    /// No way to the network.
    NetworkUnreachable {
        /// Who said so; `None`: this machine itself.
        by: Option<IpAddr>,
    },
    /// No way to the machine.
    HostUnreachable {
        /// Who said so; `None`: this machine itself.
        by: Option<IpAddr>,
    },
    /// Somebody's rule forbids it (a firewall of the host or on the way).
    Prohibited {
        /// Who said so; `None`: this machine itself.
        by: Option<IpAddr>,
    },
    /// The machine does not speak the protocol, or another error of the way.
    OtherUnreachable {
        /// Who said so; `None`: this machine itself.
        by: Option<IpAddr>,
    },
    /// A rule of this run forbids it.
    Policy {
        /// What the program was told.
        how: Refusal,
        /// Why, for people.
        why: String,
    },
    /// The host's loopback, and only `--host-loopback` opens it.
    HostLoopbackClosed,
    /// An address that no flow may go to: link-local, multicast, broadcast, unspecified, or a
    /// place of the inside network where nobody lives.
    ClosedAddress,
    /// Nobody answered, for as long as the host asks.
    TimedOut,
    /// A bound of [`Limits`](crate::Limits) is reached.
    LimitReached(&'static str),
    /// The host could not even try.
    HostFailed(io::ErrorKind, String),
}

impl Refused {
    /// Whether the program is to hear nothing, because a rule says so.
    pub(crate) const fn is_silence_by_rule(&self) -> bool {
        matches!(
            self,
            Self::Policy {
                how: Refusal::Silent,
                ..
            }
        )
    }

    /// What the program was told, in the C library's words, and its name; `None` where it is
    /// told nothing. IPv6 differs for what is prohibited: Linux maps the ICMPv4 codes to "no
    /// route to host", the ICMPv6 ones to "permission denied".
    #[must_use]
    pub const fn told(&self, ipv6: bool) -> Option<(&'static str, &'static str)> {
        match self {
            Self::NobodyThere
            | Self::Policy {
                how: Refusal::Reset,
                ..
            } => Some(("connection refused", "ECONNREFUSED")),
            Self::Policy {
                how: Refusal::Unreachable { why, .. },
                ..
            } => told_of(*why, ipv6),
            Self::NetworkUnreachable { .. } => Some(("network is unreachable", "ENETUNREACH")),
            Self::HostUnreachable { .. } => Some(("no route to host", "EHOSTUNREACH")),
            Self::TimedOut
            | Self::Policy {
                how: Refusal::Silent,
                ..
            } => None,
            Self::Prohibited { .. } | Self::HostLoopbackClosed | Self::ClosedAddress if ipv6 => {
                Some(("permission denied", "EACCES"))
            }
            Self::OtherUnreachable { .. }
            | Self::Prohibited { .. }
            | Self::HostLoopbackClosed
            | Self::ClosedAddress
            | Self::LimitReached(_)
            | Self::HostFailed(..) => Some(("no route to host", "EHOSTUNREACH")),
        }
    }

    /// Who said so, if it was somebody other than this machine.
    #[must_use]
    pub const fn by(&self) -> Option<IpAddr> {
        match self {
            Self::NetworkUnreachable { by }
            | Self::HostUnreachable { by }
            | Self::Prohibited { by }
            | Self::OtherUnreachable { by }
            | Self::Policy {
                how: Refusal::Unreachable { offender: by, .. },
                ..
            } => *by,
            _ => None,
        }
    }
}

/// What a program is told of an ICMP error, as Linux maps it.
const fn told_of(why: Unreachable, ipv6: bool) -> Option<(&'static str, &'static str)> {
    Some(match why {
        Unreachable::Network => ("network is unreachable", "ENETUNREACH"),
        Unreachable::Port => ("connection refused", "ECONNREFUSED"),
        Unreachable::Prohibited if ipv6 => ("permission denied", "EACCES"),
        _ => ("no route to host", "EHOSTUNREACH"),
    })
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NobodyThere => f.write_str("nobody answers at that port")?,
            Self::NetworkUnreachable { .. } => f.write_str("no way to that network")?,
            Self::HostUnreachable { .. } => f.write_str("no way to that machine")?,
            Self::Prohibited { .. } => f.write_str("a firewall forbids it")?,
            Self::OtherUnreachable { .. } => f.write_str("it cannot be reached")?,
            Self::Policy { why, .. } => f.write_str(why)?,
            Self::HostLoopbackClosed => {
                f.write_str("your machine's own loopback is closed; to open it: --host-loopback")?;
            }
            Self::ClosedAddress => f.write_str("nobody lives at that address")?,
            Self::TimedOut => f.write_str("no answer")?,
            Self::LimitReached(what) => write!(f, "too many {what} at once")?,
            Self::HostFailed(_, text) => write!(f, "this machine could not try: {text}")?,
        }
        match self.by() {
            Some(by) => write!(f, ", says {by}"),
            None => Ok(()),
        }
    }
}

/// How a conversation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Both sides said goodbye (for UDP: silence, or the gateway ended).
    Finished,
    /// The far side cut it off.
    ResetOutside,
    /// The program cut it off.
    ResetInside,
    /// Nothing was acknowledged for too long.
    TimedOut,
    /// The host's socket failed otherwise.
    HostFailed(io::ErrorKind),
}

/// What the directory answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// These addresses, shortest time to live first where that matters to nobody.
    Addresses(Vec<IpAddr>),
    /// Records of another kind, this many.
    Records(usize),
    /// The name exists and has nothing of that type.
    NoData,
    /// No such name (NXDOMAIN).
    NoSuchName,
    /// A rule of this run forbids the name.
    Policy(String),
    /// A server answered with this error (`SERVFAIL`, `REFUSED`, ...).
    ServerError(Arc<str>),
    /// No server answered in time.
    NoAnswer,
    /// No server can be reached at all: there is no network.
    NoServer,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Happening {
    /// A question to the directory was answered.
    Resolved {
        /// Who asked.
        client: Endpoint,
        /// Which of the directory's endpoints they asked.
        directory: Endpoint,
        /// The name, without the last dot.
        name: Arc<str>,
        /// The type, as `A` or `AAAA`.
        record_type: Arc<str>,
        /// What came of it.
        resolution: Resolution,
        /// The server that said so; `None`: the gateway itself.
        server: Option<SocketAddr>,
        /// From question to answer.
        elapsed: Duration,
        /// Who holds the client's socket, if that is known already.
        holder: Option<Program>,
    },
    /// A flow began; nothing has been answered yet.
    FlowOpening {
        /// The flow.
        flow: Arc<Flow>,
    },
    /// It was found out who holds the flow's inside socket ([`Flow::holder`] has it).
    FlowHeld {
        /// The flow.
        flow: Arc<Flow>,
    },
    /// A flow stands: the outside said yes. For UDP: the mapping was made.
    FlowConnected {
        /// The flow.
        flow: Arc<Flow>,
        /// The host's own endpoint of the far half; `None` for built-in services.
        outside: Option<SocketAddr>,
        /// From its first packet on.
        elapsed: Duration,
    },
    /// A flow was turned away.
    FlowRefused {
        /// The flow.
        flow: Arc<Flow>,
        /// Why.
        why: Refused,
        /// From its first packet on.
        elapsed: Duration,
    },
    /// The caller stopped waiting before anybody answered.
    FlowAbandoned {
        /// The flow.
        flow: Arc<Flow>,
        /// How long it waited.
        elapsed: Duration,
    },
    /// One datagram of a mapping drew an error. (UDP has no connection to refuse.)
    DatagramRefused {
        /// The flow of the mapping.
        flow: Arc<Flow>,
        /// Where the datagram was going.
        to: SocketAddr,
        /// Why.
        why: Refused,
    },
    /// A flow that stood is over.
    FlowEnded {
        /// The flow.
        flow: Arc<Flow>,
        /// How.
        how: Ending,
        /// Octets that the program received.
        received: u64,
        /// Octets that the program sent.
        sent: u64,
        /// Since it stood.
        elapsed: Duration,
    },
}

/// Is told everything that happens, on the gateway's own tasks: it must not block.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn observe(&self, happening: &Happening);
}

/// Several observers, told in order.
#[derive(Clone, Default)]
pub(crate) struct Observers(Vec<Arc<dyn Observer>>);

impl Observers {
    pub(crate) fn push(&mut self, observer: Arc<dyn Observer>) {
        self.0.push(observer);
    }

    pub(crate) fn tell(&self, happening: &Happening) {
        for observer in &self.0 {
            observer.observe(happening);
        }
    }
}

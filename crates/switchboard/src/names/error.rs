//! Why a name has no addresses.

use std::fmt;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

/// Why a name could not be looked up: part of [`SocketError`](crate::SocketError).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameError {
    /// The name does not exist (NXDOMAIN). `None`: by a rule that needs no server (RFC 6761).
    NoSuchName {
        /// Who said so.
        server: Option<SocketAddr>,
    },
    /// The name exists and has no address of a family that was asked for.
    NoAddress {
        /// Who said so.
        server: Option<SocketAddr>,
    },
    /// No server answered.
    TimedOut {
        /// Whom we asked, in this order.
        servers: Vec<SocketAddr>,
        /// How long.
        waited: Duration,
    },
    /// No server could help, and none was silent; this is what the last one did.
    Failed {
        /// Whom we asked.
        server: SocketAddr,
        /// What came of it.
        why: ServerFailure,
    },
    /// It is not in the network's table, and the network has no one to ask.
    NobodyToAsk,
    /// It cannot be a name: a label is empty or too long, or it has letters beyond ASCII (write
    /// those as `xn--..`).
    NotAName,
}

/// What a name server did instead of answering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerFailure {
    /// It said so: a response code of RFC 1035 section 4.1.1 or RFC 6895, such as 2 (SERVFAIL)
    /// or 5 (REFUSED).
    Code(u16),
    /// It could not be reached.
    Unreachable(ErrorKind),
    /// Its answer makes no sense, it only points to other servers, or its chain of aliases (CNAME) is too long or a circle.
    Nonsense,
}

impl NameError {
    /// The kind of the `io::Error` that carries it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoSuchName { .. } | Self::NoAddress { .. } | Self::NobodyToAsk => {
                ErrorKind::NotFound
            }
            Self::TimedOut { .. } => ErrorKind::TimedOut,
            Self::Failed { why, .. } => match why {
                ServerFailure::Code(_) => ErrorKind::Other,
                ServerFailure::Unreachable(kind) => *kind,
                ServerFailure::Nonsense => ErrorKind::InvalidData,
            },
            Self::NotAName => ErrorKind::InvalidInput,
        }
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchName { server } => {
                f.write_str("no such name")?;
                says(f, *server)
            }
            Self::NoAddress { server } => {
                f.write_str("the name has no address")?;
                says(f, *server)
            }
            Self::TimedOut { servers, waited } => {
                f.write_str("no answer from ")?;
                for (place, server) in servers.iter().enumerate() {
                    let comma = if place == 0 { "" } else { ", " };
                    write!(f, "{comma}{server}")?;
                }
                write!(f, " within {waited:.1?}")
            }
            Self::Failed { server, why } => match why {
                ServerFailure::Code(code) => {
                    write!(f, "the name server {server} says {}", code_name(*code))
                }
                ServerFailure::Unreachable(kind) => {
                    write!(f, "the name server {server} cannot be reached: {kind}")
                }
                ServerFailure::Nonsense => {
                    write!(f, "the answer of the name server {server} makes no sense")
                }
            },
            Self::NobodyToAsk => f.write_str(
                "not in this network's table (NetBuilder::host), and it has no name server to \
                 ask (NetBuilder::nameserver, resolver, host_resolver)",
            ),
            Self::NotAName => f.write_str("not a name (letters beyond ASCII go as xn--..)"),
        }
    }
}

impl std::error::Error for NameError {}

fn says(f: &mut fmt::Formatter<'_>, server: Option<SocketAddr>) -> fmt::Result {
    match server {
        Some(server) => write!(f, ", says the name server {server}"),
        None => Ok(()),
    }
}

/// A response code in the words of RFC 1035 and RFC 2136.
fn code_name(code: u16) -> String {
    match code {
        1 => "FORMERR: it did not understand the question".into(),
        2 => "SERVFAIL: it could not find out".into(),
        4 => "NOTIMP: it does not answer such questions".into(),
        5 => "REFUSED: it does not want to answer".into(),
        code => format!("response code {code}"),
    }
}

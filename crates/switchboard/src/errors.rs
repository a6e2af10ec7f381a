//! The one place where our errors become those that programs written for host sockets handle.
//!
//! Every [`io::Error`] of this crate has the kind that `tokio::net` users see and a
//! [`SocketError`] inside that says what was tried, what happened and what may help.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use switchboard_core::{
    AcceptError, BindError, ConnectError, ListenError, Lost, MembershipError, PacketSendError,
    SendError, UdpSendError, Unreachable,
};

use crate::names::NameError;

/// What is inside every [`io::Error`] of this crate.
///
/// ```
/// # fn look(error: std::io::Error) {
/// use switchboard::SocketError;
/// if let Some(SocketError::Connect { remote, why }) = SocketError::of(&error) {
///     println!("{remote} cannot be reached: {why:?}");
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
pub enum SocketError {
    /// No connection came to be.
    Connect {
        /// Whom we called.
        remote: SocketAddr,
        /// Why not.
        why: ConnectError,
    },
    /// Nothing listens.
    Listen {
        /// Where we wanted to listen.
        local: SocketAddr,
        /// Why not.
        why: ListenError,
    },
    /// No datagram socket came to be.
    Bind {
        /// Which address we wanted.
        local: SocketAddr,
        /// Why not.
        why: BindError,
    },
    /// An incoming flow was not accepted.
    Accept(AcceptError),
    /// A connection that stood was lost.
    Lost(Lost),
    /// We have said that we will send no more, or the connection is gone and its error was told.
    SendClosed,
    /// A datagram was not sent.
    Datagram(UdpSendError),
    /// A raw or ping socket's packet was not sent.
    Packet(PacketSendError),
    /// A datagram that was sent earlier drew an ICMP error.
    Returned {
        /// Where it was going.
        remote: SocketAddr,
        /// What the error said.
        why: Unreachable,
        /// Who said it.
        offender: IpAddr,
    },
    /// A group was not joined or left.
    Group {
        /// Which.
        group: IpAddr,
        /// Why not.
        why: MembershipError,
    },
    /// The handle is stale.
    NoSuchSocket,
    /// The whole network ended.
    Ended(Ended),
    /// No network was named and none is ambient.
    NoNet,
    /// The socket has no peer.
    NotConnected,
    /// A name has no addresses, or could not be looked up.
    Name {
        /// As it was asked for.
        name: String,
        /// Why.
        why: NameError,
    },
}

impl SocketError {
    /// What is inside an [`io::Error`], if it is one of ours.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// The kind that the same misfortune has on the host's sockets.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Connect { why, .. } => connect_kind(why),
            Self::Listen { why, .. } => match why {
                ListenError::AddressInUse => ErrorKind::AddrInUse,
                ListenError::AddressNotAvailable => ErrorKind::AddrNotAvailable,
                ListenError::NoBuffers => ErrorKind::OutOfMemory,
            },
            Self::Bind { why, .. } => match why {
                BindError::AddressInUse => ErrorKind::AddrInUse,
                BindError::AddressNotAvailable => ErrorKind::AddrNotAvailable,
                BindError::NoBuffers => ErrorKind::OutOfMemory,
            },
            Self::Accept(AcceptError::NoSuchFlow) => ErrorKind::ConnectionAborted,
            Self::Accept(AcceptError::NoBuffers) => ErrorKind::OutOfMemory,
            Self::Lost(lost) => lost_kind(lost),
            Self::SendClosed => ErrorKind::BrokenPipe,
            Self::Group { why, .. } => group_kind(why),
            Self::Datagram(why) => datagram_kind(why),
            Self::Packet(why) => packet_kind(why),
            Self::Returned { why, .. } => unreachable_kind(*why),
            Self::NoSuchSocket | Self::NotConnected => ErrorKind::NotConnected,
            Self::Ended(why) => why.kind(),
            Self::NoNet => ErrorKind::NotFound,
            Self::Name { why, .. } => why.kind(),
        }
    }
}

impl From<SocketError> for io::Error {
    fn from(error: SocketError) -> Self {
        Self::new(error.kind(), error)
    }
}

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect { remote, why } => {
                write!(f, "connect to {remote}: ")?;
                fmt_connect(f, why)
            }
            Self::Listen { local, why } => write!(
                f,
                "listen on {local}: {}",
                match why {
                    ListenError::AddressInUse => "somebody listens there already",
                    ListenError::AddressNotAvailable => "not an address of this network's host",
                    ListenError::NoBuffers => "the limit of listeners is reached",
                }
            ),
            Self::Bind { local, why } => write!(
                f,
                "bind to {local}: {}",
                match why {
                    BindError::AddressInUse => "the port is taken, or none is free",
                    BindError::AddressNotAvailable => "not an address of this network's host",
                    BindError::NoBuffers => "the limit of datagram sockets is reached",
                }
            ),
            Self::Accept(AcceptError::NoSuchFlow) => {
                f.write_str("accept: the caller gave up before it was answered")
            }
            Self::Accept(AcceptError::NoBuffers) => {
                f.write_str("accept: the limit of connections is reached")
            }
            Self::Lost(lost) => fmt_lost(f, lost),
            Self::Group { group, why } => write!(f, "group {group}: {why}"),
            Self::SendClosed => f.write_str("send: this end of the connection is closed"),
            Self::Datagram(why) => fmt_datagram(f, why),
            Self::Packet(PacketSendError::Unreachable(why)) => {
                write!(f, "an earlier packet was answered with {}", says(*why))
            }
            Self::Packet(why) => why.fmt(f),
            Self::Returned {
                remote,
                why,
                offender,
            } => write!(f, "datagram to {remote}: {offender} says {}", says(*why)),
            Self::NoSuchSocket => f.write_str("no such socket: it was closed"),
            Self::Ended(why) => why.fmt(f),
            Self::NoNet => f.write_str(
                "no network here: use net.enter(), net.scope(), net.install() or \
                 Net::set_default(), or a constructor that takes the Net",
            ),
            Self::Name { name, why } => write!(f, "{name}: {why}"),
            Self::NotConnected => f.write_str("the socket has no peer: connect it first"),
        }
    }
}

impl std::error::Error for SocketError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Ended(Ended::Device(error)) => Some(&**error),
            _ => None,
        }
    }
}

/// Why a whole network works no more.
#[derive(Clone, Debug)]
pub enum Ended {
    /// The link is gone for good: the device said that nothing more will come.
    LinkGone,
    /// The device failed.
    Device(Arc<io::Error>),
    /// `Net::shutdown` was called, or nobody held the network any more.
    ShutDown,
    /// The runtime that ran the driver has shut down, or its driver was dropped.
    DriverDropped,
    /// The stack panicked: a bug of ours. Nothing of it is trusted any more.
    Panicked,
}

impl Ended {
    /// The device failed with `error`.
    pub(crate) fn device(error: io::Error) -> Self {
        Self::Device(Arc::new(error))
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Device(error) => error.kind(),
            Self::LinkGone | Self::ShutDown | Self::DriverDropped | Self::Panicked => {
                ErrorKind::NetworkDown
            }
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LinkGone => f.write_str("the network's link is gone"),
            Self::Device(error) => write!(f, "the network's device failed: {error}"),
            Self::ShutDown => f.write_str("the network was shut down"),
            Self::DriverDropped => {
                f.write_str("the network's driver is gone: the runtime that ran it has ended")
            }
            Self::Panicked => f.write_str("the network's stack panicked: a bug of Switchboard"),
        }
    }
}

impl std::error::Error for Ended {}

/// The network ended.
pub(crate) fn ended(why: &Ended) -> io::Error {
    SocketError::Ended(why.clone()).into()
}

/// A connection that did not come to be, or was lost, towards `remote`.
pub(crate) fn lost(remote: SocketAddr, lost: Lost) -> io::Error {
    match lost {
        Lost::NeverConnected(why) => SocketError::Connect { remote, why }.into(),
        lost => SocketError::Lost(lost).into(),
    }
}

/// A send that failed for another reason than a full queue.
pub(crate) fn send(remote: SocketAddr, error: SendError) -> io::Error {
    match error {
        SendError::NoSuchSocket => SocketError::NoSuchSocket.into(),
        SendError::WouldBlock => ErrorKind::WouldBlock.into(),
        SendError::Closed => SocketError::SendClosed.into(),
        SendError::Lost(why) => lost(remote, why),
    }
}

/// As Linux: EINVAL, EADDRINUSE, EADDRNOTAVAIL, ENODEV, ENOBUFS.
fn group_kind(why: &MembershipError) -> ErrorKind {
    match why {
        MembershipError::NoSuchSocket => ErrorKind::NotConnected,
        MembershipError::NotMulticast => ErrorKind::InvalidInput,
        MembershipError::AlreadyMember => ErrorKind::AddrInUse,
        MembershipError::NotMember => ErrorKind::AddrNotAvailable,
        MembershipError::NoRoute => ErrorKind::NetworkUnreachable,
        MembershipError::NoBuffers => ErrorKind::OutOfMemory,
    }
}

/// The kind of a connection that did not come to be.
fn connect_kind(why: &ConnectError) -> ErrorKind {
    match why {
        // Linux: EADDRNOTAVAIL, for a port that cannot be found too.
        // And for a pair of endpoints that is taken (`__inet_check_established`).
        ConnectError::NoPortLeft { .. }
        | ConnectError::AddressNotAvailable
        | ConnectError::AddressInUse => ErrorKind::AddrNotAvailable,
        ConnectError::NoRoute => ErrorKind::NetworkUnreachable,
        ConnectError::NoBuffers => ErrorKind::OutOfMemory,
        ConnectError::Refused => ErrorKind::ConnectionRefused,
        ConnectError::Unreachable { why, .. } => unreachable_kind(*why),
        ConnectError::TimedOut { .. } => ErrorKind::TimedOut,
    }
}

fn lost_kind(lost: &Lost) -> ErrorKind {
    match lost {
        Lost::Reset => ErrorKind::ConnectionReset,
        Lost::NeverConnected(why) => connect_kind(why),
        // Linux reports the soft error that came meanwhile, else ETIMEDOUT.
        Lost::TimedOut { hint: Some(why) } => unreachable_kind(*why),
        Lost::TimedOut { hint: None } => ErrorKind::TimedOut,
        Lost::Aborted => ErrorKind::ConnectionAborted,
    }
}

fn datagram_kind(why: &UdpSendError) -> ErrorKind {
    match why {
        UdpSendError::NoSuchSocket | UdpSendError::NotConnected => ErrorKind::NotConnected,
        UdpSendError::WouldBlock => ErrorKind::WouldBlock,
        // EMSGSIZE has no kind of its own.
        UdpSendError::TooLong { .. } | UdpSendError::SegmentTooLong { .. } => {
            ErrorKind::InvalidInput
        }
        UdpSendError::NoRoute => ErrorKind::NetworkUnreachable,
        UdpSendError::BroadcastNotAllowed => ErrorKind::PermissionDenied,
        UdpSendError::Unreachable(why) => unreachable_kind(*why),
    }
}

fn packet_kind(why: &PacketSendError) -> ErrorKind {
    match why {
        PacketSendError::NoSuchSocket | PacketSendError::NotConnected => ErrorKind::NotConnected,
        PacketSendError::WouldBlock => ErrorKind::WouldBlock,
        PacketSendError::TooLong { .. } | PacketSendError::Malformed(_) => ErrorKind::InvalidInput,
        PacketSendError::NoRoute => ErrorKind::NetworkUnreachable,
        PacketSendError::BroadcastNotAllowed => ErrorKind::PermissionDenied,
        PacketSendError::Unreachable(why) => unreachable_kind(*why),
    }
}

/// What Linux makes of ICMP errors (`icmp_err_convert`).
fn unreachable_kind(why: Unreachable) -> ErrorKind {
    match why {
        Unreachable::Network => ErrorKind::NetworkUnreachable,
        Unreachable::Host | Unreachable::Prohibited | Unreachable::TimeExceeded => {
            ErrorKind::HostUnreachable
        }
        Unreachable::Port => ErrorKind::ConnectionRefused,
        Unreachable::Protocol | Unreachable::SourceRoute | Unreachable::ParameterProblem => {
            ErrorKind::Other
        }
        Unreachable::TooBig { .. } => ErrorKind::InvalidInput,
    }
}

fn fmt_connect(f: &mut fmt::Formatter<'_>, why: &ConnectError) -> fmt::Result {
    match why {
        ConnectError::NoPortLeft { .. } => f.write_str("no free local port toward it"),
        ConnectError::AddressInUse => f.write_str("the same pair of endpoints is in use"),
        ConnectError::AddressNotAvailable => {
            f.write_str("the local address is not one of this network's host")
        }
        ConnectError::NoRoute => f.write_str("no route, or no address of its family"),
        ConnectError::NoBuffers => f.write_str("the limit of connections is reached"),
        ConnectError::Refused => f.write_str("refused: nothing listens there"),
        ConnectError::Unreachable { why, offender } => {
            write!(f, "{offender} says {}", says(*why))
        }
        ConnectError::TimedOut { waited } => write!(f, "no answer within {waited:.1?}"),
    }
}

fn fmt_lost(f: &mut fmt::Formatter<'_>, lost: &Lost) -> fmt::Result {
    match lost {
        Lost::Reset => f.write_str("connection reset by the peer"),
        Lost::NeverConnected(why) => {
            f.write_str("the connection never stood: ")?;
            fmt_connect(f, why)
        }
        Lost::TimedOut { hint: None } => {
            f.write_str("the peer acknowledged nothing any more: connection timed out")
        }
        Lost::TimedOut { hint: Some(why) } => write!(
            f,
            "the peer acknowledged nothing any more; meanwhile somebody said {}",
            says(*why)
        ),
        Lost::Aborted => f.write_str("the connection was aborted at this end"),
    }
}

fn fmt_datagram(f: &mut fmt::Formatter<'_>, why: &UdpSendError) -> fmt::Result {
    match why {
        UdpSendError::NoSuchSocket => f.write_str("no such socket: it was closed"),
        UdpSendError::WouldBlock => f.write_str("the send queue is full"),
        UdpSendError::TooLong { limit } => {
            write!(
                f,
                "datagram too long: at most {limit} octets can be sent there"
            )
        }
        UdpSendError::SegmentTooLong { limit } => {
            write!(f, "segments too long: at most {limit} octets fit the path")
        }
        UdpSendError::NotConnected => f.write_str("no destination: connect, or name one"),
        UdpSendError::NoRoute => f.write_str("no route, or no address of that family"),
        UdpSendError::BroadcastNotAllowed => {
            f.write_str("the socket may not send to broadcast addresses: allow it first")
        }
        UdpSendError::Unreachable(why) => {
            write!(f, "an earlier datagram was answered with {}", says(*why))
        }
    }
}

/// An ICMP error in words.
fn says(why: Unreachable) -> &'static str {
    match why {
        Unreachable::Network => "network unreachable",
        Unreachable::Host => "host unreachable",
        Unreachable::Protocol => "protocol unreachable",
        Unreachable::Port => "port unreachable",
        Unreachable::TooBig { .. } => "packet too big",
        Unreachable::SourceRoute => "source route failed",
        Unreachable::Prohibited => "administratively prohibited",
        Unreachable::TimeExceeded => "time exceeded",
        Unreachable::ParameterProblem => "parameter problem",
    }
}

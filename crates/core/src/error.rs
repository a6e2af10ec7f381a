//! One error enum for each operation: every variant can happen to its caller, no other can.

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use switchboard_wire::Malformed;

/// The handle names no socket: it was closed and its place may have a new owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSuchSocket;

/// Which ICMP error somebody on the way, or the peer's machine, sent about us.
///
/// The names are those of RFC 792 and RFC 4443; IPv4 and IPv6 codes of one meaning share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unreachable {
    /// No route to that network (v4 code 0, 6, 11; v6 code 0).
    Network,
    /// No route to that machine (v4 code 1, 7, 12; v6 code 3).
    Host,
    /// The machine does not speak that protocol (v4 code 2; v6 parameter problem, code 1).
    Protocol,
    /// Nobody at that port (v4 code 3; v6 code 4).
    Port,
    /// Too big, and must not be cut (v4 code 4; v6 packet too big): the path's MTU.
    TooBig {
        /// Largest packet that the next link takes, in octets.
        mtu: u32,
    },
    /// Source route failed (v4 code 5).
    SourceRoute,
    /// A policy forbids it (v4 codes 9, 10, 13 and others; v6 codes 1, 5, 6).
    Prohibited,
    /// The hop limit ran out on the way (v4 type 11 code 0; v6 type 3 code 0).
    TimeExceeded,
    /// Somebody could not read our header (v4 type 12; v6 type 4).
    ParameterProblem,
}

/// Why a connection that was wanted does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectError {
    /// No local port is free toward `remote`; other remotes may still work.
    NoPortLeft {
        /// Whom we wanted to reach.
        remote: SocketAddr,
    },
    /// The same pair of endpoints is in use.
    AddressInUse,
    /// The local address is not one of ours, or of the other family.
    AddressNotAvailable,
    /// We have no route to the remote address, or it is no unicast address.
    NoRoute,
    /// A limit of the stack is reached (`limits`).
    NoBuffers,
    /// The peer answered the SYN with an acceptable RST (RFC 9293 section 3.10.7.3).
    Refused,
    /// An ICMP error answered the SYN.
    Unreachable {
        /// What it said.
        why: Unreachable,
        /// Who said it.
        offender: IpAddr,
    },
    /// No answer to any SYN for `waited` (threshold R2, RFC 9293 section 3.8.3).
    TimedOut {
        /// Since the first SYN.
        waited: Duration,
    },
}

/// Why a port cannot be listened on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenError {
    /// Somebody listens there, or holds the port without sharing it.
    AddressInUse,
    /// The address is not one of ours.
    AddressNotAvailable,
    /// A limit of the stack is reached.
    NoBuffers,
}

/// Why a datagram socket cannot be bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindError {
    /// The port is taken, or none is free.
    AddressInUse,
    /// The address is not one of ours.
    AddressNotAvailable,
    /// A limit of the stack is reached.
    NoBuffers,
}

/// Why an incoming flow cannot be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptError {
    /// The flow expired, was reset by its caller, or was answered already.
    NoSuchFlow,
    /// A limit of the stack is reached.
    NoBuffers,
}

/// Why a connection was lost after it stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The peer sent an acceptable RST.
    Reset,
    /// The connection never stood.
    NeverConnected(ConnectError),
    /// Nothing was acknowledged for the user timeout, or no keep-alive was answered.
    TimedOut {
        /// The last soft error that arrived meanwhile, if any: why, probably.
        hint: Option<Unreachable>,
    },
    /// We aborted it.
    Aborted,
}

/// Why octets cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// No socket of that name.
    NoSuchSocket,
    /// The connection does not stand yet, or the send queue is full: wait for `WRITABLE`.
    WouldBlock,
    /// We have said that we will send no more.
    Closed,
    /// The connection is gone.
    Lost(Lost),
}

/// Why octets cannot be received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiveError {
    /// No socket of that name.
    NoSuchSocket,
    /// Nothing is there now: wait for `READABLE`.
    WouldBlock,
    /// The connection is gone, and everything that arrived before has been read.
    Lost(Lost),
}

/// Why a datagram cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UdpSendError {
    /// No socket of that name.
    NoSuchSocket,
    /// The send queue is full: wait for `WRITABLE`.
    WouldBlock,
    /// Longer than IP can carry, than the path takes where it must not be cut, or than
    /// [`UDP_SEGMENTS_MAX`](crate::limits::UDP_SEGMENTS_MAX) segments are.
    TooLong {
        /// Longest payload that would do, in octets.
        limit: usize,
    },
    /// Segments longer than the path takes: what is cut into datagrams is not cut again.
    SegmentTooLong {
        /// Longest segment that would do, in octets.
        limit: usize,
    },
    /// No destination was given and the socket is not connected.
    NotConnected,
    /// We have no route to the destination, or no address of its family.
    NoRoute,
    /// It is a broadcast address, and the socket may not send there (`SO_BROADCAST`).
    BroadcastNotAllowed,
    /// An earlier datagram drew this ICMP error (connected sockets, RFC 1122 section 4.1.3.3).
    Unreachable(Unreachable),
}

/// Why a packet of a raw or ping socket cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketSendError {
    /// No socket of that name.
    NoSuchSocket,
    /// Too many packets wait for the device: wait for `WRITABLE`.
    WouldBlock,
    /// Longer than IP can carry, or than the path takes where it must not be cut.
    TooLong {
        /// Most octets behind the IP header; of a packet with its header, all of it.
        limit: usize,
    },
    /// No destination was given and the socket is not connected.
    NotConnected,
    /// We have no route to the destination, or it is of the other family.
    NoRoute,
    /// It is a broadcast address, and the socket may not send there.
    BroadcastNotAllowed,
    /// The header that the application wrote breaks a rule (raw sockets of IPv4).
    Malformed(Malformed),
    /// An earlier packet drew this ICMP error (connected sockets).
    Unreachable(Unreachable),
}

/// Why a socket does not join or leave a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MembershipError {
    /// No socket of that name.
    NoSuchSocket,
    /// The address is no group's.
    NotMulticast,
    /// It is in the group already.
    AlreadyMember,
    /// It is not in the group.
    NotMember,
    /// We have no address of the group's family.
    NoRoute,
    /// A limit of the stack is reached.
    NoBuffers,
}

impl fmt::Display for NoSuchSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no such socket")
    }
}

impl core::error::Error for NoSuchSocket {}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Network => "network unreachable",
            Self::Host => "host unreachable",
            Self::Protocol => "protocol unreachable",
            Self::Port => "port unreachable",
            Self::TooBig { mtu } => {
                return write!(f, "packet too big, the path takes {mtu} octets");
            }
            Self::SourceRoute => "source route failed",
            Self::Prohibited => "administratively prohibited",
            Self::TimeExceeded => "hop limit exceeded on the way",
            Self::ParameterProblem => "parameter problem",
        })
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPortLeft { remote } => write!(f, "no free local port toward {remote}"),
            Self::AddressInUse => f.write_str("the same pair of endpoints is in use"),
            Self::AddressNotAvailable => f.write_str("the local address is not ours"),
            Self::NoRoute => f.write_str("no route to the address"),
            Self::NoBuffers => f.write_str("too many connections"),
            Self::Refused => f.write_str("connection refused by the peer"),
            Self::Unreachable { why, offender } => write!(f, "{why}, says {offender}"),
            Self::TimedOut { waited } => write!(f, "no answer within {waited:?}"),
        }
    }
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AddressInUse => "the port is in use",
            Self::AddressNotAvailable => "the address is not ours",
            Self::NoBuffers => "too many listeners",
        })
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AddressInUse => "the port is in use",
            Self::AddressNotAvailable => "the address is not ours",
            Self::NoBuffers => "too many datagram sockets",
        })
    }
}

impl fmt::Display for AcceptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSuchFlow => "the flow is gone: expired, reset by its caller, or answered",
            Self::NoBuffers => "too many sockets",
        })
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reset => f.write_str("connection reset by the peer"),
            Self::NeverConnected(error) => error.fmt(f),
            Self::TimedOut { hint: None } => f.write_str("connection timed out"),
            Self::TimedOut { hint: Some(why) } => write!(f, "connection timed out; {why}"),
            Self::Aborted => f.write_str("connection aborted"),
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchSocket => NoSuchSocket.fmt(f),
            Self::WouldBlock => f.write_str("no room to send now"),
            Self::Closed => f.write_str("our half of the connection is closed"),
            Self::Lost(lost) => lost.fmt(f),
        }
    }
}

impl fmt::Display for ReceiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchSocket => NoSuchSocket.fmt(f),
            Self::WouldBlock => f.write_str("nothing to read now"),
            Self::Lost(lost) => lost.fmt(f),
        }
    }
}

impl fmt::Display for UdpSendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchSocket => NoSuchSocket.fmt(f),
            Self::WouldBlock => f.write_str("no room to send now"),
            Self::TooLong { limit } => write!(f, "longer than {limit} octets"),
            Self::SegmentTooLong { limit } => write!(f, "segments longer than {limit} octets"),
            Self::NotConnected => f.write_str("no destination given and not connected"),
            Self::NoRoute => f.write_str("no route to the address"),
            Self::BroadcastNotAllowed => f.write_str("broadcast is not allowed on this socket"),
            Self::Unreachable(why) => why.fmt(f),
        }
    }
}

impl fmt::Display for PacketSendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchSocket => NoSuchSocket.fmt(f),
            Self::WouldBlock => f.write_str("no room to send now"),
            Self::TooLong { limit } => write!(f, "longer than {limit} octets"),
            Self::NotConnected => f.write_str("no destination given and not connected"),
            Self::NoRoute => f.write_str("no route to the address"),
            Self::BroadcastNotAllowed => f.write_str("broadcast is not allowed on this socket"),
            Self::Malformed(rule) => rule.fmt(f),
            Self::Unreachable(why) => why.fmt(f),
        }
    }
}

impl fmt::Display for MembershipError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSuchSocket => return NoSuchSocket.fmt(f),
            Self::NotMulticast => "not a multicast address",
            Self::AlreadyMember => "already a member of the group",
            Self::NotMember => "not a member of the group",
            Self::NoRoute => "no address of the group's family",
            Self::NoBuffers => "too many groups",
        })
    }
}

impl core::error::Error for ConnectError {}
impl core::error::Error for ListenError {}
impl core::error::Error for BindError {}
impl core::error::Error for AcceptError {}
impl core::error::Error for Lost {}
impl core::error::Error for SendError {}
impl core::error::Error for ReceiveError {}
impl core::error::Error for UdpSendError {}
impl core::error::Error for MembershipError {}
impl core::error::Error for PacketSendError {}

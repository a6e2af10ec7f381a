//! What an application holds: handles that name sockets, and what comes with a message.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::num::NonZeroU16;

use bytes::Bytes;
use switchboard_wire::IpProtocol;

use crate::error::Unreachable;

macro_rules! handle {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// Generational: a stale handle fails, it never names another socket. `shard` says
        /// which stack of a sharded host it belongs to.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            pub(crate) shard: u8,
            pub(crate) index: u32,
            pub(crate) generation: u32,
        }

        impl $name {
            /// Which stack of a sharded host it belongs to.
            #[must_use]
            pub const fn shard(self) -> u8 {
                self.shard
            }

            /// Its place in the stack's table: small, dense, and reused with another
            /// generation. Good as a key of a table that runs beside the stack's.
            #[must_use]
            pub const fn index(self) -> usize {
                self.index as usize
            }
        }
    };
}

handle!(
    /// Names a TCP connection.
    TcpId
);
handle!(
    /// Names a TCP listener.
    ListenerId
);
handle!(
    /// Names a TCP port that is bound and not used yet.
    BoundId
);
handle!(
    /// Names a UDP socket.
    UdpId
);
handle!(
    /// Names a ping socket.
    PingId
);
handle!(
    /// Names a raw socket.
    RawId
);
handle!(
    /// Names a flow that waits for a verdict.
    FlowId
);

/// A connection taken from a listener's backlog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The connection.
    pub id: TcpId,
    /// Our endpoint of it.
    pub local: SocketAddr,
    /// The caller's endpoint of it.
    pub remote: SocketAddr,
}

/// Which half of a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// We will read no more: nobody waits for what arrives. It is kept all the same, as Linux does.
    Read,
    /// We will send no more: FIN after what is queued.
    Write,
    /// Both.
    Both,
}

/// An ICMP error that one of our datagrams drew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpError {
    /// What it said.
    pub why: Unreachable,
    /// Who said it.
    pub offender: IpAddr,
    /// Where the datagram was going.
    pub remote: SocketAddr,
}

/// What a socket speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SocketKind {
    /// Connections, and listeners for them.
    Tcp,
    /// Datagrams.
    Udp,
    /// ICMP echo.
    Ping,
    /// Packets of a protocol.
    Raw(IpProtocol),
}

impl fmt::Display for SocketKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp => f.pad("tcp"),
            Self::Udp => f.pad("udp"),
            Self::Ping => f.pad("ping"),
            Self::Raw(protocol) => write!(f, "raw-{protocol}"),
        }
    }
}

/// One line of the list of sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketEntry {
    /// What it speaks.
    pub kind: SocketKind,
    /// Our endpoint. The port of a ping socket is its identifier; raw sockets have none.
    pub local: SocketAddr,
    /// The far endpoint; `None` while anyone may call.
    pub remote: Option<SocketAddr>,
    /// A TCP connection's state, `Listen` for listeners, `None` for the others.
    pub state: Option<State>,
}

impl fmt::Display for SocketEntry {
    /// Its name: `tcp://10.0.2.100:80`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.kind, self.local)
    }
}

/// What comes with a packet of a raw or ping socket, or shall go out with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketMeta {
    /// Source of a received packet, destination of a sent one.
    pub remote: IpAddr,
    /// Destination of a received packet; source of a sent one, where an unspecified address
    /// means the socket's own, or the best of ours.
    pub local: IpAddr,
    /// IPv4 TTL or IPv6 hop limit, in hops. Sent: `None` means the socket's own.
    pub hop_limit: Option<u8>,
    /// DSCP and ECN, the whole octet. Sent: `None` means the socket's own.
    pub traffic_class: Option<u8>,
    /// The packet must not be fragmented.
    pub dont_fragment: bool,
}

impl PacketMeta {
    /// To `remote`; everything else is the socket's own.
    #[must_use]
    pub const fn to(remote: IpAddr) -> Self {
        let local = match remote {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        Self {
            remote,
            local,
            hop_limit: None,
            traffic_class: None,
            dont_fragment: false,
        }
    }
}

/// The answer to an echo request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EchoReply {
    /// Which request it answers.
    pub sequence: u16,
    /// What the request carried, if the answer is true.
    pub payload: Bytes,
    /// Who answered, and how the answer came.
    pub meta: PacketMeta,
}

/// An ICMP error that a packet of a raw or ping socket drew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketError {
    /// What it said.
    pub why: Unreachable,
    /// Who said it.
    pub offender: IpAddr,
    /// Where the packet was going.
    pub remote: IpAddr,
    /// Which echo request it was.
    pub sequence: Option<u16>,
}

/// The state of a connection (RFC 9293 section 3.3.2), printed in the RFC's spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Waiting for a call.
    Listen,
    /// SYN sent, no answer yet.
    SynSent,
    /// SYN received and answered.
    SynReceived,
    /// Both can send.
    Established,
    /// We closed; the peer has not acknowledged it.
    FinWait1,
    /// We closed and the peer knows.
    FinWait2,
    /// The peer closed, we have not.
    CloseWait,
    /// Both closed at once.
    Closing,
    /// The peer closed first, then we; it has not acknowledged ours.
    LastAck,
    /// Both closed; old segments are left to die.
    TimeWait,
    /// No connection.
    Closed,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Listen => "LISTEN",
            Self::SynSent => "SYN-SENT",
            Self::SynReceived => "SYN-RECEIVED",
            Self::Established => "ESTABLISHED",
            Self::FinWait1 => "FIN-WAIT-1",
            Self::FinWait2 => "FIN-WAIT-2",
            Self::CloseWait => "CLOSE-WAIT",
            Self::Closing => "CLOSING",
            Self::LastAck => "LAST-ACK",
            Self::TimeWait => "TIME-WAIT",
            Self::Closed => "CLOSED",
        })
    }
}

/// How an incoming flow is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// TCP: RST. UDP: ICMP port unreachable.
    Reset,
    /// An ICMP error. Not subject to ICMP rate limits: it is sent on purpose.
    Unreachable {
        /// What it says.
        why: Unreachable,
        /// Who says it; `None`: the stack's own first address of that family.
        offender: Option<IpAddr>,
    },
    /// No answer at all.
    Silent,
}

/// What arrived with a datagram, or shall go out with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpMeta {
    /// The far endpoint: source of a received datagram, destination of a sent one.
    pub remote: SocketAddr,
    /// The near endpoint: destination of a received datagram; source of a sent one, where an
    /// unspecified address or port 0 means the socket's own.
    pub local: SocketAddr,
    /// IPv4 TTL or IPv6 hop limit, in hops. Sent: `None` means the socket's own.
    pub hop_limit: Option<u8>,
    /// DSCP and ECN, the whole octet (RFC 2474, RFC 3168). Sent: `None` means the socket's own.
    /// Received: always there, and every datagram of a super-datagram has the same.
    pub traffic_class: Option<u8>,
    /// The datagram must not be fragmented (IPv4 DF; IPv6: no source fragmentation).
    pub dont_fragment: bool,
    /// The payload is that of several datagrams of this many octets each, the last one of what
    /// is left. Sent (`UDP_SEGMENT`): so many leave, as one super-datagram where the device cuts
    /// them. Received (`UDP_GRO`): so many arrived as one; only where `UdpOptions::gro` asks.
    pub segment_size: Option<NonZeroU16>,
}

impl UdpMeta {
    /// To `remote`; everything else is the socket's own.
    #[must_use]
    pub const fn to(remote: SocketAddr) -> Self {
        let nobody = match remote {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        Self {
            remote,
            local: SocketAddr::new(nobody, 0),
            hop_limit: None,
            traffic_class: None,
            dont_fragment: false,
            segment_size: None,
        }
    }
}

/// An ICMP echo request for an address that is not ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EchoRequest {
    /// Who pings.
    pub source: IpAddr,
    /// Whom they ping.
    pub destination: IpAddr,
    /// Identifier (RFC 792).
    pub identifier: u16,
    /// Sequence number.
    pub sequence: u16,
    /// IPv4 TTL or IPv6 hop limit.
    pub hop_limit: u8,
    /// What the answer must carry.
    pub payload: Bytes,
}

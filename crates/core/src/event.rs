//! What an application may hear from its stack.

use core::net::SocketAddr;
use core::ops::{BitOr, BitOrAssign};

use crate::socket::{FlowId, ListenerId, PingId, RawId, TcpId, UdpId};

/// Something that an application may be waiting for.
///
/// Events are edges: each says that a condition became true, and is queued once until it is
/// polled. Ask the socket for what is true now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A connection's readiness grew.
    Tcp(TcpId, Readiness),
    /// A listener has a connection to accept.
    Acceptable(ListenerId),
    /// A datagram socket's readiness grew.
    Udp(UdpId, Readiness),
    /// A ping socket's readiness grew.
    Ping(PingId, Readiness),
    /// A raw socket's readiness grew.
    Raw(RawId, Readiness),
    /// A flow arrived that no socket of ours claims (any-address stacks only). It waits,
    /// bounded and without buffers, until it is accepted or refused, or expires.
    Incoming(Incoming),
    /// A flow that waited for a verdict is gone before one came: its caller reset it or gave up,
    /// or it expired. Its name is stale.
    FlowGone(FlowId),
    /// An ICMP echo request for an address that is not ours waits in the echo queue
    /// (any-address stacks with `Config::echo_to_application` only).
    EchoRequested,
}

/// A flow to any address that waits for a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A TCP connection is being opened; no answer has been sent.
    Tcp {
        /// Names the flow in `accept` and `refuse`.
        id: FlowId,
        /// Who calls.
        remote: SocketAddr,
        /// Whom they call.
        local: SocketAddr,
        /// TTL or hop limit of the SYN, as it arrived.
        hop_limit: u8,
        /// DSCP and ECN octet of the SYN.
        traffic_class: u8,
    },
    /// First datagram of a source that no socket of ours claims.
    Udp {
        /// Names the flow in `accept` and `refuse`.
        id: FlowId,
        /// Who sends. An accepted flow gets every datagram of this source, whatever its
        /// destination, that no bound socket claims.
        remote: SocketAddr,
        /// Where the first datagram goes.
        local: SocketAddr,
    },
}

/// What can be done with a socket without waiting: a small set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness(u8);

impl Readiness {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Octets, a datagram, the end of the stream or an error can be read.
    pub const READABLE: Self = Self(1);
    /// There is room to send, or an error to learn of.
    pub const WRITABLE: Self = Self(2);
    /// The connection stands, or failed to.
    pub const CONNECTED: Self = Self(4);
    /// The peer will send no more.
    pub const READ_CLOSED: Self = Self(8);
    /// We can send no more.
    pub const WRITE_CLOSED: Self = Self(16);
    /// An error waits to be taken.
    pub const ERROR: Self = Self(32);
    /// Nothing more will ever happen on it: both halves are done and acknowledged, or it was
    /// aborted.
    pub const CLOSED: Self = Self(64);

    /// Whether all of `other` is in this set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any of `other` is in this set.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// What is in either set; `|` for constants.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in this set and not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Readiness {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Readiness {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

//! Why a packet went no further.

use core::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why a packet went no further: one variant for each reason, each counted in
        /// [`Stats::dropped`](crate::Stats::dropped). Meant to be counted and shown, not to be
        /// branched on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum DropReason {
            $($(#[$doc])* $name,)*
        }

        impl DropReason {
            /// All of them, in order.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The reason, in words.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

reasons! {
    /// The bytes broke a rule of their format: see [`Stats::malformed`](crate::Stats::malformed).
    Malformed = "malformed",
    /// From an address that nobody can have there, or that is ours (RFC 1122 section 3.2.1.3).
    MartianSource = "martian source",
    /// To an address that nobody can have there.
    MartianDestination = "martian destination",
    /// To an address that is not ours, and we are no gateway.
    NotForUs = "not for us",
    /// To a group that nobody here has joined.
    NoGroupMember = "no member of the group",
    /// Its hop limit ran out here.
    HopLimit = "hop limit exceeded",
    /// Its sender chose the way (RFC 7126).
    SourceRoute = "source route",
    /// An IPv6 extension header asks what we do not do (RFC 8200 section 4).
    ExtensionHeader = "extension header",
    /// A first fragment without the whole header chain, or a part of no fragment of its size
    /// (RFC 7112, RFC 1858).
    TinyFragment = "tiny fragment",
    /// Fragments that overlap (RFC 5722).
    FragmentOverlap = "overlapping fragments",
    /// Fragments that contradict each other, or end beyond 65,535 octets.
    FragmentInconsistent = "inconsistent fragments",
    /// The rest did not come in time.
    ReassemblyTimeout = "reassembly timeout",
    /// Made room for newer fragments.
    ReassemblyFull = "reassembly buffer full",
    /// A transport that we do not speak.
    UnknownProtocol = "unknown protocol",
    /// A control message that means nothing here.
    IcmpIgnored = "ICMP message ignored",
    /// An ICMP error that quotes nothing of ours (RFC 5927).
    IcmpNotOurs = "ICMP error about nothing of ours",
    /// An IGMP or MLD message that is not a host's to answer, or not from the link.
    MembershipIgnored = "membership message ignored",
    /// Too many echo requests wait for the application.
    EchoQueueFull = "echo queue full",
    /// No socket at that port.
    NoSocket = "no socket",
    /// A broadcast or a group, for TCP.
    NotUnicast = "not unicast",
    /// A segment that a listener has no use for.
    ListenerIgnored = "ignored by the listener",
    /// A listener's connections are not being accepted.
    BacklogFull = "backlog full",
    /// A half-open connection made room for another.
    SynBacklogFull = "SYN backlog full",
    /// A limit on the number of connections is reached.
    ConnectionsFull = "connection table full",
    /// Too many flows wait for a verdict.
    PendingFull = "pending flows full",
    /// A flow waited too long for a verdict.
    PendingExpired = "pending flow expired",
    /// A datagram socket's unread datagrams fill its buffer.
    ReceiveBufferFull = "receive buffer full",
    /// A connected socket hears its peer only.
    WrongPeer = "not from the connected peer",
    /// All buffers together pin what they may.
    OutOfMemory = "buffer limit reached",
    /// An ICMP error that the rate limit held back.
    IcmpRateLimit = "ICMP rate limit",
    /// Too many answers wait for the device.
    OutboxFull = "outbox full",
    /// A record of TIME-WAIT made room for another.
    TimeWaitFull = "TIME-WAIT table full",
    /// No route, or no address of ours, to the destination.
    NoRoute = "no route",
    /// A router's next link takes no packet of its length, and it must not be fragmented.
    TooLong = "longer than the next link",
    /// A router forwards no packet from or to an address that means something on one link only
    /// (RFC 3927 section 7, RFC 4291 section 2.5.6).
    LinkScope = "address of one link",
    /// A router's port takes less than is sent there.
    PortFull = "port's queue full",
    /// A router's port whose device is gone.
    PortGone = "port's device gone",
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text())
    }
}

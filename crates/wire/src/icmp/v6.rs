//! ICMP for IPv6 (RFC 4443), neighbour discovery classified only (RFC 4861).

use crate::checksum::{Sum, require};
use crate::icmp::{Echo, HEADER_LEN, Quote, quoted};
use crate::malformed::Malformed;
use crate::output::Output;

/// Codes of "destination unreachable" (RFC 4443 section 3.1).
pub mod unreachable {
    /// No route.
    pub const NO_ROUTE: u8 = 0;
    /// A policy forbids it.
    pub const ADMIN_PROHIBITED: u8 = 1;
    /// Beyond the scope of the source address.
    pub const BEYOND_SCOPE: u8 = 2;
    /// No way to the machine.
    pub const ADDRESS: u8 = 3;
    /// Nobody at that port.
    pub const PORT: u8 = 4;
    /// The source address is not allowed to go there.
    pub const SOURCE_POLICY: u8 = 5;
    /// That way is closed.
    pub const REJECT_ROUTE: u8 = 6;
}

/// Codes of "time exceeded" (RFC 4443 section 3.3).
pub mod time_exceeded {
    /// The hop limit ran out on the way.
    pub const HOP_LIMIT: u8 = 0;
    /// Fragments were missing for too long.
    pub const REASSEMBLY: u8 = 1;
}

/// Codes of "parameter problem" (RFC 4443 section 3.4, RFC 7112).
pub mod parameter_problem {
    /// A field makes no sense.
    pub const ERRONEOUS_FIELD: u8 = 0;
    /// Nobody here knows that next header.
    pub const UNRECOGNISED_NEXT_HEADER: u8 = 1;
    /// Nobody here knows that option.
    pub const UNRECOGNISED_OPTION: u8 = 2;
    /// The first fragment lacks part of the header chain.
    pub const INCOMPLETE_CHAIN: u8 = 3;
}

/// What a message says: the header without its checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Icmpv6Header {
    /// Type 1.
    DestinationUnreachable {
        /// Why: see [`mod@unreachable`].
        code: u8,
        /// Words of 8 octets that are quoted, if the sender says so (RFC 4884); else zero.
        quoted_words: u8,
    },
    /// Type 2.
    PacketTooBig {
        /// The next link's MTU.
        mtu: u32,
    },
    /// Type 3.
    TimeExceeded {
        /// Which: see [`time_exceeded`].
        code: u8,
        /// As above.
        quoted_words: u8,
    },
    /// Type 4.
    ParameterProblem {
        /// What kind: see [`parameter_problem`].
        code: u8,
        /// Which octet of the quoted packet.
        pointer: u32,
    },
    /// Type 128.
    EchoRequest(Echo),
    /// Type 129.
    EchoReply(Echo),
    /// Any other.
    Other {
        /// Its type.
        kind: u8,
        /// Its code.
        code: u8,
        /// The header's second word.
        word: [u8; 4],
    },
}

/// What a message that is neither error nor echo is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Icmpv6Class {
    /// Errors, types below 128.
    Error,
    /// Echo and its answer.
    Echo,
    /// Multicast listeners (RFC 2710, RFC 3810).
    MulticastListener,
    /// Type 133 (RFC 4861).
    RouterSolicitation,
    /// Type 134.
    RouterAdvertisement,
    /// Type 135.
    NeighborSolicitation,
    /// Type 136.
    NeighborAdvertisement,
    /// Type 137. Not followed.
    Redirect,
    /// Anything else.
    Other,
}

impl Icmpv6Header {
    /// Reads type, code and second word.
    #[must_use]
    pub const fn from_octets(kind: u8, code: u8, word: [u8; 4]) -> Self {
        let [w0, w1, w2, w3] = word;
        match (kind, code) {
            (1, _) if w1 == 0 && w2 == 0 && w3 == 0 => Self::DestinationUnreachable {
                code,
                quoted_words: w0,
            },
            (2, 0) => Self::PacketTooBig {
                mtu: u32::from_be_bytes(word),
            },
            (3, _) if w1 == 0 && w2 == 0 && w3 == 0 => Self::TimeExceeded {
                code,
                quoted_words: w0,
            },
            (4, _) => Self::ParameterProblem {
                code,
                pointer: u32::from_be_bytes(word),
            },
            (128, 0) => Self::EchoRequest(Echo::from_word(word)),
            (129, 0) => Self::EchoReply(Echo::from_word(word)),
            _ => Self::Other { kind, code, word },
        }
    }

    /// Type, code and second word.
    #[must_use]
    pub const fn to_octets(self) -> (u8, u8, [u8; 4]) {
        match self {
            Self::DestinationUnreachable { code, quoted_words } => {
                (1, code, [quoted_words, 0, 0, 0])
            }
            Self::PacketTooBig { mtu } => (2, 0, mtu.to_be_bytes()),
            Self::TimeExceeded { code, quoted_words } => (3, code, [quoted_words, 0, 0, 0]),
            Self::ParameterProblem { code, pointer } => (4, code, pointer.to_be_bytes()),
            Self::EchoRequest(echo) => (128, 0, echo.word()),
            Self::EchoReply(echo) => (129, 0, echo.word()),
            Self::Other { kind, code, word } => (kind, code, word),
        }
    }

    /// Appends the header, its checksum zero: see `offload::seal`.
    pub fn emit(&self, out: &mut impl Output) {
        let (kind, code, [w0, w1, w2, w3]) = self.to_octets();
        out.put(&[kind, code, 0, 0, w0, w1, w2, w3]);
    }

    /// Whether it is an error about a packet: never answered with another (RFC 4443 section
    /// 2.4, e).
    #[must_use]
    pub const fn is_error(&self) -> bool {
        let (kind, _, _) = self.to_octets();
        kind < 128
    }

    /// What it is about.
    #[must_use]
    pub const fn class(&self) -> Icmpv6Class {
        match self.to_octets() {
            (0..=127, _, _) => Icmpv6Class::Error,
            (128 | 129, _, _) => Icmpv6Class::Echo,
            (130..=132 | 143, _, _) => Icmpv6Class::MulticastListener,
            (133, _, _) => Icmpv6Class::RouterSolicitation,
            (134, _, _) => Icmpv6Class::RouterAdvertisement,
            (135, _, _) => Icmpv6Class::NeighborSolicitation,
            (136, _, _) => Icmpv6Class::NeighborAdvertisement,
            (137, _, _) => Icmpv6Class::Redirect,
            _ => Icmpv6Class::Other,
        }
    }

    /// Octets that the sender says it quotes; zero if it does not say.
    const fn stated_quote_len(&self) -> usize {
        match self {
            Self::DestinationUnreachable { quoted_words, .. }
            | Self::TimeExceeded { quoted_words, .. } => *quoted_words as usize * 8,
            _ => 0,
        }
    }
}

/// A message whose checksum was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmpv6Message<'a> {
    /// What it says.
    pub header: Icmpv6Header,
    /// What follows: an echo's payload, or the quoted packet.
    pub body: &'a [u8],
}

impl<'a> Icmpv6Message<'a> {
    /// Reads a message from the body of an IPv6 packet, whose pseudo header its checksum
    /// covers (RFC 4443 section 2.3).
    ///
    /// # Errors
    ///
    /// The first rule that it breaks.
    pub fn parse(message: &'a [u8], pseudo: Sum) -> Result<Self, Malformed> {
        let (&[kind, code, _, _, w0, w1, w2, w3], body) = message
            .split_first_chunk::<HEADER_LEN>()
            .ok_or(Malformed::IcmpTruncated)?;
        require(pseudo, message, Malformed::IcmpChecksum)?;
        Ok(Self {
            header: Icmpv6Header::from_octets(kind, code, [w0, w1, w2, w3]),
            body,
        })
    }

    /// The packet that an error is about.
    ///
    /// # Errors
    ///
    /// [`Malformed::IcmpQuoteTruncated`] if it quotes none, as a message that is no error.
    pub fn quote(&self) -> Result<Quote<'a>, Malformed> {
        if !self.header.is_error() {
            return Err(Malformed::IcmpQuoteTruncated);
        }
        Quote::parse(quoted(self.body, self.header.stated_quote_len()))
    }
}

//! ICMP for IPv4 (RFC 792, RFC 1122 section 3.2.2).

use core::net::Ipv4Addr;

use crate::checksum::{Sum, require};
use crate::icmp::{Echo, HEADER_LEN, Quote, quoted};
use crate::malformed::Malformed;
use crate::output::Output;

/// Codes of "destination unreachable" (RFC 792, RFC 1122 section 3.2.2.1, RFC 1812 section
/// 5.2.7.1).
pub mod unreachable {
    /// No route to the network.
    pub const NET: u8 = 0;
    /// No way to the machine.
    pub const HOST: u8 = 1;
    /// The machine does not speak that protocol.
    pub const PROTOCOL: u8 = 2;
    /// Nobody at that port.
    pub const PORT: u8 = 3;
    /// Too big, and must not be fragmented.
    pub const FRAGMENTATION_NEEDED: u8 = 4;
    /// The source route failed.
    pub const SOURCE_ROUTE_FAILED: u8 = 5;
    /// Nobody knows that network.
    pub const NET_UNKNOWN: u8 = 6;
    /// Nobody knows that machine.
    pub const HOST_UNKNOWN: u8 = 7;
    /// Isolated (obsolete).
    pub const HOST_ISOLATED: u8 = 8;
    /// A policy forbids that network.
    pub const NET_PROHIBITED: u8 = 9;
    /// A policy forbids that machine.
    pub const HOST_PROHIBITED: u8 = 10;
    /// No route to the network for this type of service.
    pub const NET_FOR_TOS: u8 = 11;
    /// No way to the machine for this type of service.
    pub const HOST_FOR_TOS: u8 = 12;
    /// A policy forbids it.
    pub const ADMIN_PROHIBITED: u8 = 13;
    /// Precedence violation.
    pub const PRECEDENCE_VIOLATION: u8 = 14;
    /// Precedence cut off.
    pub const PRECEDENCE_CUTOFF: u8 = 15;
}

/// Codes of "time exceeded".
pub mod time_exceeded {
    /// The time to live ran out on the way.
    pub const TTL: u8 = 0;
    /// Fragments were missing for too long.
    pub const REASSEMBLY: u8 = 1;
}

/// What a message says: the header without its checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Icmpv4Header {
    /// Type 0.
    EchoReply(Echo),
    /// Type 3.
    DestinationUnreachable {
        /// Why: see [`mod@unreachable`].
        code: u8,
        /// Of code 4, the next link's MTU (RFC 1191 section 4); else zero.
        mtu: u16,
        /// Words of 4 octets that are quoted, if the sender says so (RFC 4884); else zero.
        quoted_words: u8,
    },
    /// Type 4, which nobody sends or heeds any more (RFC 6633).
    SourceQuench,
    /// Type 5: there is a better way. Not followed.
    Redirect {
        /// For what: network, host, and each with type of service.
        code: u8,
        /// Whom to send to instead.
        gateway: Ipv4Addr,
    },
    /// Type 8.
    EchoRequest(Echo),
    /// Type 11.
    TimeExceeded {
        /// Which time: see [`time_exceeded`].
        code: u8,
        /// As above.
        quoted_words: u8,
    },
    /// Type 12.
    ParameterProblem {
        /// Zero: the pointer says where.
        code: u8,
        /// Which octet of the quoted packet.
        pointer: u8,
        /// As above.
        quoted_words: u8,
    },
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

impl Icmpv4Header {
    /// Reads type, code and second word.
    #[must_use]
    pub const fn from_octets(kind: u8, code: u8, word: [u8; 4]) -> Self {
        let [w0, w1, w2, w3] = word;
        match (kind, code) {
            (0, 0) => Self::EchoReply(Echo::from_word(word)),
            (3, _) if w0 == 0 => Self::DestinationUnreachable {
                code,
                quoted_words: w1,
                mtu: u16::from_be_bytes([w2, w3]),
            },
            (4, 0) if matches!(word, [0, 0, 0, 0]) => Self::SourceQuench,
            (5, _) => Self::Redirect {
                code,
                gateway: Ipv4Addr::new(w0, w1, w2, w3),
            },
            (8, 0) => Self::EchoRequest(Echo::from_word(word)),
            (11, _) if w0 == 0 && w2 == 0 && w3 == 0 => Self::TimeExceeded {
                code,
                quoted_words: w1,
            },
            (12, _) if w2 == 0 && w3 == 0 => Self::ParameterProblem {
                code,
                pointer: w0,
                quoted_words: w1,
            },
            _ => Self::Other { kind, code, word },
        }
    }

    /// Type, code and second word.
    #[must_use]
    pub const fn to_octets(self) -> (u8, u8, [u8; 4]) {
        match self {
            Self::EchoReply(echo) => (0, 0, echo.word()),
            Self::DestinationUnreachable {
                code,
                mtu,
                quoted_words,
            } => {
                let [m0, m1] = mtu.to_be_bytes();
                (3, code, [0, quoted_words, m0, m1])
            }
            Self::SourceQuench => (4, 0, [0; 4]),
            Self::Redirect { code, gateway } => (5, code, gateway.octets()),
            Self::EchoRequest(echo) => (8, 0, echo.word()),
            Self::TimeExceeded { code, quoted_words } => (11, code, [0, quoted_words, 0, 0]),
            Self::ParameterProblem {
                code,
                pointer,
                quoted_words,
            } => (12, code, [pointer, quoted_words, 0, 0]),
            Self::Other { kind, code, word } => (kind, code, word),
        }
    }

    /// Appends the header, its checksum zero: see `offload::seal`.
    pub fn emit(&self, out: &mut impl Output) {
        let (kind, code, [w0, w1, w2, w3]) = self.to_octets();
        out.put(&[kind, code, 0, 0, w0, w1, w2, w3]);
    }

    /// Whether it is an error about a packet: never answered with another (RFC 1122 section
    /// 3.2.2).
    #[must_use]
    pub const fn is_error(&self) -> bool {
        let (kind, _, _) = self.to_octets();
        matches!(kind, 3 | 4 | 5 | 11 | 12)
    }

    /// Octets that the sender says it quotes; zero if it does not say.
    const fn stated_quote_len(&self) -> usize {
        match self {
            Self::DestinationUnreachable { quoted_words, .. }
            | Self::TimeExceeded { quoted_words, .. }
            | Self::ParameterProblem { quoted_words, .. } => *quoted_words as usize * 4,
            _ => 0,
        }
    }
}

/// A message whose checksum was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmpv4Message<'a> {
    /// What it says.
    pub header: Icmpv4Header,
    /// What follows: an echo's payload, or the quoted packet.
    pub body: &'a [u8],
}

impl<'a> Icmpv4Message<'a> {
    /// Reads a message from the body of an IPv4 packet.
    ///
    /// # Errors
    ///
    /// The first rule that it breaks.
    pub fn parse(message: &'a [u8]) -> Result<Self, Malformed> {
        let (&[kind, code, _, _, w0, w1, w2, w3], body) = message
            .split_first_chunk::<HEADER_LEN>()
            .ok_or(Malformed::IcmpTruncated)?;
        require(Sum::new(), message, Malformed::IcmpChecksum)?;
        Ok(Self {
            header: Icmpv4Header::from_octets(kind, code, [w0, w1, w2, w3]),
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

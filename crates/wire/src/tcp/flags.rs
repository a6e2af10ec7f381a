//! The control bits (RFC 9293 section 3.1; ECN's: RFC 3168, RFC 9768).

use core::fmt;
use core::ops::{BitAnd, BitOr, BitOrAssign, Sub};
use core::str::FromStr;

/// A set of control bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(u16);

/// Each bit with its name, in the order in which a line shows them.
const NAMES: [(Flags, &str); 9] = [
    (Flags::SYN, "SYN"),
    (Flags::FIN, "FIN"),
    (Flags::RST, "RST"),
    (Flags::PSH, "PSH"),
    (Flags::URG, "URG"),
    (Flags::ACK, "ACK"),
    (Flags::ECE, "ECE"),
    (Flags::CWR, "CWR"),
    (Flags::AE, "AE"),
];

impl Flags {
    /// None.
    pub const NONE: Self = Self(0);
    /// The sender has no more to send.
    pub const FIN: Self = Self(1 << 0);
    /// Sequence numbers begin.
    pub const SYN: Self = Self(1 << 1);
    /// The connection is gone.
    pub const RST: Self = Self(1 << 2);
    /// Hand it to the application.
    pub const PSH: Self = Self(1 << 3);
    /// The acknowledgement number means something.
    pub const ACK: Self = Self(1 << 4);
    /// The urgent pointer means something.
    pub const URG: Self = Self(1 << 5);
    /// Congestion was experienced (RFC 3168).
    pub const ECE: Self = Self(1 << 6);
    /// The congestion window was reduced (RFC 3168).
    pub const CWR: Self = Self(1 << 7);
    /// Accurate ECN (RFC 9768).
    pub const AE: Self = Self(1 << 8);

    /// The bits as octets 12 and 13 of the header hold them.
    #[must_use]
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits & 0x01ff)
    }

    /// The bits as octets 12 and 13 of the header hold them.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether all of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether one of `other` is set.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether none is set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// These and `other`.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These without `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// FIN is set.
    #[must_use]
    pub const fn fin(self) -> bool {
        self.contains(Self::FIN)
    }

    /// SYN is set.
    #[must_use]
    pub const fn syn(self) -> bool {
        self.contains(Self::SYN)
    }

    /// RST is set.
    #[must_use]
    pub const fn rst(self) -> bool {
        self.contains(Self::RST)
    }

    /// PSH is set.
    #[must_use]
    pub const fn psh(self) -> bool {
        self.contains(Self::PSH)
    }

    /// ACK is set.
    #[must_use]
    pub const fn ack(self) -> bool {
        self.contains(Self::ACK)
    }

    /// URG is set.
    #[must_use]
    pub const fn urg(self) -> bool {
        self.contains(Self::URG)
    }

    /// ECE is set.
    #[must_use]
    pub const fn ece(self) -> bool {
        self.contains(Self::ECE)
    }

    /// CWR is set.
    #[must_use]
    pub const fn cwr(self) -> bool {
        self.contains(Self::CWR)
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.with(other)
    }
}

impl BitOrAssign for Flags {
    fn bitor_assign(&mut self, other: Self) {
        *self = self.with(other);
    }
}

impl BitAnd for Flags {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Sub for Flags {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.without(other)
    }
}

/// `SYN|ACK`; `none` where no bit is set, as tcpdump has it.
impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Longest: all nine names and eight bars.
        let mut text = arrayvec::ArrayString::<40>::new();
        for (flag, name) in NAMES {
            if self.contains(flag) {
                let bar = if text.is_empty() { "" } else { "|" };
                text.try_push_str(bar).map_err(|_| fmt::Error)?;
                text.try_push_str(name).map_err(|_| fmt::Error)?;
            }
        }
        f.pad(if text.is_empty() { "none" } else { &text })
    }
}

/// A word that names no control bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownFlag;

impl fmt::Display for UnknownFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("flags are SYN, FIN, RST, PSH, URG, ACK, ECE, CWR, AE, joined by |, or none")
    }
}

impl core::error::Error for UnknownFlag {}

impl FromStr for Flags {
    type Err = UnknownFlag;

    fn from_str(text: &str) -> Result<Self, UnknownFlag> {
        if text == "none" {
            return Ok(Self::NONE);
        }
        text.split('|').try_fold(Self::NONE, |flags, word| {
            let (flag, _) = NAMES
                .iter()
                .find(|(_, name)| *name == word)
                .ok_or(UnknownFlag)?;
            Ok(flags | *flag)
        })
    }
}

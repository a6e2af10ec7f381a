//! The longest packet that a line takes.

/// What happens to packets that are too long for the line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mtu {
    /// Every length passes.
    #[default]
    Unlimited,
    /// They are lost, and their sender is told by ICMP: an honest router.
    Answered(usize),
    /// They are lost without a word: a black hole (RFC 2923).
    BlackHole(usize),
}

impl Mtu {
    /// Whether a packet of `len` octets passes.
    #[must_use]
    pub const fn passes(self, len: usize) -> bool {
        match self {
            Self::Unlimited => true,
            Self::Answered(mtu) | Self::BlackHole(mtu) => len <= mtu,
        }
    }
}

//! ICMP: errors and echo, for IPv4 (RFC 792) and IPv6 (RFC 4443).

pub mod quote;
pub mod v4;
pub mod v6;

pub use quote::Quote;

/// Octets of an ICMP header, the second word included.
pub const HEADER_LEN: usize = 8;
/// Where in the header the checksum is.
pub const CHECKSUM_AT: u16 = 2;

/// What an echo and its answer share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Echo {
    /// Which conversation.
    pub identifier: u16,
    /// Which of its questions.
    pub sequence: u16,
}

impl Echo {
    const fn from_word([i0, i1, s0, s1]: [u8; 4]) -> Self {
        Self {
            identifier: u16::from_be_bytes([i0, i1]),
            sequence: u16::from_be_bytes([s0, s1]),
        }
    }

    const fn word(self) -> [u8; 4] {
        let [i0, i1] = self.identifier.to_be_bytes();
        let [s0, s1] = self.sequence.to_be_bytes();
        [i0, i1, s0, s1]
    }
}

/// What an error quotes: all of `body`, or as many octets as its length field says
/// (RFC 4884 section 4).
fn quoted(body: &[u8], stated_len: usize) -> &[u8] {
    if stated_len == 0 {
        return body;
    }
    body.get(..stated_len).unwrap_or(body)
}

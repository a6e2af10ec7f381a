//! The header itself.

use crate::malformed::Malformed;
use crate::output::Output;
use crate::tcp::flags::Flags;
use crate::tcp::options::TcpOptions;

/// Octets of a header without options.
pub const HEADER_MIN: usize = 20;
/// Octets of the longest header.
pub const HEADER_MAX: usize = 60;
/// Where in the header the checksum is.
pub const CHECKSUM_AT: u16 = 16;

/// A header. The checksum is none of its business: see `checksum` and `offload::seal`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpHeader {
    /// The sender's port.
    pub source_port: u16,
    /// The receiver's port.
    pub destination_port: u16,
    /// Sequence number of the first octet, or of the SYN.
    pub seq: u32,
    /// The next number that the sender expects; nothing unless ACK is set.
    pub ack: u32,
    /// The control bits.
    pub flags: Flags,
    /// The window field, not scaled.
    pub window: u16,
    /// The urgent pointer; nothing unless URG is set.
    pub urgent: u16,
    /// The options.
    pub options: TcpOptions,
}

impl TcpHeader {
    /// Reads the header of `segment`; the second value is its length, where the text starts.
    ///
    /// # Errors
    ///
    /// The first rule that `segment` breaks.
    pub fn parse(segment: &[u8]) -> Result<(Self, usize), Malformed> {
        let &[
            s0,
            s1,
            d0,
            d1,
            q0,
            q1,
            q2,
            q3,
            a0,
            a1,
            a2,
            a3,
            f0,
            f1,
            w0,
            w1,
            _,
            _,
            u0,
            u1,
        ] = segment
            .first_chunk::<HEADER_MIN>()
            .ok_or(Malformed::TcpTruncated)?;
        let header_len = usize::from(f0 >> 4) * 4;
        if header_len < HEADER_MIN {
            return Err(Malformed::TcpOffsetBelowMinimum);
        }
        let options = segment
            .get(HEADER_MIN..header_len)
            .ok_or(Malformed::TcpOffsetBeyondSegment)?;
        let flags = Flags::from_bits(u16::from_be_bytes([f0, f1]));
        let header = Self {
            source_port: u16::from_be_bytes([s0, s1]),
            destination_port: u16::from_be_bytes([d0, d1]),
            seq: u32::from_be_bytes([q0, q1, q2, q3]),
            ack: u32::from_be_bytes([a0, a1, a2, a3]),
            flags,
            window: u16::from_be_bytes([w0, w1]),
            urgent: u16::from_be_bytes([u0, u1]),
            options: TcpOptions::parse(options, flags.syn()),
        };
        Ok((header, header_len))
    }

    /// Octets that `emit` writes.
    #[must_use]
    pub fn len(&self) -> usize {
        HEADER_MIN + self.options.len()
    }

    /// Never: a header has at least 20 octets.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// Appends the header, its checksum zero.
    pub fn emit(&self, out: &mut impl Output) {
        let [s0, s1] = self.source_port.to_be_bytes();
        let [d0, d1] = self.destination_port.to_be_bytes();
        let [q0, q1, q2, q3] = self.seq.to_be_bytes();
        let [a0, a1, a2, a3] = self.ack.to_be_bytes();
        let words = (self.len() / 4) as u16;
        let [f0, f1] = ((words << 12) | self.flags.bits()).to_be_bytes();
        let [w0, w1] = self.window.to_be_bytes();
        let [u0, u1] = self.urgent.to_be_bytes();
        out.put(&[
            s0, s1, d0, d1, q0, q1, q2, q3, a0, a1, a2, a3, f0, f1, w0, w1, 0, 0, u0, u1,
        ]);
        self.options.emit(out);
    }
}

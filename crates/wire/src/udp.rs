//! The UDP header (RFC 768).

use crate::checksum::require;
use crate::ip::IpPacket;
use crate::malformed::Malformed;
use crate::output::Output;
use crate::packet::Checksum;

/// Octets of the header.
pub const HEADER_LEN: usize = 8;
/// Where in the header the checksum is.
pub const CHECKSUM_AT: u16 = 6;

/// A header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpHeader {
    /// The sender's port.
    pub source_port: u16,
    /// The receiver's port.
    pub destination_port: u16,
    /// Octets of header and payload.
    pub len: u16,
    /// As it is in the header: zero for none.
    pub checksum: u16,
}

impl UdpHeader {
    /// A header for `payload_len` octets (at most 65,527), its checksum not computed yet.
    #[must_use]
    pub fn new(source_port: u16, destination_port: u16, payload_len: usize) -> Self {
        let len = u16::try_from(HEADER_LEN + payload_len).unwrap_or(u16::MAX);
        Self {
            source_port,
            destination_port,
            len,
            checksum: 0,
        }
    }

    /// Reads a header from the body of an IP packet; the length is verified, the checksum is
    /// not.
    ///
    /// # Errors
    ///
    /// The first rule that `body` breaks.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let &[s0, s1, d0, d1, l0, l1, c0, c1] = body
            .first_chunk::<HEADER_LEN>()
            .ok_or(Malformed::UdpTruncated)?;
        let len = u16::from_be_bytes([l0, l1]);
        if usize::from(len) < HEADER_LEN {
            return Err(Malformed::UdpLengthBelowHeader);
        }
        if usize::from(len) > body.len() {
            return Err(Malformed::UdpLengthBeyondPacket);
        }
        Ok(Self {
            source_port: u16::from_be_bytes([s0, s1]),
            destination_port: u16::from_be_bytes([d0, d1]),
            len,
            checksum: u16::from_be_bytes([c0, c1]),
        })
    }

    /// Appends the header.
    pub fn emit(&self, out: &mut impl Output) {
        out.put(&self.source_port.to_be_bytes());
        out.put(&self.destination_port.to_be_bytes());
        out.put(&self.len.to_be_bytes());
        out.put(&self.checksum.to_be_bytes());
    }
}

/// A datagram, borrowed from the packet that carried it.
///
/// Holding one proves that the length field, the octets and the checksum agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpDatagram<'a> {
    /// The sender's port.
    pub source_port: u16,
    /// The receiver's port.
    pub destination_port: u16,
    /// What was sent.
    pub payload: &'a [u8],
}

impl<'a> UdpDatagram<'a> {
    /// Reads the datagram that `packet` carries. `checksum` is what the device knows of it.
    ///
    /// # Errors
    ///
    /// The first rule that it breaks.
    pub fn parse(packet: &IpPacket<'a>, checksum: Checksum) -> Result<Self, Malformed> {
        let body = packet.body();
        let header = UdpHeader::parse(body)?;
        let datagram = body
            .get(..usize::from(header.len))
            .ok_or(Malformed::UdpLengthBeyondPacket)?;
        match (header.checksum, checksum) {
            // RFC 8200 section 8.1: over IPv6 a datagram without a checksum is discarded.
            (0, Checksum::Unknown | Checksum::Verified) if packet.is_ipv6() => {
                return Err(Malformed::UdpChecksumMissing);
            }
            // RFC 768: over IPv4 zero says that the sender computed none.
            (0, _) | (_, Checksum::Verified | Checksum::Partial) => {}
            (_, Checksum::Unknown) => {
                let pseudo = crate::checksum::pseudo(
                    packet.source,
                    packet.destination,
                    packet.protocol,
                    datagram.len(),
                );
                require(pseudo, datagram, Malformed::UdpChecksum)?;
            }
        }
        Ok(Self {
            source_port: header.source_port,
            destination_port: header.destination_port,
            payload: datagram.get(HEADER_LEN..).unwrap_or_default(),
        })
    }
}

//! A segment as it came in a packet.

use crate::checksum::require;
use crate::ip::IpPacket;
use crate::malformed::Malformed;
use crate::packet::Checksum;
use crate::tcp::header::TcpHeader;

/// A segment, borrowed from the packet that carried it.
///
/// Holding one proves that its header is legal and its checksum right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpSegment<'a> {
    /// The header.
    pub header: TcpHeader,
    /// What follows it.
    pub text: &'a [u8],
    /// Where the text starts, from the first octet of the packet on.
    pub text_at: usize,
}

impl<'a> TcpSegment<'a> {
    /// Reads the segment that `packet` carries. `checksum` is what the device knows of it.
    ///
    /// # Errors
    ///
    /// The first rule that it breaks.
    pub fn parse(packet: &IpPacket<'a>, checksum: Checksum) -> Result<Self, Malformed> {
        let body = packet.body();
        let (header, header_len) = TcpHeader::parse(body)?;
        if checksum == Checksum::Unknown {
            // RFC 9293 section 3.1: MUST-3.
            require(packet.pseudo_header(), body, Malformed::TcpChecksum)?;
        }
        Ok(Self {
            header,
            text: body.get(header_len..).unwrap_or_default(),
            text_at: packet.header_len + header_len,
        })
    }
}

//! The IPv6 header (RFC 8200 section 3).

use core::net::Ipv6Addr;

use crate::ip::IpProtocol;
use crate::malformed::Malformed;
use crate::output::Output;

/// Octets of the header.
pub const HEADER_LEN: usize = 40;

/// A header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6Header {
    /// Who sent it.
    pub source: Ipv6Addr,
    /// Whom it is for.
    pub destination: Ipv6Addr,
    /// What follows: a transport, or an extension header.
    pub next_header: IpProtocol,
    /// Hops left.
    pub hop_limit: u8,
    /// DSCP and ECN (RFC 2474, RFC 3168), the whole octet.
    pub traffic_class: u8,
    /// 20 bits (RFC 6437).
    pub flow_label: u32,
    /// Octets behind this header.
    pub payload_len: u16,
}

impl Ipv6Header {
    /// A header with hop limit 64.
    #[must_use]
    pub const fn new(
        source: Ipv6Addr,
        destination: Ipv6Addr,
        next_header: IpProtocol,
        payload_len: u16,
    ) -> Self {
        Self {
            source,
            destination,
            next_header,
            hop_limit: 64,
            traffic_class: 0,
            flow_label: 0,
            payload_len,
        }
    }

    /// Reads a header; that its payload is there is verified.
    ///
    /// # Errors
    ///
    /// The first rule that `packet` breaks.
    pub fn parse(packet: &[u8]) -> Result<Self, Malformed> {
        let (fixed, payload) = packet
            .split_first_chunk::<HEADER_LEN>()
            .ok_or(Malformed::Ipv6Truncated)?;
        let (&[v0, v1, v2, v3, l0, l1, next_header, hop_limit], addresses) = fixed
            .split_first_chunk::<8>()
            .ok_or(Malformed::Ipv6Truncated)?;
        let (source, rest) = addresses
            .split_first_chunk::<16>()
            .ok_or(Malformed::Ipv6Truncated)?;
        let destination = rest.first_chunk::<16>().ok_or(Malformed::Ipv6Truncated)?;
        if v0 >> 4 != 6 {
            return Err(Malformed::IpVersion);
        }
        let payload_len = u16::from_be_bytes([l0, l1]);
        if usize::from(payload_len) > payload.len() {
            return Err(Malformed::Ipv6PayloadLengthBeyondPacket);
        }
        Ok(Self {
            source: Ipv6Addr::from(*source),
            destination: Ipv6Addr::from(*destination),
            next_header: IpProtocol(next_header),
            hop_limit,
            traffic_class: (v0 << 4) | (v1 >> 4),
            flow_label: u32::from_be_bytes([0, v1 & 0x0f, v2, v3]),
            payload_len,
        })
    }

    /// Appends the header.
    pub fn emit(&self, out: &mut impl Output) {
        let first =
            (6 << 28) | (u32::from(self.traffic_class) << 20) | (self.flow_label & 0xf_ffff);
        out.put(&first.to_be_bytes());
        let [l0, l1] = self.payload_len.to_be_bytes();
        out.put(&[l0, l1, self.next_header.0, self.hop_limit]);
        out.put(&self.source.octets());
        out.put(&self.destination.octets());
    }
}

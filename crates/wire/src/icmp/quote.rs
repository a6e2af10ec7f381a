//! The packet that an ICMP error is about, as far as the error quotes it.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::icmp::Echo;
use crate::ip::IpProtocol;
use crate::ipv6::extensions::{EXTENSIONS_MAX, FRAGMENT_HEADER_LEN};
use crate::malformed::Malformed;

/// The beginning of a packet.
///
/// Whoever sent the error may have cut it anywhere, and routers change a packet before they
/// quote it: neither its length nor its header checksum is held against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote<'a> {
    /// Who sent the quoted packet.
    pub source: IpAddr,
    /// Whom it was for.
    pub destination: IpAddr,
    /// What its body was.
    pub protocol: IpProtocol,
    /// Whether `transport` starts with the transport's header: not so for a later fragment.
    pub is_first: bool,
    /// The transport header, as far as it was quoted.
    pub transport: &'a [u8],
    /// Octets of the quoted packet's IP header, extension headers included.
    pub header_len: usize,
}

impl<'a> Quote<'a> {
    /// Reads what an error quotes.
    ///
    /// # Errors
    ///
    /// [`Malformed::IcmpQuoteTruncated`] if not even the IP header is there.
    pub fn parse(quoted: &'a [u8]) -> Result<Self, Malformed> {
        match quoted.first().map(|octet| octet >> 4) {
            Some(4) => Self::parse_v4(quoted),
            Some(6) => Self::parse_v6(quoted),
            _ => Err(Malformed::IcmpQuoteTruncated),
        }
    }

    fn parse_v4(quoted: &'a [u8]) -> Result<Self, Malformed> {
        let &[
            version_ihl,
            _,
            _,
            _,
            _,
            _,
            f0,
            f1,
            _,
            protocol,
            _,
            _,
            s0,
            s1,
            s2,
            s3,
            d0,
            d1,
            d2,
            d3,
        ] = quoted
            .first_chunk::<20>()
            .ok_or(Malformed::IcmpQuoteTruncated)?;
        let header_len = usize::from(version_ihl & 0x0f) * 4;
        if header_len < 20 {
            return Err(Malformed::IcmpQuoteTruncated);
        }
        Ok(Self {
            source: Ipv4Addr::new(s0, s1, s2, s3).into(),
            destination: Ipv4Addr::new(d0, d1, d2, d3).into(),
            protocol: IpProtocol(protocol),
            is_first: u16::from_be_bytes([f0, f1]) & 0x1fff == 0,
            transport: quoted
                .get(header_len..)
                .ok_or(Malformed::IcmpQuoteTruncated)?,
            header_len,
        })
    }

    fn parse_v6(quoted: &'a [u8]) -> Result<Self, Malformed> {
        let (fixed, rest) = quoted
            .split_first_chunk::<40>()
            .ok_or(Malformed::IcmpQuoteTruncated)?;
        let (first, addresses) = fixed.split_at(8);
        let (source, destination) = addresses.split_at(16);
        let (Some(&next_header), Some(source), Some(destination)) = (
            first.get(6),
            source.first_chunk(),
            destination.first_chunk(),
        ) else {
            return Err(Malformed::IcmpQuoteTruncated);
        };
        let mut quote = Self {
            source: Ipv6Addr::from(*source).into(),
            destination: Ipv6Addr::from(*destination).into(),
            protocol: IpProtocol(next_header),
            is_first: true,
            transport: rest,
            header_len: quoted.len(),
        };
        quote.walk_extensions()?;
        quote.header_len = quoted.len() - quote.transport.len();
        Ok(quote)
    }

    /// Walks over extension headers without judging what they ask.
    fn walk_extensions(&mut self) -> Result<(), Malformed> {
        for _ in 0..EXTENSIONS_MAX {
            if !self.protocol.is_extension() || !self.is_first {
                return Ok(());
            }
            let &[next_header, words, o0, o1, ..] = self.transport else {
                return Err(Malformed::IcmpQuoteTruncated);
            };
            let len = if self.protocol == IpProtocol::FRAGMENT {
                self.is_first = u16::from_be_bytes([o0, o1]) & 0xfff8 == 0;
                FRAGMENT_HEADER_LEN
            } else {
                (usize::from(words) + 1) * 8
            };
            self.transport = self
                .transport
                .get(len..)
                .ok_or(Malformed::IcmpQuoteTruncated)?;
            self.protocol = IpProtocol(next_header);
        }
        Err(Malformed::Ipv6ExtensionChainTooLong)
    }

    /// Source and destination port, where the protocol has ports and the quote reaches them.
    #[must_use]
    pub const fn ports(&self) -> Option<(u16, u16)> {
        match (self.protocol, self.transport) {
            (IpProtocol::TCP | IpProtocol::UDP, &[s0, s1, d0, d1, ..]) if self.is_first => {
                Some((u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1])))
            }
            _ => None,
        }
    }

    /// The sequence number of a quoted TCP segment: what tells a true error from a forged one
    /// (RFC 5927 section 4.1).
    #[must_use]
    pub const fn tcp_seq(&self) -> Option<u32> {
        match (self.protocol, self.transport) {
            (IpProtocol::TCP, &[_, _, _, _, q0, q1, q2, q3, ..]) if self.is_first => {
                Some(u32::from_be_bytes([q0, q1, q2, q3]))
            }
            _ => None,
        }
    }

    /// Identifier and sequence number of a quoted echo request.
    #[must_use]
    pub const fn echo(&self) -> Option<Echo> {
        match (self.protocol, self.transport) {
            (IpProtocol::ICMP, &[8, _, _, _, i0, i1, s0, s1, ..])
            | (IpProtocol::ICMPV6, &[128, _, _, _, i0, i1, s0, s1, ..])
                if self.is_first =>
            {
                Some(Echo::from_word([i0, i1, s0, s1]))
            }
            _ => None,
        }
    }
}

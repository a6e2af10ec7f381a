//! A packet of either family, read as far as its transport header.

use core::fmt;
use core::net::IpAddr;

use crate::checksum::{self, Sum};
use crate::ipv4::{HEADER_MIN, Ipv4Header, Ipv4Options};
use crate::ipv6::extensions::{self, Answer};
use crate::ipv6::header::{HEADER_LEN, Ipv6Header};
use crate::malformed::Malformed;

/// What follows an IP header: a number of IANA's list of protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IpProtocol(pub u8);

impl IpProtocol {
    /// IPv6 hop-by-hop options (RFC 8200 section 4.3).
    pub const HOP_BY_HOP: Self = Self(0);
    /// ICMP (RFC 792).
    pub const ICMP: Self = Self(1);
    /// IGMP.
    pub const IGMP: Self = Self(2);
    /// TCP (RFC 9293).
    pub const TCP: Self = Self(6);
    /// UDP (RFC 768).
    pub const UDP: Self = Self(17);
    /// IPv6 routing header (RFC 8200 section 4.4).
    pub const ROUTING: Self = Self(43);
    /// IPv6 fragment header (RFC 8200 section 4.5).
    pub const FRAGMENT: Self = Self(44);
    /// ICMP for IPv6 (RFC 4443).
    pub const ICMPV6: Self = Self(58);
    /// Nothing follows (RFC 8200 section 4.7).
    pub const NO_NEXT_HEADER: Self = Self(59);
    /// IPv6 destination options (RFC 8200 section 4.6).
    pub const DESTINATION_OPTIONS: Self = Self(60);

    /// Whether it is an IPv6 extension header that this crate walks over.
    #[must_use]
    pub const fn is_extension(self) -> bool {
        matches!(
            self,
            Self::HOP_BY_HOP | Self::ROUTING | Self::FRAGMENT | Self::DESTINATION_OPTIONS
        )
    }
}

impl fmt::Display for IpProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ICMP => f.pad("icmp"),
            Self::IGMP => f.pad("igmp"),
            Self::TCP => f.pad("tcp"),
            Self::UDP => f.pad("udp"),
            Self::ICMPV6 => f.pad("icmp6"),
            Self(number) => write!(f, "ip-proto-{number}"),
        }
    }
}

/// Which part of a larger packet this one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Which packet; 16 bits over IPv4.
    pub identification: u32,
    /// Where it belongs, in octets: a multiple of 8.
    pub offset: u16,
    /// Whether more follow.
    pub more: bool,
}

/// Why a packet that can be read must be discarded all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Complaint {
    /// Its IPv4 options choose the way (RFC 7126 sections 4.3 and 4.4): dropped in silence.
    SourceRoute,
    /// An IPv6 extension header asks what we do not do (RFC 8200 section 4).
    Parameter {
        /// Code of the ICMPv6 parameter problem (RFC 4443 section 3.4, RFC 7112).
        code: u8,
        /// Which octet of the packet it points at.
        pointer: u32,
        /// Whether to send it.
        answer: Answer,
    },
}

/// Takes one hop off the TTL or hop limit of the packet that begins with `head`, and over IPv4
/// corrects the header checksum (RFC 1624). What has none left stays at zero.
pub fn spend_hop(head: &mut [u8]) {
    match head {
        [first, ..] if *first >> 4 == 6 => {
            if let Some(hop_limit) = head.get_mut(7) {
                *hop_limit = hop_limit.saturating_sub(1);
            }
        }
        [
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            ttl,
            _,
            sum @ ..,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
        ] if *ttl > 0 && sum.len() >= 2 => {
            *ttl -= 1;
            if let Some(field) = sum.first_chunk_mut::<2>() {
                // RFC 1624 equation 3, where the word that changed lost 0x0100.
                let old = !u16::from_be_bytes(*field);
                let (sum, carry) = old.overflowing_add(!0x0100);
                let sum = sum.wrapping_add(u16::from(carry));
                *field = (!sum).to_be_bytes();
            }
        }
        _ => {}
    }
}

/// An IP packet, checked, and read as far as its transport header.
///
/// What a link appended behind the packet is not part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpPacket<'a> {
    /// Who sent it.
    pub source: IpAddr,
    /// Whom it is for.
    pub destination: IpAddr,
    /// What the body is. Of a fragment that is not the first, what its packet's is.
    pub protocol: IpProtocol,
    /// Offset of the octet that names `protocol`: what a parameter problem points at.
    pub protocol_at: usize,
    /// TTL or hop limit.
    pub hop_limit: u8,
    /// DSCP and ECN, the whole octet.
    pub traffic_class: u8,
    /// IPv4's flag; true over IPv6, where nobody on the way may fragment.
    pub dont_fragment: bool,
    /// Set if this is a part of a packet. An atomic fragment (RFC 6946) is a whole packet.
    pub fragment: Option<Fragment>,
    /// Octets of the IP header, extension headers included: where the body starts.
    pub header_len: usize,
    /// Why it must be discarded, if it must.
    pub complaint: Option<Complaint>,
    /// Every router on the way is asked to look at it (RFC 2113, RFC 2711).
    pub router_alert: bool,
    /// All of it.
    bytes: &'a [u8],
}

impl<'a> IpPacket<'a> {
    /// Reads a packet from its first octet on.
    ///
    /// # Errors
    ///
    /// The first rule that `bytes` break.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        match bytes.first().map(|octet| octet >> 4) {
            None => Err(Malformed::Empty),
            Some(4) => Self::parse_v4(bytes),
            Some(6) => Self::parse_v6(bytes),
            Some(_) => Err(Malformed::IpVersion),
        }
    }

    fn parse_v4(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let header = Ipv4Header::parse(bytes)?;
        let options = if header.options.is_empty() {
            Ipv4Options::default()
        } else {
            Ipv4Options::parse(&header.options)?
        };
        let is_fragment = header.more_fragments || header.fragment_offset != 0;
        Ok(Self {
            source: header.source.into(),
            destination: header.destination.into(),
            protocol: header.protocol,
            protocol_at: 9,
            hop_limit: header.hop_limit,
            traffic_class: header.traffic_class,
            dont_fragment: header.dont_fragment,
            fragment: is_fragment.then_some(Fragment {
                identification: u32::from(header.identification),
                offset: header.fragment_offset,
                more: header.more_fragments,
            }),
            header_len: HEADER_MIN + header.options.len(),
            router_alert: options.router_alert,
            complaint: options.source_route.then_some(Complaint::SourceRoute),
            bytes: bytes.get(..usize::from(header.total_len)).unwrap_or(bytes),
        })
    }

    fn parse_v6(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let header = Ipv6Header::parse(bytes)?;
        let bytes = bytes
            .get(..HEADER_LEN + usize::from(header.payload_len))
            .unwrap_or(bytes);
        let chain = extensions::walk(bytes, header.next_header)?;
        Ok(Self {
            source: header.source.into(),
            destination: header.destination.into(),
            protocol: chain.protocol,
            protocol_at: chain.protocol_at,
            hop_limit: header.hop_limit,
            traffic_class: header.traffic_class,
            dont_fragment: true,
            fragment: chain.fragment,
            header_len: chain.body,
            complaint: chain.complaint,
            router_alert: chain.router_alert,
            bytes,
        })
    }

    /// The packet, as long as its header says.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Octets of the whole packet.
    #[must_use]
    pub const fn total_len(&self) -> usize {
        self.bytes.len()
    }

    /// The transport header and what follows it; of a fragment, its part of that.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.bytes.get(self.header_len..).unwrap_or_default()
    }

    /// Octets of the body.
    #[must_use]
    pub const fn body_len(&self) -> usize {
        self.bytes.len().saturating_sub(self.header_len)
    }

    /// Whether it is an IPv6 packet.
    #[must_use]
    pub const fn is_ipv6(&self) -> bool {
        self.source.is_ipv6()
    }

    /// The pseudo header that the transport's checksum covers.
    #[must_use]
    pub fn pseudo_header(&self) -> Sum {
        checksum::pseudo(
            self.source,
            self.destination,
            self.protocol,
            self.body_len(),
        )
    }
}

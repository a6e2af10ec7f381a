//! Which rule of a wire format the bytes broke.

use core::fmt;

/// The first rule that a packet breaks: one variant for each.
///
/// Meant to be counted and shown, not to be branched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Malformed {
    /// No octet at all.
    Empty,
    /// The IP version is neither 4 nor 6.
    IpVersion,
    /// Fewer octets than the fixed part of the IPv4 header (RFC 791 section 3.1).
    Ipv4Truncated,
    /// IHL below 5 words (RFC 791 section 3.1).
    Ipv4HeaderLengthBelowMinimum,
    /// IHL points beyond the packet.
    Ipv4HeaderLengthBeyondPacket,
    /// Total length below the header's own length.
    Ipv4TotalLengthBelowHeader,
    /// Total length beyond the octets that arrived.
    Ipv4TotalLengthBeyondPacket,
    /// The header checksum is wrong (RFC 791 section 3.1).
    Ipv4Checksum,
    /// An option's length is below 2 or beyond the header (RFC 791 section 3.1).
    Ipv4OptionLength,
    /// A fragment would end beyond 65,535 octets (RFC 791 section 3.2).
    FragmentBeyondMaximum,
    /// Fewer octets than the IPv6 header (RFC 8200 section 3).
    Ipv6Truncated,
    /// Payload length beyond the octets that arrived (RFC 8200 section 3).
    Ipv6PayloadLengthBeyondPacket,
    /// An extension header ends beyond the packet (RFC 8200 section 4).
    Ipv6ExtensionTruncated,
    /// An option ends beyond its extension header (RFC 8200 section 4.2).
    Ipv6OptionLength,
    /// More extension headers than anybody sends.
    Ipv6ExtensionChainTooLong,
    /// Fewer octets than a TCP header (RFC 9293 section 3.1).
    TcpTruncated,
    /// Data offset below 5 words (RFC 9293 section 3.1).
    TcpOffsetBelowMinimum,
    /// Data offset beyond the segment.
    TcpOffsetBeyondSegment,
    /// The TCP checksum is wrong (RFC 9293 section 3.1, MUST-3).
    TcpChecksum,
    /// Fewer octets than a UDP header (RFC 768).
    UdpTruncated,
    /// The UDP length is below the header's own 8 octets.
    UdpLengthBelowHeader,
    /// The UDP length is beyond the packet.
    UdpLengthBeyondPacket,
    /// The UDP checksum is wrong (RFC 768).
    UdpChecksum,
    /// A datagram over IPv6 without a checksum (RFC 8200 section 8.1).
    UdpChecksumMissing,
    /// Fewer octets than an IGMP message (RFC 3376 section 4).
    IgmpTruncated,
    /// The IGMP checksum is wrong.
    IgmpChecksum,
    /// Fewer octets than an Ethernet header.
    EthernetTruncated,
    /// Fewer octets than an ARP message (RFC 826).
    ArpTruncated,
    /// Not about IPv4 over Ethernet.
    ArpFormat,
    /// A neighbour discovery message without its target (RFC 4861 section 4).
    NdpTruncated,
    /// An option of length zero, or one that ends beyond its message (RFC 4861 section 4.6).
    NdpOptionLength,
    /// Fewer octets than the fixed part of a DHCP message, or than an option has (RFC 2131).
    DhcpTruncated,
    /// No DHCP client's message over Ethernet.
    DhcpFormat,
    /// Fewer octets than an ICMP header (RFC 792, RFC 4443 section 2.1).
    IcmpTruncated,
    /// The ICMP checksum is wrong.
    IcmpChecksum,
    /// An ICMP error quotes less than an IP header of the packet that it is about.
    IcmpQuoteTruncated,
}

impl Malformed {
    /// The rule, in words.
    #[must_use]
    pub const fn rule(self) -> &'static str {
        match self {
            Self::Empty => "empty packet",
            Self::IpVersion => "IP version is neither 4 nor 6",
            Self::Ipv4Truncated => "IPv4 header truncated",
            Self::Ipv4HeaderLengthBelowMinimum => "IPv4 header length below 20 octets",
            Self::Ipv4HeaderLengthBeyondPacket => "IPv4 header length beyond the packet",
            Self::Ipv4TotalLengthBelowHeader => "IPv4 total length below the header length",
            Self::Ipv4TotalLengthBeyondPacket => "IPv4 total length beyond the packet",
            Self::Ipv4Checksum => "IPv4 header checksum wrong",
            Self::Ipv4OptionLength => "IPv4 option length illegal",
            Self::FragmentBeyondMaximum => "fragment ends beyond 65535 octets",
            Self::Ipv6Truncated => "IPv6 header truncated",
            Self::Ipv6PayloadLengthBeyondPacket => "IPv6 payload length beyond the packet",
            Self::Ipv6ExtensionTruncated => "IPv6 extension header truncated",
            Self::Ipv6OptionLength => "IPv6 option beyond its extension header",
            Self::Ipv6ExtensionChainTooLong => "too many IPv6 extension headers",
            Self::TcpTruncated => "TCP header truncated",
            Self::TcpOffsetBelowMinimum => "TCP data offset below 20 octets",
            Self::TcpOffsetBeyondSegment => "TCP data offset beyond the segment",
            Self::TcpChecksum => "TCP checksum wrong",
            Self::UdpTruncated => "UDP header truncated",
            Self::UdpLengthBelowHeader => "UDP length below 8 octets",
            Self::UdpLengthBeyondPacket => "UDP length beyond the packet",
            Self::UdpChecksum => "UDP checksum wrong",
            Self::UdpChecksumMissing => "UDP checksum missing over IPv6",
            Self::IgmpTruncated => "IGMP message truncated",
            Self::IgmpChecksum => "IGMP checksum wrong",
            Self::EthernetTruncated => "Ethernet header truncated",
            Self::ArpTruncated => "ARP message truncated",
            Self::ArpFormat => "ARP message not about IPv4 over Ethernet",
            Self::NdpTruncated => "neighbour discovery message truncated",
            Self::NdpOptionLength => "neighbour discovery option length illegal",
            Self::DhcpTruncated => "DHCP message truncated",
            Self::DhcpFormat => "not a DHCP client's message",
            Self::IcmpTruncated => "ICMP header truncated",
            Self::IcmpChecksum => "ICMP checksum wrong",
            Self::IcmpQuoteTruncated => "ICMP error quotes no whole IP header",
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.rule())
    }
}

impl core::error::Error for Malformed {}

//! ICMP errors as somebody on the way sends them.

use std::net::IpAddr;

use bytes::Bytes;
use switchboard_wire::icmp::v4::{Icmpv4Header, unreachable};
use switchboard_wire::icmp::v6::Icmpv6Header;
use switchboard_wire::ipv4::Ipv4Header;
use switchboard_wire::ipv6::Ipv6Header;
use switchboard_wire::{IpPacket, IpProtocol, checksum};

/// Octets of a packet that an IPv6 error may have (RFC 4443 section 2.4, c).
const V6_ERROR_MAX: usize = 1280;
/// Octets of a packet that an IPv4 error may have (RFC 1812 section 4.3.2.3).
const V4_ERROR_MAX: usize = 576;

/// "Too big" from `router` about `packet`: the next link takes `mtu` octets. `None` where
/// nothing is sent: an IPv4 packet that may be fragmented, or addresses of two families.
#[must_use]
pub fn too_big(router: IpAddr, packet: &Bytes, mtu: usize) -> Option<Bytes> {
    let about = IpPacket::parse(packet).ok()?;
    if !about.dont_fragment {
        return None;
    }
    match router {
        IpAddr::V4(_) => {
            let header = Icmpv4Header::DestinationUnreachable {
                code: unreachable::FRAGMENTATION_NEEDED,
                mtu: u16::try_from(mtu).unwrap_or(u16::MAX),
                quoted_words: 0,
            };
            error_v4(router, about.source, header, packet)
        }
        IpAddr::V6(_) => {
            let header = Icmpv6Header::PacketTooBig {
                mtu: u32::try_from(mtu).unwrap_or(u32::MAX),
            };
            error_v6(router, about.source, header, packet)
        }
    }
}

/// An ICMPv4 error from `source` to `destination` that quotes `about`.
#[must_use]
pub fn error_v4(
    source: IpAddr,
    destination: IpAddr,
    header: Icmpv4Header,
    about: &[u8],
) -> Option<Bytes> {
    let (IpAddr::V4(source), IpAddr::V4(destination)) = (source, destination) else {
        return None;
    };
    let quoted = about.get(..V4_ERROR_MAX - 28).unwrap_or(about);
    let mut message = Vec::new();
    header.emit(&mut message);
    message.extend_from_slice(quoted);
    let sum = checksum::checksum(&message);
    message.get_mut(2..4)?.copy_from_slice(&sum.to_be_bytes());
    let mut packet = Vec::new();
    let total_len = u16::try_from(20 + message.len()).ok()?;
    Ipv4Header::new(source, destination, IpProtocol::ICMP, total_len).emit(&mut packet);
    packet.extend_from_slice(&message);
    Some(packet.into())
}

/// An ICMPv6 error from `source` to `destination` that quotes `about`.
#[must_use]
pub fn error_v6(
    source: IpAddr,
    destination: IpAddr,
    header: Icmpv6Header,
    about: &[u8],
) -> Option<Bytes> {
    let (IpAddr::V6(source), IpAddr::V6(destination)) = (source, destination) else {
        return None;
    };
    let quoted = about.get(..V6_ERROR_MAX - 48).unwrap_or(about);
    let mut message = Vec::new();
    header.emit(&mut message);
    message.extend_from_slice(quoted);
    let pseudo = checksum::pseudo_v6(source, destination, IpProtocol::ICMPV6, message.len());
    let sum = pseudo.plus(&message).checksum();
    message.get_mut(2..4)?.copy_from_slice(&sum.to_be_bytes());
    let mut packet = Vec::new();
    let payload_len = u16::try_from(message.len()).ok()?;
    Ipv6Header::new(source, destination, IpProtocol::ICMPV6, payload_len).emit(&mut packet);
    packet.extend_from_slice(&message);
    Some(packet.into())
}

//! The line of any packet, addresses included.

use core::fmt;
use core::net::SocketAddr;

use crate::icmp::v4::Icmpv4Message;
use crate::icmp::v6::Icmpv6Message;
use crate::ip::{IpPacket, IpProtocol};
use crate::line::icmp::{v4_words, v6_words};
use crate::line::relative::{Relative, Side};
use crate::malformed::Malformed;
use crate::tcp::TcpHeader;
use crate::udp::UdpHeader;

/// `udp 10.0.2.100:40112 > 10.0.2.3:53`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpLine {
    /// Who sends.
    pub source: SocketAddr,
    /// To whom.
    pub destination: SocketAddr,
}

impl fmt::Display for UdpLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "udp {} > {}", self.source, self.destination)
    }
}

/// A packet of any kind with its addresses; TCP numbers as they are on the wire.
#[derive(Clone, Copy, Debug)]
pub struct PacketLine<'a>(pub &'a [u8]);

impl fmt::Display for PacketLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let packet = match IpPacket::parse(self.0) {
            Ok(packet) => packet,
            Err(rule) => return write!(f, "ip  malformed: {rule}"),
        };
        let (source, destination) = (packet.source, packet.destination);
        if let Some(fragment) = packet.fragment {
            let end = usize::from(fragment.offset) + packet.body_len();
            write!(f, "{} {source} > {destination}  ", packet.protocol)?;
            write!(f, "fragment id={} ", fragment.identification)?;
            let more = if fragment.more { " more" } else { "" };
            return write!(f, "octets={}-{end}{more}", fragment.offset);
        }
        let written = match packet.protocol {
            IpProtocol::TCP => write_tcp(f, &packet),
            IpProtocol::UDP => write_udp(f, &packet),
            IpProtocol::ICMP if !packet.is_ipv6() => write_icmp4(f, &packet),
            IpProtocol::ICMPV6 if packet.is_ipv6() => write_icmp6(f, &packet),
            protocol => {
                let len = packet.body_len();
                Ok(write!(f, "{protocol} {source} > {destination}  len={len}"))
            }
        };
        written.unwrap_or_else(|rule| {
            let protocol = packet.protocol;
            write!(f, "{protocol} {source} > {destination}  malformed: {rule}")
        })
    }
}

/// The rule that kept it from being written, or the formatter's own result.
type Written = Result<fmt::Result, Malformed>;

fn write_tcp(f: &mut fmt::Formatter<'_>, packet: &IpPacket<'_>) -> Written {
    let (header, header_len) = TcpHeader::parse(packet.body())?;
    let source = SocketAddr::new(packet.source, header.source_port);
    let destination = SocketAddr::new(packet.destination, header.destination_port);
    let len = packet.body_len() - header_len;
    let line = Relative::new().line(Side::Near, &header, len);
    Ok(write!(f, "tcp {source} > {destination}  {line}"))
}

fn write_udp(f: &mut fmt::Formatter<'_>, packet: &IpPacket<'_>) -> Written {
    let header = UdpHeader::parse(packet.body())?;
    let line = UdpLine {
        source: SocketAddr::new(packet.source, header.source_port),
        destination: SocketAddr::new(packet.destination, header.destination_port),
    };
    let len = usize::from(header.len) - crate::udp::HEADER_LEN;
    Ok(write!(f, "{line}  len={len}"))
}

fn write_icmp4(f: &mut fmt::Formatter<'_>, packet: &IpPacket<'_>) -> Written {
    let message = Icmpv4Message::parse(packet.body())?;
    let (source, destination) = (packet.source, packet.destination);
    Ok(write!(f, "icmp {source} > {destination}  ").and_then(|()| v4_words(f, &message)))
}

fn write_icmp6(f: &mut fmt::Formatter<'_>, packet: &IpPacket<'_>) -> Written {
    let message = Icmpv6Message::parse(packet.body(), packet.pseudo_header())?;
    let (source, destination) = (packet.source, packet.destination);
    Ok(write!(f, "icmp6 {source} > {destination}  ").and_then(|()| v6_words(f, &message)))
}

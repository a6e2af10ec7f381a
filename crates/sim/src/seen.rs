//! A packet as somebody who watches the wire sees it: no state, no mercy.

use std::net::SocketAddr;

use switchboard_wire::icmp::v4::Icmpv4Message;
use switchboard_wire::icmp::v6::Icmpv6Message;
use switchboard_wire::tcp::TcpHeader;
use switchboard_wire::udp::UdpDatagram;
use switchboard_wire::{Checksum, IpPacket, IpProtocol, Malformed, checksum};

use crate::pattern::Direction;

/// A packet, read as far as the oracles need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A TCP segment.
    Tcp(TcpSeen),
    /// A UDP datagram that is no fragment.
    Udp(Direction),
    /// A fragment, or ICMP, or anything else.
    Other,
}

/// A TCP segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpSeen {
    /// From whom to whom.
    pub direction: Direction,
    /// SEG.SEQ.
    pub seq: u32,
    /// SEG.ACK, if the ACK bit is set.
    pub ack: Option<u32>,
    /// The SYN bit.
    pub syn: bool,
    /// The FIN bit.
    pub fin: bool,
    /// The RST bit.
    pub rst: bool,
    /// SEG.WND as the header has it: not scaled.
    pub window: u16,
    /// The MSS option.
    pub mss: Option<u16>,
    /// The window scale option.
    pub window_scale: Option<u8>,
    /// The SACK option.
    pub sack_blocks: Vec<(u32, u32)>,
    /// The text.
    pub payload: Vec<u8>,
}

impl Seen {
    /// Reads a packet and verifies every checksum that it has.
    ///
    /// # Errors
    ///
    /// The first rule that it breaks.
    pub fn parse(packet: &[u8]) -> Result<Self, Malformed> {
        let ip = IpPacket::parse(packet)?;
        if ip.fragment.is_some() {
            return Ok(Self::Other);
        }
        match ip.protocol {
            IpProtocol::TCP => Self::parse_tcp(&ip),
            IpProtocol::UDP => {
                let datagram = UdpDatagram::parse(&ip, Checksum::Unknown)?;
                Ok(Self::Udp(Direction::new(
                    SocketAddr::new(ip.source, datagram.source_port),
                    SocketAddr::new(ip.destination, datagram.destination_port),
                )))
            }
            IpProtocol::ICMP => Icmpv4Message::parse(ip.body()).map(|_| Self::Other),
            IpProtocol::ICMPV6 => {
                Icmpv6Message::parse(ip.body(), ip.pseudo_header()).map(|_| Self::Other)
            }
            _ => Ok(Self::Other),
        }
    }

    fn parse_tcp(ip: &IpPacket<'_>) -> Result<Self, Malformed> {
        if !checksum::verifies(ip.pseudo_header(), ip.body()) {
            return Err(Malformed::TcpChecksum);
        }
        let (header, text_at) = TcpHeader::parse(ip.body())?;
        Ok(Self::Tcp(TcpSeen {
            direction: Direction::new(
                SocketAddr::new(ip.source, header.source_port),
                SocketAddr::new(ip.destination, header.destination_port),
            ),
            seq: header.seq,
            ack: header.flags.ack().then_some(header.ack),
            syn: header.flags.syn(),
            fin: header.flags.fin(),
            rst: header.flags.rst(),
            window: header.window,
            mss: header.options.mss,
            window_scale: header.options.window_scale,
            sack_blocks: header.options.sack.to_vec(),
            payload: ip.body().get(text_at..).unwrap_or_default().to_vec(),
        }))
    }
}

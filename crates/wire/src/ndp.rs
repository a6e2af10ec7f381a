//! Neighbour discovery over IPv6 (RFC 4861): the messages that a router on a link of its own
//! understands and sends.

use alloc::vec::Vec;
use core::net::Ipv6Addr;

use crate::checksum::pseudo_v6;
use crate::ethernet::MacAddr;
use crate::icmp::v6::{Icmpv6Class, Icmpv6Message};
use crate::ip::IpProtocol;
use crate::ipv6::Ipv6Header;
use crate::malformed::Malformed;

/// The hop limit of every message: it has not crossed a router (section 3.1).
pub const HOP_LIMIT: u8 = 255;

/// All nodes of the link.
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

const SOURCE_LINK_LAYER: u8 = 1;
const TARGET_LINK_LAYER: u8 = 2;
const PREFIX: u8 = 3;
const MTU: u8 = 5;
/// RFC 8106 section 5.1.
const RDNSS: u8 = 25;

/// "For ever", in a lifetime of 32 bits (section 4.6.2).
const INFINITE: u32 = u32::MAX;

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeighborMessage {
    /// Who has `target`? From an unspecified address: is it free (RFC 4862 section 5.4)?
    Solicitation {
        /// The address that is asked for.
        target: Ipv6Addr,
        /// Who asks.
        source: Option<MacAddr>,
    },
    /// I have `target`.
    Advertisement {
        /// Whose address.
        target: Ipv6Addr,
        /// Where it is.
        station: Option<MacAddr>,
    },
    /// Is there a router?
    RouterSolicitation {
        /// Who asks.
        source: Option<MacAddr>,
    },
}

impl NeighborMessage {
    /// Reads an ICMPv6 message; `None` where it is of another kind. The caller has verified its
    /// checksum and that its hop limit is [`HOP_LIMIT`].
    ///
    /// # Errors
    ///
    /// [`Malformed::NdpTruncated`] and [`Malformed::NdpOptionLength`].
    pub fn parse(message: &Icmpv6Message<'_>) -> Result<Option<Self>, Malformed> {
        let target = || {
            let (target, options) = message
                .body
                .split_first_chunk::<16>()
                .ok_or(Malformed::NdpTruncated)?;
            Ok((Ipv6Addr::from(*target), options))
        };
        Ok(Some(match message.header.class() {
            Icmpv6Class::NeighborSolicitation => {
                let (target, options) = target()?;
                Self::Solicitation {
                    target,
                    source: link_layer(options, SOURCE_LINK_LAYER)?,
                }
            }
            Icmpv6Class::NeighborAdvertisement => {
                let (target, options) = target()?;
                Self::Advertisement {
                    target,
                    station: link_layer(options, TARGET_LINK_LAYER)?,
                }
            }
            Icmpv6Class::RouterSolicitation => Self::RouterSolicitation {
                source: link_layer(message.body, SOURCE_LINK_LAYER)?,
            },
            _ => return Ok(None),
        }))
    }
}

/// The address in the option of that kind (section 4.6.1).
fn link_layer(mut options: &[u8], kind: u8) -> Result<Option<MacAddr>, Malformed> {
    let mut found = None;
    while let [this, words, ..] = *options {
        let len = usize::from(words) * 8;
        if len == 0 {
            return Err(Malformed::NdpOptionLength);
        }
        let option = options.get(..len).ok_or(Malformed::NdpOptionLength)?;
        if let (true, Some(mac)) = (this == kind, option.get(2..8)) {
            found = mac.first_chunk().copied().map(MacAddr);
        }
        options = options.get(len..).unwrap_or_default();
    }
    Ok(found)
}

/// What a router says of itself and of its link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterAdvertisement {
    /// Where the router is.
    pub station: MacAddr,
    /// Hosts make addresses of their own in this /64; for ever.
    pub prefix: Option<Ipv6Addr>,
    /// Octets of the largest packet.
    pub mtu: u32,
    /// Name servers.
    pub dns: Vec<Ipv6Addr>,
}

impl RouterAdvertisement {
    /// Seconds for which the router serves: the longest there is (RFC 8319 section 4).
    const LIFETIME: u16 = u16::MAX;

    /// The packet that says so.
    #[must_use]
    pub fn packet(&self, from: Ipv6Addr, to: Ipv6Addr) -> Vec<u8> {
        let mut body = Vec::new();
        // Current hop limit 64, no flags: addresses are not managed by DHCPv6.
        body.extend_from_slice(&[134, 0, 0, 0, 64, 0]);
        body.extend_from_slice(&Self::LIFETIME.to_be_bytes());
        // Reachable and retransmission times: not specified.
        body.extend_from_slice(&[0; 8]);
        put_link_layer(&mut body, SOURCE_LINK_LAYER, self.station);
        body.extend_from_slice(&[MTU, 1, 0, 0]);
        body.extend_from_slice(&self.mtu.to_be_bytes());
        if let Some(prefix) = self.prefix {
            // On the link (L), and for addresses of one's own (A).
            body.extend_from_slice(&[PREFIX, 4, 64, 0xc0]);
            body.extend_from_slice(&INFINITE.to_be_bytes());
            body.extend_from_slice(&INFINITE.to_be_bytes());
            body.extend_from_slice(&[0; 4]);
            body.extend_from_slice(&prefix.octets());
        }
        if let Ok(servers @ 1..=127) = u8::try_from(self.dns.len()) {
            body.extend_from_slice(&[RDNSS, 1 + 2 * servers, 0, 0]);
            body.extend_from_slice(&INFINITE.to_be_bytes());
            for server in &self.dns {
                body.extend_from_slice(&server.octets());
            }
        }
        packet(from, to, body)
    }
}

/// The packet that asks who has `target`, for all who may (section 4.3).
#[must_use]
pub fn solicitation(from: Ipv6Addr, target: Ipv6Addr, station: MacAddr) -> Vec<u8> {
    let mut body = alloc::vec![135, 0, 0, 0, 0, 0, 0, 0];
    body.extend_from_slice(&target.octets());
    put_link_layer(&mut body, SOURCE_LINK_LAYER, station);
    packet(from, solicited_node(target), body)
}

/// The packet by which a router says that it has `target`; `solicited`: it was asked by `to`
/// (section 4.4).
#[must_use]
pub fn advertisement(target: Ipv6Addr, to: Ipv6Addr, station: MacAddr, solicited: bool) -> Vec<u8> {
    // R: a router; S: solicited; O: instead of what was known.
    let flags = 0xa0 | if solicited { 0x40 } else { 0 };
    let mut body = alloc::vec![136, 0, 0, 0, flags, 0, 0, 0];
    body.extend_from_slice(&target.octets());
    put_link_layer(&mut body, TARGET_LINK_LAYER, station);
    packet(target, to, body)
}

/// The group that the holder of an address listens to (RFC 4291 section 2.7.1).
#[must_use]
pub fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = address.octets();
    let low = u16::from_be_bytes([b, c]);
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), low)
}

fn put_link_layer(body: &mut Vec<u8>, kind: u8, station: MacAddr) {
    body.extend_from_slice(&[kind, 1]);
    body.extend_from_slice(&station.0);
}

/// The whole packet around an ICMPv6 message whose checksum field is zero.
fn packet(from: Ipv6Addr, to: Ipv6Addr, mut body: Vec<u8>) -> Vec<u8> {
    let sum = pseudo_v6(from, to, IpProtocol::ICMPV6, body.len()).plus(&body);
    if let Some(field) = body.get_mut(2..4) {
        field.copy_from_slice(&sum.checksum().to_be_bytes());
    }
    let len = u16::try_from(body.len()).unwrap_or(u16::MAX);
    let mut header = Ipv6Header::new(from, to, IpProtocol::ICMPV6, len);
    header.hop_limit = HOP_LIMIT;
    let mut packet = Vec::with_capacity(crate::ipv6::header::HEADER_LEN + body.len());
    header.emit(&mut packet);
    packet.extend_from_slice(&body);
    packet
}

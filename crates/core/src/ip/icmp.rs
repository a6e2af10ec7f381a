//! ICMP errors in and out, in words that both families share (RFC 792, RFC 4443).

use core::net::IpAddr;

use alloc::vec::Vec;

use bytes::Bytes;
use switchboard_wire::icmp::v4::{self, Icmpv4Header};
use switchboard_wire::icmp::v6::{self, Icmpv6Header};
use switchboard_wire::ip::{IpPacket, IpProtocol};
use switchboard_wire::ipv4::{HEADER_MIN, Ipv4Header};
use switchboard_wire::ipv6::Ipv6Header;
use switchboard_wire::tcp::{Flags, TcpHeader};
use switchboard_wire::udp::UdpHeader;

use super::egress::eight;
use crate::error::Unreachable;
use crate::tcp::{FourTuple, PendingSyn};

/// Octets of an ICMPv4 error, all headers included (RFC 1812 section 4.3.2.3).
const ERROR_MAX_V4: usize = 576;
/// The same for ICMPv6 (RFC 4443 section 2.4, c).
const ERROR_MAX_V6: usize = 1280;

/// What an ICMP error that we send says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Say {
    /// The packet cannot get there.
    Unreachable(Unreachable),
    /// The rest of its fragments did not come.
    ReassemblyTimeExceeded,
    /// An IPv6 header asks what we do not do.
    Parameter { code: u8, pointer: u32 },
}

/// Most octets of a packet that an error about it quotes.
pub(crate) const fn quote_max(ipv6: bool) -> usize {
    if ipv6 {
        ERROR_MAX_V6 - 40 - 8
    } else {
        ERROR_MAX_V4 - 20 - 8
    }
}

/// The message header for `say`.
pub(crate) fn header(say: Say, ipv6: bool) -> [u8; 8] {
    if ipv6 {
        let header = header_v6(say);
        eight(|out| header.emit(out))
    } else {
        let header = header_v4(say);
        eight(|out| header.emit(out))
    }
}

fn header_v4(say: Say) -> Icmpv4Header {
    use v4::unreachable::*;
    let unreachable = |code, mtu| Icmpv4Header::DestinationUnreachable {
        code,
        mtu,
        quoted_words: 0,
    };
    let time_exceeded = |code| Icmpv4Header::TimeExceeded {
        code,
        quoted_words: 0,
    };
    let parameter = |pointer| Icmpv4Header::ParameterProblem {
        code: 0,
        pointer,
        quoted_words: 0,
    };
    match say {
        Say::Unreachable(why) => match why {
            Unreachable::Network => unreachable(NET, 0),
            Unreachable::Host => unreachable(HOST, 0),
            Unreachable::Protocol => unreachable(PROTOCOL, 0),
            Unreachable::Port => unreachable(PORT, 0),
            Unreachable::TooBig { mtu } => {
                unreachable(FRAGMENTATION_NEEDED, u16::try_from(mtu).unwrap_or(u16::MAX))
            }
            Unreachable::SourceRoute => unreachable(SOURCE_ROUTE_FAILED, 0),
            Unreachable::Prohibited => unreachable(ADMIN_PROHIBITED, 0),
            Unreachable::TimeExceeded => time_exceeded(v4::time_exceeded::TTL),
            Unreachable::ParameterProblem => parameter(0),
        },
        Say::ReassemblyTimeExceeded => time_exceeded(v4::time_exceeded::REASSEMBLY),
        Say::Parameter { pointer, .. } => parameter(u8::try_from(pointer).unwrap_or(0)),
    }
}

fn header_v6(say: Say) -> Icmpv6Header {
    use v6::parameter_problem::{ERRONEOUS_FIELD, UNRECOGNISED_NEXT_HEADER};
    use v6::unreachable::*;
    let unreachable = |code| Icmpv6Header::DestinationUnreachable {
        code,
        quoted_words: 0,
    };
    let time_exceeded = |code| Icmpv6Header::TimeExceeded {
        code,
        quoted_words: 0,
    };
    let parameter = |code, pointer| Icmpv6Header::ParameterProblem { code, pointer };
    match say {
        Say::Unreachable(why) => match why {
            Unreachable::Network | Unreachable::SourceRoute => unreachable(NO_ROUTE),
            Unreachable::Host => unreachable(ADDRESS),
            // The octet of the plain header that names the protocol.
            Unreachable::Protocol => parameter(UNRECOGNISED_NEXT_HEADER, 6),
            Unreachable::Port => unreachable(PORT),
            Unreachable::TooBig { mtu } => Icmpv6Header::PacketTooBig { mtu },
            Unreachable::Prohibited => unreachable(ADMIN_PROHIBITED),
            Unreachable::TimeExceeded => time_exceeded(v6::time_exceeded::HOP_LIMIT),
            Unreachable::ParameterProblem => parameter(ERRONEOUS_FIELD, 0),
        },
        Say::ReassemblyTimeExceeded => time_exceeded(v6::time_exceeded::REASSEMBLY),
        Say::Parameter { code, pointer } => parameter(code, pointer),
    }
}

/// What an ICMPv4 error that arrived says; `None` for those that nobody acts on.
pub(crate) fn understand_v4(header: &Icmpv4Header) -> Option<Unreachable> {
    use v4::unreachable::*;
    match *header {
        Icmpv4Header::DestinationUnreachable { code, mtu, .. } => Some(match code {
            NET | NET_UNKNOWN | NET_FOR_TOS => Unreachable::Network,
            HOST | HOST_UNKNOWN | HOST_ISOLATED | HOST_FOR_TOS => Unreachable::Host,
            PROTOCOL => Unreachable::Protocol,
            PORT => Unreachable::Port,
            FRAGMENTATION_NEEDED => Unreachable::TooBig { mtu: mtu.into() },
            SOURCE_ROUTE_FAILED => Unreachable::SourceRoute,
            NET_PROHIBITED | HOST_PROHIBITED | ADMIN_PROHIBITED | PRECEDENCE_VIOLATION
            | PRECEDENCE_CUTOFF => Unreachable::Prohibited,
            _ => return None,
        }),
        Icmpv4Header::TimeExceeded { code, .. } if code == v4::time_exceeded::TTL => {
            Some(Unreachable::TimeExceeded)
        }
        Icmpv4Header::ParameterProblem { .. } => Some(Unreachable::ParameterProblem),
        _ => None,
    }
}

/// The same for ICMPv6.
pub(crate) fn understand_v6(header: &Icmpv6Header) -> Option<Unreachable> {
    use v6::unreachable::*;
    match *header {
        Icmpv6Header::DestinationUnreachable { code, .. } => Some(match code {
            NO_ROUTE | BEYOND_SCOPE => Unreachable::Network,
            ADDRESS => Unreachable::Host,
            PORT => Unreachable::Port,
            ADMIN_PROHIBITED | SOURCE_POLICY | REJECT_ROUTE => Unreachable::Prohibited,
            _ => return None,
        }),
        Icmpv6Header::PacketTooBig { mtu } => Some(Unreachable::TooBig { mtu }),
        Icmpv6Header::TimeExceeded { code, .. } if code == v6::time_exceeded::HOP_LIMIT => {
            Some(Unreachable::TimeExceeded)
        }
        Icmpv6Header::ParameterProblem { code, .. } => {
            Some(if code == v6::parameter_problem::UNRECOGNISED_NEXT_HEADER {
                Unreachable::Protocol
            } else {
                Unreachable::ParameterProblem
            })
        }
        _ => None,
    }
}

/// Whether a packet is an ICMP error: never answered with another (RFC 1122 section 3.2.2,
/// RFC 4443 section 2.4, e.1).
pub(crate) fn is_error(packet: &IpPacket<'_>) -> bool {
    let kind = packet.body().first().copied();
    match packet.protocol {
        // Unknown types count as errors: better silent than in a loop.
        IpProtocol::ICMP => !matches!(kind, Some(0 | 8 | 13 | 14)),
        IpProtocol::ICMPV6 => kind.is_none_or(|kind| kind < 128),
        _ => false,
    }
}

/// The headers of a SYN that waited for a verdict, made again from what was kept of it: an
/// error about it must quote addresses, ports and sequence number, which is what the caller
/// looks at before it believes the error (RFC 5927 section 4.1).
pub(crate) fn quote_syn(tuple: &FourTuple, syn: &PendingSyn, hop_limit: u8) -> Bytes {
    let header = TcpHeader {
        source_port: tuple.remote.port(),
        destination_port: tuple.local.port(),
        seq: syn.irs.value(),
        flags: Flags::SYN,
        window: syn.window,
        ..TcpHeader::default()
    };
    let (from, to) = (tuple.remote.ip(), tuple.local.ip());
    let mut out = Vec::with_capacity(60);
    emit_ip(from, to, IpProtocol::TCP, hop_limit, header.len(), &mut out);
    header.emit(&mut out);
    Bytes::from(out)
}

/// The headers of a datagram from `remote` to `local`, and the beginning of what it carried.
pub(crate) fn quote_udp(
    remote: core::net::SocketAddr,
    local: core::net::SocketAddr,
    hop_limit: u8,
    payload: &[u8],
) -> Bytes {
    let header = UdpHeader::new(remote.port(), local.port(), payload.len());
    let mut out = Vec::with_capacity(quote_max(remote.is_ipv6()));
    let len = usize::from(header.len);
    emit_ip(
        remote.ip(),
        local.ip(),
        IpProtocol::UDP,
        hop_limit,
        len,
        &mut out,
    );
    header.emit(&mut out);
    out.extend_from_slice(payload);
    out.truncate(quote_max(remote.is_ipv6()));
    Bytes::from(out)
}

/// The headers of an echo request, and the beginning of what it carried.
pub(crate) fn quote_echo(request: &crate::socket::EchoRequest) -> Bytes {
    let ipv6 = request.source.is_ipv6();
    let echo = switchboard_wire::icmp::Echo {
        identifier: request.identifier,
        sequence: request.sequence,
    };
    let header = echo_request(echo, ipv6);
    let protocol = protocol(ipv6);
    let len = header.len() + request.payload.len();
    let mut out = Vec::with_capacity(quote_max(ipv6));
    let (from, to) = (request.source, request.destination);
    emit_ip(from, to, protocol, request.hop_limit, len, &mut out);
    out.extend_from_slice(&header);
    out.extend_from_slice(&request.payload);
    out.truncate(quote_max(ipv6));
    Bytes::from(out)
}

/// The header of an echo request.
pub(crate) fn echo_request(echo: switchboard_wire::icmp::Echo, ipv6: bool) -> [u8; 8] {
    if ipv6 {
        eight(|out| Icmpv6Header::EchoRequest(echo).emit(out))
    } else {
        eight(|out| Icmpv4Header::EchoRequest(echo).emit(out))
    }
}

/// The header of the answer to an echo request.
pub(crate) fn echo_reply(echo: switchboard_wire::icmp::Echo, ipv6: bool) -> [u8; 8] {
    if ipv6 {
        eight(|out| Icmpv6Header::EchoReply(echo).emit(out))
    } else {
        eight(|out| Icmpv4Header::EchoReply(echo).emit(out))
    }
}

/// ICMP's number in a family.
pub(crate) const fn protocol(ipv6: bool) -> IpProtocol {
    if ipv6 {
        IpProtocol::ICMPV6
    } else {
        IpProtocol::ICMP
    }
}

fn emit_ip(
    source: IpAddr,
    destination: IpAddr,
    protocol: IpProtocol,
    hop_limit: u8,
    body_len: usize,
    out: &mut Vec<u8>,
) {
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let total = u16::try_from(HEADER_MIN + body_len).unwrap_or(u16::MAX);
            let mut header = Ipv4Header::new(source, destination, protocol, total);
            header.hop_limit = hop_limit;
            header.emit(out);
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let len = u16::try_from(body_len).unwrap_or(u16::MAX);
            let mut header = Ipv6Header::new(source, destination, protocol, len);
            header.hop_limit = hop_limit;
            header.emit(out);
        }
        _ => debug_assert!(false, "addresses of two families"),
    }
}

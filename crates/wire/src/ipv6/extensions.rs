//! IPv6 extension headers (RFC 8200 section 4).

use crate::ip::{Complaint, Fragment, IpProtocol};
use crate::ipv6::header::HEADER_LEN;
use crate::malformed::Malformed;
use crate::output::Output;

/// Extension headers that one packet may have. Nobody sends more than a few; a bound keeps
/// the work for a packet small (RFC 8883 section 2.1 allows one).
pub const EXTENSIONS_MAX: usize = 16;

/// Octets of a fragment header.
pub const FRAGMENT_HEADER_LEN: usize = 8;

/// Code of a parameter problem: a header field makes no sense (RFC 4443 section 3.4).
const ERRONEOUS_FIELD: u8 = 0;
/// Code of a parameter problem: unrecognised next header.
const UNRECOGNISED_NEXT_HEADER: u8 = 1;
/// Code of a parameter problem: unrecognised option.
const UNRECOGNISED_OPTION: u8 = 2;
/// Code of a parameter problem: the first fragment lacks part of the chain (RFC 7112).
const INCOMPLETE_CHAIN: u8 = 3;

/// Option of one octet, without a length.
const OPTION_PAD1: u8 = 0;
/// Option: as many octets of padding as it says.
const OPTION_PADN: u8 = 1;
/// Option: router alert (RFC 2711).
const OPTION_ROUTER_ALERT: u8 = 5;

/// Octets of a hop-by-hop header with a router alert.
pub const ROUTER_ALERT_HEADER_LEN: usize = 8;

/// Appends a hop-by-hop header that asks routers to look for multicast listener messages (RFC
/// 2711 section 2.1: value 0), and is followed by `next_header`.
pub fn emit_router_alert(next_header: IpProtocol, out: &mut impl Output) {
    out.put(&[
        next_header.0,
        0,
        OPTION_ROUTER_ALERT,
        2,
        0,
        0,
        OPTION_PADN,
        0,
    ]);
}

/// Whether a discarded packet is answered with an ICMP error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Silence.
    Never,
    /// Unless it was sent to a multicast address.
    UnlessMulticast,
    /// Even to a multicast address.
    Always,
}

/// The fragment header (RFC 8200 section 4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentHeader {
    /// What the first fragment starts with.
    pub next_header: IpProtocol,
    /// Which packet, where in it, and whether more follow.
    pub fragment: Fragment,
}

impl FragmentHeader {
    /// Reads a fragment header.
    ///
    /// # Errors
    ///
    /// [`Malformed::Ipv6ExtensionTruncated`].
    pub fn parse(octets: &[u8]) -> Result<Self, Malformed> {
        let &[next_header, _, o0, o1, i0, i1, i2, i3] = octets
            .first_chunk::<FRAGMENT_HEADER_LEN>()
            .ok_or(Malformed::Ipv6ExtensionTruncated)?;
        let offset = u16::from_be_bytes([o0, o1]);
        Ok(Self {
            next_header: IpProtocol(next_header),
            fragment: Fragment {
                identification: u32::from_be_bytes([i0, i1, i2, i3]),
                offset: offset & 0xfff8,
                more: offset & 1 != 0,
            },
        })
    }

    /// Appends the header.
    pub fn emit(&self, out: &mut impl Output) {
        let offset = (self.fragment.offset & 0xfff8) | u16::from(self.fragment.more);
        out.put(&[self.next_header.0, 0]);
        out.put(&offset.to_be_bytes());
        out.put(&self.fragment.identification.to_be_bytes());
    }
}

/// What walking the extension headers found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    /// The first header that is no extension header; of a fragment, what its fragment header
    /// names.
    pub(crate) protocol: IpProtocol,
    /// Where the octet is that named `protocol`.
    pub(crate) protocol_at: usize,
    /// Where that header, or the fragment's part of it, starts.
    pub(crate) body: usize,
    /// Set for true fragments only: an atomic one (RFC 6946) is a whole packet.
    pub(crate) fragment: Option<Fragment>,
    /// Why the packet has to be discarded, if it has.
    pub(crate) complaint: Option<Complaint>,
    /// A hop-by-hop option asks every router to look.
    pub(crate) router_alert: bool,
}

/// Walks the extension headers of `packet`, which is as long as its header says.
pub(crate) fn walk(packet: &[u8], first: IpProtocol) -> Result<Chain, Malformed> {
    let mut chain = Chain {
        protocol: first,
        protocol_at: NEXT_HEADER_AT,
        body: HEADER_LEN,
        fragment: None,
        complaint: None,
        router_alert: false,
    };
    if !first.is_extension() {
        return Ok(chain);
    }
    walk_from(packet, &mut chain)?;
    if let Some(fragment) = chain.fragment
        && fragment.offset == 0
        && chain.complaint.is_none()
    {
        // RFC 7112 section 5: the first fragment holds the whole chain.
        let mut inner = chain;
        if walk_from(packet, &mut inner).is_err() || inner.body >= packet.len() {
            chain.complaint = Some(parameter(INCOMPLETE_CHAIN, 0));
        }
    }
    Ok(chain)
}

/// Where the IPv6 header names what follows.
const NEXT_HEADER_AT: usize = 6;

/// A complaint that is answered unless the packet was multicast.
fn parameter(code: u8, pointer: usize) -> Complaint {
    Complaint::Parameter {
        code,
        pointer: u32::try_from(pointer).unwrap_or(u32::MAX),
        answer: Answer::UnlessMulticast,
    }
}

/// Walks on from `chain.body` to a transport, a fragment, or something to complain about.
fn walk_from(packet: &[u8], chain: &mut Chain) -> Result<(), Malformed> {
    for _ in 0..EXTENSIONS_MAX {
        if !chain.protocol.is_extension() || chain.complaint.is_some() {
            return Ok(());
        }
        let at = chain.body;
        let rest = packet.get(at..).ok_or(Malformed::Ipv6ExtensionTruncated)?;
        if chain.protocol == IpProtocol::FRAGMENT {
            if enter_fragment(rest, chain)? {
                return Ok(());
            }
            continue;
        }
        let &[next_header, words, _, segments_left, ..] = rest else {
            return Err(Malformed::Ipv6ExtensionTruncated);
        };
        let len = (usize::from(words) + 1) * 8;
        let header = rest.get(..len).ok_or(Malformed::Ipv6ExtensionTruncated)?;
        chain.complaint = match chain.protocol {
            // RFC 8200 section 4.1: hop-by-hop options come first or not at all.
            IpProtocol::HOP_BY_HOP if at != HEADER_LEN => {
                Some(parameter(UNRECOGNISED_NEXT_HEADER, chain.protocol_at))
            }
            // RFC 8200 section 4.4; type 0 is no exception any more (RFC 5095).
            IpProtocol::ROUTING if segments_left != 0 => Some(parameter(ERRONEOUS_FIELD, at + 2)),
            IpProtocol::ROUTING => None,
            _ => walk_options(header, at, &mut chain.router_alert)?,
        };
        chain.protocol = IpProtocol(next_header);
        chain.protocol_at = at;
        chain.body = at + len;
    }
    Err(Malformed::Ipv6ExtensionChainTooLong)
}

/// Takes a fragment header; true if the packet is a true fragment, of which no more headers
/// can be read here.
fn enter_fragment(rest: &[u8], chain: &mut Chain) -> Result<bool, Malformed> {
    let header = FragmentHeader::parse(rest)?;
    let at = chain.body;
    chain.protocol = header.next_header;
    chain.protocol_at = at;
    chain.body = at + FRAGMENT_HEADER_LEN;
    let fragment = header.fragment;
    if fragment.offset == 0 && !fragment.more {
        return Ok(false);
    }
    let len = rest.len() - FRAGMENT_HEADER_LEN;
    if fragment.more && !len.is_multiple_of(8) {
        // RFC 8200 section 4.5: points at the payload length.
        chain.complaint = Some(parameter(ERRONEOUS_FIELD, 4));
    } else if usize::from(fragment.offset) + len > usize::from(u16::MAX) {
        // The same: points at the fragment offset.
        chain.complaint = Some(parameter(ERRONEOUS_FIELD, at + 2));
    }
    chain.fragment = Some(fragment);
    Ok(true)
}

/// Walks the options of a hop-by-hop or destination options header that starts at `at`.
fn walk_options(
    header: &[u8],
    at: usize,
    router_alert: &mut bool,
) -> Result<Option<Complaint>, Malformed> {
    let mut options = header.get(2..).unwrap_or_default();
    loop {
        options = match *options {
            [] => return Ok(None),
            [OPTION_PAD1, ref rest @ ..] => rest,
            [kind, len, ref rest @ ..] => {
                *router_alert |= kind == OPTION_ROUTER_ALERT;
                let pointer = at + header.len() - options.len();
                if let Some(complaint) = judge_option(kind, pointer) {
                    return Ok(Some(complaint));
                }
                rest.get(usize::from(len)..)
                    .ok_or(Malformed::Ipv6OptionLength)?
            }
            [_] => return Err(Malformed::Ipv6OptionLength),
        };
    }
}

/// What an option's two highest bits ask of someone who does not know it (RFC 8200 section
/// 4.2).
fn judge_option(kind: u8, pointer: usize) -> Option<Complaint> {
    // Padding and the router alert have zeros there.
    let answer = match kind >> 6 {
        0b00 => return None,
        0b01 => Answer::Never,
        0b10 => Answer::Always,
        _ => Answer::UnlessMulticast,
    };
    Some(Complaint::Parameter {
        code: UNRECOGNISED_OPTION,
        pointer: u32::try_from(pointer).unwrap_or(u32::MAX),
        answer,
    })
}

//! The IPv4 header (RFC 791).

use core::net::Ipv4Addr;

use arrayvec::ArrayVec;

use crate::checksum;
use crate::ip::IpProtocol;
use crate::malformed::Malformed;
use crate::output::Output;

/// Octets of a header without options.
pub const HEADER_MIN: usize = 20;
/// Octets of the longest header.
pub const HEADER_MAX: usize = 60;
/// Octets that options can take.
pub const OPTIONS_MAX: usize = HEADER_MAX - HEADER_MIN;
/// The smallest packet that every link carries whole (RFC 791 section 3.2).
pub const MTU_MIN: usize = 68;

/// "Don't fragment" in the flags and offset field.
const DONT_FRAGMENT: u16 = 0x4000;
/// "More fragments" in the flags and offset field.
const MORE_FRAGMENTS: u16 = 0x2000;
/// The offset, in units of 8 octets.
const OFFSET: u16 = 0x1fff;

/// Option: end of the list.
pub const OPTION_END: u8 = 0;
/// Option: no operation.
pub const OPTION_NOP: u8 = 1;
/// Option: record route.
pub const OPTION_RECORD_ROUTE: u8 = 7;
/// Option: timestamp.
pub const OPTION_TIMESTAMP: u8 = 68;
/// Option: loose source route.
pub const OPTION_LOOSE_SOURCE_ROUTE: u8 = 131;
/// Option: strict source route.
pub const OPTION_STRICT_SOURCE_ROUTE: u8 = 137;
/// Option: router alert (RFC 2113).
pub const OPTION_ROUTER_ALERT: u8 = 148;
/// The router alert as it stands in a header (RFC 2113 section 2.1).
pub const ROUTER_ALERT: [u8; 4] = [OPTION_ROUTER_ALERT, 4, 0, 0];

/// A header, options as the octets that they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ipv4Header {
    /// Who sent it.
    pub source: Ipv4Addr,
    /// Whom it is for.
    pub destination: Ipv4Addr,
    /// What follows.
    pub protocol: IpProtocol,
    /// Time to live.
    pub hop_limit: u8,
    /// DSCP and ECN (RFC 2474, RFC 3168), the whole octet.
    pub traffic_class: u8,
    /// Which datagram a fragment belongs to.
    pub identification: u16,
    /// Must not be fragmented on the way.
    pub dont_fragment: bool,
    /// Fragments follow this one.
    pub more_fragments: bool,
    /// Where this fragment belongs, in octets: a multiple of 8.
    pub fragment_offset: u16,
    /// Octets of the whole packet, header included.
    pub total_len: u16,
    /// Options, padded by `emit` to a multiple of 4 with end-of-list octets.
    pub options: ArrayVec<u8, OPTIONS_MAX>,
}

impl Ipv4Header {
    /// A header without options for an unfragmented packet.
    #[must_use]
    pub fn new(
        source: Ipv4Addr,
        destination: Ipv4Addr,
        protocol: IpProtocol,
        total_len: u16,
    ) -> Self {
        Self {
            source,
            destination,
            protocol,
            hop_limit: 64,
            traffic_class: 0,
            identification: 0,
            dont_fragment: true,
            more_fragments: false,
            fragment_offset: 0,
            total_len,
            options: ArrayVec::new(),
        }
    }

    /// Octets of this header.
    #[must_use]
    pub fn header_len(&self) -> usize {
        HEADER_MIN + self.options.len().next_multiple_of(4)
    }

    /// Reads a header; the checksum and all lengths are verified.
    ///
    /// # Errors
    ///
    /// The first rule that `packet` breaks.
    pub fn parse(packet: &[u8]) -> Result<Self, Malformed> {
        let fixed = packet
            .first_chunk::<HEADER_MIN>()
            .ok_or(Malformed::Ipv4Truncated)?;
        let &[
            version_ihl,
            traffic_class,
            l0,
            l1,
            i0,
            i1,
            f0,
            f1,
            hop_limit,
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
        ] = fixed;
        if version_ihl >> 4 != 4 {
            return Err(Malformed::IpVersion);
        }
        let header_len = usize::from(version_ihl & 0x0f) * 4;
        if header_len < HEADER_MIN {
            return Err(Malformed::Ipv4HeaderLengthBelowMinimum);
        }
        let header = packet
            .get(..header_len)
            .ok_or(Malformed::Ipv4HeaderLengthBeyondPacket)?;
        let total_len = u16::from_be_bytes([l0, l1]);
        if usize::from(total_len) < header_len {
            return Err(Malformed::Ipv4TotalLengthBelowHeader);
        }
        if usize::from(total_len) > packet.len() {
            return Err(Malformed::Ipv4TotalLengthBeyondPacket);
        }
        if checksum::checksum(header) != 0 {
            return Err(Malformed::Ipv4Checksum);
        }
        let flags = u16::from_be_bytes([f0, f1]);
        let fragment_offset = (flags & OFFSET) * 8;
        if usize::from(fragment_offset) + usize::from(total_len) - header_len
            > usize::from(u16::MAX)
        {
            return Err(Malformed::FragmentBeyondMaximum);
        }
        let mut options = ArrayVec::new();
        options.put(header.get(HEADER_MIN..).unwrap_or_default());
        Ok(Self {
            source: Ipv4Addr::new(s0, s1, s2, s3),
            destination: Ipv4Addr::new(d0, d1, d2, d3),
            protocol: IpProtocol(protocol),
            hop_limit,
            traffic_class,
            identification: u16::from_be_bytes([i0, i1]),
            dont_fragment: flags & DONT_FRAGMENT != 0,
            more_fragments: flags & MORE_FRAGMENTS != 0,
            fragment_offset,
            total_len,
            options,
        })
    }

    /// Appends the header with its checksum.
    pub fn emit(&self, out: &mut impl Output) {
        let header_len = self.header_len();
        let [l0, l1] = self.total_len.to_be_bytes();
        let [i0, i1] = self.identification.to_be_bytes();
        let mut flags = self.fragment_offset / 8;
        if self.dont_fragment {
            flags |= DONT_FRAGMENT;
        }
        if self.more_fragments {
            flags |= MORE_FRAGMENTS;
        }
        let [f0, f1] = flags.to_be_bytes();
        let [s0, s1, s2, s3] = self.source.octets();
        let [d0, d1, d2, d3] = self.destination.octets();
        let version_ihl = 0x40 | (header_len / 4) as u8;
        let mut fixed = [
            version_ihl,
            self.traffic_class,
            l0,
            l1,
            i0,
            i1,
            f0,
            f1,
            self.hop_limit,
            self.protocol.0,
            0,
            0,
            s0,
            s1,
            s2,
            s3,
            d0,
            d1,
            d2,
            d3,
        ];
        let checksum = checksum::Sum::new().plus(&fixed).plus(&self.options);
        [fixed[10], fixed[11]] = checksum.checksum().to_be_bytes();
        out.put(&fixed);
        out.put(&self.options);
        let padding = header_len - HEADER_MIN - self.options.len();
        out.put([OPTION_END; 3].get(..padding).unwrap_or_default());
    }
}

/// What a receiver has to know of a header's options.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ipv4Options {
    /// The sender chose the way. Such packets are dropped (RFC 7126 sections 4.3 and 4.4).
    pub source_route: bool,
    /// Every router is asked to look (RFC 2113).
    pub router_alert: bool,
}

impl Ipv4Options {
    /// Walks the options of a header.
    ///
    /// # Errors
    ///
    /// [`Malformed::Ipv4OptionLength`] if one ends beyond the list.
    pub fn parse(mut options: &[u8]) -> Result<Self, Malformed> {
        let mut found = Self::default();
        loop {
            options = match *options {
                [] | [OPTION_END, ..] => return Ok(found),
                [OPTION_NOP, ref rest @ ..] => rest,
                [kind, len, ..] if len >= 2 => {
                    let rest = options
                        .get(usize::from(len)..)
                        .ok_or(Malformed::Ipv4OptionLength)?;
                    match kind {
                        OPTION_LOOSE_SOURCE_ROUTE | OPTION_STRICT_SOURCE_ROUTE => {
                            found.source_route = true;
                        }
                        OPTION_ROUTER_ALERT => found.router_alert = true,
                        _ => {}
                    }
                    rest
                }
                _ => return Err(Malformed::Ipv4OptionLength),
            };
        }
    }
}

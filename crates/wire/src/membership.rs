//! Group membership: IGMP for IPv4 (RFC 3376) and MLD for IPv6 (RFC 3810), one protocol in two
//! dresses. Hosts read queries and write reports of version 3 and version 2.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use crate::checksum::{Sum, require};
use crate::malformed::Malformed;
use crate::output::Output;

/// IGMP: a membership query (RFC 3376 section 4.1).
pub const IGMP_QUERY: u8 = 0x11;
/// IGMP: a version 3 report (RFC 3376 section 4.2).
pub const IGMP_REPORT_V3: u8 = 0x22;
/// ICMPv6: a multicast listener query (RFC 3810 section 5.1).
pub const MLD_QUERY: u8 = 130;
/// ICMPv6: a version 2 report (RFC 3810 section 5.2).
pub const MLD_REPORT_V2: u8 = 143;

/// Every IPv4 host is in it (RFC 1112 section 4).
pub const ALL_SYSTEMS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);
/// Where IGMPv3 reports go (RFC 3376 section 4.2.14).
pub const ALL_IGMP_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 22);
/// Every IPv6 node is in it (RFC 4291 section 2.7.1).
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// Where MLDv2 reports go (RFC 3810 section 5.2.14).
pub const ALL_MLD_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);

/// Octets of a report before its records.
pub const REPORT_HEADER_LEN: usize = 8;

/// A router asks who is in a group, or in any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    /// Which group; `None`: all of them (a general query).
    pub group: Option<IpAddr>,
    /// Answers come within this time, each host after a part of it that it picks by chance.
    pub max_response: Duration,
}

impl Query {
    /// Reads an IGMP message of any version, its checksum verified; `None` if it is no query.
    ///
    /// # Errors
    ///
    /// [`Malformed::IgmpTruncated`], [`Malformed::IgmpChecksum`].
    pub fn parse_igmp(message: &[u8]) -> Result<Option<Self>, Malformed> {
        let &[kind, code, _, _, g0, g1, g2, g3] =
            message.first_chunk().ok_or(Malformed::IgmpTruncated)?;
        require(Sum::new(), message, Malformed::IgmpChecksum)?;
        if kind != IGMP_QUERY {
            return Ok(None);
        }
        let group = Ipv4Addr::new(g0, g1, g2, g3);
        // Version 1 has no response time: ten seconds (RFC 3376 section 7.2.1). Only version 3,
        // longer than 8 octets, has the form with an exponent (section 4.1.1).
        let tenths = match code {
            0 => 100,
            code if message.len() > 8 => floating(code.into(), 4, 3),
            code => u64::from(code),
        };
        Ok(Some(Self {
            group: (!group.is_unspecified()).then_some(group.into()),
            max_response: Duration::from_millis(tenths * 100),
        }))
    }

    /// Reads an MLD query of any version: the second word of an ICMPv6 message of type
    /// [`MLD_QUERY`], and what follows it.
    ///
    /// # Errors
    ///
    /// [`Malformed::IcmpTruncated`].
    pub fn parse_mld([c0, c1, _, _]: [u8; 4], body: &[u8]) -> Result<Self, Malformed> {
        let group: [u8; 16] = *body.first_chunk().ok_or(Malformed::IcmpTruncated)?;
        let group = Ipv6Addr::from(group);
        let code = u16::from_be_bytes([c0, c1]);
        // Version 1 queries have no form with an exponent (RFC 3810 section 8.1: 24 octets).
        let millis = if body.len() > 16 {
            floating(code, 12, 3)
        } else {
            u64::from(code)
        };
        Ok(Self {
            group: (!group.is_unspecified()).then_some(group.into()),
            max_response: Duration::from_millis(millis),
        })
    }
}

/// A response code: small ones as they are, large ones with `mantissa` bits of mantissa and an
/// exponent of 3 bits above them (RFC 3376 section 4.1.1, RFC 3810 section 5.1.3).
fn floating(code: u16, mantissa: u32, bias: u32) -> u64 {
    let code = u64::from(code);
    let top = 1 << (mantissa + 3);
    if code < top {
        return code;
    }
    let exponent = (code >> mantissa) & 7;
    ((code & ((1 << mantissa) - 1)) | 1 << mantissa) << (exponent + u64::from(bias))
}

/// What a record says of a group (RFC 3376 section 4.2.12, RFC 3810 section 5.2.12). Without
/// sources, "exclude" means that everything is wanted, "include" that nothing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RecordKind {
    /// Answer to a query: only these sources.
    IsInclude = 1,
    /// Answer to a query: all but these sources.
    IsExclude = 2,
    /// News: only these sources from now on; without any, the host has left.
    ToInclude = 3,
    /// News: all but these sources from now on; without any, the host has joined.
    ToExclude = 4,
}

/// One group's part of a report, without sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// What it says.
    pub kind: RecordKind,
    /// Of which group.
    pub group: IpAddr,
}

impl Record {
    /// Octets of a record without sources.
    #[must_use]
    pub const fn len(ipv6: bool) -> usize {
        if ipv6 { 20 } else { 8 }
    }

    /// Appends the record.
    pub fn emit(&self, out: &mut impl Output) {
        out.put(&[self.kind as u8, 0, 0, 0]);
        match self.group {
            IpAddr::V4(group) => out.put(&group.octets()),
            IpAddr::V6(group) => out.put(&group.octets()),
        }
    }
}

/// The header of a report of `count` records, its checksum zero. Over IPv6 it is an ICMPv6
/// message.
#[must_use]
pub const fn report_header(ipv6: bool, count: u16) -> [u8; REPORT_HEADER_LEN] {
    let [c0, c1] = count.to_be_bytes();
    let kind = if ipv6 { MLD_REPORT_V2 } else { IGMP_REPORT_V3 };
    [kind, 0, 0, 0, 0, 0, c0, c1]
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::checksum;

    fn igmp(mut message: Vec<u8>) -> Vec<u8> {
        let sum = checksum::checksum(&message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        message
    }

    #[test]
    fn response_codes_are_read_as_their_version_has_them() {
        let wait = |message: Vec<u8>| {
            let query = Query::parse_igmp(&igmp(message)).unwrap().unwrap();
            query.max_response.as_millis()
        };
        // Version 1, version 2, version 3 below and above 128.
        assert_eq!(wait([0x11, 0, 0, 0, 0, 0, 0, 0].into()), 10_000);
        assert_eq!(wait([0x11, 200, 0, 0, 0, 0, 0, 0].into()), 20_000);
        assert_eq!(
            wait([0x11, 100, 0, 0, 0, 0, 0, 0, 2, 125, 0, 0].into()),
            10_000
        );
        // Mantissa 2, exponent 1: (2 | 16) << 4 tenths.
        assert_eq!(
            wait([0x11, 0x92, 0, 0, 0, 0, 0, 0, 2, 125, 0, 0].into()),
            28_800
        );
        let mld = |code: u16, len: usize| {
            let [c0, c1] = code.to_be_bytes();
            let query = Query::parse_mld([c0, c1, 0, 0], &[0; 20][..len]).unwrap();
            query.max_response.as_millis()
        };
        assert_eq!(mld(10_000, 20), 10_000);
        assert_eq!(mld(0x8001, 20), (1 | 0x1000) << 3);
        assert_eq!(mld(0x8001, 16), 0x8001);
    }

    #[test]
    fn a_wrong_sum_and_a_short_message_are_refused() {
        let good = igmp([0x11, 100, 0, 0, 224, 0, 1, 2].into());
        let query = Query::parse_igmp(&good).unwrap().unwrap();
        assert_eq!(query.group, Some(Ipv4Addr::new(224, 0, 1, 2).into()));
        let mut bad = good.clone();
        bad[7] ^= 1;
        assert_eq!(Query::parse_igmp(&bad), Err(Malformed::IgmpChecksum));
        assert_eq!(Query::parse_igmp(&good[..7]), Err(Malformed::IgmpTruncated));
        let report = igmp(report_header(false, 0).into());
        assert_eq!(Query::parse_igmp(&report), Ok(None));
        assert_eq!(
            Query::parse_mld([0; 4], &[0; 15]),
            Err(Malformed::IcmpTruncated)
        );
    }
}

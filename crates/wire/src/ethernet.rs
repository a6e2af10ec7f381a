//! Ethernet frames (IEEE 802.3), as IP uses them (RFC 894, RFC 2464).

use core::fmt;
use core::net::IpAddr;

use crate::malformed::Malformed;
use crate::output::Output;

/// Octets of the header.
pub const HEADER_LEN: usize = 14;

/// The address of a station.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// Every station of the link.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// Whether it names a group of stations.
    #[must_use]
    pub const fn is_group(self) -> bool {
        self.0[0] & 1 == 1
    }

    /// The group of stations that hears `address`, if that is a group of hosts (RFC 1112 section
    /// 6.4, RFC 2464 section 7).
    #[must_use]
    pub const fn of_group(address: IpAddr) -> Option<Self> {
        match address {
            IpAddr::V4(v4) if v4.is_broadcast() => Some(Self::BROADCAST),
            IpAddr::V4(v4) if v4.is_multicast() => {
                let [_, b, c, d] = v4.octets();
                Some(Self([0x01, 0x00, 0x5e, b & 0x7f, c, d]))
            }
            IpAddr::V6(v6) if v6.is_multicast() => {
                let [.., a, b, c, d] = v6.octets();
                Some(Self([0x33, 0x33, a, b, c, d]))
            }
            IpAddr::V4(_) | IpAddr::V6(_) => None,
        }
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EtherType(pub u16);

impl EtherType {
    /// RFC 894.
    pub const IPV4: Self = Self(0x0800);
    /// RFC 826.
    pub const ARP: Self = Self(0x0806);
    /// RFC 2464.
    pub const IPV6: Self = Self(0x86dd);
}

/// A header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EthernetHeader {
    /// Whom it is for.
    pub destination: MacAddr,
    /// Who sent it.
    pub source: MacAddr,
    /// What follows.
    pub kind: EtherType,
}

impl EthernetHeader {
    /// Reads the header of a frame.
    ///
    /// # Errors
    ///
    /// [`Malformed::EthernetTruncated`].
    pub fn parse(frame: &[u8]) -> Result<Self, Malformed> {
        let &[d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, k0, k1] = frame
            .first_chunk::<HEADER_LEN>()
            .ok_or(Malformed::EthernetTruncated)?;
        Ok(Self {
            destination: MacAddr([d0, d1, d2, d3, d4, d5]),
            source: MacAddr([s0, s1, s2, s3, s4, s5]),
            kind: EtherType(u16::from_be_bytes([k0, k1])),
        })
    }

    /// Appends the header.
    pub fn emit(&self, out: &mut impl Output) {
        out.put(&self.destination.0);
        out.put(&self.source.0);
        out.put(&self.kind.0.to_be_bytes());
    }
}

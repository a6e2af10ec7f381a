//! Who has an IPv4 address: ARP over Ethernet (RFC 826).

use core::net::Ipv4Addr;

use crate::ethernet::{EtherType, MacAddr};
use crate::malformed::Malformed;
use crate::output::Output;

/// Octets of a message.
pub const LEN: usize = 28;

/// Hardware type of Ethernet.
const ETHERNET: u16 = 1;

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArpOperation {
    /// Who has the target address?
    Request,
    /// The sender has.
    Reply,
    /// Any other.
    Other(u16),
}

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArpMessage {
    /// What it says.
    pub operation: ArpOperation,
    /// Who says it.
    pub sender: MacAddr,
    /// The sender's address; unspecified in a probe (RFC 5227 section 2.1.1).
    pub sender_ip: Ipv4Addr,
    /// Whom it is said to; zeros in a request.
    pub target: MacAddr,
    /// The address that is asked for, or that of whoever asked.
    pub target_ip: Ipv4Addr,
}

impl ArpMessage {
    /// Reads what follows the Ethernet header.
    ///
    /// # Errors
    ///
    /// [`Malformed::ArpTruncated`], or [`Malformed::ArpFormat`] where it is not about IPv4 over
    /// Ethernet.
    pub fn parse(message: &[u8]) -> Result<Self, Malformed> {
        let fixed = message
            .first_chunk::<LEN>()
            .ok_or(Malformed::ArpTruncated)?;
        let &[h0, h1, p0, p1, 6, 4, o0, o1, ref rest @ ..] = fixed else {
            return Err(Malformed::ArpFormat);
        };
        let hardware = u16::from_be_bytes([h0, h1]);
        let protocol = EtherType(u16::from_be_bytes([p0, p1]));
        if hardware != ETHERNET || protocol != EtherType::IPV4 {
            return Err(Malformed::ArpFormat);
        }
        let &[
            s0,
            s1,
            s2,
            s3,
            s4,
            s5,
            a,
            b,
            c,
            d,
            t0,
            t1,
            t2,
            t3,
            t4,
            t5,
            e,
            f,
            g,
            h,
        ] = rest;
        Ok(Self {
            operation: match u16::from_be_bytes([o0, o1]) {
                1 => ArpOperation::Request,
                2 => ArpOperation::Reply,
                other => ArpOperation::Other(other),
            },
            sender: MacAddr([s0, s1, s2, s3, s4, s5]),
            sender_ip: Ipv4Addr::new(a, b, c, d),
            target: MacAddr([t0, t1, t2, t3, t4, t5]),
            target_ip: Ipv4Addr::new(e, f, g, h),
        })
    }

    /// Appends the message.
    pub fn emit(&self, out: &mut impl Output) {
        let operation = match self.operation {
            ArpOperation::Request => 1,
            ArpOperation::Reply => 2,
            ArpOperation::Other(other) => other,
        };
        out.put(&ETHERNET.to_be_bytes());
        out.put(&EtherType::IPV4.0.to_be_bytes());
        out.put(&[6, 4]);
        out.put(&u16::to_be_bytes(operation));
        out.put(&self.sender.0);
        out.put(&self.sender_ip.octets());
        out.put(&self.target.0);
        out.put(&self.target_ip.octets());
    }

    /// Whether it only asks if an address is in use, or tells that it is (RFC 5227): nobody
    /// wants to be sent anything.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.sender_ip.is_unspecified() || self.sender_ip == self.target_ip
    }
}

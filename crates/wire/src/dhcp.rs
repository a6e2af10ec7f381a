//! DHCP for IPv4 (RFC 2131, RFC 2132): what a server of one address understands and says.

use alloc::vec::Vec;
use core::net::Ipv4Addr;

use crate::ethernet::MacAddr;
use crate::malformed::Malformed;

/// The server's port.
pub const SERVER_PORT: u16 = 67;
/// The client's port.
pub const CLIENT_PORT: u16 = 68;

/// Octets before the options, magic cookie included.
const FIXED_LEN: usize = 240;
/// What a message without options to speak of is padded to: older clients drop shorter ones
/// (RFC 1542 section 2.1).
const MIN_LEN: usize = 300;
const COOKIE: [u8; 4] = [99, 130, 83, 99];

const PAD: u8 = 0;
const SUBNET_MASK: u8 = 1;
const ROUTER: u8 = 3;
const DNS: u8 = 6;
const INTERFACE_MTU: u8 = 26;
const REQUESTED_ADDRESS: u8 = 50;
const LEASE_TIME: u8 = 51;
const MESSAGE_TYPE: u8 = 53;
const SERVER_ID: u8 = 54;
const END: u8 = 255;

/// What a message is (RFC 2132 section 9.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DhcpKind {
    /// Is there a server?
    Discover,
    /// Here, with this address.
    Offer,
    /// I take it, or would keep it.
    Request,
    /// I do not: it is in use.
    Decline,
    /// It is yours.
    Ack,
    /// It is not.
    Nak,
    /// I am done with it.
    Release,
    /// I have an address; what else is there to know?
    Inform,
}

impl DhcpKind {
    const ALL: [Self; 8] = [
        Self::Discover,
        Self::Offer,
        Self::Request,
        Self::Decline,
        Self::Ack,
        Self::Nak,
        Self::Release,
        Self::Inform,
    ];

    fn from_octet(octet: u8) -> Option<Self> {
        let index = usize::from(octet).checked_sub(1)?;
        Self::ALL.get(index).copied()
    }
}

/// A client's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DhcpRequest {
    /// What it is.
    pub kind: DhcpKind,
    /// Its number: answers carry it too.
    pub transaction: [u8; 4],
    /// The client cannot hear unicast yet.
    pub broadcast: bool,
    /// The address that the client has.
    pub client_ip: Ipv4Addr,
    /// Who it is.
    pub station: MacAddr,
    /// The address that it would like.
    pub requested: Option<Ipv4Addr>,
    /// The server that it has chosen.
    pub server: Option<Ipv4Addr>,
}

impl DhcpRequest {
    /// Reads the payload of a datagram to [`SERVER_PORT`].
    ///
    /// # Errors
    ///
    /// [`Malformed::DhcpTruncated`], or [`Malformed::DhcpFormat`] where it is no client's message
    /// over Ethernet.
    pub fn parse(message: &[u8]) -> Result<Self, Malformed> {
        let (fixed, options) = message
            .split_first_chunk::<FIXED_LEN>()
            .ok_or(Malformed::DhcpTruncated)?;
        // Operation 1: from a client; Ethernet, with addresses of 6 octets.
        let &[1, 1, 6, _, x0, x1, x2, x3, _, _, f0, _, c0, c1, c2, c3, ..] = fixed else {
            return Err(Malformed::DhcpFormat);
        };
        let station = fixed.get(28..34).and_then(|mac| mac.first_chunk().copied());
        if fixed.get(236..) != Some(&COOKIE) {
            return Err(Malformed::DhcpFormat);
        }
        let mut request = Self {
            kind: DhcpKind::Discover,
            transaction: [x0, x1, x2, x3],
            broadcast: f0 & 0x80 != 0,
            client_ip: Ipv4Addr::new(c0, c1, c2, c3),
            station: MacAddr(station.ok_or(Malformed::DhcpFormat)?),
            requested: None,
            server: None,
        };
        let kind = request.read_options(options)?;
        request.kind = kind.ok_or(Malformed::DhcpFormat)?;
        Ok(request)
    }

    fn read_options(&mut self, mut options: &[u8]) -> Result<Option<DhcpKind>, Malformed> {
        let mut kind = None;
        loop {
            match *options {
                [] | [END, ..] => return Ok(kind),
                [PAD, ref rest @ ..] => options = rest,
                [code, len, ref rest @ ..] => {
                    let (value, rest) = rest
                        .split_at_checked(usize::from(len))
                        .ok_or(Malformed::DhcpTruncated)?;
                    match (code, value) {
                        (MESSAGE_TYPE, &[octet]) => kind = DhcpKind::from_octet(octet),
                        (REQUESTED_ADDRESS, &[a, b, c, d]) => {
                            self.requested = Some(Ipv4Addr::new(a, b, c, d));
                        }
                        (SERVER_ID, &[a, b, c, d]) => {
                            self.server = Some(Ipv4Addr::new(a, b, c, d));
                        }
                        _ => {}
                    }
                    options = rest;
                }
                [_] => return Err(Malformed::DhcpTruncated),
            }
        }
    }
}

/// What a server gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DhcpLease {
    /// The client's address.
    pub address: Ipv4Addr,
    /// Bits of its network.
    pub prefix_len: u8,
    /// Who serves.
    pub server: Ipv4Addr,
    /// The way out.
    pub router: Option<Ipv4Addr>,
    /// Name servers.
    pub dns: Vec<Ipv4Addr>,
    /// Octets of the largest packet.
    pub mtu: u16,
    /// Seconds that it lasts.
    pub seconds: u32,
}

impl DhcpLease {
    /// The answer of that kind to `request`.
    #[must_use]
    pub fn answer(&self, request: &DhcpRequest, kind: DhcpKind) -> Vec<u8> {
        let is_nak = kind == DhcpKind::Nak;
        let gives_address = !is_nak && request.kind != DhcpKind::Inform;
        let mut out = Vec::with_capacity(MIN_LEN);
        out.extend_from_slice(&[2, 1, 6, 0]);
        out.extend_from_slice(&request.transaction);
        let flags = if request.broadcast || is_nak {
            0x8000
        } else {
            0_u16
        };
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&flags.to_be_bytes());
        let client = if is_nak {
            Ipv4Addr::UNSPECIFIED
        } else {
            request.client_ip
        };
        out.extend_from_slice(&client.octets());
        let given = if gives_address {
            self.address
        } else {
            Ipv4Addr::UNSPECIFIED
        };
        out.extend_from_slice(&given.octets());
        // Next server and relay: none.
        out.extend_from_slice(&[0; 8]);
        out.extend_from_slice(&request.station.0);
        out.resize(FIXED_LEN - COOKIE.len(), 0);
        out.extend_from_slice(&COOKIE);
        let number = DhcpKind::ALL.iter().position(|known| *known == kind);
        let number = number.and_then(|index| u8::try_from(index + 1).ok());
        put(&mut out, MESSAGE_TYPE, &[number.unwrap_or(0)]);
        put(&mut out, SERVER_ID, &self.server.octets());
        if !is_nak {
            self.put_options(&mut out, gives_address);
        }
        out.push(END);
        if out.len() < MIN_LEN {
            out.resize(MIN_LEN, PAD);
        }
        out
    }

    fn put_options(&self, out: &mut Vec<u8>, with_time: bool) {
        if with_time {
            put(out, LEASE_TIME, &self.seconds.to_be_bytes());
        }
        let host_bits = 32 - u32::from(self.prefix_len.min(32));
        let mask = u32::MAX.checked_shl(host_bits).unwrap_or(0);
        put(out, SUBNET_MASK, &mask.to_be_bytes());
        if let Some(router) = self.router {
            put(out, ROUTER, &router.octets());
        }
        if !self.dns.is_empty() {
            let servers = self.dns.iter().flat_map(Ipv4Addr::octets);
            put(out, DNS, &servers.collect::<Vec<u8>>());
        }
        put(out, INTERFACE_MTU, &self.mtu.to_be_bytes());
    }
}

fn put(out: &mut Vec<u8>, code: u8, value: &[u8]) {
    if let Ok(len) = u8::try_from(value.len()) {
        out.extend_from_slice(&[code, len]);
        out.extend_from_slice(value);
    }
}

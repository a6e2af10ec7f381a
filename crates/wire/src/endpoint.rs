//! One exact endpoint of a conversation: address, port and protocol.

use core::fmt;
use core::net::SocketAddr;
use core::str::FromStr;

/// The rulebook of a conversation: a transport protocol that has ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// Reliable, in order, with a start and an end (RFC 9293).
    Tcp,
    /// Messages, no guarantee (RFC 768).
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// A socket's name: `tcp://10.0.2.100:43210`, `udp://[fd00::2]:53`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// How the conversation behaves.
    pub protocol: Protocol,
    /// Which machine, and which service on it.
    pub address: SocketAddr,
}

impl Endpoint {
    /// The TCP endpoint at `address`.
    #[must_use]
    pub const fn tcp(address: SocketAddr) -> Self {
        Self {
            protocol: Protocol::Tcp,
            address,
        }
    }

    /// The UDP endpoint at `address`.
    #[must_use]
    pub const fn udp(address: SocketAddr) -> Self {
        Self {
            protocol: Protocol::Udp,
            address,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.protocol, self.address)
    }
}

/// What kept a text from being an [`Endpoint`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointError {
    /// No `tcp://` or `udp://` in front.
    NoProtocol,
    /// A protocol that has no ports here, or none that we know.
    UnknownProtocol,
    /// What follows the protocol is no `ADDRESS:PORT`.
    NoAddressAndPort,
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoProtocol => "an endpoint starts with tcp:// or udp://",
            Self::UnknownProtocol => "the protocol of an endpoint is tcp or udp",
            Self::NoAddressAndPort => "an endpoint ends in ADDRESS:PORT, IPv6 in brackets",
        })
    }
}

impl core::error::Error for EndpointError {}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let (protocol, address) = text.split_once("://").ok_or(EndpointError::NoProtocol)?;
        let protocol = match protocol {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            _ => return Err(EndpointError::UnknownProtocol),
        };
        let address = address
            .parse()
            .map_err(|_| EndpointError::NoAddressAndPort)?;
        Ok(Self { protocol, address })
    }
}

//! rtnetlink (RFC 3549): requests, attributes, acknowledgements.

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

const NLMSG_HEADER_LEN: usize = 16;
pub(crate) const RTM_NEWLINK: u16 = 16;
const NLMSG_ERROR: u16 = 2;
/// `NLM_F_REQUEST | NLM_F_ACK`; and with `NLM_F_CREATE | NLM_F_REPLACE`.
pub(crate) const CHANGE: u16 = 0x1 | 0x4;
pub(crate) const CREATE: u16 = CHANGE | 0x400 | 0x100;
/// `NLM_F_CREATE | NLM_F_EXCL` beside it.
pub(crate) const CREATE_NEW: u16 = CHANGE | 0x400 | 0x200;
pub(crate) const IFLA_ADDRESS: u16 = 1;
pub(crate) const IFLA_IFNAME: u16 = 3;
pub(crate) const IFLA_MTU: u16 = 4;
pub(crate) const IFLA_LINKINFO: u16 = 18;
pub(crate) const IFLA_NET_NS_FD: u16 = 28;

/// One request: header, fixed part, attributes.
pub(crate) struct Message(Vec<u8>);

impl Message {
    pub(crate) fn new(kind: u16, flags: u16) -> Self {
        let mut octets = vec![0; NLMSG_HEADER_LEN];
        octets[4..6].copy_from_slice(&kind.to_ne_bytes());
        octets[6..8].copy_from_slice(&flags.to_ne_bytes());
        Self(octets)
    }

    /// What is to be nested in an attribute.
    pub(crate) fn nested() -> Self {
        Self(Vec::new())
    }

    /// Appends octets that are no attribute: a request's fixed part.
    pub(crate) fn put(mut self, octets: &[u8]) -> Self {
        self.0.extend_from_slice(octets);
        self
    }

    /// Appends an attribute, padded to 4 octets.
    pub(crate) fn attribute(self, kind: u16, value: &[u8]) -> Self {
        let len = 4 + value.len() as u16;
        let mut message = self
            .put(&len.to_ne_bytes())
            .put(&kind.to_ne_bytes())
            .put(value);
        message.0.resize(message.0.len().next_multiple_of(4), 0);
        message
    }

    /// Appends an attribute that holds `nested`.
    pub(crate) fn nest(self, kind: u16, nested: &Self) -> Self {
        self.attribute(kind, &nested.0)
    }

    /// Appends a text, with the NUL at its end.
    pub(crate) fn text(self, kind: u16, text: &str) -> Self {
        let mut octets = text.as_bytes().to_vec();
        octets.push(0);
        self.attribute(kind, &octets)
    }

    pub(crate) fn address(self, kind: u16, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => self.attribute(kind, &address.octets()),
            IpAddr::V6(address) => self.attribute(kind, &address.octets()),
        }
    }

    /// The message's octets, with `sequence` to know its acknowledgement by.
    fn finish(mut self, sequence: u32) -> Vec<u8> {
        let len = self.0.len() as u32;
        self.0[..4].copy_from_slice(&len.to_ne_bytes());
        self.0[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.0
    }
}

/// A routing socket of this network namespace.
pub(crate) struct Netlink(pub(crate) OwnedFd);

impl Netlink {
    pub(crate) fn open() -> io::Result<Self> {
        let socket = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            None,
        )?;
        rustix::net::bind(&socket, &SocketAddrNetlink::new(0, 0))?;
        Ok(Self(socket))
    }

    /// Sends all requests at once and waits for the last one's acknowledgement: the index of
    /// the first that was refused, and why.
    pub(crate) fn ask_all(&self, messages: Vec<Message>) -> io::Result<Option<(usize, io::Error)>> {
        let count = messages.len();
        let numbered = (0..).zip(messages);
        let request: Vec<u8> = numbered
            .flat_map(|(sequence, message)| message.finish(sequence))
            .collect();
        let kernel = SocketAddrNetlink::new(0, 0);
        rustix::net::sendto(&self.0, &request, SendFlags::empty(), &kernel)?;
        let mut refused = None;
        let mut answer = [0; 4096];
        for _ in 0..count {
            let (len, _) = rustix::net::recv(&self.0, &mut answer[..], RecvFlags::empty())?;
            let answer = answer.get(..len).unwrap_or_default();
            let (sequence, errno) = acknowledgement(answer).ok_or(io::ErrorKind::InvalidData)?;
            if errno != 0 && refused.is_none() {
                refused = Some((sequence, io::Error::from_raw_os_error(-errno)));
            }
        }
        Ok(refused)
    }
}

/// `nlmsghdr`, then `nlmsgerr`: which request it is about, and a negative errno, or 0.
fn acknowledgement(answer: &[u8]) -> Option<(usize, i32)> {
    let four = |at: usize| <[u8; 4]>::try_from(answer.get(at..at + 4)?).ok();
    let kind = answer.get(4..6)?;
    let errno = i32::from_ne_bytes(four(NLMSG_HEADER_LEN)?);
    let sequence = u32::from_ne_bytes(four(8)?);
    (kind == NLMSG_ERROR.to_ne_bytes()).then_some((sequence as usize, errno))
}

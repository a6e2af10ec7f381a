//! The error queue of a host socket (`IP_RECVERR`, ip(7)): what an ICMP error said, who sent
//! it, and about which datagram.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd};

use arrayvec::ArrayVec;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg};
use switchboard::Unreachable;

/// Octets kept of the packet that drew the error.
const QUOTED: usize = 64;

/// Room for the control messages of one error: the error itself, its offender's address, and
/// whatever else the socket asked for.
const CONTROL: usize = 512;

/// One ICMP error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QueuedError {
    /// What it said; `None`: it did not come from an ICMP message that we know.
    pub(crate) why: Option<Unreachable>,
    /// The error number that the host made of it.
    pub(crate) errno: i32,
    /// Who sent it; `None`: this machine itself found out.
    pub(crate) offender: Option<IpAddr>,
    /// Where the packet was going.
    pub(crate) destination: Option<SocketAddr>,
    /// The beginning of the payload that drew it.
    pub(crate) quoted: ArrayVec<u8, QUOTED>,
}

/// Takes the oldest error; [`io::ErrorKind::WouldBlock`] when there is none.
pub(crate) fn read_error_queue(socket: &impl AsFd) -> io::Result<QueuedError> {
    let mut quoted = [0; QUOTED];
    let mut iov = [IoSliceMut::new(&mut quoted)];
    let mut control = [0; CONTROL];
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let fd = socket.as_fd().as_raw_fd();
    let message = recvmsg::<SockaddrStorage>(fd, &mut iov, Some(&mut control), flags)?;
    let destination = message.address.as_ref().and_then(socket_address);
    let len = message.bytes.min(QUOTED);
    let mut error = QueuedError {
        why: None,
        errno: libc::EIO,
        offender: None,
        destination,
        quoted: ArrayVec::new(),
    };
    for control in message.cmsgs()? {
        match control {
            ControlMessageOwned::Ipv4RecvErr(said, offender) => {
                let by = offender.map(|by| Ipv4Addr::from(u32::from_be(by.sin_addr.s_addr)));
                error.note(&said, by.map(IpAddr::V4));
            }
            ControlMessageOwned::Ipv6RecvErr(said, offender) => {
                let by = offender.map(|by| Ipv6Addr::from(by.sin6_addr.s6_addr));
                error.note(&said, by.map(IpAddr::V6));
            }
            _ => {}
        }
    }
    let quoted = quoted.get(..len).unwrap_or_default();
    let _ = error.quoted.try_extend_from_slice(quoted);
    Ok(error)
}

impl QueuedError {
    /// Where the datagram of this very call was too long to leave this machine: the MTU.
    pub(crate) fn did_not_leave(&self) -> Option<Unreachable> {
        let is_too_big = |why: &Unreachable| matches!(why, Unreachable::TooBig { .. });
        self.why
            .filter(|why| self.offender.is_none() && is_too_big(why))
    }

    fn note(&mut self, said: &libc::sock_extended_err, offender: Option<IpAddr>) {
        self.errno = i32::try_from(said.ee_errno).unwrap_or(libc::EIO);
        self.why = match said.ee_origin {
            libc::SO_EE_ORIGIN_ICMP => icmp(said.ee_type, said.ee_code, said.ee_info),
            libc::SO_EE_ORIGIN_ICMP6 => icmp_v6(said.ee_type, said.ee_code, said.ee_info),
            // This machine's own link, or what it knows of the path: the packet did not leave.
            libc::SO_EE_ORIGIN_LOCAL if self.errno == libc::EMSGSIZE && said.ee_info > 0 => {
                Some(Unreachable::TooBig { mtu: said.ee_info })
            }
            _ => None,
        };
        if said.ee_origin != libc::SO_EE_ORIGIN_LOCAL && self.why.is_some() {
            self.offender = offender.filter(|by| !by.is_unspecified());
        }
    }
}

/// RFC 792, with the codes of RFC 1122 section 3.2.2.1 and RFC 1812 section 5.2.7.1.
fn icmp(kind: u8, code: u8, info: u32) -> Option<Unreachable> {
    Some(match (kind, code) {
        (3, 0 | 6 | 11) => Unreachable::Network,
        (3, 1 | 7 | 8 | 12) => Unreachable::Host,
        (3, 2) => Unreachable::Protocol,
        (3, 3) => Unreachable::Port,
        (3, 4) => Unreachable::TooBig { mtu: info },
        (3, 5) => Unreachable::SourceRoute,
        (3, _) => Unreachable::Prohibited,
        (11, _) => Unreachable::TimeExceeded,
        (12, _) => Unreachable::ParameterProblem,
        _ => return None,
    })
}

/// RFC 4443 sections 3.1 to 3.4.
fn icmp_v6(kind: u8, code: u8, info: u32) -> Option<Unreachable> {
    Some(match (kind, code) {
        (1, 0) => Unreachable::Network,
        (1, 1 | 5 | 6) => Unreachable::Prohibited,
        (1, 4) => Unreachable::Port,
        (1, _) => Unreachable::Host,
        (2, _) => Unreachable::TooBig { mtu: info },
        (3, _) => Unreachable::TimeExceeded,
        (4, 1) => Unreachable::Protocol,
        (4, _) => Unreachable::ParameterProblem,
        _ => return None,
    })
}

fn socket_address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = storage.as_sockaddr_in() {
        return Some(SocketAddrV4::from(*v4).into());
    }
    let v6 = storage.as_sockaddr_in6()?;
    Some(SocketAddrV6::from(*v6).into())
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::time::Duration;

    use super::*;
    use crate::outside::want_errors;

    #[test]
    fn a_closed_port_of_this_machine_is_told_with_its_offender() {
        for loopback in ["127.0.0.1", "::1"] {
            let loopback: IpAddr = loopback.parse().unwrap();
            let Ok(closed) = UdpSocket::bind((loopback, 0)) else {
                // Past the capture of the test's output: a skip is to be seen.
                let _ = std::io::Write::write_fmt(
                    &mut std::io::stderr(),
                    format_args!("skipped: needs {loopback}\n"),
                );
                continue;
            };
            let to = closed.local_addr().unwrap();
            drop(closed);
            let socket = UdpSocket::bind((loopback, 0)).unwrap();
            want_errors(&socket, to, true).unwrap();
            socket.send_to(b"anyone there?", to).unwrap();
            socket
                .set_read_timeout(Some(Duration::from_secs(2)))
                .unwrap();
            let refused = socket.recv(&mut [0]).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
            let error = read_error_queue(&socket).unwrap();
            assert_eq!(error.why, Some(Unreachable::Port));
            assert_eq!(error.offender, Some(loopback));
            assert_eq!(error.destination, Some(to));
            assert_eq!(error.quoted.as_slice(), b"anyone there?");
            assert_eq!(error.errno, libc::ECONNREFUSED);
            let empty = read_error_queue(&socket).unwrap_err();
            assert_eq!(empty.kind(), io::ErrorKind::WouldBlock);
        }
    }
}

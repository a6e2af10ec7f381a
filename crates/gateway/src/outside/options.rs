//! Socket options without a safe call elsewhere.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::sockopt_impl;
use nix::sys::socket::{setsockopt, sockopt};

use crate::registry::FarFigures;

sockopt_impl!(
    /// How the host finds out the path's MTU for this socket (ip(7)).
    IpMtuDiscover, SetOnly, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::c_int
);
sockopt_impl!(
    /// The same over IPv6.
    Ipv6MtuDiscover, SetOnly, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::c_int
);
sockopt_impl!(
    /// What the host knows of a connection (tcp(7)).
    TcpInfo, GetOnly, libc::IPPROTO_TCP, libc::TCP_INFO, libc::tcp_info
);

/// What a datagram's DF bit asks of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MtuDiscovery {
    /// DF is set where the datagram fits the path as far as it is known, and ICMP is heard.
    On,
    /// DF is clear: whoever has to may fragment.
    Off,
}

pub(crate) fn set_mtu_discovery(
    socket: &impl AsFd,
    family: SocketAddr,
    discovery: MtuDiscovery,
) -> io::Result<()> {
    let value = |on, off| match discovery {
        MtuDiscovery::On => on,
        MtuDiscovery::Off => off,
    };
    match family {
        SocketAddr::V4(_) => {
            let value = value(libc::IP_PMTUDISC_WANT, libc::IP_PMTUDISC_DONT);
            setsockopt(socket, IpMtuDiscover, &value)?;
        }
        SocketAddr::V6(_) => {
            let value = value(libc::IPV6_PMTUDISC_WANT, libc::IPV6_PMTUDISC_DONT);
            setsockopt(socket, Ipv6MtuDiscover, &value)?;
        }
    }
    Ok(())
}

/// Asks the host to queue ICMP errors with everything that is known of them.
pub(crate) fn want_errors(socket: &impl AsFd, family: SocketAddr, want: bool) -> io::Result<()> {
    match family {
        SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4RecvErr, &want)?,
        SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvErr, &want)?,
    }
    Ok(())
}

/// A connection of the host.
pub(crate) trait HostTcp {
    /// Round trip and resends, as the host counts them.
    fn figures(&self) -> FarFigures;
}

impl<T: AsFd> HostTcp for T {
    fn figures(&self) -> FarFigures {
        match nix::sys::socket::getsockopt(self, TcpInfo) {
            Ok(info) => FarFigures {
                rtt: (info.tcpi_rtt > 0).then(|| Duration::from_micros(info.tcpi_rtt.into())),
                resent: Some(info.tcpi_total_retrans.into()),
            },
            Err(_) => FarFigures::default(),
        }
    }
}

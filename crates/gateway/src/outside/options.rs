//! Options of host sockets.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use nix::sys::socket::{setsockopt, sockopt};
use switchboard::device::host_socket::{self, MtuDiscovery};

use crate::figures::{FarFigures, Half};

/// Lets the host treat DF as the program asked.
pub(crate) fn set_dont_fragment(socket: &impl AsFd, to: SocketAddr, yes: bool) -> io::Result<()> {
    let discovery = match yes {
        true => MtuDiscovery::Want,
        false => MtuDiscovery::Never,
    };
    host_socket::set_mtu_discovery(socket, to.is_ipv6(), discovery)
}

/// Asks the host to queue ICMP errors with everything that is known of them.
pub(crate) fn want_errors(socket: &impl AsFd, family: SocketAddr, want: bool) -> io::Result<()> {
    match family {
        SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4RecvErr, &want)?,
        SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvErr, &want)?,
    }
    Ok(())
}

/// Round trip and resends of a connection, as the host counts them.
pub(crate) fn far_figures(socket: &impl AsFd) -> FarFigures {
    match host_socket::tcp_info(socket) {
        Ok(info) => FarFigures {
            rtt: (!info.rtt.is_zero()).then_some(info.rtt),
            resent: Some(info.retransmits.into()),
        },
        Err(_) => FarFigures::default(),
    }
}

/// The same in full.
pub(crate) fn far_half(socket: &impl AsFd) -> Half {
    let Ok(info) = host_socket::tcp_info(socket) else {
        return Half::default();
    };
    let rtt = (!info.rtt.is_zero()).then_some(info.rtt);
    Half {
        rtt,
        rtt_variation: rtt.map(|_| info.rttvar),
        resent: Some(info.retransmits.into()),
        segment: Some(info.send_mss.into()),
        in_flight: Some(u64::from(info.unacked) * u64::from(info.send_mss)),
        ..Half::default()
    }
}

//! Options of host sockets.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use nix::sys::socket::{setsockopt, sockopt};
use switchboard::device::host_socket::{self, MtuDiscovery};

use crate::figures::{FarFigures, Half};

/// The link that the host most likely has, in octets.
pub(crate) const HOST_MTU: u32 = 1500;

/// How the host is to treat DF on a datagram of `len` octets that the program's kernel gave DF or
/// not.
///
/// That kernel sees a link of 64 KiB, so it gives DF to long datagrams that it would have cut on
/// a link of the host's kind: those the host cuts. DF of one that such a link carries whole is
/// meant, and what the path says of it is the program's to hear (RFC 1191 section 3).
pub(crate) fn mtu_discovery(to: SocketAddr, dont_fragment: bool, len: usize) -> MtuDiscovery {
    let headers = if to.is_ipv4() { 28 } else { 48 };
    match dont_fragment {
        false => MtuDiscovery::Never,
        true if len + headers <= HOST_MTU as usize => MtuDiscovery::Always,
        true => MtuDiscovery::Want,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn df_is_meant_where_an_ordinary_link_carries_the_datagram_whole() {
        let to: SocketAddr = "192.0.2.1:9".parse().unwrap();
        assert_eq!(mtu_discovery(to, true, 1472), MtuDiscovery::Always);
        assert_eq!(mtu_discovery(to, true, 1473), MtuDiscovery::Want);
        assert_eq!(mtu_discovery(to, false, 100), MtuDiscovery::Never);
        let to: SocketAddr = "[2001:db8::1]:9".parse().unwrap();
        assert_eq!(mtu_discovery(to, true, 1452), MtuDiscovery::Always);
        assert_eq!(mtu_discovery(to, true, 1453), MtuDiscovery::Want);
    }
}

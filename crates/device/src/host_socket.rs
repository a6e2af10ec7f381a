//! What the host's own sockets can be asked or told that no safe call elsewhere offers.
//!
//! Not a device; it lives here because this crate is where talking to the host's kernel may
//! need `unsafe`, and so that the gateway needs none.

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

/// What the host knows of a TCP connection of its own (`TCP_INFO`, tcp(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostTcpInfo {
    /// Smoothed round trip; zero until measured.
    pub rtt: Duration,
    /// Its variation.
    pub rttvar: Duration,
    /// Segments sent again since it began.
    pub retransmits: u32,
    /// Payload octets that a full segment carries.
    pub send_mss: u32,
    /// Segments sent and not acknowledged yet.
    pub unacked: u32,
}

/// Asks the host about one of its connections.
///
/// # Errors
///
/// The descriptor is no TCP socket.
pub fn tcp_info(socket: &impl AsFd) -> io::Result<HostTcpInfo> {
    // SAFETY: every field of `tcp_info` is an integer, for which zero is a value.
    let mut info: libc::tcp_info = unsafe { mem::zeroed() };
    let mut len = libc::socklen_t::try_from(mem::size_of_val(&info)).unwrap_or(0);
    // SAFETY: the pointer and `len` describe `info`, which outlives the call; the kernel
    // writes at most `len` octets and leaves what it does not know as it was.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut len,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(HostTcpInfo {
        rtt: Duration::from_micros(info.tcpi_rtt.into()),
        rttvar: Duration::from_micros(info.tcpi_rttvar.into()),
        retransmits: info.tcpi_total_retrans,
        send_mss: info.tcpi_snd_mss,
        unacked: info.tcpi_unacked,
    })
}

/// How the host treats DF on what a datagram socket sends (`IP_MTU_DISCOVER`, ip(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MtuDiscovery {
    /// DF is set where the datagram fits the path as far as that is known; longer ones are
    /// cut. ICMP "too big" is heard.
    Want,
    /// DF is set; what does not fit the path as far as that is known fails (`EMSGSIZE`), with
    /// the MTU in the error queue.
    Always,
    /// DF is clear: whoever has to may cut.
    Never,
}

/// Sets the treatment of DF on a datagram socket of either family.
///
/// # Errors
///
/// The descriptor is no such socket.
pub fn set_mtu_discovery(
    socket: &impl AsFd,
    is_ipv6: bool,
    discovery: MtuDiscovery,
) -> io::Result<()> {
    let (level, name, value) = match (is_ipv6, discovery) {
        (false, MtuDiscovery::Want) => (
            libc::IPPROTO_IP,
            libc::IP_MTU_DISCOVER,
            libc::IP_PMTUDISC_WANT,
        ),
        (false, MtuDiscovery::Always) => (
            libc::IPPROTO_IP,
            libc::IP_MTU_DISCOVER,
            libc::IP_PMTUDISC_DO,
        ),
        (true, MtuDiscovery::Always) => (
            libc::IPPROTO_IPV6,
            libc::IPV6_MTU_DISCOVER,
            libc::IPV6_PMTUDISC_DO,
        ),
        (false, MtuDiscovery::Never) => (
            libc::IPPROTO_IP,
            libc::IP_MTU_DISCOVER,
            libc::IP_PMTUDISC_DONT,
        ),
        (true, MtuDiscovery::Want) => (
            libc::IPPROTO_IPV6,
            libc::IPV6_MTU_DISCOVER,
            libc::IPV6_PMTUDISC_WANT,
        ),
        (true, MtuDiscovery::Never) => (
            libc::IPPROTO_IPV6,
            libc::IPV6_MTU_DISCOVER,
            libc::IPV6_PMTUDISC_DONT,
        ),
    };
    let len = libc::socklen_t::try_from(mem::size_of_val(&value)).unwrap_or(0);
    // SAFETY: the pointer and `len` describe `value`, which outlives the call; the kernel
    // only reads it.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            len,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

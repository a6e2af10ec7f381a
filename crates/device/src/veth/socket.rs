//! Packet sockets: the options that make one an end of a link.

use std::ffi::c_int;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType};

/// `PACKET_FANOUT_FLAG_IGNORE_OUTGOING` of `linux/if_packet.h`, Linux 5.13 and later.
const FANOUT_IGNORE_OUTGOING: c_int = 0x4000;

/// All protocols, in network order.
const ALL_PROTOCOLS: u16 = (libc::ETH_P_ALL as u16).to_be();

/// A socket for packets of this network namespace that receives nothing yet.
pub(super) fn open() -> io::Result<OwnedFd> {
    // Without a protocol: it begins to receive when it is bound, not before.
    let socket = rustix::net::socket_with(
        AddressFamily::PACKET,
        SocketType::RAW,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?;
    set(&socket, libc::SOL_PACKET, libc::PACKET_VNET_HDR, 1)?;
    // The far end comes up before the program's does, without a carrier and so without a queue of
    // its own: the kernel would drop what is sent, without a word, until it has noticed the
    // carrier, which takes it up to a second. A veth needs no queue: its other end takes a packet
    // in the same call.
    set(&socket, libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS, 1)?;
    // Ours never come back to us; those of the kernel (IPv6 where it cannot be switched off) may.
    let _ = set(&socket, libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, 1);
    Ok(socket)
}

/// Asks for `octets` of room for what waits to be read; returns what there is. Both count the
/// kernel's own memory with the packets.
pub(super) fn set_receive_room(socket: &OwnedFd, octets: usize) -> io::Result<usize> {
    // The kernel doubles what it is told (socket(7)), and cuts at `net.core.rmem_max`.
    let half = c_int::try_from(octets / 2).unwrap_or(c_int::MAX);
    set(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, half)?;
    receive_room(socket)
}

/// Octets of room for what waits to be read.
pub(super) fn receive_room(socket: &OwnedFd) -> io::Result<usize> {
    let granted: c_int = get(socket, libc::SOL_SOCKET, libc::SO_RCVBUF)?;
    Ok(usize::try_from(granted).unwrap_or(0))
}

/// Asks for `octets` of room for what was written and is still on its way.
pub(super) fn set_send_room(socket: &OwnedFd, octets: usize) -> io::Result<()> {
    let half = c_int::try_from(octets / 2).unwrap_or(c_int::MAX);
    set(socket, libc::SOL_SOCKET, libc::SO_SNDBUF, half)
}

/// Receives from the interface `index` from now on.
pub(super) fn bind(socket: &OwnedFd, index: u32) -> io::Result<()> {
    // SAFETY: `sockaddr_ll` is plain data of integers; all zeros is a value of it.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    address.sll_family = libc::AF_PACKET as libc::sa_family_t;
    address.sll_protocol = ALL_PROTOCOLS;
    address.sll_ifindex = c_int::try_from(index).map_err(|_| io::ErrorKind::InvalidInput)?;
    let len = mem::size_of_val(&address) as libc::socklen_t;
    // SAFETY: the pointer and `len` describe `address`, which outlives the call.
    let result = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), len) };
    check(result)
}

/// Makes it a member of this namespace's one group whose members are filled one after the other:
/// the next one when the last one's room is three quarters used (`PACKET_FANOUT_ROLLOVER`).
pub(super) fn join_chain(socket: &OwnedFd) -> io::Result<()> {
    // The group's number, then how packets are dealt out.
    let chain = 1 | (libc::PACKET_FANOUT_ROLLOVER as c_int) << 16;
    let only_inward = chain | FANOUT_IGNORE_OUTGOING << 16;
    set(socket, libc::SOL_PACKET, libc::PACKET_FANOUT, only_inward)
        .or_else(|_| set(socket, libc::SOL_PACKET, libc::PACKET_FANOUT, chain))
}

/// Packets for which there was no room since the last call.
pub(super) fn overflows(socket: BorrowedFd<'_>) -> io::Result<u32> {
    let stats: libc::tpacket_stats = get_raw(
        socket.as_raw_fd(),
        libc::SOL_PACKET,
        libc::PACKET_STATISTICS,
    )?;
    Ok(stats.tp_drops)
}

fn set(socket: &OwnedFd, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    let len = mem::size_of_val(&value) as libc::socklen_t;
    // SAFETY: the pointer and `len` describe `value`, which outlives the call; the kernel only
    // reads it.
    let result = unsafe {
        let value = (&raw const value).cast();
        libc::setsockopt(socket.as_raw_fd(), level, name, value, len)
    };
    check(result)
}

fn get(socket: &OwnedFd, level: c_int, name: c_int) -> io::Result<c_int> {
    get_raw(socket.as_raw_fd(), level, name)
}

/// Reads an option whose value is plain data.
fn get_raw<T: Plain>(socket: c_int, level: c_int, name: c_int) -> io::Result<T> {
    // SAFETY: `Plain` says that all zeros is a value.
    let mut value: T = unsafe { mem::zeroed() };
    let mut len = mem::size_of_val(&value) as libc::socklen_t;
    // SAFETY: the pointer and `len` describe `value`, which outlives the call; the kernel writes
    // at most `len` octets, and `Plain` says that any octets are a value.
    let result = unsafe {
        let value = (&raw mut value).cast();
        libc::getsockopt(socket, level, name, value, &raw mut len)
    };
    check(result).map(|()| value)
}

/// Types of which any octets are a value.
///
/// # Safety
///
/// Integers and structures of nothing else.
unsafe trait Plain {}
// SAFETY: an integer.
unsafe impl Plain for c_int {}
// SAFETY: two integers.
unsafe impl Plain for libc::tpacket_stats {}

fn check(result: c_int) -> io::Result<()> {
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

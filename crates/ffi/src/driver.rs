//! The thread that drives a network in real time: packets that arrive, and timers.

use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use switchboard_core::Instant;

use crate::errno::Errno;
use crate::kernel;
use crate::network::Network;

/// Packets that are read before they are worked on.
const BATCH: usize = 64;
/// The longest packet.
const PACKET_MAX: usize = 65_535;

/// Starts the thread.
pub(crate) fn spawn(network: &Arc<Network>) -> Result<(), Errno> {
    let network = Arc::clone(network);
    let thread = std::thread::Builder::new().name("switchboard".to_owned());
    thread.spawn(move || drive(&network)).map_err(Errno::from)?;
    Ok(())
}

fn drive(network: &Arc<Network>) {
    let Some(bell) = &network.bell else { return };
    // The descriptors of the links stay the same as long as the network lives.
    let links: Vec<(usize, i32)> = {
        let state = network.lock_apart();
        let hosts = state.hosts.iter().enumerate();
        hosts
            .filter_map(|(at, host)| Some((at, host.link.fd()?.as_raw_fd())))
            .collect()
    };
    let mut room = BytesMut::new();
    loop {
        let mut entries = vec![kernel::poll_entry(bell.as_raw_fd(), libc::POLLIN)];
        let timeout = {
            let mut state = network.lock_apart();
            if state.is_over() {
                return;
            }
            for (at, fd) in &links {
                let link = state.hosts.get(*at).map(|host| &host.link);
                let Some(link) = link.filter(|link| link.fd().is_some()) else {
                    continue;
                };
                let writable = if link.is_backed_up() {
                    libc::POLLOUT
                } else {
                    0
                };
                entries.push(kernel::poll_entry(*fd, libc::POLLIN | writable));
            }
            let next = state.next_deadline();
            state.driver_until = next;
            let now = network.now(&state);
            next.map(|next| next.saturating_since(now))
        };
        if kernel::poll(&mut entries, timeout).is_err() {
            return;
        }
        if entries
            .iter()
            .any(|entry| entry.fd == bell.as_raw_fd() && entry.revents != 0)
        {
            kernel::hush(bell.as_fd());
        }
        for (at, fd) in &links {
            let entry = entries.iter().find(|entry| entry.fd == *fd);
            let revents = entry.map_or(0, |entry| entry.revents);
            if revents != 0 {
                serve(network, *at, &mut room);
            }
        }
        network.with_apart(|state, now| state.handle_timeouts(now));
    }
}

/// A link's descriptor is readable, writable, or broken.
fn serve(network: &Arc<Network>, at: usize, room: &mut BytesMut) {
    network.with_apart(|state, now| {
        if let Some(host) = state.hosts.get_mut(at) {
            host.link.retry(now);
        }
        for _ in 0..BATCH {
            let Some(link) = state.hosts.get_mut(at).map(|host| &mut host.link) else {
                return;
            };
            match read(link, room) {
                Ok(Some(packet)) => state.receive(at, now, packet),
                Ok(None) => return,
                Err(_) => {
                    link.fail();
                    return;
                }
            }
        }
    });
}

/// The next packet that the descriptor has.
fn read(link: &crate::link::Link, room: &mut BytesMut) -> Result<Option<Bytes>, Errno> {
    let Some(fd) = link.fd() else { return Ok(None) };
    room.resize(PACKET_MAX, 0);
    match kernel::read(fd, room) {
        // The other end of a pair of sockets is closed.
        Ok(0) => Err(Errno::ENETDOWN),
        // A copy of the length that it has: what waits to be read pins no more than that.
        Ok(len) => Ok(room.get(..len).map(Bytes::copy_from_slice)),
        Err(Errno::EAGAIN | Errno(libc::EINTR)) => Ok(None),
        Err(errno) => Err(errno),
    }
}

impl Network {
    /// `with`, for the driver, who takes part in no virtual time and needs no bell: it looks what
    /// is due, and which links are backed up, before it sleeps.
    fn with_apart(&self, act: impl FnOnce(&mut crate::network::State, Instant)) {
        let mut state = self.lock_apart();
        let now = self.now(&state);
        act(&mut state, now);
        state.pump(now);
    }
}

impl crate::link::Link {
    fn fail(&mut self) {
        if let Self::Descriptor { is_broken, .. } = self {
            *is_broken = true;
        }
    }
}

//! Opening stacks: over a TUN, over a descriptor of the caller's, or two with a link in memory.

use std::ffi::c_int;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use switchboard_core::{Cidr, Config};

use crate::clock::Clock;
use crate::descriptor::{self, Kind, StackHandle};
use crate::errno::Errno;
use crate::kernel;
use crate::link::Link;
use crate::network::{Host, Network};

/// The largest packet where the caller does not say.
const MTU: usize = 1500;

/// What a stack is made with.
pub(crate) struct Plan {
    pub(crate) addresses: Vec<Cidr>,
    /// Octets; 0: `MTU`.
    pub(crate) mtu: usize,
    /// 0: from the system's best randomness.
    pub(crate) seed: u64,
    pub(crate) is_virtual: bool,
}

impl Plan {
    pub(crate) fn parse_addresses(text: &str) -> Result<Vec<Cidr>, Errno> {
        let words = text.split([',', ' ']).filter(|word| !word.is_empty());
        let addresses: Result<Vec<Cidr>, _> = words.map(str::parse).collect();
        addresses
            .ok()
            .filter(|addresses| !addresses.is_empty())
            .ok_or(Errno::EINVAL)
    }

    pub(crate) fn host(self, link: Link) -> Result<Host, Errno> {
        let mut seed = [0; 32];
        if self.seed == 0 {
            seed = kernel::random()?;
        } else if let Some(front) = seed.first_chunk_mut() {
            *front = self.seed.to_le_bytes();
        }
        let mut config = Config {
            addresses: self.addresses,
            mtu: if self.mtu == 0 { MTU } else { self.mtu },
            ..Config::default()
        };
        // C programs expect that a port in TIME-WAIT is refused unless they say otherwise.
        config.tcp.defaults.reuse_address = false;
        Ok(Host::new(config, seed, link))
    }
}

/// The stack of sockets whose caller names none.
static DEFAULT: AtomicI32 = AtomicI32::new(-1);

/// A descriptor for one host of a network.
pub(crate) fn name(network: &Arc<Network>, host: usize) -> Result<c_int, Errno> {
    let stack = descriptor::add(Kind::Stack(StackHandle::new(network, host)))?;
    // The first one is the default until somebody says otherwise.
    let _ = DEFAULT.compare_exchange(-1, stack, Ordering::Relaxed, Ordering::Relaxed);
    Ok(stack)
}

/// Sockets whose caller names no stack are on this one from now on.
pub(crate) fn make_default(stack: c_int) -> Result<(), Errno> {
    with(stack, |_| Ok(()))?;
    DEFAULT.store(stack, Ordering::Relaxed);
    Ok(())
}

/// The default stack's descriptor.
pub(crate) fn default() -> c_int {
    DEFAULT.load(Ordering::Relaxed)
}

/// A stack that was closed is nobody's default.
pub(crate) fn forget_default(stack: c_int) {
    let _ = DEFAULT.compare_exchange(stack, -1, Ordering::Relaxed, Ordering::Relaxed);
}

/// A stack, by descriptor.
pub(crate) fn with<T>(
    stack: c_int,
    act: impl FnOnce(&StackHandle) -> Result<T, Errno>,
) -> Result<T, Errno> {
    match &descriptor::get(stack)?.kind {
        Kind::Stack(stack) => act(stack),
        Kind::Socket(_) | Kind::Epoll(_) => Err(Errno::EINVAL),
    }
}

/// Over a descriptor: one packet for each read and write.
pub(crate) fn open_descriptor(fd: std::os::fd::OwnedFd, plan: Plan) -> Result<c_int, Errno> {
    use std::os::fd::AsFd;
    if plan.is_virtual {
        // What comes from outside comes in the world's time.
        return Err(Errno::EINVAL);
    }
    kernel::set_nonblocking(fd.as_fd())?;
    let host = plan.host(Link::descriptor(fd))?;
    let network = Network::new(vec![host], Clock::Real(std::time::Instant::now()))?;
    let stack = name(&network, 0)?;
    if let Err(errno) = network.start() {
        descriptor::close(stack)?;
        return Err(errno);
    }
    Ok(stack)
}

/// Two, joined in memory.
pub(crate) fn open_pair(first: Plan, second: Plan) -> Result<[c_int; 2], Errno> {
    if first.is_virtual != second.is_virtual {
        return Err(Errno::EINVAL);
    }
    let clock = if first.is_virtual {
        Clock::Virtual
    } else {
        Clock::Real(std::time::Instant::now())
    };
    let hosts = vec![first.host(Link::Peer(1))?, second.host(Link::Peer(0))?];
    let network = Network::new(hosts, clock)?;
    let one = name(&network, 0)?;
    match network.start().and_then(|()| name(&network, 1)) {
        Ok(other) => Ok([one, other]),
        Err(errno) => {
            descriptor::close(one)?;
            Err(errno)
        }
    }
}

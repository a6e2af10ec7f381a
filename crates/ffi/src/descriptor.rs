//! Our descriptors: numbers far above the kernel's, each of which names an open socket, epoll
//! instance or stack. Several numbers may name one (`sb_dup`); the last one's close closes it. A
//! call that another thread is in keeps what it works on open until it returns, as on Linux.

use std::ffi::{c_int, c_short};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};

use crate::epoll::Epoll;
use crate::errno::Errno;
use crate::network::Network;
use crate::signal::lock;
use crate::socket::SocketHandle;
use crate::watchers::Watchers;

/// The first of our numbers: above what the kernel gives to anybody with usual limits.
const FIRST: c_int = 1 << 20;
/// How many there may be.
const COUNT_MAX: usize = 1 << 20;

/// What a descriptor names.
pub(crate) struct Description {
    pub(crate) kind: Kind,
}

/// What it is.
pub(crate) enum Kind {
    Socket(SocketHandle),
    Epoll(Arc<Epoll>),
    Stack(StackHandle),
}

/// A stack: one host of a network.
pub(crate) struct StackHandle {
    pub(crate) network: Arc<Network>,
    pub(crate) host: usize,
}

impl StackHandle {
    pub(crate) fn new(network: &Arc<Network>, host: usize) -> Self {
        network.hold();
        Self {
            network: Arc::clone(network),
            host,
        }
    }
}

impl Drop for StackHandle {
    fn drop(&mut self) {
        self.network.release();
    }
}

struct Slot {
    description: Arc<Description>,
    is_close_on_exec: bool,
}

static TABLE: Mutex<Vec<Option<Slot>>> = Mutex::new(Vec::new());

fn index(fd: c_int) -> Option<usize> {
    usize::try_from(fd.checked_sub(FIRST)?).ok()
}

/// Whether a number can only be one of ours.
pub(crate) fn is_ours(fd: c_int) -> bool {
    index(fd).is_some_and(|index| index < COUNT_MAX)
}

/// Gives it the lowest free number.
pub(crate) fn add(kind: Kind) -> Result<c_int, Errno> {
    add_from(Arc::new(Description { kind }), FIRST)
}

/// As `add`, not below `lowest`.
fn add_from(description: Arc<Description>, lowest: c_int) -> Result<c_int, Errno> {
    let lowest = index(lowest.max(FIRST)).ok_or(Errno::EINVAL)?;
    let slot = Slot {
        description,
        is_close_on_exec: false,
    };
    let mut table = lock(&TABLE);
    let free = (lowest..table.len()).find(|at| table.get(*at).is_some_and(Option::is_none));
    let at = free.unwrap_or(table.len().max(lowest));
    if at >= COUNT_MAX {
        return Err(Errno::EMFILE);
    }
    if at >= table.len() {
        table.resize_with(at + 1, || None);
    }
    if let Some(place) = table.get_mut(at) {
        *place = Some(slot);
    }
    c_int::try_from(at)
        .map(|at| FIRST + at)
        .map_err(|_| Errno::EMFILE)
}

/// What it names.
pub(crate) fn get(fd: c_int) -> Result<Arc<Description>, Errno> {
    let table = lock(&TABLE);
    let slot = index(fd).and_then(|index| table.get(index)?.as_ref());
    slot.map(|slot| Arc::clone(&slot.description))
        .ok_or(Errno::EBADF)
}

/// A socket of ours, by descriptor.
pub(crate) fn with_socket<T>(
    fd: c_int,
    act: impl FnOnce(&SocketHandle) -> Result<T, Errno>,
) -> Result<T, Errno> {
    match &get(fd)?.kind {
        Kind::Socket(socket) => act(socket),
        Kind::Epoll(_) | Kind::Stack(_) => Err(Errno::ENOTSOCK),
    }
}

/// One more number for it, not below `lowest`.
pub(crate) fn duplicate(fd: c_int, lowest: c_int) -> Result<c_int, Errno> {
    add_from(get(fd)?, lowest)
}

/// Takes the number away.
pub(crate) fn close(fd: c_int) -> Result<(), Errno> {
    let slot = {
        let mut table = lock(&TABLE);
        index(fd).and_then(|index| table.get_mut(index)?.take())
    };
    // Dropped here, without the table's lock: closing may linger.
    slot.map(drop).ok_or(Errno::EBADF)
}

/// `FD_CLOEXEC`, which is kept and means nothing: nothing of ours outlives `exec`.
pub(crate) fn close_on_exec(fd: c_int) -> Result<bool, Errno> {
    let table = lock(&TABLE);
    let slot = index(fd).and_then(|index| table.get(index)?.as_ref());
    slot.map(|slot| slot.is_close_on_exec).ok_or(Errno::EBADF)
}

pub(crate) fn set_close_on_exec(fd: c_int, on: bool) -> Result<(), Errno> {
    let mut table = lock(&TABLE);
    let slot = index(fd).and_then(|index| table.get_mut(index)?.as_mut());
    slot.map(|slot| slot.is_close_on_exec = on)
        .ok_or(Errno::EBADF)
}

impl Description {
    /// What `poll` says of it.
    pub(crate) fn poll_events(&self) -> c_short {
        match &self.kind {
            Kind::Socket(socket) => socket.poll_events(),
            Kind::Epoll(epoll) if epoll.is_ready() => libc::POLLIN | libc::POLLRDNORM,
            Kind::Epoll(_) => 0,
            Kind::Stack(_) => libc::POLLNVAL,
        }
    }

    /// Changes the list of those who hear of its news; a stack has none.
    pub(crate) fn with_watchers(&self, change: impl FnOnce(&mut Watchers)) {
        match &self.kind {
            Kind::Socket(socket) => {
                if let Ok((socket, _)) = socket.network.lock().socket(socket.key) {
                    change(&mut socket.watchers);
                }
            }
            Kind::Epoll(epoll) => change(&mut lock(&epoll.watchers)),
            Kind::Stack(_) => {}
        }
    }

    /// The kernel's epoll instances behind it: what they have tells nobody.
    pub(crate) fn kernels(&self) -> Vec<Arc<OwnedFd>> {
        match &self.kind {
            Kind::Epoll(epoll) => epoll.kernels(),
            Kind::Socket(_) | Kind::Stack(_) => Vec::new(),
        }
    }

    /// Its network, where that has a time of its own.
    pub(crate) fn virtual_network(&self) -> Option<Arc<Network>> {
        match &self.kind {
            Kind::Socket(socket) => Some(&socket.network)
                .filter(|network| network.bell.is_none())
                .map(Arc::clone),
            Kind::Epoll(epoll) => epoll.network(),
            Kind::Stack(_) => None,
        }
    }
}

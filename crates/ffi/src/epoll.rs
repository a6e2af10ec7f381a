//! epoll, over our sockets and the kernel's descriptors together.
//!
//! Our sockets tell an instance when something happens to them (`Interest`), which puts them on
//! its list; a wait looks at what they are then. The kernel's descriptors are in a kernel's epoll
//! that belongs to the instance; a wait that has any sleeps on that and on a descriptor that our
//! sockets' news make readable.

use std::collections::{HashMap, VecDeque};
use std::ffi::c_int;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, Weak};

use crate::descriptor::{self, Description, Kind};
use crate::errno::Errno;
use crate::kernel;
use crate::signal::{Signal, lock};
use crate::wait::{Limit, sleep};
use crate::watchers::Watchers;

const EDGE: u32 = libc::EPOLLET as u32;
const ONESHOT: u32 = libc::EPOLLONESHOT as u32;
/// What is told whether it was asked for or not.
const ALWAYS: u32 = (libc::EPOLLERR | libc::EPOLLHUP) as u32;

/// An epoll instance.
pub(crate) struct Epoll {
    inner: Mutex<Inner>,
    signal: Arc<Signal>,
    /// Who wants to know that it has something: instances above it, threads that poll it.
    pub(crate) watchers: Mutex<Watchers>,
}

#[derive(Default)]
struct Inner {
    members: HashMap<c_int, Member>,
    /// Members that may be ready.
    ready: VecDeque<c_int>,
    /// The kernel's descriptors of it.
    kernel: Option<OwnedFd>,
    kernel_count: usize,
}

struct Member {
    /// The open socket, not the number: another one may have that by now.
    description: Weak<Description>,
    events: u32,
    data: u64,
    is_listed: bool,
    is_disabled: bool,
}

/// A socket's way to tell an instance.
#[derive(Clone)]
pub(crate) struct Interest {
    epoll: Weak<Epoll>,
    fd: c_int,
}

impl PartialEq for Interest {
    fn eq(&self, other: &Self) -> bool {
        self.fd == other.fd && self.epoll.ptr_eq(&other.epoll)
    }
}

impl Interest {
    /// Something happened to the member.
    pub(crate) fn tell(&self) {
        let Some(epoll) = self.epoll.upgrade() else {
            return;
        };
        if lock(&epoll.inner).list(self.fd) {
            epoll.signal.fire();
            // Not under their lock: an instance below may tell one above that tells it.
            let watchers = lock(&epoll.watchers).clone();
            watchers.tell();
        }
    }
}

impl Inner {
    /// Puts a member on the list; whether it was not there.
    fn list(&mut self, fd: c_int) -> bool {
        let Some(member) = self.members.get_mut(&fd) else {
            return false;
        };
        let is_new = !std::mem::replace(&mut member.is_listed, true);
        if is_new {
            self.ready.push_back(fd);
        }
        is_new
    }
}

impl Epoll {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::default(),
            signal: Arc::default(),
            watchers: Mutex::default(),
        })
    }

    /// epoll_ctl(2).
    pub(crate) fn control(
        self: &Arc<Self>,
        op: c_int,
        fd: c_int,
        event: Option<libc::epoll_event>,
    ) -> Result<(), Errno> {
        if !descriptor::is_ours(fd) {
            return self.control_kernel(op, fd, event);
        }
        let member = descriptor::get(fd)?;
        match &member.kind {
            Kind::Stack(_) => return Err(Errno::EPERM),
            Kind::Epoll(other) if Arc::ptr_eq(other, self) => return Err(Errno::EINVAL),
            Kind::Epoll(other) if other.reaches(self) => return Err(Errno::ELOOP),
            Kind::Epoll(_) | Kind::Socket(_) => {}
        }
        let interest = Interest {
            epoll: Arc::downgrade(self),
            fd,
        };
        {
            let mut inner = lock(&self.inner);
            // A member whose socket is closed is none any more.
            let is_there = inner
                .members
                .get(&fd)
                .is_some_and(|member| member.description.strong_count() > 0);
            match op {
                libc::EPOLL_CTL_DEL => {
                    inner
                        .members
                        .remove(&fd)
                        .filter(|_| is_there)
                        .ok_or(Errno::ENOENT)?;
                }
                libc::EPOLL_CTL_ADD if is_there => return Err(Errno::EEXIST),
                libc::EPOLL_CTL_MOD if !is_there => return Err(Errno::ENOENT),
                libc::EPOLL_CTL_ADD | libc::EPOLL_CTL_MOD => {
                    let event = event.ok_or(Errno::EFAULT)?;
                    let is_listed = inner
                        .members
                        .get(&fd)
                        .is_some_and(|member| member.is_listed);
                    inner.members.insert(
                        fd,
                        Member {
                            description: Arc::downgrade(&member),
                            events: event.events,
                            data: event.u64,
                            is_listed,
                            is_disabled: false,
                        },
                    );
                }
                _ => return Err(Errno::EINVAL),
            }
        }
        match op {
            libc::EPOLL_CTL_DEL => member.with_watchers(|list| list.remove_epoll(&interest)),
            libc::EPOLL_CTL_ADD => member.with_watchers(|list| list.add_epoll(interest.clone())),
            _ => {}
        }
        // What it is already, it tells at once.
        interest.tell();
        Ok(())
    }

    fn control_kernel(
        &self,
        op: c_int,
        fd: c_int,
        event: Option<libc::epoll_event>,
    ) -> Result<(), Errno> {
        let mut inner = lock(&self.inner);
        if inner.kernel.is_none() {
            inner.kernel = Some(kernel::epoll()?);
        }
        let event = event.unwrap_or(libc::epoll_event { events: 0, u64: 0 });
        if let Some(kernel) = &inner.kernel {
            kernel::epoll_ctl(kernel.as_fd(), op, fd, event)?;
        }
        match op {
            libc::EPOLL_CTL_ADD => inner.kernel_count += 1,
            libc::EPOLL_CTL_DEL => inner.kernel_count -= 1,
            _ => {}
        }
        drop(inner);
        // A wait that sleeps has to take the kernel's descriptors in.
        self.signal.fire();
        Ok(())
    }

    /// Whether `other` is among its members, or theirs.
    fn reaches(&self, other: &Arc<Self>) -> bool {
        let members: Vec<_> = {
            let inner = lock(&self.inner);
            inner
                .members
                .values()
                .filter_map(|member| member.description.upgrade())
                .collect()
        };
        members.iter().any(|member| match &member.kind {
            Kind::Epoll(epoll) => Arc::ptr_eq(epoll, other) || epoll.reaches(other),
            _ => false,
        })
    }

    /// Whether a wait would return at once.
    pub(crate) fn is_ready(&self) -> bool {
        let candidates: Vec<(Arc<Description>, u32)> = {
            let inner = lock(&self.inner);
            let listed = inner.ready.iter().filter_map(|fd| inner.members.get(fd));
            let enabled = listed.filter(|member| !member.is_disabled);
            enabled
                .filter_map(|member| Some((member.description.upgrade()?, member.events)))
                .collect()
        };
        candidates
            .iter()
            .any(|(member, events)| u32::from(member.poll_events() as u16) & (events | ALWAYS) != 0)
    }

    /// epoll_wait(2).
    pub(crate) fn wait(
        self: &Arc<Self>,
        events: &mut [libc::epoll_event],
        limit: Limit,
    ) -> Result<usize, Errno> {
        let network = self.network();
        let deadline = limit.deadline(network.as_ref());
        loop {
            self.signal.clear();
            let count = self.take(events)?;
            if count > 0 || deadline.is_over(network.as_ref()) {
                return Ok(count);
            }
            let kernel = {
                let inner = lock(&self.inner);
                let kernel = inner.kernel.as_ref().filter(|_| inner.kernel_count > 0);
                kernel.map(|kernel| kernel.as_raw_fd())
            };
            let mut entries: Vec<_> = kernel
                .map(|fd| kernel::poll_entry(fd, libc::POLLIN))
                .into_iter()
                .collect();
            sleep(network.as_ref(), &self.signal, &deadline, &mut entries)?;
        }
    }

    /// The network in whose time a wait is: that of its first socket in virtual time.
    pub(crate) fn network(&self) -> Option<Arc<crate::network::Network>> {
        let members: Vec<_> = {
            let inner = lock(&self.inner);
            inner
                .members
                .values()
                .filter_map(|member| member.description.upgrade())
                .collect()
        };
        members.iter().find_map(|member| member.virtual_network())
    }

    /// Takes what is ready.
    fn take(&self, events: &mut [libc::epoll_event]) -> Result<usize, Errno> {
        let listed = {
            let mut inner = lock(&self.inner);
            let listed = std::mem::take(&mut inner.ready);
            for fd in &listed {
                if let Some(member) = inner.members.get_mut(fd) {
                    member.is_listed = false;
                }
            }
            listed
        };
        let mut count = 0;
        let mut again = Vec::new();
        for fd in listed {
            let Some(slot) = events.get_mut(count) else {
                again.push(fd);
                continue;
            };
            if let Some(event) = self.look(fd) {
                *slot = event.0;
                count += 1;
                if event.1 {
                    again.push(fd);
                }
            }
        }
        {
            let mut inner = lock(&self.inner);
            for fd in again {
                inner.list(fd);
            }
        }
        if let Some(rest) = events.get_mut(count..).filter(|rest| !rest.is_empty()) {
            let inner = lock(&self.inner);
            if let Some(kernel) = &inner.kernel {
                count += kernel::epoll_take(kernel.as_fd(), rest)?;
            }
        }
        Ok(count)
    }

    /// What member `fd` is now; and whether it has to be looked at again (level-triggered).
    fn look(&self, fd: c_int) -> Option<(libc::epoll_event, bool)> {
        let (description, asked, data) = {
            let inner = lock(&self.inner);
            let member = inner
                .members
                .get(&fd)
                .filter(|member| !member.is_disabled)?;
            (member.description.upgrade(), member.events, member.data)
        };
        let Some(description) = description else {
            // Closed: it leaves by itself.
            lock(&self.inner).members.remove(&fd);
            return None;
        };
        let now = u32::from(description.poll_events() as u16) & (asked | ALWAYS);
        if now == 0 {
            return None;
        }
        if asked & ONESHOT != 0
            && let Some(member) = lock(&self.inner).members.get_mut(&fd)
        {
            member.is_disabled = true;
        }
        let is_level = asked & (EDGE | ONESHOT) == 0;
        Some((
            libc::epoll_event {
                events: now,
                u64: data,
            },
            is_level,
        ))
    }
}

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
use crate::wait::{Limit, rouse, sleep};
use crate::watchers::Watchers;

const EDGE: u32 = libc::EPOLLET as u32;
const ONESHOT: u32 = libc::EPOLLONESHOT as u32;
/// What an instance can have for one above it.
const READABLE: u32 = (libc::EPOLLIN | libc::EPOLLRDNORM) as u32;
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
    /// The instances among the members.
    nested: HashMap<c_int, Weak<Epoll>>,
    /// The kernel's descriptors of it.
    kernel: Option<Arc<OwnedFd>>,
    kernel_count: usize,
    /// Whether they come first the next time, so that neither kind takes all the room for good.
    is_kernel_next: bool,
    /// Counts what members have told.
    news: u64,
    /// Threads in a wait.
    waiters: usize,
}

struct Member {
    /// The open socket, not the number: another one may have that by now.
    description: Weak<Description>,
    events: u32,
    data: u64,
    is_listed: bool,
    is_disabled: bool,
    /// `Inner::news` when it told something last.
    told: u64,
}

impl Member {
    fn names(&self, description: &Arc<Description>) -> bool {
        std::ptr::eq(self.description.as_ptr(), Arc::as_ptr(description))
    }
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
    /// Whether there is anybody to tell.
    pub(crate) fn is_alive(&self) -> bool {
        self.epoll.strong_count() > 0
    }

    /// Something happened to the member.
    ///
    /// That it is listed already does not mean that everybody knows: another wait may have looked
    /// at it before this.
    pub(crate) fn tell(&self) {
        let Some(epoll) = self.epoll.upgrade() else {
            return;
        };
        let is_member = lock(&epoll.inner).list(self.fd);
        if is_member {
            epoll.announce();
        }
    }
}

impl Inner {
    /// Puts a member on the list; whether it is one.
    fn list(&mut self, fd: c_int) -> bool {
        let Some(member) = self.members.get_mut(&fd) else {
            return false;
        };
        self.news += 1;
        member.told = self.news;
        if !std::mem::replace(&mut member.is_listed, true) {
            self.ready.push_back(fd);
        }
        true
    }

    fn unlist(&mut self, fd: c_int) {
        if let Some(member) = self.members.get_mut(&fd) {
            member.is_listed = false;
        }
        self.ready.retain(|other| *other != fd);
    }

    fn remove(&mut self, fd: c_int) {
        self.unlist(fd);
        self.members.remove(&fd);
        self.nested.remove(&fd);
    }

    /// The instances among the members of which news would be told.
    fn nested(&self) -> Vec<(c_int, Arc<Epoll>)> {
        let nested = self.nested.iter().filter(|(fd, _)| {
            self.members
                .get(*fd)
                .is_some_and(|member| !member.is_disabled && member.events & READABLE != 0)
        });
        nested
            .filter_map(|(fd, epoll)| Some((*fd, epoll.upgrade()?)))
            .collect()
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
        let mut replaced = None;
        {
            let mut inner = lock(&self.inner);
            // A member of which the number names something else by now is none any more.
            let known = inner.members.get(&fd);
            let is_there = known.is_some_and(|known| known.names(&member));
            match op {
                libc::EPOLL_CTL_DEL if is_there => inner.remove(fd),
                libc::EPOLL_CTL_DEL => return Err(Errno::ENOENT),
                libc::EPOLL_CTL_ADD if is_there => return Err(Errno::EEXIST),
                libc::EPOLL_CTL_MOD if !is_there => return Err(Errno::ENOENT),
                libc::EPOLL_CTL_ADD | libc::EPOLL_CTL_MOD => {
                    let event = event.ok_or(Errno::EFAULT)?;
                    let is_listed = known.is_some_and(|known| known.is_listed);
                    if let Kind::Epoll(nested) = &member.kind {
                        inner.nested.insert(fd, Arc::downgrade(nested));
                    } else {
                        inner.nested.remove(&fd);
                    }
                    replaced = inner.members.insert(
                        fd,
                        Member {
                            description: Arc::downgrade(&member),
                            events: event.events,
                            data: event.u64,
                            is_listed,
                            is_disabled: false,
                            told: 0,
                        },
                    );
                }
                _ => return Err(Errno::EINVAL),
            }
        }
        if op == libc::EPOLL_CTL_ADD
            && let Some(stale) = replaced.and_then(|stale| stale.description.upgrade())
        {
            stale.with_watchers(|list| list.remove_epoll(&interest));
        }
        match op {
            libc::EPOLL_CTL_DEL => member.with_watchers(|list| list.remove_epoll(&interest)),
            libc::EPOLL_CTL_ADD => member.with_watchers(|list| list.add_epoll(interest.clone())),
            _ => {}
        }
        // What it is already, it tells at once. And a wait may sleep in another time from now on.
        if op != libc::EPOLL_CTL_DEL {
            lock(&self.inner).list(fd);
        }
        self.announce();
        rouse();
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
            inner.kernel = Some(Arc::new(kernel::epoll()?));
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
        // A wait that sleeps, here or above, has to take the kernel's descriptors in.
        self.announce();
        rouse();
        Ok(())
    }

    /// Wakes whoever waits, here or above. Who sleeps in virtual time runs when its network
    /// settles, or by `rouse`.
    fn announce(&self) {
        self.signal.fire();
        // Not under their lock: an instance below may tell one above that tells it.
        let mut watchers = {
            let mut watchers = lock(&self.watchers);
            watchers.prune();
            watchers.clone()
        };
        watchers.tell();
    }

    /// The kernel's instances behind it: its own, and those of instances below.
    pub(crate) fn kernels(&self) -> Vec<Arc<OwnedFd>> {
        let (own, nested) = {
            let inner = lock(&self.inner);
            let own = inner.kernel.clone().filter(|_| inner.kernel_count > 0);
            (own, inner.nested())
        };
        let below = nested.iter().flat_map(|(_, epoll)| epoll.kernels());
        own.into_iter().chain(below).collect()
    }

    /// Whether one of `kernels` has something.
    fn is_kernel_ready(&self) -> bool {
        let kernels = self.kernels();
        let mut entries = kernel_entries(&kernels);
        !entries.is_empty()
            && kernel::poll(&mut entries, Some(std::time::Duration::ZERO)).is_ok()
            && entries.iter().any(|entry| entry.revents != 0)
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
        let candidates: Vec<_> = {
            let inner = lock(&self.inner);
            let listed = inner.ready.iter();
            listed
                .filter_map(|fd| {
                    let member = inner.members.get(fd)?;
                    let asked = (!member.is_disabled).then_some(member.events | ALWAYS);
                    Some((*fd, member.told, member.description.upgrade(), asked))
                })
                .collect()
        };
        for (fd, told, description, asked) in &candidates {
            if let (Some(description), Some(asked)) = (description, asked)
                && u32::from(description.poll_events() as u16) & asked != 0
            {
                return true;
            }
            let mut inner = lock(&self.inner);
            // If it told something since, that was perhaps after the look.
            if inner.members.get(fd).is_some_and(|now| now.told == *told) {
                inner.unlist(*fd);
            }
        }
        self.is_kernel_ready()
    }

    /// epoll_wait(2).
    pub(crate) fn wait(
        self: &Arc<Self>,
        events: &mut [libc::epoll_event],
        limit: Limit,
    ) -> Result<usize, Errno> {
        lock(&self.inner).waiters += 1;
        let result = self.wait_among(events, limit);
        let (is_left, has_others) = {
            let mut inner = lock(&self.inner);
            inner.waiters -= 1;
            (!inner.ready.is_empty(), inner.waiters > 0)
        };
        // Others looked while this one had the list, and found nothing perhaps.
        if is_left && (has_others || !lock(&self.watchers).is_empty()) {
            self.announce();
            rouse();
        }
        result
    }

    fn wait_among(
        self: &Arc<Self>,
        events: &mut [libc::epoll_event],
        limit: Limit,
    ) -> Result<usize, Errno> {
        let mut network = self.network();
        let mut deadline = limit.deadline(network.as_ref());
        loop {
            self.signal.clear();
            let count = self.take(events)?;
            if count > 0 || deadline.is_over(network.as_ref()) {
                return Ok(count);
            }
            let kernels = self.kernels();
            let mut entries = kernel_entries(&kernels);
            sleep(network.as_ref(), &self.signal, &deadline, &mut entries)?;
            // Members came and went perhaps.
            let now = self.network();
            if now.as_ref().map(Arc::as_ptr) != network.as_ref().map(Arc::as_ptr) {
                deadline = deadline.left(network.as_ref()).deadline(now.as_ref());
                network = now;
            }
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
        let is_kernel_first = {
            let mut inner = lock(&self.inner);
            inner.is_kernel_next = !inner.is_kernel_next;
            !inner.is_kernel_next
        };
        if is_kernel_first {
            let count = self.take_kernel(events)?;
            let rest = events.get_mut(count..).unwrap_or_default();
            Ok(count + self.take_ours(rest))
        } else {
            let count = self.take_ours(events);
            let rest = events.get_mut(count..).unwrap_or_default();
            match self.take_kernel(rest) {
                Ok(more) => Ok(count + more),
                // What is taken has to be told.
                Err(_) if count > 0 => Ok(count),
                Err(errno) => Err(errno),
            }
        }
    }

    fn take_kernel(&self, events: &mut [libc::epoll_event]) -> Result<usize, Errno> {
        let kernel = {
            let inner = lock(&self.inner);
            inner.kernel.clone().filter(|_| inner.kernel_count > 0)
        };
        match kernel {
            Some(kernel) if !events.is_empty() => kernel::epoll_take(kernel.as_fd(), events),
            _ => Ok(0),
        }
    }

    fn take_ours(&self, events: &mut [libc::epoll_event]) -> usize {
        if events.is_empty() {
            return 0;
        }
        // The kernel's descriptors of an instance below tell nobody: they have to be asked.
        let nested = lock(&self.inner).nested();
        for (fd, epoll) in nested {
            if epoll.is_kernel_ready() {
                lock(&self.inner).list(fd);
            }
        }
        let listed: Vec<_> = {
            let mut inner = lock(&self.inner);
            let listed = std::mem::take(&mut inner.ready);
            let members = &mut inner.members;
            let is_listed = |fd: &c_int| {
                let member = members.get_mut(fd);
                member.is_some_and(|member| std::mem::take(&mut member.is_listed))
            };
            listed.into_iter().filter(is_listed).collect()
        };
        let mut count = 0;
        // Who had no turn comes before who had one.
        let (mut unlooked, mut again) = (Vec::new(), Vec::new());
        for fd in listed {
            let Some(slot) = events.get_mut(count) else {
                unlooked.push(fd);
                continue;
            };
            if let Some((event, is_level)) = self.look(fd) {
                *slot = event;
                count += 1;
                if is_level {
                    again.push(fd);
                }
            }
        }
        let mut inner = lock(&self.inner);
        for fd in unlooked.into_iter().chain(again) {
            inner.list(fd);
        }
        count
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
            // Closed: it leaves by itself, unless the number is another member's by now.
            let mut inner = lock(&self.inner);
            let is_gone = inner
                .members
                .get(&fd)
                .is_some_and(|member| member.description.strong_count() == 0);
            if is_gone {
                inner.remove(fd);
            }
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

/// What a sleep on them is.
pub(crate) fn kernel_entries(kernels: &[Arc<OwnedFd>]) -> Vec<libc::pollfd> {
    let entries = kernels.iter();
    entries
        .map(|kernel| kernel::poll_entry(kernel.as_raw_fd(), libc::POLLIN))
        .collect()
}

//! Several packet sockets as one queue.
//!
//! The kernel fills them one after the other (`PACKET_FANOUT_ROLLOVER`): it stays with a socket
//! until three quarters of its room are used, and then goes on to the next one that has room, in a
//! circle. So what waits is in order when it is read the same way: a socket until it is empty,
//! then the next. Only when all are full at once does a packet go where it should not, or is
//! dropped and counted.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::{PollFd, PollFlags, Timespec};

/// Octets of the kernel's own that a small packet may cost beside its payload.
const OVERHEAD: usize = 512;

/// Where reading goes on.
#[derive(Debug)]
pub(super) struct Place {
    /// Index of the socket that is read.
    at: usize,
    count: usize,
    /// Octets that one socket holds.
    room: usize,
    /// Octets read since the others were looked at.
    read: usize,
    /// Sockets that may have a packet, one bit each: epoll said so, and says it once.
    marked: u64,
    /// The kernel has gone on to this socket: once `at` is empty it is the next.
    next: Option<usize>,
}

impl Place {
    pub(super) fn new(count: usize, room: usize) -> Self {
        Self {
            at: 0,
            count,
            room,
            read: 0,
            marked: 0,
            next: None,
        }
    }

    /// The socket `index` has got a packet.
    pub(super) fn mark(&mut self, index: usize) {
        self.marked |= 1 << index;
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// A packet of `octets` was read. Whether it is time to look at the others although this
    /// socket is not empty: as much has been read as it can hold.
    pub(super) fn has_read(&mut self, octets: usize) -> bool {
        self.read += octets + OVERHEAD;
        self.count > 1 && self.read > self.room
    }

    /// The socket that was read is empty. Whether one is to be read now.
    pub(super) fn goes_on(&mut self, sockets: &[impl AsFd]) -> bool {
        self.marked &= !(1 << self.at);
        if let Some(next) = self.next.take() {
            self.go_to(next);
            return true;
        }
        // Nearly always the kernel is where we are, and the others need no system call.
        self.marked != 0 && self.look_around(sockets)
    }

    /// Whether one is to be read, now that all have been marked that epoll knows of.
    pub(super) fn has_news(&mut self, sockets: &[impl AsFd]) -> bool {
        match self.marked {
            0 => false,
            marked if marked == 1 << self.at => true,
            _ => self.look_around(sockets),
        }
    }

    /// Looks at all sockets. Whether any has a packet.
    ///
    /// What another one has is younger than what this one had a moment ago, so this one is read
    /// until it is empty. Unless that does not happen within all that it can hold: then all were
    /// full, the kernel came round to this one again, and what the other has is older.
    pub(super) fn look_around(&mut self, sockets: &[impl AsFd]) -> bool {
        let overdue = std::mem::take(&mut self.read) > self.room;
        match self.first_readable(sockets) {
            None => return false,
            Some(found) if found == self.at => self.next = None,
            Some(found) if overdue && self.next.is_some() => self.go_to(found),
            Some(found) => self.next = Some(found),
        }
        true
    }

    /// The first socket in the circle that has a packet; this one only if no other has.
    fn first_readable(&mut self, sockets: &[impl AsFd]) -> Option<usize> {
        let (at, count) = (self.at, self.count);
        let order = || (0..count).map(move |step| (at + step) % count);
        let fd = |index: usize| sockets.get(index).map(AsFd::as_fd);
        let fds: Vec<BorrowedFd<'_>> = order().filter_map(fd).collect();
        let mut asked: Vec<PollFd<'_>> = fds
            .iter()
            .map(|fd| PollFd::new(fd, PollFlags::IN))
            .collect();
        // Being asked also makes the kernel see that a socket has room again.
        rustix::event::poll(&mut asked, Some(&Timespec::default())).ok()?;
        let readable = || {
            let fds = order().zip(&asked);
            let fds = fds.filter(|(_, fd)| fd.revents().contains(PollFlags::IN));
            fds.map(|(index, _)| index)
        };
        self.marked = readable().fold(0, |marked, index| marked | 1 << index);
        let another = readable().find(|index| *index != at);
        another.or_else(|| readable().next())
    }

    fn go_to(&mut self, index: usize) {
        self.at = index;
        self.read = 0;
        self.next = None;
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;

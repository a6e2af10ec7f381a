//! poll, over our sockets and the kernel's descriptors together.

use std::ffi::c_short;
use std::sync::Arc;

use crate::descriptor::{self, Description};
use crate::epoll::kernel_entries;
use crate::errno::Errno;
use crate::kernel;
use crate::signal::Signal;
use crate::wait::{Limit, sleep};

/// What is told whether it was asked for or not.
const ALWAYS: c_short = libc::POLLERR | libc::POLLHUP | libc::POLLNVAL;

/// poll(2): how many entries have something.
pub(crate) fn poll(entries: &mut [libc::pollfd], limit: Limit) -> Result<usize, Errno> {
    let ours: Vec<Option<Arc<Description>>> = entries
        .iter()
        .map(|entry| descriptor::get(entry.fd).ok())
        .collect();
    let network = ours
        .iter()
        .flatten()
        .find_map(|ours| ours.virtual_network());
    let deadline = limit.deadline(network.as_ref());
    let signal = Arc::new(Signal::default());
    let mut is_watching = false;
    let result = loop {
        signal.clear();
        let count = match look(entries, &ours) {
            Ok(count) => count,
            Err(errno) => break Err(errno),
        };
        if count > 0 || deadline.is_over(network.as_ref()) {
            break Ok(count);
        }
        if !is_watching {
            // Then once more: what happened before is not told.
            is_watching = true;
            ours.iter().flatten().for_each(|ours| watch(ours, &signal));
            continue;
        }
        let mut kernels: Vec<_> = entries
            .iter()
            .filter(|entry| entry.fd >= 0 && !descriptor::is_ours(entry.fd))
            .map(|entry| kernel::poll_entry(entry.fd, entry.events))
            .collect();
        let behind: Vec<_> = entries
            .iter()
            .zip(&ours)
            .filter(|(entry, _)| entry.events & (libc::POLLIN | libc::POLLRDNORM) != 0)
            .filter_map(|(_, ours)| ours.as_ref())
            .flat_map(|ours| ours.kernels())
            .collect();
        kernels.extend(kernel_entries(&behind));
        if let Err(errno) = sleep(network.as_ref(), &signal, &deadline, &mut kernels) {
            break Err(errno);
        }
    };
    if is_watching {
        ours.iter()
            .flatten()
            .for_each(|ours| unwatch(ours, &signal));
    }
    result
}

/// What each is now.
fn look(entries: &mut [libc::pollfd], ours: &[Option<Arc<Description>>]) -> Result<usize, Errno> {
    let mut count = 0;
    let mut kernels = Vec::new();
    for (at, (entry, ours)) in entries.iter_mut().zip(ours).enumerate() {
        entry.revents = 0;
        if let Some(ours) = ours {
            entry.revents = ours.poll_events() & (entry.events | ALWAYS);
        } else if descriptor::is_ours(entry.fd) {
            entry.revents = libc::POLLNVAL;
        } else if entry.fd >= 0 {
            kernels.push((at, kernel::poll_entry(entry.fd, entry.events)));
        }
        count += usize::from(entry.revents != 0);
    }
    if !kernels.is_empty() {
        let mut plain: Vec<_> = kernels.iter().map(|(_, entry)| *entry).collect();
        kernel::poll(&mut plain, Some(std::time::Duration::ZERO))?;
        for ((at, _), seen) in kernels.iter().zip(&plain) {
            if let Some(entry) = entries.get_mut(*at) {
                entry.revents = seen.revents;
                count += usize::from(seen.revents != 0);
            }
        }
    }
    Ok(count)
}

fn watch(ours: &Description, signal: &Arc<Signal>) {
    ours.with_watchers(|watchers| watchers.add(signal));
}

fn unwatch(ours: &Description, signal: &Arc<Signal>) {
    ours.with_watchers(|watchers| watchers.remove(signal));
}

//! Cookies of servers that take text with a SYN (RFC 7413 section 4.1.3.1).

use alloc::collections::{BTreeMap, VecDeque};
use core::net::IpAddr;
use core::time::Duration;

use switchboard_wire::Instant;
use switchboard_wire::tcp::FastOpenCookie;

use super::fast_open::Learned;

/// How long a server that failed us is called without the option. It doubles with each failure
/// in a row, up to [`PAUSE_DOUBLINGS_MAX`] times: a little over an hour. RFC 7413 section 4.1.3.1
/// asks for a memory of failures and names no time; Linux begins with a minute too.
const PAUSE: Duration = Duration::from_secs(60);
const PAUSE_DOUBLINGS_MAX: u8 = 6;

/// Who asked, and whom: a cookie is good for the address that asked for it.
type Pair = (IpAddr, IpAddr);

#[derive(Clone, Copy, Debug)]
struct Entry {
    cookie: Option<FastOpenCookie>,
    /// The server's MSS: it bounds the text of a SYN.
    mss: u16,
    /// In a row.
    failures: u8,
    /// The option rests until then.
    pause_until: Instant,
}

/// What is known of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// Nothing: ask it for a cookie.
    Nothing,
    /// It takes text, in segments of `mss`, with this cookie.
    Cookie { cookie: FastOpenCookie, mss: u16 },
    /// It failed us lately: an ordinary SYN.
    Failed,
}

/// Cookies of a bounded number of servers.
#[derive(Debug)]
pub(crate) struct Cookies {
    entries: BTreeMap<Pair, Entry>,
    /// By age; the oldest makes room.
    order: VecDeque<Pair>,
    max: usize,
}

impl Cookies {
    /// Of at most `max` servers.
    pub(crate) fn new(max: usize) -> Self {
        Self {
            entries: BTreeMap::new(),
            order: VecDeque::new(),
            max: max.max(1),
        }
    }

    /// What a SYN from `local` to `remote` may carry.
    pub(crate) fn known(&self, local: IpAddr, remote: IpAddr, now: Instant) -> Known {
        match self.entries.get(&(local, remote)) {
            Some(entry) if entry.pause_until > now => Known::Failed,
            Some(&Entry {
                cookie: Some(cookie),
                mss,
                ..
            }) => Known::Cookie { cookie, mss },
            _ => Known::Nothing,
        }
    }

    /// A SYN with the option was answered, or was not.
    pub(crate) fn learn(&mut self, local: IpAddr, remote: IpAddr, learned: Learned, now: Instant) {
        let pair = (local, remote);
        if learned.cookie.is_none() && !learned.failed && !self.entries.contains_key(&pair) {
            // A server that does not know the option.
            return;
        }
        let entry = self.entries.entry(pair).or_insert_with(|| {
            self.order.push_back(pair);
            Entry {
                cookie: None,
                mss: 0,
                failures: 0,
                pause_until: Instant::ZERO,
            }
        });
        if learned.cookie.is_some() {
            entry.cookie = learned.cookie;
        }
        if learned.mss > 0 {
            entry.mss = learned.mss;
        }
        if learned.failed {
            entry.pause_until = now + PAUSE * (1 << entry.failures);
            entry.failures = (entry.failures + 1).min(PAUSE_DOUBLINGS_MAX);
        } else {
            entry.failures = 0;
            entry.pause_until = Instant::ZERO;
        }
        if self.entries.len() > self.max
            && let Some(oldest) = self.order.pop_front()
        {
            self.entries.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests;

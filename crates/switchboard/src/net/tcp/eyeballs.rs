//! Connecting to a name that has several addresses: Happy Eyeballs, RFC 8305.
//!
//! The addresses are tried one after the other, the families in turn, each a little after the
//! one before without waiting for its end. The first connection that stands wins; the others are
//! given up, and nothing of them is left.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use switchboard_core::ConnectError;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::errors::SocketError;
use crate::names::{Family, Lookup};

/// How a connection to a name is made that has several addresses (RFC 8305).
///
/// It holds for names alone. Of a list of `SocketAddr` one after the other is tried, each until it
/// has failed, as tokio does: who writes a list says the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HappyEyeballs {
    /// How long an attempt is alone before the next address is tried beside it; 10 ms to 2 s
    /// (RFC 8305 section 8). An attempt that fails makes room at once. `None`: one after the
    /// other. Default 250 ms.
    pub attempt_delay: Option<Duration>,
    /// How long IPv4 addresses that are known first wait for IPv6 addresses, at most 2 s.
    /// Default 50 ms.
    pub resolution_delay: Duration,
}

impl Default for HappyEyeballs {
    fn default() -> Self {
        Self {
            attempt_delay: Some(Duration::from_millis(250)),
            resolution_delay: Duration::from_millis(50),
        }
    }
}

impl HappyEyeballs {
    /// With everything in the range that its documentation names.
    pub(crate) fn within_bounds(self) -> Self {
        let (least, longest) = (Duration::from_millis(10), Duration::from_secs(2));
        Self {
            attempt_delay: self.attempt_delay.map(|delay| delay.clamp(least, longest)),
            resolution_delay: self.resolution_delay.min(longest),
        }
    }
}

type Attempt<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// Tries the addresses that `lookup` finds, with `port`, until one attempt succeeds.
///
/// # Errors
///
/// If all fail: the error of the address that was tried first, unless it could not be tried at
/// all (no route, or no address of its family) and another could. If no address was found: why.
pub(crate) async fn race<'a, T>(
    lookup: Lookup<'_>,
    port: u16,
    settings: HappyEyeballs,
    connect: impl Fn(SocketAddr) -> Attempt<'a, T> + Send,
) -> io::Result<T> {
    let mut race = Race {
        is_by_family: lookup.is_by_family(),
        lookup: Some(lookup),
        port,
        settings,
        connect,
        v6: VecDeque::new(),
        v4: VecDeque::new(),
        next_family: None,
        hold_until: None,
        next_at: None,
        running: Vec::new(),
        started: 0,
        failed: None,
        timer: None,
    };
    poll_fn(|cx| race.poll(cx)).await
}

/// When the next address may be tried.
enum Next {
    At(Instant),
    /// When the attempt under way has failed.
    AfterFailure,
}

struct Race<'l, 'a, T, F> {
    /// `None`: all addresses are known.
    lookup: Option<Lookup<'l>>,
    /// Addresses come family by family, in any order; else in the order in which to try them.
    is_by_family: bool,
    port: u16,
    settings: HappyEyeballs,
    connect: F,
    /// Addresses that were not tried yet, in order.
    v6: VecDeque<IpAddr>,
    v4: VecDeque<IpAddr>,
    /// Whose turn it is; `None` before anything is known.
    next_family: Option<Family>,
    /// IPv4 addresses wait for IPv6 until then.
    hold_until: Option<Instant>,
    /// The next address is not tried before; `None`: at once.
    next_at: Option<Instant>,
    /// Attempts under way, with their places in the order of starting.
    running: Vec<(usize, Attempt<'a, T>)>,
    started: usize,
    /// The error to tell if nothing succeeds, with the place of its attempt.
    failed: Option<(usize, io::Error)>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<'a, T, F> Race<'_, 'a, T, F>
where
    F: Fn(SocketAddr) -> Attempt<'a, T>,
{
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        loop {
            self.poll_lookup(cx);
            if let Some(connection) = self.poll_attempts(cx) {
                // The others are dropped with the race, and so given up.
                return Poll::Ready(Ok(connection));
            }
            let now = Instant::now();
            let next = self.next(now);
            if matches!(next, Next::At(at) if at <= now)
                && let Some(address) = self.next_address()
            {
                self.start(address, now);
                continue;
            }
            if !self.has_addresses() {
                if self.running.is_empty() && self.lookup.is_none() {
                    return Poll::Ready(Err(self.error()));
                }
                return Poll::Pending;
            }
            match next {
                Next::At(at) if self.poll_timer(cx, at).is_ready() => {}
                _ => return Poll::Pending,
            }
        }
    }

    /// Takes what has been found.
    fn poll_lookup(&mut self, cx: &mut Context<'_>) {
        while let Some(lookup) = &mut self.lookup {
            let Poll::Ready(found) = lookup.poll_next(cx) else {
                break;
            };
            match found {
                Some(Ok(addresses)) => self.take(&addresses),
                // It found nothing at all, so nothing was tried.
                Some(Err(error)) => self.failed = Some((0, error)),
                None => self.lookup = None,
            }
        }
        let lookup = self.lookup.as_ref();
        let awaits_v6 = lookup.is_some_and(|lookup| lookup.awaits(Family::V6));
        if !awaits_v6 || self.started > 0 {
            self.hold_until = None;
        } else if self.hold_until.is_none() && !self.v4.is_empty() {
            // RFC 8305 section 3: the answer for IPv6 may be on its way.
            self.hold_until = Some(Instant::now() + self.settings.resolution_delay);
        }
    }

    fn take(&mut self, addresses: &[IpAddr]) {
        let is_first = self.started == 0 && !self.has_addresses();
        for address in addresses {
            match Family::of(address) {
                Family::V4 => self.v4.push_back(*address),
                Family::V6 => self.v6.push_back(*address),
            }
        }
        if is_first {
            self.next_family = addresses.first().map(Family::of);
        }
    }

    fn has_addresses(&self) -> bool {
        !(self.v4.is_empty() && self.v6.is_empty())
    }

    fn next(&self, now: Instant) -> Next {
        if self.settings.attempt_delay.is_none() && !self.running.is_empty() {
            return Next::AfterFailure;
        }
        let hold = self.hold_until.filter(|_| self.v6.is_empty());
        Next::At(hold.or(self.next_at).unwrap_or(now))
    }

    /// The families in turn, as long as both have addresses (RFC 8305 section 4).
    fn next_address(&mut self) -> Option<IpAddr> {
        if self.started == 0 && self.is_by_family {
            self.next_family = Some(Family::V6);
        }
        let (turn, other, after) = match self.next_family {
            Some(Family::V4) => (&mut self.v4, &mut self.v6, Family::V6),
            _ => (&mut self.v6, &mut self.v4, Family::V4),
        };
        let address = turn.pop_front().or_else(|| other.pop_front())?;
        self.next_family = Some(after);
        Some(address)
    }

    fn start(&mut self, address: IpAddr, now: Instant) {
        let attempt = (self.connect)(SocketAddr::new(address, self.port));
        self.running.push((self.started, attempt));
        self.started += 1;
        self.next_at = self.settings.attempt_delay.map(|delay| now + delay);
    }

    /// Whether one has succeeded.
    fn poll_attempts(&mut self, cx: &mut Context<'_>) -> Option<T> {
        let mut place = 0;
        while let Some((number, attempt)) = self.running.get_mut(place) {
            match attempt.as_mut().poll(cx) {
                Poll::Pending => place += 1,
                Poll::Ready(Ok(connection)) => return Some(connection),
                Poll::Ready(Err(error)) => {
                    let number = *number;
                    drop(self.running.remove(place));
                    self.note(number, error);
                    // Nobody waits for its end any more.
                    self.next_at = None;
                }
            }
        }
        None
    }

    /// Remembers the error to tell.
    fn note(&mut self, number: usize, error: io::Error) {
        let says_more = match &self.failed {
            None => true,
            Some((first, known)) => match (was_tried(known), was_tried(&error)) {
                (false, true) => true,
                (true, false) => false,
                _ => number < *first,
            },
        };
        if says_more {
            self.failed = Some((number, error));
        }
    }

    fn error(&mut self) -> io::Error {
        let failed = self.failed.take().map(|(_, error)| error);
        failed.unwrap_or_else(|| {
            io::Error::new(ErrorKind::InvalidInput, "the name has no address to try")
        })
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if timer.deadline() != at {
            timer.as_mut().reset(at);
        }
        timer.as_mut().poll(cx)
    }
}

/// Whether a packet left for the address at all.
fn was_tried(error: &io::Error) -> bool {
    !matches!(
        SocketError::of(error),
        Some(SocketError::Connect {
            why: ConnectError::NoRoute | ConnectError::AddressNotAvailable,
            ..
        })
    )
}

#[cfg(test)]
#[path = "eyeballs_tests.rs"]
mod tests;

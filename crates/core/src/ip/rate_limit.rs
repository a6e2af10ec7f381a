//! How many ICMP errors leave (RFC 1812 section 4.3.2.8, RFC 4443 section 2.4 f).

use core::net::IpAddr;

use switchboard_wire::Instant;

use crate::demux::hash::{SecretHash, SecretMap};

/// Destinations whose share is remembered.
const DESTINATIONS_MAX: usize = 1024;
/// Share of one destination in the whole rate: one in this many.
const SHARE: u32 = 10;

/// A token bucket in nanoseconds: it holds at most `burst` tokens, and one takes `interval`.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// The bucket is full from this moment on.
    full_at: Instant,
}

impl Bucket {
    /// Takes a token if there is one.
    fn take(&mut self, now: Instant, rate: u32, burst: u32) -> bool {
        let interval = 1_000_000_000 / u64::from(rate.max(1));
        let capacity = interval * u64::from(burst);
        let missing = self.full_at.as_nanos().saturating_sub(now.as_nanos());
        if rate == 0 || missing + interval > capacity {
            return false;
        }
        self.full_at = Instant::from_nanos(now.as_nanos() + missing + interval);
        true
    }
}

/// Two limits: of all errors together, and of those to one destination, so that one noisy
/// peer cannot use up what others need, nor count how much others used.
#[derive(Debug)]
pub(crate) struct RateLimit {
    rate: u32,
    burst: u32,
    all: Bucket,
    each: SecretMap<IpAddr, Bucket>,
}

impl RateLimit {
    /// `rate` errors a second, `burst` at once.
    pub(crate) fn new(rate: u32, burst: u32, secret: SecretHash) -> Self {
        Self {
            rate,
            burst,
            all: Bucket {
                full_at: Instant::ZERO,
            },
            each: SecretMap::with_hasher(secret),
        }
    }

    /// Whether an error may go to `destination` now; if so it counts.
    pub(crate) fn allows(&mut self, destination: IpAddr, now: Instant) -> bool {
        if self.each.len() >= DESTINATIONS_MAX && !self.each.contains_key(&destination) {
            // Those that have not been used for a while are as good as new. If all are in
            // use, the limit of all together still holds.
            self.each.retain(|_, bucket| bucket.full_at > now);
            if self.each.len() >= DESTINATIONS_MAX {
                self.each.clear();
            }
        }
        let fresh = Bucket { full_at: now };
        let bucket = self.each.entry(destination).or_insert(fresh);
        let (rate, burst) = ((self.rate / SHARE).max(1), (self.burst / 2).max(1));
        bucket.take(now, rate, burst) && self.all.take(now, self.rate, self.burst)
    }
}

#[cfg(test)]
mod tests;

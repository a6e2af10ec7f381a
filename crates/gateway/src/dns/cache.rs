//! Answers that are still good, so that a program that asks again need not wait again.
//!
//! Positive answers for their records' time to live, "no" for as long as RFC 2308 section 5 says
//! and never without a SOA. Bounded in entries and in octets; where it is full, the answer with the
//! least time left goes.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, Record, RecordType};

use super::Asking;
use crate::registry::lock;

/// Longest answer that is kept, in octets.
const OCTETS_MAX: usize = 4096;

/// Longest time that an answer is kept, whatever it says itself; and a "no" (RFC 2308 section 5
/// recommends one to three hours).
const TTL_MAX: Duration = Duration::from_secs(24 * 3600);
const NEGATIVE_TTL_MAX: Duration = Duration::from_secs(3600);

/// A question, with everything of it that an answer may depend on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// In small letters.
    name: String,
    record_type: RecordType,
    /// DO (RFC 3225), AD (RFC 6840 section 5.7), CD (RFC 4035 section 3.2.2), RD.
    flags: [bool; 4],
}

impl Key {
    /// The key of a question whose answer may be kept: an ordinary one, without options of EDNS
    /// that make it one of a kind (a cookie, a client's network).
    pub(super) fn of(asking: &Asking) -> Option<Self> {
        let record_type = asking.query.query_type();
        let kept = asking.is_ordinary
            && !asking.has_options
            && !matches!(
                record_type,
                RecordType::ANY | RecordType::AXFR | RecordType::IXFR
            );
        kept.then(|| Self {
            name: asking.query.name().to_ascii().to_ascii_lowercase(),
            record_type,
            flags: [
                asking.dnssec_ok,
                asking.authentic_data,
                asking.checking_disabled,
                asking.recursion_desired,
            ],
        })
    }
}

/// An answer that is kept.
#[derive(Clone)]
struct Kept {
    message: Message,
    server: SocketAddr,
    since: Instant,
    until: Instant,
    /// Its place among those that share its last moment.
    number: u64,
}

#[derive(Default)]
struct Table {
    kept: HashMap<Key, Kept>,
    by_end: BTreeMap<(Instant, u64), Key>,
    numbers: u64,
    /// Whom all this comes from. When the host's servers change (another network, a VPN), names
    /// may mean something else.
    servers: Vec<SocketAddr>,
}

/// The answers of one directory.
pub(super) struct Cache {
    max: usize,
    table: Mutex<Table>,
}

impl Cache {
    pub(super) fn new(max: usize) -> Self {
        Self {
            max,
            table: Mutex::default(),
        }
    }

    /// The answer to `key`, with the time that is left to it, and who gave it. `servers`: whom one
    /// would ask for names in general.
    pub(super) fn get(
        &self,
        key: &Key,
        servers: &[SocketAddr],
        now: Instant,
    ) -> Option<(Message, SocketAddr)> {
        let mut table = lock(&self.table);
        if table.servers != servers {
            *table = Table {
                servers: servers.to_vec(),
                ..Table::default()
            };
            return None;
        }
        let kept = table.kept.get(key).filter(|kept| kept.until > now)?;
        let mut message = kept.message.clone();
        let age = now.saturating_duration_since(kept.since).as_secs();
        let age = u32::try_from(age).unwrap_or(u32::MAX);
        for record in records(&mut message) {
            record.ttl = record.ttl.saturating_sub(age);
        }
        Some((message, kept.server))
    }

    /// Keeps `message`, if it may be kept.
    pub(super) fn put(&self, key: Key, message: &[u8], server: SocketAddr, now: Instant) {
        if message.len() > OCTETS_MAX || self.max == 0 {
            return;
        }
        let Ok(mut message) = Message::from_vec(message) else {
            return;
        };
        let Some(ttl) = time_to_live(&message, key.record_type) else {
            return;
        };
        // Of this one hop (RFC 6891 section 6.1.1); the client's own is made anew.
        message.edns = None;
        let mut table = lock(&self.table);
        table.numbers += 1;
        let kept = Kept {
            message,
            server,
            since: now,
            until: now + ttl,
            number: table.numbers,
        };
        table.by_end.insert((kept.until, kept.number), key.clone());
        if let Some(before) = table.kept.insert(key, kept) {
            table.by_end.remove(&(before.until, before.number));
        }
        while table.kept.len() > self.max {
            let Some((_, first)) = table.by_end.pop_first() else {
                break;
            };
            table.kept.remove(&first);
        }
    }
}

fn records(message: &mut Message) -> impl Iterator<Item = &mut Record> {
    let answers = message.answers.iter_mut();
    answers
        .chain(&mut message.authorities)
        .chain(&mut message.additionals)
}

/// How long an answer may be kept; none: not at all.
fn time_to_live(message: &Message, asked: RecordType) -> Option<Duration> {
    if message.metadata.truncation {
        return None;
    }
    let has_data = message
        .answers
        .iter()
        .any(|record| record.record_type() == asked);
    let (ttl, max) = match message.metadata.response_code {
        ResponseCode::NoError if has_data => (None, TTL_MAX),
        // RFC 2308 section 5: the lesser of the SOA's own time and its MINIMUM.
        ResponseCode::NoError | ResponseCode::NXDomain => {
            let soa = |record: &Record| match &record.data {
                RData::SOA(soa) => Some(soa.minimum.min(record.ttl)),
                _ => None,
            };
            (
                Some(message.authorities.iter().find_map(soa)?),
                NEGATIVE_TTL_MAX,
            )
        }
        _ => return None,
    };
    let sections = [&message.answers, &message.authorities, &message.additionals];
    let least = sections
        .into_iter()
        .flatten()
        .map(|record| record.ttl)
        .min();
    // RFC 2181 section 8: with the first bit set it means zero.
    let seconds = ttl.into_iter().chain(least).min()?;
    let seconds = if seconds >> 31 == 1 { 0 } else { seconds };
    let ttl = Duration::from_secs(u64::from(seconds)).min(max);
    (!ttl.is_zero()).then_some(ttl)
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;

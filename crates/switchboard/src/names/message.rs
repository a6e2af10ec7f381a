//! Questions and answers of DNS (RFC 1035), as far as addresses go.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, RecordType};

use super::{Family, NameError};

/// Octets of a datagram that we say we take: what crosses every path whole, so that nobody has
/// to put fragments together that a stranger may have mixed in.
pub(super) const UDP_PAYLOAD: u16 = 1232;

/// Octets of a message's header (RFC 1035 section 4.1.1).
const HEADER_LEN: usize = 12;

/// Most aliases that are followed in one answer: a circle ends too.
const ALIASES_MAX: usize = 16;

/// Most addresses of one answer that are used.
const ADDRESSES_MAX: usize = 64;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Question {
    pub(super) name: Name,
    pub(super) family: Family,
}

/// What a server says of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) addresses: Vec<IpAddr>,
    /// Whether the name exists at all, with whatever records.
    pub(super) exists: bool,
    /// How long it may be kept; `None`: not at all.
    pub(super) ttl: Option<Duration>,
    /// Who says so.
    pub(super) server: SocketAddr,
}

impl Answer {
    /// As the caller of a lookup wants it.
    pub(super) fn into_addresses(self) -> Result<Vec<IpAddr>, NameError> {
        let server = Some(self.server);
        match self {
            Self { exists: false, .. } => Err(NameError::NoSuchName { server }),
            Self { addresses, .. } if addresses.is_empty() => Err(NameError::NoAddress { server }),
            Self { addresses, .. } => Ok(addresses),
        }
    }
}

/// What a message is that came back.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// Not the answer to this question: forged, or late.
    NotOurs,
    /// It did not fit a datagram.
    Truncated,
    /// An answer, which may be no.
    Answer(Answer),
    /// The server cannot or will not answer.
    Code(ResponseCode),
    /// The answer to this question, but not one that can be.
    Nonsense,
}

impl Question {
    fn record_type(&self) -> RecordType {
        match self.family {
            Family::V4 => RecordType::A,
            Family::V6 => RecordType::AAAA,
        }
    }

    /// The message to send. `None`: the name is too long for one.
    pub(super) fn message(&self, id: u16, with_edns: bool) -> Option<Vec<u8>> {
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        // RFC 1035 section 4.1.1: we are no server, so somebody must do the walking.
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(self.name.clone(), self.record_type()));
        if with_edns {
            let mut edns = Edns::new();
            edns.set_max_payload(UDP_PAYLOAD).set_version(0);
            message.set_edns(edns);
        }
        message.to_vec().ok()
    }

    /// What `octets`, a message from `server`, says of this question.
    pub(super) fn read(&self, octets: &[u8], id: u16, server: SocketAddr, is_udp: bool) -> Reply {
        let Some([id_0, id_1, flags, ..]) = octets.first_chunk::<HEADER_LEN>() else {
            return Reply::NotOurs;
        };
        let (is_response, is_truncated) = (flags & 0x80 != 0, flags & 0x02 != 0);
        if !is_response || u16::from_be_bytes([*id_0, *id_1]) != id {
            return Reply::NotOurs;
        }
        let message = match Message::from_vec(octets) {
            Ok(message) => message,
            // Cut anywhere, so it may not even parse. Asking again over TCP is no harm.
            Err(_) if is_truncated && is_udp => return Reply::Truncated,
            Err(_) => return Reply::Nonsense,
        };
        if !self.is_in(&message) {
            return Reply::NotOurs;
        }
        match message.metadata.response_code {
            _ if is_truncated && is_udp => Reply::Truncated,
            ResponseCode::NoError | ResponseCode::NXDomain => self.read_answer(&message, server),
            code => Reply::Code(code),
        }
    }

    /// RFC 5452 section 9.1: an answer repeats the question.
    fn is_in(&self, message: &Message) -> bool {
        if message.metadata.op_code != OpCode::Query {
            return false;
        }
        match &message.queries[..] {
            // A server that understood nothing may leave the question out.
            [] => message.metadata.response_code == ResponseCode::FormErr,
            [query] => {
                query.name.eq_ignore_root(&self.name)
                    && query.query_type == self.record_type()
                    && query.query_class == DNSClass::IN
            }
            _ => false,
        }
    }

    fn read_answer(&self, message: &Message, server: SocketAddr) -> Reply {
        if is_lame(message) {
            return Reply::Nonsense;
        }
        let Some((canonical, alias_ttl)) = self.follow_aliases(message) else {
            return Reply::Nonsense;
        };
        let mut ttl = alias_ttl;
        let mut addresses = Vec::new();
        for record in &message.answers {
            let address = match (&record.data, self.family) {
                (RData::A(a), Family::V4) => IpAddr::V4(a.0),
                (RData::AAAA(aaaa), Family::V6) => IpAddr::V6(aaaa.0),
                _ => continue,
            };
            let is_about_it = record.name.eq_ignore_root(canonical);
            if is_about_it && record.dns_class == DNSClass::IN && addresses.len() < ADDRESSES_MAX {
                ttl = shorter(ttl, record.ttl);
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
        }
        let ttl = if addresses.is_empty() {
            // As long as all of it holds, the aliases too.
            negative_ttl(message).and_then(|soa| shorter(alias_ttl, soa))
        } else {
            ttl
        };
        Reply::Answer(Answer {
            exists: message.metadata.response_code != ResponseCode::NXDomain
                || !addresses.is_empty(),
            addresses,
            ttl: ttl
                .filter(|ttl| *ttl > 0)
                .map(|ttl| Duration::from_secs(ttl.into())),
            server,
        })
    }

    /// The name that the question's is an alias of in the end (RFC 1034 section 3.6.2), and the
    /// shortest lifetime on the way. `None`: there is no end.
    fn follow_aliases<'a>(&'a self, message: &'a Message) -> Option<(&'a Name, Option<u32>)> {
        let (mut name, mut ttl) = (&self.name, None);
        for _ in 0..=ALIASES_MAX {
            let alias = message.answers.iter().find_map(|record| {
                let is_about_it = record.name.eq_ignore_root(name);
                match &record.data {
                    RData::CNAME(target) if is_about_it && record.dns_class == DNSClass::IN => {
                        Some((&target.0, record.ttl))
                    }
                    _ => None,
                }
            });
            let Some((target, alias_ttl)) = alias else {
                return Some((name, ttl));
            };
            name = target;
            ttl = shorter(ttl, alias_ttl);
        }
        None
    }
}

/// The shorter of two lifetimes, in seconds. RFC 2181 section 8: with the highest bit set it
/// means zero.
fn shorter(known: Option<u32>, ttl: u32) -> Option<u32> {
    let ttl = if ttl > i32::MAX as u32 { 0 } else { ttl };
    Some(known.map_or(ttl, |known| known.min(ttl)))
}

/// Whether a server that neither knows nor finds out for others only points elsewhere: that says
/// nothing of the name. "No" would come from its authority, with recursion, or with a SOA.
fn is_lame(message: &Message) -> bool {
    let flags = &message.metadata;
    flags.response_code == ResponseCode::NoError
        && message.answers.is_empty()
        && !flags.authoritative
        && !flags.recursion_available
        && negative_ttl(message).is_none()
}

/// How long "no" may be kept, in seconds: the shorter of the SOA's own lifetime and its MINIMUM
/// (RFC 2308 section 5); without a SOA not at all.
fn negative_ttl(message: &Message) -> Option<u32> {
    message
        .authorities
        .iter()
        .find_map(|record| match &record.data {
            RData::SOA(soa) => shorter(Some(record.ttl), soa.minimum),
            _ => None,
        })
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;

//! The directory at `.3`: answers names of ours, asks the host's servers for all others.

mod cache;
mod hosts;
mod message;
mod names;
mod own;
mod resolv_conf;
mod serve;
#[cfg(test)]
mod tests;
mod upstream;
mod watched;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::{RData, RecordType};
use switchboard_wire::Endpoint;

pub(crate) use names::Names;
pub(crate) use own::addresses as own_addresses;
pub(crate) use serve::Service;

use crate::context::Context;
use crate::observer::{Flow, Happening, Resolution};
use crate::policy::Verdict;
use cache::{Cache, Key};
use hosts::Hosts;
use message::HEADER_LEN;
use resolv_conf::Servers;
use upstream::{Asked, Over, Upstream};
use watched::Watched;

/// What a client without EDNS takes over UDP (RFC 1035 section 4.2.1), in octets.
const UDP_PAYLOAD_MIN: u16 = 512;

/// What we say that we take over UDP (DNS flag day 2020), in octets.
const UDP_PAYLOAD: u16 = 1232;

/// Extended errors (RFC 8914): why a "no" is a "no".
#[derive(Clone, Copy)]
enum ExtendedError {
    Blocked = 15,
    NoReachableAuthority = 22,
    NetworkError = 23,
}

/// The directory.
pub(crate) struct Directory {
    context: Arc<Context>,
    servers: Servers,
    /// The host's own table of names, if programs are to find what is in it.
    hosts: Option<Watched<Hosts>>,
    cache: Cache,
    upstream: Upstream,
}

/// A question as it came in.
pub(crate) struct Question<'a> {
    pub(crate) message: &'a [u8],
    pub(crate) client: Endpoint,
    pub(crate) directory: Endpoint,
    /// The client's conversation with us.
    pub(crate) flow: &'a Arc<Flow>,
}

/// What came of a question: for the client, and for people.
struct Answered {
    message: Vec<u8>,
    resolution: Resolution,
    server: Option<SocketAddr>,
}

impl Directory {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        Self {
            servers: Servers::new(&context.config.dns_servers, &context.config.dns_routes),
            hosts: context
                .config
                .hosts_file
                .as_deref()
                .map(|path| Watched::new(path, Hosts::parse)),
            cache: Cache::new(context.config.limits.dns_cache),
            upstream: Upstream::default(),
            context,
        }
    }

    /// The answer to send back; `None` where there is nothing to answer (RFC 1035 says
    /// nothing of answers to answers).
    pub(crate) async fn answer(&self, question: Question<'_>) -> Option<Vec<u8>> {
        let started = Instant::now();
        if !message::is_query(question.message) {
            return None;
        }
        let Some(query) = single_query(question.message) else {
            return Some(unreadable(question.message));
        };
        let answered = self.resolve(&query, &question).await;
        self.context.holder_grace(question.flow).await;
        self.context.tell(&Happening::Resolved {
            client: question.client,
            directory: question.directory,
            name: printed_name(&query),
            record_type: Arc::from(query.query.query_type().to_string()),
            resolution: answered.resolution,
            server: answered.server,
            elapsed: started.elapsed(),
            holder: question.flow.holder().cloned(),
        });
        let limit = match question.client.protocol {
            switchboard_wire::Protocol::Tcp => usize::from(u16::MAX),
            switchboard_wire::Protocol::Udp => usize::from(query.udp_payload),
        };
        if answered.message.len() > limit {
            let edns = query.has_edns.then_some(UDP_PAYLOAD);
            return message::truncated(&answered.message, limit, edns);
        }
        Some(answered.message)
    }

    async fn resolve(&self, query: &Asking, question: &Question<'_>) -> Answered {
        let name = printed_name(query);
        let holder = question.flow.holder();
        let client = question.client.address;
        if let Verdict::Refuse { why, .. } = self.context.policy.name(&name, client, holder) {
            // NXDOMAIN, because on REFUSED the C library asks again and reports a passing
            // failure.
            let message = query.refuse(ResponseCode::NXDomain, ExtendedError::Blocked);
            return Answered {
                message,
                resolution: Resolution::Policy(why),
                server: None,
            };
        }
        if query.is_ordinary
            && let Some(own) = own::answer(&self.context.config, &query.query)
                .or_else(|| self.in_hosts_file(&name, query))
        {
            let message = query.respond(own.code, |response| {
                response.metadata.authoritative = true;
                response.add_answers(own.answers);
                response.add_authorities(own.authority);
            });
            return self.learned(name, message, None);
        }
        self.forward(name, query, question).await
    }

    /// The answer of the host's own table.
    fn in_hosts_file(&self, name: &str, query: &Asking) -> Option<own::OwnAnswer> {
        let hosts = self.hosts.as_ref()?.get();
        match query.query.query_type() {
            RecordType::A | RecordType::AAAA => {
                own::of_addresses(&query.query, hosts.addresses(name)?)
            }
            RecordType::PTR => own::of_name(&query.query, hosts.name_of_reverse(name)?),
            // The table says nothing of others: the world's directory may.
            _ => None,
        }
    }

    async fn forward(&self, name: Arc<str>, query: &Asking, question: &Question<'_>) -> Answered {
        let key = Key::of(query);
        let general = self.servers.general();
        if let Some(key) = &key
            && let Some((kept, server)) = self.cache.get(key, &general, Instant::now())
        {
            return self.learned(name, query.repeat(kept), Some(server));
        }
        match self.ask(&name, question).await {
            Asked::Answer(server, message) => {
                if let Some(key) = key {
                    self.cache.put(key, &message, server, Instant::now());
                }
                self.learned(name, message, Some(server))
            }
            Asked::NoAnswer => Answered {
                message: query.refuse(ResponseCode::ServFail, ExtendedError::NoReachableAuthority),
                resolution: Resolution::NoAnswer,
                server: None,
            },
            Asked::NoServer => Answered {
                message: query.refuse(ResponseCode::ServFail, ExtendedError::NetworkError),
                resolution: Resolution::NoServer,
                server: None,
            },
        }
    }

    /// Asks the servers for `name`, over what the client asked over and then over the other, where
    /// that one says no or only half of it.
    async fn ask(&self, name: &str, question: &Question<'_>) -> Asked {
        let servers = self.servers.of(name);
        let limits = &self.context.config.limits;
        let over = match question.client.protocol {
            switchboard_wire::Protocol::Udp => Over::Udp,
            switchboard_wire::Protocol::Tcp => Over::Tcp,
        };
        let ask = |over| {
            let servers = servers.clone();
            self.upstream.ask(servers, over, question.message, limits)
        };
        let mut asked = ask(over).await;
        if over == Over::Tcp && matches!(asked, Asked::NoServer) {
            // A server that does not speak TCP: better an answer than a principle.
            asked = ask(Over::Udp).await;
        }
        if let Asked::Answer(_, short) = &asked
            && over == Over::Udp
            && message::is_truncated(short)
        {
            // The client may not know how to ask over TCP; and if it does, we know by then.
            let patience = limits.dns_server_wait;
            let whole = tokio::time::timeout(patience, ask(Over::Tcp)).await;
            if let Ok(answer @ Asked::Answer(..)) = whole {
                asked = answer;
            }
        }
        asked
    }

    /// Looks at an answer: remembers addresses under the name that was asked for, not under
    /// the last of a chain of aliases, because people know the one they typed.
    fn learned(&self, name: Arc<str>, message: Vec<u8>, server: Option<SocketAddr>) -> Answered {
        let resolution = match Message::from_vec(&message) {
            Err(_) => Resolution::ServerError(Arc::from("unreadable answer")),
            Ok(parsed) => {
                let addresses: Vec<(IpAddr, u32)> = addresses(&parsed).collect();
                for (address, ttl) in &addresses {
                    let ttl = Duration::from_secs(u64::from(*ttl));
                    self.context.names.learn(*address, &name, ttl);
                }
                match parsed.metadata.response_code {
                    ResponseCode::NoError if !addresses.is_empty() => {
                        let addresses = addresses.into_iter().map(|(address, _)| address);
                        Resolution::Addresses(addresses.collect())
                    }
                    ResponseCode::NoError if parsed.answers.is_empty() => Resolution::NoData,
                    ResponseCode::NoError => Resolution::Records(parsed.answers.len()),
                    ResponseCode::NXDomain => Resolution::NoSuchName,
                    code => Resolution::ServerError(Arc::from(code.to_str())),
                }
            }
        };
        Answered {
            message,
            resolution,
            server,
        }
    }
}

fn addresses(message: &Message) -> impl Iterator<Item = (IpAddr, u32)> {
    message.answers.iter().filter_map(|record| {
        let address = match &record.data {
            RData::A(a) => IpAddr::V4(a.0),
            RData::AAAA(aaaa) => IpAddr::V6(aaaa.0),
            _ => return None,
        };
        Some((address, record.ttl))
    })
}

/// A question that we have read.
struct Asking {
    id: u16,
    recursion_desired: bool,
    query: Query,
    /// What the client takes over UDP, in octets.
    udp_payload: u16,
    has_edns: bool,
    /// It has options of EDNS.
    has_options: bool,
    dnssec_ok: bool,
    authentic_data: bool,
    checking_disabled: bool,
    /// An ordinary look-up in the Internet class, which names of ours can answer.
    is_ordinary: bool,
}

impl Asking {
    /// A response of our own making.
    fn respond(&self, code: ResponseCode, fill: impl FnOnce(&mut Message)) -> Vec<u8> {
        let mut response = Message::new(self.id, MessageType::Response, OpCode::Query);
        response.metadata.recursion_desired = self.recursion_desired;
        response.metadata.recursion_available = true;
        response.metadata.response_code = code;
        response.add_query(self.query.clone());
        if self.has_edns {
            // RFC 6891 section 6.1.1: who asks with EDNS is answered with EDNS.
            let mut edns = Edns::new();
            edns.set_max_payload(UDP_PAYLOAD);
            response.set_edns(edns);
        }
        fill(&mut response);
        // What we made ourselves can be written; if not, the client learns that we failed.
        response.to_vec().unwrap_or_else(|_| {
            let error = Message::error_msg(self.id, OpCode::Query, ResponseCode::ServFail);
            error.to_vec().unwrap_or_default()
        })
    }

    /// An answer that somebody had before, for this one.
    fn repeat(&self, kept: Message) -> Vec<u8> {
        self.respond(kept.metadata.response_code, |response| {
            let metadata = &mut response.metadata;
            metadata.recursion_available = kept.metadata.recursion_available;
            metadata.authentic_data = kept.metadata.authentic_data;
            metadata.checking_disabled = self.checking_disabled;
            response.answers = kept.answers;
            response.authorities = kept.authorities;
            response.additionals = kept.additionals;
            if let Some(edns) = &mut response.edns {
                edns.set_dnssec_ok(self.dnssec_ok);
            }
        })
    }

    fn refuse(&self, code: ResponseCode, why: ExtendedError) -> Vec<u8> {
        self.respond(code, |response| {
            if let Some(edns) = &mut response.edns {
                // RFC 8914 section 2: option 15, and the info code as its content.
                let info = (why as u16).to_be_bytes().to_vec();
                edns.options_mut().insert(EdnsOption::Unknown(15, info));
            }
        })
    }
}

/// Reads a message that asks one thing; everything that is asked in practice does.
fn single_query(message: &[u8]) -> Option<Asking> {
    let parsed = Message::from_vec(message).ok()?;
    let [query] = parsed.queries.as_slice() else {
        return None;
    };
    let edns = parsed.edns.as_ref();
    Some(Asking {
        id: parsed.metadata.id,
        recursion_desired: parsed.metadata.recursion_desired,
        udp_payload: edns.map_or(0, Edns::max_payload).max(UDP_PAYLOAD_MIN),
        has_edns: edns.is_some(),
        has_options: edns.is_some_and(|edns| !edns.options().options.is_empty()),
        dnssec_ok: edns.is_some_and(|edns| edns.flags().dnssec_ok),
        authentic_data: parsed.metadata.authentic_data,
        checking_disabled: parsed.metadata.checking_disabled,
        is_ordinary: parsed.metadata.op_code == OpCode::Query
            && query.query_class() == hickory_proto::rr::DNSClass::IN
            && query.query_type() != RecordType::OPT,
        query: query.clone(),
    })
}

/// FORMERR for what we cannot read, as much of a message as that takes.
fn unreadable(message: &[u8]) -> Vec<u8> {
    let id = message::id(message).unwrap_or(0);
    let error = Message::error_msg(id, OpCode::Query, ResponseCode::FormErr);
    error.to_vec().unwrap_or_else(|_| vec![0; HEADER_LEN])
}

/// The name as people write it: without the last dot, in small letters.
fn printed_name(query: &Asking) -> Arc<str> {
    let name = query.query.name().to_ascii().to_ascii_lowercase();
    let shown = name.strip_suffix('.').unwrap_or(&name);
    Arc::from(if shown.is_empty() { "." } else { shown })
}

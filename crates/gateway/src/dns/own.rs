//! Names that the directory answers itself: `switchboard.internal` and `localhost`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_proto::op::{Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, PTR, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use crate::config::GatewayConfig;

/// How long programs may keep what we answer, in seconds. Our addresses last as long as the
/// run, but what they are cached with may outlive it.
const TTL: u32 = 10;

/// What we know of a name of ours.
pub(super) struct OwnAnswer {
    pub(super) code: ResponseCode,
    pub(super) answers: Vec<Record>,
    pub(super) authority: Option<Record>,
}

/// The answer to `query`, if it is about a name of ours.
pub(super) fn answer(config: &GatewayConfig, query: &Query) -> Option<OwnAnswer> {
    let name = query.name().to_ascii().to_ascii_lowercase();
    let name = name.trim_end_matches('.');
    let known = if name == "localhost" || name.ends_with(".localhost") {
        // RFC 6761 section 6.3: loopback, whoever asks for it, and nothing else.
        Known {
            v4: Some(Ipv4Addr::LOCALHOST),
            v6: Some(Ipv6Addr::LOCALHOST),
            name: None,
            exists: true,
        }
    } else if name == "switchboard.internal" || name.ends_with(".switchboard.internal") {
        own_host(config, name.trim_end_matches("switchboard.internal"))
    } else {
        pointer(config, query.name())?
    };
    let data = match query.query_type() {
        RecordType::A => known.v4.map(|v4| RData::A(A(v4))),
        RecordType::AAAA => known.v6.map(|v6| RData::AAAA(AAAA(v6))),
        RecordType::PTR => known.name.map(|name| RData::PTR(PTR(name))),
        _ => None,
    };
    let code = if known.exists {
        ResponseCode::NoError
    } else {
        ResponseCode::NXDomain
    };
    // RFC 2308 section 3: "no" is only kept with a SOA that says for how long.
    let authority = if data.is_none() { soa() } else { None };
    let record = |data| Record::from_rdata(query.name().clone(), TTL, data);
    Some(OwnAnswer {
        code,
        answers: data.map(record).into_iter().collect(),
        authority,
    })
}

/// The answer that `addresses` make: those of the family that is asked for. A name without any of
/// that family is there all the same.
pub(super) fn of_addresses(query: &Query, addresses: &[IpAddr]) -> Option<OwnAnswer> {
    let data = |address: &IpAddr| match (query.query_type(), address) {
        (RecordType::A, IpAddr::V4(v4)) => Some(RData::A(A(*v4))),
        (RecordType::AAAA, IpAddr::V6(v6)) => Some(RData::AAAA(AAAA(*v6))),
        _ => None,
    };
    Some(of_data(query, addresses.iter().filter_map(data)))
}

/// The answer that a reverse name has.
pub(super) fn of_name(query: &Query, name: &str) -> Option<OwnAnswer> {
    let name = Name::from_ascii(format!("{name}.")).ok()?;
    Some(of_data(query, std::iter::once(RData::PTR(PTR(name)))))
}

fn of_data(query: &Query, data: impl Iterator<Item = RData>) -> OwnAnswer {
    let record = |data| Record::from_rdata(query.name().clone(), TTL, data);
    let answers: Vec<Record> = data.map(record).collect();
    OwnAnswer {
        code: ResponseCode::NoError,
        authority: if answers.is_empty() { soa() } else { None },
        answers,
    }
}

/// The addresses of `name`, if it is one of `switchboard.internal`; none where nobody has it.
pub(crate) fn addresses(config: &GatewayConfig, name: &str) -> Option<Vec<IpAddr>> {
    let name = name.to_ascii_lowercase();
    let label = name
        .trim_end_matches('.')
        .strip_suffix("switchboard.internal")?;
    if !label.is_empty() && !label.ends_with('.') {
        return None;
    }
    let known = own_host(config, label);
    let v4 = known.v4.map(IpAddr::V4);
    Some(v4.into_iter().chain(known.v6.map(IpAddr::V6)).collect())
}

#[derive(Default)]
struct Known {
    v4: Option<Ipv4Addr>,
    v6: Option<Ipv6Addr>,
    name: Option<Name>,
    exists: bool,
}

/// The hosts of `switchboard.internal`; `label` ends in a dot unless it is empty.
///
/// The zone itself has an A record alone: with an AAAA beside it the C library would go to
/// IPv6 first. `v6.` has the AAAA.
fn own_host(config: &GatewayConfig, label: &str) -> Known {
    let v4 = |v4| Known {
        v4,
        exists: true,
        ..Known::default()
    };
    match label {
        "" => v4(config.builtin.v4),
        "v6." => Known {
            v6: config.builtin.v6,
            exists: true,
            ..Known::default()
        },
        "silent." => v4(config.silent.v4),
        "gateway." => v4(config.gateway.v4),
        "dns." => v4(config.dns.v4),
        _ => Known::default(),
    }
}

/// The names of our addresses, for those who ask backwards (RFC 1035 section 3.5).
fn pointer(config: &GatewayConfig, name: &Name) -> Option<Known> {
    let network = name.parse_arpa_name().ok()?;
    let address = network.addr();
    let whole = match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    };
    if network.prefix_len() != whole {
        return None;
    }
    let hosts = [
        (config.builtin, "switchboard.internal."),
        (config.silent, "silent.switchboard.internal."),
        (config.gateway, "gateway.switchboard.internal."),
        (config.dns, "dns.switchboard.internal."),
    ];
    let (_, name) = hosts.iter().find(|(host, _)| host.is(address))?;
    Some(Known {
        name: Name::from_ascii(name).ok(),
        exists: true,
        ..Known::default()
    })
}

fn soa() -> Option<Record> {
    let zone = Name::from_ascii("switchboard.internal.").ok()?;
    let keeper = Name::from_ascii("nobody.switchboard.internal.").ok()?;
    let ttl = i32::try_from(TTL).unwrap_or(0);
    let soa = SOA::new(zone.clone(), keeper, 1, ttl, ttl, ttl, TTL);
    Some(Record::from_rdata(zone, TTL, RData::SOA(soa)))
}

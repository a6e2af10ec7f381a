//! `--dns`: whom the program's directory asks, for all names or for those under a suffix.

use std::net::{IpAddr, SocketAddr};

use switchboard_gateway::{DnsRoute, DnsServers};

/// One value of `--dns`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DnsFlag {
    /// For names under it; none: for all others.
    suffix: Option<String>,
    server: SocketAddr,
}

/// `[SUFFIX=]ADDR[:PORT]`; port 53 (RFC 1035 section 4.2) unless given.
pub(super) fn parse(text: &str) -> Result<DnsFlag, String> {
    let (suffix, server) = match text.split_once('=') {
        Some((suffix, server)) => (Some(suffix), server),
        None => (None, text),
    };
    let suffix = suffix.map(|suffix| suffix.trim_matches('.').to_ascii_lowercase());
    if suffix.as_deref().is_some_and(|suffix| !is_name(suffix)) {
        return Err("before = stands the end of names, as corp or corp.example".to_owned());
    }
    let bare = server.trim_start_matches('[').trim_end_matches(']');
    let server = server.parse().or_else(|_| {
        bare.parse()
            .map(|address: IpAddr| SocketAddr::new(address, 53))
    });
    server
        .map(|server| DnsFlag { suffix, server })
        .map_err(|_| "write ADDR or ADDR:PORT, IPv6 with a port in brackets".to_owned())
}

/// Labels of letters, digits, `-` and `_`, up to 63 octets each (RFC 1035 section 2.3.4).
fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        let octet = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(octet)
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

/// What all values of `--dns` together mean.
pub(crate) fn servers(flags: &[DnsFlag]) -> (DnsServers, Vec<DnsRoute>) {
    let (mut general, mut routes) = (Vec::new(), Vec::<DnsRoute>::new());
    for flag in flags {
        let Some(suffix) = &flag.suffix else {
            general.push(flag.server);
            continue;
        };
        match routes.iter_mut().find(|route| route.suffix == *suffix) {
            Some(route) => route.servers.push(flag.server),
            None => routes.push(DnsRoute {
                suffix: suffix.clone(),
                servers: vec![flag.server],
            }),
        }
    }
    let general = match general.is_empty() {
        true => DnsServers::Host,
        false => DnsServers::These(general),
    };
    (general, routes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(texts: &[&str]) -> Vec<DnsFlag> {
        texts.iter().map(|text| parse(text).unwrap()).collect()
    }

    #[test]
    fn servers_for_all_names_have_a_port() {
        let all = flags(&["192.0.2.1", "[::1]", "[::1]:5300", "::1", "192.0.2.1:5300"]);
        let expected: Vec<SocketAddr> = [
            "192.0.2.1:53",
            "[::1]:53",
            "[::1]:5300",
            "[::1]:53",
            "192.0.2.1:5300",
        ]
        .map(|text| text.parse().unwrap())
        .to_vec();
        assert_eq!(servers(&all), (DnsServers::These(expected), Vec::new()));
        assert!(parse("dns.example").is_err());
        assert!(parse("192.0.2.1:x").is_err());
    }

    #[test]
    fn a_suffix_may_have_several_servers_and_leaves_the_others_to_the_host() {
        let split = flags(&[
            "corp=10.0.0.2",
            ".Corp.=[fd00::2]:5300",
            "b.example=10.0.0.3:54",
        ]);
        let route = |suffix: &str, servers: &[&str]| DnsRoute {
            suffix: suffix.to_owned(),
            servers: servers.iter().map(|text| text.parse().unwrap()).collect(),
        };
        let routes = vec![
            route("corp", &["10.0.0.2:53", "[fd00::2]:5300"]),
            route("b.example", &["10.0.0.3:54"]),
        ];
        assert_eq!(servers(&split), (DnsServers::Host, routes));
        for wrong in [
            "=10.0.0.2",
            "a b=10.0.0.2",
            "a..b=10.0.0.2",
            "*.corp=10.0.0.2",
            "corp=",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}

//! A proxy variable that names this machine's loopback means the run itself once inside.

use std::collections::BTreeMap;

/// What programs read; some read the one spelling, some the other.
const VARIABLES: [&str; 3] = ["http_proxy", "https_proxy", "all_proxy"];

/// A line for each proxy that cannot be reached, given what is in the environment and which
/// ports of localhost are this machine's.
pub(super) fn warnings(
    variable: impl Fn(&str) -> Option<String>,
    is_ours: impl Fn(u16) -> bool,
) -> Vec<String> {
    let mut named: BTreeMap<(String, Option<u16>), Vec<String>> = BTreeMap::new();
    for name in VARIABLES {
        for name in [name.to_owned(), name.to_ascii_uppercase()] {
            let proxy = variable(&name).and_then(|value| on_loopback(&value));
            if let Some((host, port)) = proxy
                && !port.is_some_and(&is_ours)
            {
                named.entry((host, port)).or_default().push(name);
            }
        }
    }
    let line = |((host, port), variables): (_, Vec<String>)| warning(host, port, &variables);
    named.into_iter().map(line).collect()
}

fn warning(host: String, port: Option<u16>, variables: &[String]) -> String {
    let names = if variables.len() == 1 {
        "names"
    } else {
        "name"
    };
    let variables = variables.join(", ");
    let (at, fix) = match port {
        Some(port) => (format!("{host}:{port}"), port.to_string()),
        None => (host, "PORT".to_owned()),
    };
    format!(
        "{variables} {names} {at}, which is the run itself in there, not your machine: add \
         --localhost {fix}"
    )
}

/// Host and port of a proxy's address, if that is this machine's loopback.
fn on_loopback(value: &str) -> Option<(String, Option<u16>)> {
    let rest = value.split_once("://").map_or(value, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let (host, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (host, port.strip_prefix(':'))
        }
        None => match host.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (host, None),
        },
    };
    let loopback = host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback());
    let port = port.and_then(|port| port.parse().ok());
    loopback.then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warned(set: &[(&str, &str)], ours: &[u16]) -> Vec<String> {
        let find = |name: &str| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        warnings(find, |port| ours.contains(&port))
    }

    #[test]
    fn a_proxy_on_loopback_is_told_with_the_fix() {
        let set = [
            ("http_proxy", "http://localhost:3128/"),
            ("HTTPS_PROXY", "http://localhost:3128"),
        ];
        let expected = "http_proxy, HTTPS_PROXY name localhost:3128, which is the run itself in \
                        there, not your machine: add --localhost 3128";
        assert_eq!(warned(&set, &[]), [expected]);
        assert!(warned(&set, &[3128]).is_empty());
    }

    #[test]
    fn every_way_of_writing_loopback_counts() {
        for value in [
            "127.0.0.1:1080",
            "socks5h://u:p@127.9.9.9:1080",
            "http://[::1]:1080",
            "LOCALHOST:1080",
        ] {
            let warned = warned(&[("ALL_PROXY", value)], &[]);
            assert_eq!(warned.len(), 1, "{value}");
            assert!(warned[0].ends_with("add --localhost 1080"), "{}", warned[0]);
        }
        let portless = warned(&[("all_proxy", "socks5://localhost")], &[]);
        assert!(portless[0].ends_with("add --localhost PORT"));
    }

    #[test]
    fn other_proxies_are_reached_as_ever() {
        for value in ["http://proxy.example.org:3128", "192.0.2.1:80", "", "::"] {
            assert!(warned(&[("http_proxy", value)], &[]).is_empty(), "{value}");
        }
    }
}

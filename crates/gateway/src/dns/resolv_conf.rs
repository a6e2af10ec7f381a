//! Whom to ask: the servers that the host's resolver would, and those of a suffix.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};
use std::path::Path;

use super::watched::Watched;
use crate::config::{DnsRoute, DnsServers};

/// How many servers the C library asks (`MAXNS` of resolv.h).
const SERVERS_MAX: usize = 3;

/// Whom to ask about a name.
pub(crate) struct Servers {
    general: General,
    /// Suffixes with servers of their own, the longest first.
    routes: Vec<DnsRoute>,
}

enum General {
    These(Vec<SocketAddr>),
    File(Watched<Vec<SocketAddr>>),
}

impl Servers {
    pub(crate) fn new(which: &DnsServers, routes: &[DnsRoute]) -> Self {
        let general = match which {
            DnsServers::These(servers) => General::These(servers.clone()),
            DnsServers::Host => General::File(Watched::new(Path::new("/etc/resolv.conf"), parse)),
        };
        let small = |route: &DnsRoute| DnsRoute {
            suffix: route.suffix.trim_matches('.').to_ascii_lowercase(),
            servers: route.servers.clone(),
        };
        let mut routes: Vec<DnsRoute> = routes.iter().map(small).collect();
        routes.sort_by_key(|route| std::cmp::Reverse(route.suffix.len()));
        Self { general, routes }
    }

    /// The servers for names in general, in the order in which to ask them.
    pub(crate) fn general(&self) -> Vec<SocketAddr> {
        match &self.general {
            General::These(servers) => servers.clone(),
            General::File(file) => file.get().to_vec(),
        }
    }

    /// The servers for `name`, in small letters and without its last dot: those of the longest
    /// suffix that it ends in.
    pub(crate) fn of(&self, name: &str) -> Vec<SocketAddr> {
        let is_of = |route: &&DnsRoute| match name.strip_suffix(&*route.suffix) {
            Some(labels) => labels.is_empty() || labels.ends_with('.'),
            None => false,
        };
        match self.routes.iter().find(is_of) {
            Some(route) => route.servers.clone(),
            None => self.general(),
        }
    }
}

/// The `nameserver` lines; without any, the resolver asks this machine (resolv.conf(5)).
fn parse(text: &str) -> Vec<SocketAddr> {
    let mut servers: Vec<SocketAddr> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            (words.next()? == "nameserver").then(|| words.next())?
        })
        .filter_map(server)
        .take(SERVERS_MAX)
        .collect();
    if servers.is_empty() {
        servers.push(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 53));
    }
    servers
}

/// `192.0.2.53`, `2001:db8::53` or `fe80::53%eth0`.
fn server(word: &str) -> Option<SocketAddr> {
    if let Some((address, zone)) = word.split_once('%') {
        let address = address.parse().ok()?;
        let scope = zone.parse().ok().or_else(|| interface_index(zone))?;
        return Some(SocketAddrV6::new(address, 53, 0, scope).into());
    }
    Some(SocketAddr::new(word.parse().ok()?, 53))
}

fn interface_index(name: &str) -> Option<u32> {
    let path = format!("/sys/class/net/{name}/ifindex");
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_three_nameservers_and_no_other_line() {
        let text = "# nameserver 192.0.2.1\nsearch example.org\nnameserver 192.0.2.53\n\
                    nameserver\tfe80::53%7 \nnameserver nonsense\nnameserver 2001:db8::53 # c\n\
                    nameserver 192.0.2.54\noptions edns0\n";
        let servers: Vec<String> = parse(text).iter().map(SocketAddr::to_string).collect();
        assert_eq!(
            servers,
            ["192.0.2.53:53", "[fe80::53%7]:53", "[2001:db8::53]:53"]
        );
    }

    #[test]
    fn an_empty_file_means_this_machine() {
        assert_eq!(parse("options edns0\n"), ["127.0.0.1:53".parse().unwrap()]);
    }

    #[test]
    fn the_longest_suffix_decides_on_whole_labels() {
        let route = |suffix: &str, n| DnsRoute {
            suffix: suffix.to_owned(),
            servers: vec![SocketAddr::from(([192, 0, 2, n], 53))],
        };
        let general = DnsServers::These(vec!["192.0.2.1:53".parse().unwrap()]);
        let routes = [
            route("corp", 2),
            route(".EU.corp.", 3),
            route("b.example", 4),
        ];
        let servers = Servers::new(&general, &routes);
        let table = [
            ("corp", 2),
            ("db.corp", 2),
            ("eu.corp", 3),
            ("db.eu.corp", 3),
            ("neu.corp", 2),
            ("acorp", 1),
            ("corp.example", 1),
            ("a.b.example", 4),
            ("ab.example", 1),
            (".", 1),
        ];
        for (name, n) in table {
            let expected = SocketAddr::from(([192, 0, 2, n], 53));
            assert_eq!(servers.of(name), [expected], "{name}");
        }
    }
}

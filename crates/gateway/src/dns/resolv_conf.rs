//! The servers that the host's resolver would ask.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use crate::config::DnsServers;
use crate::registry::lock;

/// How many servers the C library asks (`MAXNS` of resolv.h).
const SERVERS_MAX: usize = 3;

/// How often the file's date is looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Whom to ask, kept up to date.
pub(crate) enum Servers {
    These(Vec<SocketAddr>),
    File { path: PathBuf, seen: Mutex<Seen> },
}

#[derive(Default)]
pub(crate) struct Seen {
    looked: Option<Instant>,
    modified: Option<SystemTime>,
    servers: Vec<SocketAddr>,
}

impl Servers {
    pub(crate) fn new(which: &DnsServers) -> Self {
        match which {
            DnsServers::These(servers) => Self::These(servers.clone()),
            DnsServers::Host => Self::file("/etc/resolv.conf"),
        }
    }

    fn file(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref().to_owned();
        let servers = Self::File {
            path,
            seen: Mutex::default(),
        };
        // Read now: later the relay is confined and may have lost the right to.
        servers.list();
        servers
    }

    /// The servers, in the order in which to ask them.
    pub(crate) fn list(&self) -> Vec<SocketAddr> {
        let (path, seen) = match self {
            Self::These(servers) => return servers.clone(),
            Self::File { path, seen } => (path, seen),
        };
        let mut seen = lock(seen);
        let due = seen.looked.is_none_or(|at| at.elapsed() >= LOOK_AGAIN);
        if due {
            seen.looked = Some(Instant::now());
            let modified = std::fs::metadata(path)
                .and_then(|data| data.modified())
                .ok();
            // What cannot be read (any more) stays as it was; if it never could be, the
            // resolver's own default holds.
            match std::fs::read_to_string(path) {
                Ok(_) if modified.is_some() && modified == seen.modified => {}
                Ok(text) => {
                    seen.servers = parse(&text);
                    seen.modified = modified;
                }
                Err(_) if seen.servers.is_empty() => seen.servers = parse(""),
                Err(_) => {}
            }
        }
        seen.servers.clone()
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
    fn a_file_that_changes_is_read_again() {
        let path = std::env::temp_dir().join(format!("sb-resolv-{}", std::process::id()));
        std::fs::write(&path, "nameserver 192.0.2.1\n").unwrap();
        let servers = Servers::file(&path);
        assert_eq!(servers.list(), ["192.0.2.1:53".parse().unwrap()]);
        std::fs::write(&path, "nameserver 192.0.2.2\n").unwrap();
        std::thread::sleep(LOOK_AGAIN + Duration::from_millis(100));
        assert_eq!(servers.list(), ["192.0.2.2:53".parse().unwrap()]);
        std::fs::remove_file(&path).unwrap();
    }
}

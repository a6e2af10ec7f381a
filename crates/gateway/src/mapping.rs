//! UDP mappings in the words of RFC 4787: one for each inside source endpoint, whatever its
//! destinations (endpoint-independent mapping, REQ-1).

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::limits::Limits;

/// Who may answer through a mapping (RFC 4787 section 5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Filtering {
    /// Anybody: what peer-to-peer programs like best (REQ-8).
    EndpointIndependent,
    /// The machines that the program has sent to.
    #[default]
    AddressDependent,
    /// The endpoints that the program has sent to.
    AddressAndPortDependent,
}

/// Remote endpoints that one mapping remembers; the one not used for longest makes room.
const REMOTES_MAX: usize = 1024;

/// The port whose exchanges are one question and one answer.
const DNS_PORT: u16 = 53;

/// One mapping's memory: whom it has sent to, and when.
pub(crate) struct Mapping {
    filtering: Filtering,
    /// Whom the program has sent to, as the host sees them; latest last.
    remotes: VecDeque<SocketAddr>,
    /// When the last datagram went out: only those keep a mapping (REQ-6).
    last_out: Instant,
    only_dns: bool,
    idle: Duration,
    idle_dns: Duration,
}

impl Mapping {
    pub(crate) fn new(filtering: Filtering, limits: &Limits) -> Self {
        Self {
            filtering,
            remotes: VecDeque::new(),
            last_out: Instant::now(),
            only_dns: true,
            idle: limits.udp_idle,
            idle_dns: limits.udp_idle_dns,
        }
    }

    /// A datagram goes out to `remote`.
    pub(crate) fn sent(&mut self, remote: SocketAddr) {
        self.last_out = Instant::now();
        self.only_dns &= remote.port() == DNS_PORT;
        if self.remotes.back() == Some(&remote) {
            return;
        }
        self.remotes.retain(|known| *known != remote);
        self.remotes.push_back(remote);
        if self.remotes.len() > REMOTES_MAX {
            self.remotes.pop_front();
        }
    }

    /// A datagram went out elsewhere, to the caller of a forwarded port.
    pub(crate) fn keep(&mut self) {
        self.last_out = Instant::now();
        self.only_dns = false;
    }

    /// Whether a datagram from `remote` may come in.
    pub(crate) fn admits(&self, remote: SocketAddr) -> bool {
        let same_host = |known: &SocketAddr| same_host(known.ip(), remote.ip());
        match self.filtering {
            Filtering::EndpointIndependent => true,
            Filtering::AddressDependent => self.remotes.iter().rev().any(same_host),
            Filtering::AddressAndPortDependent => {
                let same = |known: &SocketAddr| same_host(known) && known.port() == remote.port();
                self.remotes.iter().rev().any(same)
            }
        }
    }

    /// When the mapping ends, if nothing more goes out.
    pub(crate) fn expires(&self) -> Instant {
        let idle = if self.only_dns {
            self.idle_dns
        } else {
            self.idle
        };
        self.last_out + idle
    }
}

/// The same machine; all of 127.0.0.0/8 is one.
fn same_host(a: IpAddr, b: IpAddr) -> bool {
    a == b || (a.is_loopback() && b.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn filters_by_what_it_was_told_to() {
        let limits = Limits::default();
        let admits = |filtering, from: &str| {
            let mut mapping = Mapping::new(filtering, &limits);
            mapping.sent(at("192.0.2.1:123"));
            mapping.admits(at(from))
        };
        assert!(admits(Filtering::EndpointIndependent, "192.0.2.9:1"));
        assert!(admits(Filtering::AddressDependent, "192.0.2.1:124"));
        assert!(!admits(Filtering::AddressDependent, "192.0.2.2:123"));
        assert!(admits(Filtering::AddressAndPortDependent, "192.0.2.1:123"));
        assert!(!admits(Filtering::AddressAndPortDependent, "192.0.2.1:124"));
    }

    #[test]
    fn lives_longer_once_it_talks_to_something_else_than_dns() {
        let limits = Limits::default();
        let mut mapping = Mapping::new(Filtering::default(), &limits);
        mapping.sent(at("192.0.2.1:53"));
        let left = |mapping: &Mapping| mapping.expires() - Instant::now();
        assert!(left(&mapping) <= limits.udp_idle_dns);
        mapping.sent(at("192.0.2.1:123"));
        // REQ-5: not before two minutes.
        assert!(left(&mapping) > Duration::from_secs(120));
    }

    #[test]
    fn remembers_a_bounded_number_of_remotes() {
        let mut mapping = Mapping::new(Filtering::AddressDependent, &Limits::default());
        for n in 0..2000_u16 {
            let [high, low] = n.to_be_bytes();
            mapping.sent(SocketAddr::from(([192, 0, high, low], 9)));
        }
        assert_eq!(mapping.remotes.len(), REMOTES_MAX);
        assert!(!mapping.admits(at("192.0.0.0:9")));
        assert!(mapping.admits(at("192.0.7.207:9")));
    }
}

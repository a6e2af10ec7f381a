//! The world's handle: faults and links, from outside and from inside a host.

use std::fmt;
use std::time::Duration;

use switchboard_core::{Cidr, Instant, SocketEntry, Stats};
use switchboard_sim::link::LinkStats;

use super::fabric::{self, Change, Order, Shared, Way};
use super::inside;
use super::links::{Group, Line};
use crate::network::Net;

/// A handle of a running world, for its hosts' software and for whoever looks at it.
///
/// What it changes from inside a host is done where all hosts are at one moment: at most the
/// shortest link's delay later. From outside (between two `run_for`, in a plan of
/// [`Sim::at`](super::Sim::at)) links change at once.
#[derive(Clone)]
pub struct Control {
    pub(super) fabric: Shared,
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").finish_non_exhaustive()
    }
}

impl Control {
    /// Both directions between two hosts, or between two groups of hosts.
    ///
    /// # Panics
    ///
    /// If there is no host of such a name: a mistake in the test. So do all methods that take
    /// names.
    #[must_use]
    pub fn link(&self, a: impl Group, b: impl Group) -> Line {
        let (a, b) = (self.hosts(&a), self.hosts(&b));
        let mut ways = ways(&a, &b);
        for way in self::ways(&b, &a) {
            if !ways.contains(&way) {
                ways.push(way);
            }
        }
        Line::new(self.clone(), ways)
    }

    /// The direction from `from` to `to` alone.
    #[must_use]
    pub fn link_one_way(&self, from: impl Group, to: impl Group) -> Line {
        Line::new(self.clone(), ways(&self.hosts(&from), &self.hosts(&to)))
    }

    /// Every link, those of hosts to come too.
    #[must_use]
    pub fn links(&self) -> Line {
        Line::all(self.clone())
    }

    /// Cuts every link between two groups: what is sent from now on is lost, what is on the way
    /// arrives.
    pub fn partition(&self, a: impl Group, b: impl Group) {
        self.note(format!(
            "partition {} | {}",
            a.names().join(","),
            b.names().join(",")
        ));
        let _ = self.link(a, b).cut();
    }

    /// Cuts every link of these hosts to all others.
    pub fn isolate(&self, hosts: impl Group) {
        let inside = self.hosts(&hosts);
        let count = fabric::lock(&self.fabric).hosts.len();
        let outside: Vec<usize> = (0..count).filter(|host| !inside.contains(host)).collect();
        self.note(format!("isolate {}", hosts.names().join(",")));
        let mut ways = ways(&inside, &outside);
        ways.extend(self::ways(&outside, &inside));
        let _ = Line::new(self.clone(), ways).cut();
    }

    /// Mends every link between two groups.
    pub fn repair(&self, a: impl Group, b: impl Group) {
        self.note(format!(
            "repair {} | {}",
            a.names().join(","),
            b.names().join(",")
        ));
        let _ = self.link(a, b).mend();
    }

    /// Mends every link.
    pub fn repair_all(&self) {
        self.note("repair all".to_owned());
        let _ = self.links().mend();
    }

    /// Ends hosts as a power failure does: their tasks are dropped, nothing more is sent, what
    /// arrives while they are down is lost. What they sent before still arrives.
    pub fn crash(&self, hosts: impl Group) {
        for host in self.hosts(&hosts) {
            self.order(Order::Crash(host));
        }
    }

    /// Starts hosts again, with a stack that knows nothing of before; a host that runs is crashed
    /// first.
    pub fn restart(&self, hosts: impl Group) {
        for host in self.hosts(&hosts) {
            self.order(Order::Restart(host));
        }
    }

    /// The moment at which all hosts are, since the world began. Inside a host,
    /// [`sim::elapsed`](super::elapsed) is the host's own and more exact.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        let now = fabric::lock(&self.fabric).now;
        now.saturating_since(Instant::ZERO)
    }

    /// What one direction has carried and lost.
    #[must_use]
    pub fn link_stats(&self, from: &str, to: &str) -> LinkStats {
        let way = Way {
            from: self.index(from),
            to: self.index(to),
        };
        fabric::lock(&self.fabric).link_stats(way)
    }

    /// The handle of a host.
    #[must_use]
    pub fn host_handle(&self, name: &str) -> Host {
        Host::new(self.clone(), self.index(name))
    }

    /// The hosts' names, in the order in which they were added.
    #[must_use]
    pub fn host_names(&self) -> Vec<String> {
        let fabric = fabric::lock(&self.fabric);
        fabric
            .hosts
            .iter()
            .map(|place| place.name.clone())
            .collect()
    }

    /// Changes links: now, or if a host runs, where all hosts are at one moment.
    pub(super) fn change(&self, ways: Option<&[Way]>, change: Change) {
        let mut fabric = fabric::lock(&self.fabric);
        match ways {
            _ if inside::is_inside() => fabric.orders.push(match ways {
                Some(ways) => Order::Change(ways.to_vec(), change),
                None => Order::ChangeAll(change),
            }),
            Some(ways) => fabric.change(ways, &change),
            None => fabric.change_all(&change),
        }
    }

    pub(super) fn order(&self, order: Order) {
        fabric::lock(&self.fabric).orders.push(order);
    }

    /// Remembers something for the ladder.
    fn note(&self, what: String) {
        let mut fabric = fabric::lock(&self.fabric);
        let now = fabric.now;
        fabric.events.push((now, what));
    }

    pub(super) fn index(&self, name: &str) -> usize {
        let found = fabric::lock(&self.fabric).find(name);
        found.unwrap_or_else(|| panic!("there is no host {name:?} in this world"))
    }

    fn hosts(&self, group: &impl Group) -> Vec<usize> {
        group.names().iter().map(|name| self.index(name)).collect()
    }
}

fn ways(from: &[usize], to: &[usize]) -> Vec<Way> {
    let pairs = from
        .iter()
        .flat_map(|&from| to.iter().map(move |&to| Way { from, to }));
    pairs.filter(|way| way.from != way.to).collect()
}

/// The handle of one host.
#[derive(Clone, Debug)]
pub struct Host {
    control: Control,
    pub(super) index: usize,
}

impl Host {
    pub(super) fn new(control: Control, index: usize) -> Self {
        Self { control, index }
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> String {
        fabric::lock(&self.control.fabric).hosts[self.index]
            .name
            .clone()
    }

    /// Its addresses, the first of IPv4.
    #[must_use]
    pub fn addresses(&self) -> Vec<Cidr> {
        fabric::lock(&self.control.fabric).hosts[self.index]
            .addresses
            .clone()
    }

    /// Its network; `None` while it is down.
    #[must_use]
    pub fn net(&self) -> Option<Net> {
        fabric::lock(&self.control.fabric).hosts[self.index]
            .net
            .clone()
    }

    /// Whether it runs.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.net().is_some()
    }

    /// Its sockets; none while it is down.
    #[must_use]
    pub fn sockets(&self) -> Vec<SocketEntry> {
        self.net().map(|net| net.sockets()).unwrap_or_default()
    }

    /// Counters of its stack since it was started last; all zero while it is down.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.net().map(|net| net.stats()).unwrap_or_default()
    }

    /// How often it was started.
    #[must_use]
    pub fn starts(&self) -> u16 {
        fabric::lock(&self.control.fabric).hosts[self.index].life
    }
}

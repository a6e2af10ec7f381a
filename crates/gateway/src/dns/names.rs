//! Which name led to an address: what labels are made of.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::registry::lock;

/// A name is remembered for this long at least, however short its records live: a program
/// connects later than it asks, and keeps connecting.
const KEPT_AT_LEAST: Duration = Duration::from_secs(300);

/// Names by address, bounded; the entry that was learned first makes room.
pub(crate) struct Names {
    max: usize,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    by_address: HashMap<IpAddr, (Arc<str>, Instant)>,
    order: VecDeque<IpAddr>,
}

impl Names {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            max,
            table: Mutex::default(),
        }
    }

    /// `name` led to `address`, and says so for `ttl`.
    pub(crate) fn learn(&self, address: IpAddr, name: &Arc<str>, ttl: Duration) {
        let until = Instant::now() + ttl.max(KEPT_AT_LEAST);
        let mut table = lock(&self.table);
        let known = table.by_address.insert(address, (name.clone(), until));
        if known.is_none() {
            table.order.push_back(address);
        }
        while table.order.len() > self.max {
            if let Some(oldest) = table.order.pop_front() {
                table.by_address.remove(&oldest);
            }
        }
    }

    /// The name that led to `address`, latest first, while it is valid.
    pub(crate) fn get(&self, address: IpAddr) -> Option<Arc<str>> {
        let table = lock(&self.table);
        let (name, until) = table.by_address.get(&address)?;
        (*until > Instant::now()).then(|| name.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_the_latest_names_and_no_more_than_its_bound() {
        let names = Names::new(2);
        let address = |n: u8| IpAddr::from([192, 0, 2, n]);
        for n in 1..=3 {
            let name = Arc::from(format!("host{n}.example.org"));
            names.learn(address(n), &name, Duration::from_secs(1));
        }
        assert_eq!(names.get(address(1)), None);
        assert_eq!(names.get(address(3)).as_deref(), Some("host3.example.org"));
        names.learn(address(3), &Arc::from("other.example"), Duration::ZERO);
        assert_eq!(names.get(address(3)).as_deref(), Some("other.example"));
        assert_eq!(names.get(address(2)).as_deref(), Some("host2.example.org"));
    }
}

//! What all sockets together want to hear, and what routers have been told of it.
//!
//! Sockets choose groups and no sources, so the host's state of a group is "exclude nobody" or
//! nothing at all (RFC 3376 section 3.2), and every record is without sources.

use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use switchboard_wire::Instant;
use switchboard_wire::membership::{Query, Record, RecordKind};

use super::is_reported;

/// Times that news are told: one loss is survived (RFC 3376 section 8.1, RFC 3810 section 9.1).
const ROBUSTNESS: u8 = 2;
/// News are told again within this time (RFC 3376 section 8.11, RFC 3810 section 9.11).
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// A group that sockets are in, or have left so lately that routers are still being told.
#[derive(Debug)]
struct Group {
    address: IpAddr,
    /// Sockets that are in it.
    sockets: u32,
    /// What changed, until it has been told often enough.
    news: Option<News>,
    /// A router asked for this group.
    answer_due: Option<Instant>,
}

#[derive(Debug)]
struct News {
    left: u8,
    due: Instant,
}

/// All groups, by address.
#[derive(Debug)]
pub(crate) struct Groups {
    groups: Vec<Group>,
    max: usize,
    /// A router asked for all groups: of IPv4, of IPv6.
    answers_due: [Option<Instant>; 2],
    earliest: Option<Instant>,
}

/// Picks a moment within a time by chance, so that not all hosts answer at once.
pub(crate) type Pick<'a> = &'a mut dyn FnMut(Duration) -> Duration;

impl Groups {
    /// For at most `max` groups.
    pub(crate) fn new(max: usize) -> Self {
        Self {
            groups: Vec::new(),
            max,
            answers_due: [None; 2],
            earliest: None,
        }
    }

    /// Whether any socket is in it.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let group = self.find(address).ok();
        group
            .and_then(|place| self.groups.get(place))
            .is_some_and(|group| group.sockets > 0)
    }

    /// One more socket is in it; false if there are too many groups.
    pub(crate) fn join(&mut self, now: Instant, address: IpAddr) -> bool {
        let place = match self.find(address) {
            Ok(place) => place,
            Err(_) if self.groups.len() >= self.max => return false,
            Err(place) => {
                let group = Group {
                    address,
                    sockets: 0,
                    news: None,
                    answer_due: None,
                };
                self.groups.insert(place, group);
                place
            }
        };
        if let Some(group) = self.groups.get_mut(place) {
            group.sockets += 1;
            if group.sockets == 1 {
                group.changed(now);
            }
        }
        self.tidy();
        true
    }

    /// One socket less is in it.
    pub(crate) fn leave(&mut self, now: Instant, address: IpAddr) {
        let Ok(place) = self.find(address) else {
            return;
        };
        if let Some(group) = self.groups.get_mut(place) {
            group.sockets = group.sockets.saturating_sub(1);
            if group.sockets == 0 {
                group.answer_due = None;
                group.changed(now);
            }
        }
        self.tidy();
    }

    /// A router asks (RFC 3376 section 5.2, RFC 3810 section 6.2).
    pub(crate) fn on_query(&mut self, now: Instant, ipv6: bool, query: &Query, pick: Pick<'_>) {
        let due = now + pick(query.max_response);
        let Some(all) = self.answers_due.get_mut(usize::from(ipv6)) else {
            return;
        };
        // An answer about all groups that comes sooner answers this one too.
        if all.is_some_and(|all| all <= due) {
            return;
        }
        match query.group {
            None => *all = Some(due),
            Some(address) => {
                let place = self.find(address).ok();
                let group = place.and_then(|place| self.groups.get_mut(place));
                let Some(group) = group.filter(|group| group.sockets > 0) else {
                    return;
                };
                let sooner = group.answer_due.map_or(due, |before| before.min(due));
                group.answer_due = is_reported(address).then_some(sooner);
            }
        }
        self.tidy();
    }

    /// What is to be told now in a family, by address.
    pub(crate) fn take_due(&mut self, now: Instant, ipv6: bool, pick: Pick<'_>) -> Vec<Record> {
        let mut records = Vec::new();
        if self.earliest.is_none_or(|earliest| earliest > now) {
            return records;
        }
        let all = self.answers_due.get_mut(usize::from(ipv6));
        let asked = all.is_some_and(|all| all.take_if(|due| *due <= now).is_some());
        for group in &mut self.groups {
            if group.address.is_ipv6() == ipv6 {
                group.say(now, asked, pick, &mut records);
            }
        }
        self.tidy();
        records
    }

    /// When there is something to tell.
    pub(crate) fn earliest(&self) -> Option<Instant> {
        self.earliest
    }

    fn find(&self, address: IpAddr) -> Result<usize, usize> {
        self.groups
            .binary_search_by(|group| group.address.cmp(&address))
    }

    /// Forgets groups that were left and told so; finds the earliest moment anew.
    fn tidy(&mut self) {
        self.groups
            .retain(|group| group.sockets > 0 || group.news.is_some());
        let of_groups = self.groups.iter().flat_map(|group| {
            let news = group.news.as_ref().map(|news| news.due);
            [news, group.answer_due]
        });
        let of_families = self.answers_due.iter().copied();
        self.earliest = of_groups.chain(of_families).flatten().min();
    }
}

impl Group {
    /// Routers are to hear of it, at once. What they have not been told yet is out of date.
    fn changed(&mut self, now: Instant) {
        self.news = is_reported(self.address).then_some(News {
            left: ROBUSTNESS,
            due: now,
        });
    }

    /// Says what is due. `asked`: a router asked for all groups.
    fn say(&mut self, now: Instant, asked: bool, pick: Pick<'_>, records: &mut Vec<Record>) {
        let group = self.address;
        let is_due = self.answer_due.take_if(|due| *due <= now).is_some();
        if self.sockets > 0 && is_reported(group) && (is_due || asked) {
            let kind = RecordKind::IsExclude;
            records.push(Record { kind, group });
        }
        let Some(news) = self.news.as_mut().filter(|news| news.due <= now) else {
            return;
        };
        let kind = if self.sockets > 0 {
            RecordKind::ToExclude
        } else {
            RecordKind::ToInclude
        };
        records.push(Record { kind, group });
        news.left -= 1;
        if news.left == 0 {
            self.news = None;
        } else {
            news.due = now + pick(REPORT_INTERVAL);
        }
    }
}

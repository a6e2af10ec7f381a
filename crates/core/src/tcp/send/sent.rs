//! When what was sent: for round trips, delivery rates, and loss detection by time.

use alloc::collections::VecDeque;
use core::time::Duration;

use switchboard_wire::Instant;

use crate::tcp::seq::SeqNum;

/// Records of one connection at most; beyond, the last one covers more than it should.
const RECORDS_MAX: usize = 16_384;

/// One transmission: the octets from the end of the record before (or SND.UNA) to `end`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) end: SeqNum,
    /// When it was sent last.
    pub(crate) at: Instant,
    /// Octets delivered on the connection when it was sent, and when the last of them was.
    pub(crate) delivered: u64,
    pub(crate) delivered_at: Instant,
    /// It was sent more than once, at least in part: no round trip from it (Karn).
    pub(crate) retransmitted: bool,
    /// Nothing was left to send behind it.
    pub(crate) app_limited: bool,
}

/// What one cumulative acknowledgement covered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Covered {
    /// Round trip of the latest octets that were sent only once.
    pub(crate) rtt: Option<Duration>,
    /// Of the latest record: see [`Sent`].
    pub(crate) delivered_before: u64,
    pub(crate) interval: Option<Duration>,
    pub(crate) app_limited: bool,
}

/// Records of what is under way, oldest first.
#[derive(Debug, Default)]
pub(crate) struct SentLog {
    records: VecDeque<Sent>,
}

impl SentLog {
    /// New octets up to `sent.end` left. What leaves in the same moment shares a record.
    pub(crate) fn record(&mut self, sent: Sent) {
        let full = self.records.len() >= RECORDS_MAX;
        match self.records.back_mut() {
            Some(last) if full || (last.at == sent.at && !last.retransmitted) => {
                last.end = sent.end;
                last.app_limited = sent.app_limited;
            }
            _ => self.records.push_back(sent),
        }
    }

    /// Octets from `from` to `to` left again: they get a record of their own, whose round trip
    /// nobody can tell (Karn).
    pub(crate) fn record_again(&mut self, from: SeqNum, to: SeqNum, now: Instant) {
        self.split(from);
        self.split(to);
        let first = self.first_ending_after(from);
        for record in self.records.range_mut(first..) {
            if record.end.is_after(to) {
                break;
            }
            record.retransmitted = true;
            record.at = now;
        }
    }

    /// Makes a record end at `point`, if there is room for one more.
    fn split(&mut self, point: SeqNum) {
        let index = self.first_ending_after(point);
        let starts_before = match index
            .checked_sub(1)
            .and_then(|before| self.records.get(before))
        {
            Some(before) => before.end.is_before(point),
            None => true,
        };
        if starts_before
            && self.records.len() < RECORDS_MAX
            && let Some(&record) = self.records.get(index)
        {
            let end = point;
            self.records.insert(index, Sent { end, ..record });
        }
    }

    /// Where the last record begins; `None`: at SND.UNA, or nowhere.
    pub(crate) fn last_begins(&self) -> Option<SeqNum> {
        let before = self.records.len().checked_sub(2)?;
        self.records.get(before).map(|record| record.end)
    }

    fn first_ending_after(&self, point: SeqNum) -> usize {
        self.records
            .partition_point(|record| record.end.is_at_or_before(point))
    }

    /// Everything before `una` is acknowledged by a segment that arrived at `arrived`.
    pub(crate) fn acknowledge(&mut self, una: SeqNum, arrived: Instant) -> Covered {
        let mut covered = Covered::default();
        let mut ambiguous = false;
        while let Some(&record) = self.records.front() {
            covered.take(&record, arrived);
            ambiguous |= record.retransmitted;
            if record.end.is_after(una) {
                break;
            }
            self.records.pop_front();
            if record.end == una {
                break;
            }
        }
        if ambiguous {
            // Octets that waited for a hole to be filled were acknowledged long after they
            // arrived: their time is not a round trip either.
            covered.rtt = None;
        }
        covered
    }

    /// Gives back the memory of an empty log.
    pub(crate) fn shrink(&mut self) {
        if self.records.is_empty() {
            self.records = VecDeque::new();
        }
    }

    pub(crate) fn can_shrink(&self) -> bool {
        self.records.is_empty() && self.records.capacity() > 0
    }
}

impl Covered {
    fn take(&mut self, record: &Sent, arrived: Instant) {
        self.rtt = Some(arrived.saturating_since(record.at));
        self.delivered_before = record.delivered;
        self.interval = Some(arrived.saturating_since(record.delivered_at));
        self.app_limited = record.app_limited;
    }
}

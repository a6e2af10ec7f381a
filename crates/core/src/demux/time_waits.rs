//! What is left of connections that are over.

use switchboard_wire::Instant;

use super::ageing::Ageing;
use crate::slab::{Key, Slab};
use crate::tcp::{FourTuple, TimeWait};

/// One record. Small, so that tens of thousands are cheap.
#[derive(Debug)]
pub(crate) struct Record {
    /// The four-tuple that it keeps from being used.
    pub(crate) tuple: FourTuple,
    /// Its hash.
    pub(crate) hash: u64,
    /// What it needs to know.
    pub(crate) time_wait: TimeWait,
}

/// The bound that `limits` promises for each record.
const _: () = assert!(size_of::<Record>() <= 160);

/// All records of a stack, oldest first.
#[derive(Debug, Default)]
pub(crate) struct TimeWaits {
    slab: Slab<Record>,
    ageing: Ageing,
}

impl TimeWaits {
    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(crate) fn get(&self, key: Key) -> Option<&Record> {
        self.slab.get(key)
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut Record> {
        self.slab.get_mut(key)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Record> {
        self.slab.iter().map(|(_, record)| record)
    }

    pub(crate) fn insert(&mut self, record: Record) -> Key {
        let deadline = record.time_wait.deadline();
        let key = self.slab.insert(record);
        self.ageing.push(deadline, key);
        key
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<Record> {
        let record = self.slab.remove(key)?;
        let slab = &self.slab;
        self.ageing.tidy(slab.len(), |key| slab.get(key).is_some());
        Some(record)
    }

    /// The oldest record's name: it makes room for another.
    pub(crate) fn oldest(&mut self) -> Option<Key> {
        loop {
            let key = self.ageing.pop_oldest()?;
            if self.slab.get(key).is_some() {
                return Some(key);
            }
        }
    }

    /// When to look for expired ones.
    pub(crate) fn earliest(&self) -> Option<Instant> {
        self.ageing.earliest()
    }

    /// The name of one that has expired. One whose life was prolonged meanwhile (a FIN came
    /// again, RFC 9293 section 3.10.7.4) goes to the back once more.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Key> {
        loop {
            let key = self.ageing.pop_due(now)?;
            let Some(record) = self.slab.get(key) else {
                continue;
            };
            let deadline = record.time_wait.deadline();
            if deadline <= now {
                return Some(key);
            }
            self.ageing.push(deadline, key);
        }
    }
}

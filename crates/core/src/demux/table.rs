//! The demux table: from a four-tuple to whatever holds it, in one look-up.

use hashbrown::HashTable;

use super::four_tuple::hash_of;
use super::hash::SecretHash;
use crate::slab::Key;
use crate::tcp::FourTuple;

/// What holds a four-tuple.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// A connection.
    Connection(Key),
    /// What is left of one.
    TimeWait(Key),
    /// A flow that waits for a verdict.
    Flow(Key),
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u64,
    holder: Holder,
}

/// A hash table that keeps no keys: the holders know their own four-tuples, so an entry costs
/// 24 octets instead of 80, and a look-up asks the holder whether it is the one.
///
/// Never iterated: its order depends on the secret.
#[derive(Debug)]
pub(crate) struct Table {
    secret: SecretHash,
    entries: HashTable<Entry>,
}

impl Table {
    /// Empty, hashing with `secret`.
    pub(crate) fn new(secret: SecretHash) -> Self {
        Self {
            secret,
            entries: HashTable::new(),
        }
    }

    /// The keyed hash of `tuple`.
    pub(crate) fn hash(&self, tuple: &FourTuple) -> u64 {
        hash_of(tuple, &self.secret)
    }

    /// The holder of the four-tuple that hashes to `hash`; `holds` says of each candidate
    /// whether it is the one.
    pub(crate) fn find(&self, hash: u64, holds: impl Fn(Holder) -> bool) -> Option<Holder> {
        self.entries
            .find(hash, |entry| entry.hash == hash && holds(entry.holder))
            .map(|entry| entry.holder)
    }

    /// Notes a holder of a four-tuple that nobody holds.
    pub(crate) fn insert(&mut self, hash: u64, holder: Holder) {
        let entry = Entry { hash, holder };
        self.entries.insert_unique(hash, entry, |entry| entry.hash);
    }

    /// `holder` lets go.
    pub(crate) fn remove(&mut self, hash: u64, holder: Holder) {
        if let Ok(entry) = self
            .entries
            .find_entry(hash, |entry| entry.holder == holder)
        {
            entry.remove();
        }
    }
}

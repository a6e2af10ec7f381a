//! What the peer has told of by SACK (RFC 2018, RFC 6675).

use alloc::vec::Vec;

use super::dupack::DUP_THRESH;
use crate::tcp::segment::{SackBlock, SackBlocks};
use crate::tcp::seq::SeqNum;

/// Ranges of one connection at most: beyond, what the peer tells is not kept, and is sent
/// again at worst. It bounds the work for each ACK (CVE-2019-11478).
const RANGES_MAX: usize = 256;

/// Ranges beyond SND.UNA that have arrived: in order, apart from each other.
#[derive(Debug, Default)]
pub(crate) struct Scoreboard {
    ranges: Vec<SackBlock>,
    /// Octets in them.
    total: u32,
}

impl Scoreboard {
    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Octets that have arrived out of order.
    pub(crate) fn total(&self) -> u32 {
        self.total
    }

    /// Takes in the blocks of one ACK; returns the octets that are new. What is not between
    /// `una` and `nxt` is not ours to believe, and a block below the ACK is a DSACK.
    pub(crate) fn update(&mut self, una: SeqNum, nxt: SeqNum, blocks: &SackBlocks) -> u32 {
        let before = self.total;
        for block in blocks {
            let within = block.left.is_at_or_after(una) && block.right.is_at_or_before(nxt);
            if within && block.left.is_before(block.right) {
                self.insert(*block);
            }
        }
        self.total - before
    }

    fn insert(&mut self, mut block: SackBlock) {
        // Ranges that overlap the block or touch it: they become one with it.
        let first = self
            .ranges
            .partition_point(|range| range.right.is_before(block.left));
        let mut last = first;
        while let Some(range) = self.ranges.get(last)
            && range.left.is_at_or_before(block.right)
        {
            block.left = block.left.earlier(range.left);
            block.right = block.right.later(range.right);
            self.total -= range.right.since(range.left);
            last += 1;
        }
        if first == last {
            if self.ranges.len() >= RANGES_MAX {
                return;
            }
            self.ranges.insert(first, block);
        } else {
            if let Some(range) = self.ranges.get_mut(first) {
                *range = block;
            }
            self.ranges.drain(first + 1..last);
        }
        self.total += block.right.since(block.left);
    }

    /// SND.UNA moved.
    pub(crate) fn advance(&mut self, una: SeqNum) {
        let done = self
            .ranges
            .partition_point(|range| range.right.is_at_or_before(una));
        for range in self.ranges.drain(..done) {
            self.total -= range.right.since(range.left);
        }
        if let Some(range) = self.ranges.first_mut()
            && range.left.is_before(una)
        {
            self.total -= una.since(range.left);
            range.left = una;
        }
        if self.ranges.is_empty() && self.ranges.capacity() > 0 {
            self.clear();
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Octets that have arrived before `point`.
    pub(crate) fn sacked_before(&self, point: SeqNum) -> u32 {
        self.ranges
            .iter()
            .take_while(|range| range.left.is_before(point))
            .map(|range| range.right.earlier(point).since(range.left))
            .sum()
    }

    /// Where IsLost (RFC 6675 section 4) ends: whatever is before this point and not in a range
    /// has DupThresh ranges, or more than (DupThresh - 1) * SMSS octets, arrived behind it.
    pub(crate) fn lost_edge(&self, una: SeqNum, smss: u32) -> SeqNum {
        let mut octets = 0u32;
        for (seen, range) in (1..).zip(self.ranges.iter().rev()) {
            octets = octets.saturating_add(range.right.since(range.left));
            if seen >= DUP_THRESH || octets > (DUP_THRESH - 1) * smss {
                return range.left;
            }
        }
        una
    }

    /// The first range free of SACK at or after `from`, cut at `limit`.
    pub(crate) fn hole_from(&self, mut from: SeqNum, limit: SeqNum) -> (SeqNum, SeqNum) {
        let first = self
            .ranges
            .partition_point(|range| range.right.is_at_or_before(from));
        for range in self.ranges.iter().skip(first) {
            if range.left.is_after(from) {
                return (from, range.left.earlier(limit));
            }
            from = range.right;
        }
        (from, limit)
    }

    pub(crate) fn lowest(&self) -> Option<SeqNum> {
        self.ranges.first().map(|range| range.left)
    }

    pub(crate) fn highest(&self) -> Option<SeqNum> {
        self.ranges.last().map(|range| range.right)
    }

    #[cfg(test)]
    pub(crate) fn ranges(&self) -> &[SackBlock] {
        &self.ranges
    }
}

//! Text that arrived before what comes before it: a bounded list of ranges.

use alloc::vec::Vec;

use arrayvec::ArrayVec;

use super::buffer::ReceiveBuffer;
use crate::tcp::segment::{SackBlock, SackBlocks, Text};
use crate::tcp::seq::SeqNum;

/// Ranges of which it is remembered how recent they are. A header tells of four at most, and
/// of these some may have been merged since.
const RECENT: usize = 8;

#[derive(Debug)]
struct Range {
    left: SeqNum,
    right: SeqNum,
    text: ReceiveBuffer,
}

/// Out-of-order text of one connection.
///
/// Ranges are in order, do not touch, and all begin after RCV.NXT. Finding one is a binary
/// search; their number is bounded, so the work for a segment is too.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    ranges: Vec<Range>,
    /// Octets of memory that the text pins.
    charged: usize,
    /// One point in each of the ranges that changed last, latest first (RFC 2018 section 4).
    recent: ArrayVec<SeqNum, RECENT>,
}

/// What became of a segment out of order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Inserted {
    /// Octets that are new.
    pub(crate) fresh: u32,
    /// A part that was here already: DSACK tells the peer (RFC 2883).
    pub(crate) duplicate: Option<SackBlock>,
}

impl Assembler {
    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Octets of memory that it pins.
    pub(crate) fn charged(&self) -> usize {
        self.charged
    }

    fn recount(&mut self) {
        let pinned: usize = self.ranges.iter().map(|range| range.text.charged()).sum();
        self.charged = pinned + self.ranges.capacity() * size_of::<Range>();
    }

    /// Keeps what is new of `text`, which begins at `seq`. What would need more than
    /// `ranges_max` ranges is let go: it was not acknowledged, so it comes again.
    pub(crate) fn insert(
        &mut self,
        seq: SeqNum,
        text: &Text,
        ranges_max: usize,
        tight: bool,
    ) -> Inserted {
        let end = seq + text.bytes.len() as u32;
        let mut done = Inserted::default();
        let mut at = seq;
        while at.is_before(end) {
            let index = self.first_ending_after(at);
            let gap_end = match self.ranges.get(index) {
                Some(range) if range.left.is_at_or_before(at) => {
                    // Here already, up to its right edge.
                    let stop = range.right.earlier(end);
                    done.duplicate.get_or_insert(SackBlock {
                        left: at,
                        right: stop,
                    });
                    at = stop;
                    continue;
                }
                Some(range) => range.left.earlier(end),
                None => end,
            };
            let piece = Text {
                bytes: text
                    .bytes
                    .slice(at.since(seq) as usize..gap_end.since(seq) as usize),
                slot_size: text.slot_size,
            };
            if self.insert_piece(index, at, piece, ranges_max, tight) {
                done.fresh += gap_end.since(at);
            }
            at = gap_end;
        }
        self.touch(seq);
        self.recount();
        done
    }

    /// Puts a piece that overlaps nothing before `ranges[index]`, merging where it touches.
    fn insert_piece(
        &mut self,
        index: usize,
        at: SeqNum,
        piece: Text,
        ranges_max: usize,
        tight: bool,
    ) -> bool {
        let end = at + piece.bytes.len() as u32;
        let before = index
            .checked_sub(1)
            .and_then(|before| self.ranges.get_mut(before))
            .filter(|range| range.right == at);
        if let Some(range) = before {
            range.text.push(piece, tight);
            range.right = end;
            self.merge_at(index);
            return true;
        }
        let mut text = ReceiveBuffer::default();
        if let Some(range) = self.ranges.get_mut(index)
            && range.left == end
        {
            text.push(piece, tight);
            text.append(&mut range.text);
            range.text = text;
            range.left = at;
            return true;
        }
        if self.ranges.len() >= ranges_max {
            return false;
        }
        text.push(piece, tight);
        self.ranges.insert(
            index,
            Range {
                left: at,
                right: end,
                text,
            },
        );
        true
    }

    /// Joins `ranges[index]` to the one before it if they touch now.
    fn merge_at(&mut self, index: usize) {
        let touches = match (
            index.checked_sub(1).and_then(|i| self.ranges.get(i)),
            self.ranges.get(index),
        ) {
            (Some(before), Some(after)) => before.right == after.left,
            _ => false,
        };
        if touches {
            let mut after = self.ranges.remove(index);
            if let Some(before) = self.ranges.get_mut(index - 1) {
                before.text.append(&mut after.text);
                before.right = after.right;
            }
        }
    }

    /// RCV.NXT has come to `nxt`: what follows without a gap moves to `buffer`. Returns the new
    /// RCV.NXT.
    pub(crate) fn take(&mut self, mut nxt: SeqNum, buffer: &mut ReceiveBuffer) -> SeqNum {
        let mut done = 0;
        for range in &mut self.ranges {
            if range.left.is_after(nxt) {
                break;
            }
            done += 1;
            if range.right.is_after(nxt) {
                // Text in order came again over the beginning of the range.
                let mut surplus = nxt.since(range.left) as usize;
                while surplus > 0 {
                    let dropped = range.text.pop(surplus).len();
                    if dropped == 0 {
                        break;
                    }
                    surplus -= dropped;
                }
                buffer.append(&mut range.text);
                nxt = range.right;
            }
        }
        self.ranges.drain(..done);
        if self.ranges.is_empty() {
            *self = Self::default();
        }
        self.recount();
        nxt
    }

    /// The stream ends at `end`: what lies behind it is not part of it.
    pub(crate) fn cut(&mut self, end: SeqNum) {
        self.ranges.retain(|range| range.left.is_before(end));
        if let Some(last) = self.ranges.last_mut()
            && last.right.is_after(end)
        {
            last.text.truncate(end.since(last.left) as usize);
            last.right = end;
        }
        self.recount();
    }

    /// Appends ranges to `blocks`, latest first, until there are `most`.
    pub(crate) fn recent_blocks(&self, most: usize, blocks: &mut SackBlocks) {
        let dsack = blocks.len();
        for &point in &self.recent {
            if blocks.len() >= most {
                return;
            }
            let Some(range) = self.ranges.get(self.first_ending_after(point)) else {
                continue;
            };
            let block = SackBlock {
                left: range.left,
                right: range.right,
            };
            let told = blocks.iter().skip(dsack).any(|known| *known == block);
            if range.left.is_at_or_before(point) && !told {
                blocks.push(block);
            }
        }
    }

    /// Remembers that the range around `point` changed last.
    fn touch(&mut self, point: SeqNum) {
        let Some(range) = self.ranges.get(self.first_ending_after(point)) else {
            return;
        };
        let (left, right) = (range.left, range.right);
        if left.is_after(point) {
            return;
        }
        self.recent
            .retain(|known| known.is_before(left) || known.is_at_or_after(right));
        if self.recent.is_full() {
            self.recent.pop();
        }
        self.recent.insert(0, point);
    }

    fn first_ending_after(&self, point: SeqNum) -> usize {
        self.ranges
            .partition_point(|range| range.right.is_at_or_before(point))
    }

    #[cfg(test)]
    pub(crate) fn ranges(&self) -> Vec<(SeqNum, SeqNum)> {
        self.ranges
            .iter()
            .map(|range| (range.left, range.right))
            .collect()
    }
}

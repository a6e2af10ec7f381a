//! A table whose places are reused and whose names are not.

use alloc::vec::Vec;

/// Places in one piece of the table's memory. The table grows by pieces, so what is in it is
/// never moved, and no packet ever waits for a million sockets to be copied.
const PIECE: usize = 64;

/// Names one value of a [`Slab`]: stale names find nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    /// Its place.
    pub(crate) index: u32,
    /// How often the place had been given out before.
    pub(crate) generation: u32,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    content: Content<T>,
}

#[derive(Debug)]
enum Content<T> {
    Value(T),
    /// The next free place.
    Free(Option<u32>),
}

/// A table with generations: O(1) to insert, find and remove.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    pieces: Vec<Vec<Slot<T>>>,
    free: Option<u32>,
    len: usize,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            pieces: Vec::new(),
            free: None,
            len: 0,
        }
    }
}

impl<T> Slab<T> {
    /// Values in the table.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Puts `value` into a free place.
    pub(crate) fn insert(&mut self, value: T) -> Key {
        self.insert_with(|_| value)
    }

    /// As `insert`, for a value that wants to know its own name.
    pub(crate) fn insert_with(&mut self, make: impl FnOnce(Key) -> T) -> Key {
        if self.free.is_none() {
            self.grow();
        }
        let index = self.free.unwrap_or_default();
        // `grow` has left a free place: the slot is there and free.
        let Some(slot) = self.slot_mut(index) else {
            debug_assert!(false, "the free list names a place that is not there");
            return Key {
                index: u32::MAX,
                generation: u32::MAX,
            };
        };
        let key = Key {
            index,
            generation: slot.generation,
        };
        let next = match &slot.content {
            Content::Free(next) => *next,
            Content::Value(_) => None,
        };
        slot.content = Content::Value(make(key));
        self.free = next;
        self.len += 1;
        key
    }

    /// The value named `key`.
    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        let slot = self.slot(key.index)?;
        match &slot.content {
            Content::Value(value) if slot.generation == key.generation => Some(value),
            _ => None,
        }
    }

    /// The value named `key`.
    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let slot = self.slot_mut(key.index)?;
        match &mut slot.content {
            Content::Value(value) if slot.generation == key.generation => Some(value),
            _ => None,
        }
    }

    /// The name of whatever is in place `index`.
    pub(crate) fn key_at(&self, index: u32) -> Option<Key> {
        let slot = self.slot(index)?;
        matches!(slot.content, Content::Value(_)).then_some(Key {
            index,
            generation: slot.generation,
        })
    }

    /// Takes the value named `key` out; its name is stale from now on.
    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let free = self.free;
        let slot = self.slot_mut(key.index)?;
        if slot.generation != key.generation || matches!(slot.content, Content::Free(_)) {
            return None;
        }
        slot.generation = slot.generation.wrapping_add(1);
        let content = core::mem::replace(&mut slot.content, Content::Free(free));
        self.free = Some(key.index);
        self.len -= 1;
        match content {
            Content::Value(value) => Some(value),
            Content::Free(_) => None,
        }
    }

    /// All values with their names, by place.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        let slots = self.pieces.iter().flatten();
        (0..).zip(slots).filter_map(|(index, slot)| {
            let Content::Value(value) = &slot.content else {
                return None;
            };
            let generation = slot.generation;
            Some((Key { index, generation }, value))
        })
    }

    fn slot(&self, index: u32) -> Option<&Slot<T>> {
        let index = index as usize;
        self.pieces.get(index / PIECE)?.get(index % PIECE)
    }

    fn slot_mut(&mut self, index: u32) -> Option<&mut Slot<T>> {
        let index = index as usize;
        self.pieces.get_mut(index / PIECE)?.get_mut(index % PIECE)
    }

    /// Appends one piece of free places, lowest first.
    fn grow(&mut self) {
        let first = self.pieces.len() * PIECE;
        let mut piece = Vec::with_capacity(PIECE);
        for offset in 0..PIECE {
            let last = offset + 1 == PIECE;
            let next = u32::try_from(first + offset + 1).ok();
            piece.push(Slot {
                generation: 0,
                content: Content::Free(if last { None } else { next }),
            });
        }
        self.pieces.push(piece);
        self.free = u32::try_from(first).ok();
    }
}

#[cfg(test)]
mod tests;

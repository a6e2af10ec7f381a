//! When which socket wants to be woken.

use alloc::vec::Vec;

use switchboard_wire::Instant;

/// A binary heap with at most one entry for each socket.
///
/// An entry is lazy: a deadline that moves later, or goes away, leaves it where it is, and
/// whoever is woken too early asks the socket again. Retransmission timers move later with
/// every acknowledgement, so this is what makes them free. A deadline that moves earlier
/// moves its entry. Every operation is O(log n) in the number of sockets, most are O(1).
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    heap: Vec<(Instant, u32)>,
    /// Of each socket, by its place in the slab: 1 + the place of its entry in the heap.
    places: Vec<u32>,
}

impl Deadlines {
    /// The earliest moment at which somebody may want to be woken.
    pub(crate) fn earliest(&self) -> Option<Instant> {
        self.heap.first().map(|(at, _)| *at)
    }

    /// Sockets that have an entry.
    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    /// Socket `index` wants to be woken at `deadline`.
    pub(crate) fn set(&mut self, index: u32, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return };
        match self.place(index) {
            None => {
                self.heap.push((deadline, index));
                self.sift_up(self.heap.len() - 1);
            }
            Some(place) => {
                if let Some(entry) = self.heap.get_mut(place)
                    && deadline < entry.0
                {
                    entry.0 = deadline;
                    self.sift_up(place);
                }
            }
        }
    }

    /// Socket `index` is gone.
    pub(crate) fn remove(&mut self, index: u32) {
        if let Some(place) = self.place(index) {
            self.remove_at(place);
        }
    }

    /// Takes out one socket whose entry is due. The caller sets its deadline anew.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<u32> {
        let &(at, index) = self.heap.first()?;
        if at > now {
            return None;
        }
        self.remove_at(0);
        Some(index)
    }

    fn place(&self, index: u32) -> Option<usize> {
        let place = *self.places.get(index as usize)?;
        (place as usize).checked_sub(1)
    }

    /// Notes where the entry at `place` is.
    fn note(&mut self, place: usize) {
        let Some(&(_, index)) = self.heap.get(place) else {
            return;
        };
        let index = index as usize;
        if index >= self.places.len() {
            self.places.resize(index + 1, 0);
        }
        if let (Some(slot), Ok(place)) = (self.places.get_mut(index), u32::try_from(place + 1)) {
            *slot = place;
        }
    }

    fn remove_at(&mut self, place: usize) {
        if place >= self.heap.len() {
            return;
        }
        let (_, index) = self.heap.swap_remove(place);
        if let Some(slot) = self.places.get_mut(index as usize) {
            *slot = 0;
        }
        if place < self.heap.len() {
            self.sift_down(place);
            self.sift_up(place);
        }
    }

    fn is_before(&self, one: usize, other: usize) -> bool {
        match (self.heap.get(one), self.heap.get(other)) {
            // The index breaks ties, so that the order is the same on every run.
            (Some(one), Some(other)) => one < other,
            (Some(_), None) => true,
            _ => false,
        }
    }

    fn sift_up(&mut self, mut place: usize) {
        while place > 0 {
            let parent = (place - 1) / 2;
            if !self.is_before(place, parent) {
                break;
            }
            self.heap.swap(place, parent);
            self.note(place);
            place = parent;
        }
        self.note(place);
    }

    fn sift_down(&mut self, mut place: usize) {
        loop {
            let (left, right) = (2 * place + 1, 2 * place + 2);
            let child = if self.is_before(right, left) {
                right
            } else {
                left
            };
            if !self.is_before(child, place) {
                break;
            }
            self.heap.swap(place, child);
            self.note(place);
            place = child;
        }
        self.note(place);
    }
}

#[cfg(test)]
mod tests;

//! Sequence numbers (RFC 9293 section 3.4).

use core::fmt;
use core::ops::{Add, AddAssign, Sub};

/// A sequence number: a point on a circle of 2^32 octets.
///
/// It has no order, on purpose: on a circle "less than" means something only for two points
/// less than half the circle apart, so the comparisons are named and a wrapped one cannot be
/// written by accident.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct SeqNum(u32);

impl SeqNum {
    /// The number as it is in a header.
    pub(crate) const fn new(value: u32) -> Self {
        Self(value)
    }

    /// As a header carries it.
    pub(crate) const fn value(self) -> u32 {
        self.0
    }

    /// Whether this point comes before `other` (less than 2^31 octets before it).
    pub(crate) const fn is_before(self, other: Self) -> bool {
        (self.0.wrapping_sub(other.0) as i32) < 0
    }

    /// Whether this point is `other`, or before it.
    pub(crate) const fn is_at_or_before(self, other: Self) -> bool {
        (self.0.wrapping_sub(other.0) as i32) <= 0
    }

    /// Whether this point comes after `other`.
    pub(crate) const fn is_after(self, other: Self) -> bool {
        (self.0.wrapping_sub(other.0) as i32) > 0
    }

    /// Whether this point is `other`, or after it.
    pub(crate) const fn is_at_or_after(self, other: Self) -> bool {
        (self.0.wrapping_sub(other.0) as i32) >= 0
    }

    /// Whether this point is one of the `len` points from `start` on. Exact for every `len`.
    pub(crate) const fn is_within(self, start: Self, len: u32) -> bool {
        self.0.wrapping_sub(start.0) < len
    }

    /// Octets from `earlier` to this point; 0 if this point is before it.
    pub(crate) const fn since(self, earlier: Self) -> u32 {
        if self.is_before(earlier) {
            0
        } else {
            self.0.wrapping_sub(earlier.0)
        }
    }

    /// Octets from `earlier` to this point, going once round the circle if need be.
    pub(crate) const fn distance_from(self, earlier: Self) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }

    /// The later of two points.
    pub(crate) const fn later(self, other: Self) -> Self {
        if self.is_before(other) { other } else { self }
    }

    /// The earlier of two points.
    pub(crate) const fn earlier(self, other: Self) -> Self {
        if self.is_after(other) { other } else { self }
    }
}

impl Add<u32> for SeqNum {
    type Output = Self;

    fn add(self, octets: u32) -> Self {
        Self(self.0.wrapping_add(octets))
    }
}

impl AddAssign<u32> for SeqNum {
    fn add_assign(&mut self, octets: u32) {
        *self = *self + octets;
    }
}

impl Sub<u32> for SeqNum {
    type Output = Self;

    fn sub(self, octets: u32) -> Self {
        Self(self.0.wrapping_sub(octets))
    }
}

impl fmt::Display for SeqNum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

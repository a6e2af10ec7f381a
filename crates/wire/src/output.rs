//! Where headers are written.

use alloc::vec::Vec;

use arrayvec::ArrayVec;

/// Something that octets can be appended to.
pub trait Output {
    /// Appends all of `octets`.
    fn put(&mut self, octets: &[u8]);
}

impl Output for Vec<u8> {
    fn put(&mut self, octets: &[u8]) {
        self.extend_from_slice(octets);
    }
}

/// The capacity is the writer's to choose; what the headers of this crate need together is
/// below [`HEAD_MAX`](crate::packet::HEAD_MAX).
impl<const CAPACITY: usize> Output for ArrayVec<u8, CAPACITY> {
    fn put(&mut self, octets: &[u8]) {
        let fits = self.try_extend_from_slice(octets).is_ok();
        debug_assert!(fits, "headers exceed their array");
    }
}

//! The door from a stack to a wire: what passes is a packet that a wire could carry.

use bytes::{Bytes, BytesMut};
use switchboard_wire::{Transmit, offload};

/// The plain packets that `transmit` stands for, in order: segments cut, every sum finished.
pub fn plain_packets(transmit: &Transmit) -> impl Iterator<Item = Bytes> + '_ {
    offload::cut(transmit).map(|plain| {
        let mut packet = BytesMut::with_capacity(plain.len());
        packet.extend_from_slice(&plain.head);
        for slice in &plain.payload {
            packet.extend_from_slice(slice);
        }
        packet.freeze()
    })
}

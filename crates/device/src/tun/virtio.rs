//! The virtio-net header (VIRTIO 1.2 section 5.1.6) that precedes each packet of a TUN
//! opened with `IFF_VNET_HDR`: what is left to do to the packet behind it.
//!
//! Fields are in the machine's own order, as Linux has them unless `TUNSETVNETLE` is asked for.

use std::num::NonZeroU16;

use switchboard_wire::{Checksum, Transmit};

/// Octets of the header with its `num_buffers` field: the IP header behind it is then aligned
/// to 4 octets.
pub(crate) const HEADER_LEN: usize = 12;

/// Octets of the header without `num_buffers`, which every kernel has.
pub(crate) const HEADER_LEN_SHORT: usize = 10;

/// The checksum is to be finished (`VIRTIO_NET_HDR_F_NEEDS_CSUM`).
const NEEDS_CSUM: u8 = 1;
/// The checksum was verified (`VIRTIO_NET_HDR_F_DATA_VALID`).
const DATA_VALID: u8 = 2;

const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;
const GSO_UDP_L4: u8 = 5;
/// The first segment carries CWR, the others must not (RFC 3168 section 6.1.2).
const GSO_ECN: u8 = 0x80;

/// Where the checksum field is in a TCP header; in UDP's it is at 6.
const TCP_CHECKSUM: u16 = 16;
const UDP_HEADER_LEN: u16 = 8;
/// Flags octet of a TCP header, and the bit for CWR in it.
const TCP_FLAGS: usize = 13;
const TCP_CWR: u8 = 0x80;

/// What the header says of a received packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) checksum: Checksum,
    pub(crate) segment_size: Option<NonZeroU16>,
}

/// Reads the header; `None` if it is cut short.
pub(crate) fn parse(header: &[u8]) -> Option<Received> {
    let [flags, gso_type, _, _, size_0, size_1, ..] = *header else {
        return None;
    };
    let checksum = if flags & NEEDS_CSUM != 0 {
        Checksum::Partial
    } else if flags & DATA_VALID != 0 {
        Checksum::Verified
    } else {
        Checksum::Unknown
    };
    let segment_size = match gso_type & !GSO_ECN {
        GSO_TCPV4 | GSO_TCPV6 | GSO_UDP_L4 => NonZeroU16::new(u16::from_ne_bytes([size_0, size_1])),
        _ => None,
    };
    Some(Received {
        checksum,
        segment_size,
    })
}

/// The header that asks the kernel for what `transmit` leaves undone. `link_len`: octets of link
/// header before the IP header.
pub(crate) fn emit(transmit: &Transmit, link_len: usize) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    let Some(partial) = transmit.checksum else {
        return header;
    };
    header[0] = NEEDS_CSUM;
    header[6..8].copy_from_slice(&partial.start.to_ne_bytes());
    header[8..10].copy_from_slice(&partial.offset.to_ne_bytes());
    let Some(size) = transmit.segment_size else {
        return header;
    };
    let transport = transmit
        .head
        .get(usize::from(partial.start)..)
        .unwrap_or_default();
    let mut gso_type = GSO_UDP_L4;
    let mut headers = partial.start + UDP_HEADER_LEN;
    if partial.offset == TCP_CHECKSUM {
        let is_v4 = transmit
            .head
            .get(link_len)
            .is_some_and(|octet| octet >> 4 == 4);
        gso_type = if is_v4 { GSO_TCPV4 } else { GSO_TCPV6 };
        if transport
            .get(TCP_FLAGS)
            .is_some_and(|flags| flags & TCP_CWR != 0)
        {
            gso_type |= GSO_ECN;
        }
        let data_offset = transport
            .get(12)
            .map_or(20, |octet| u16::from(octet >> 4) * 4);
        headers = partial.start + data_offset;
    }
    header[1] = gso_type;
    header[2..4].copy_from_slice(&headers.to_ne_bytes());
    header[4..6].copy_from_slice(&size.get().to_ne_bytes());
    header
}

/// As [`emit`] for a link header of `link_len` octets that stands before the transmit, not in it.
pub(crate) fn emit_behind(transmit: &Transmit, link_len: u16) -> [u8; HEADER_LEN] {
    let mut header = emit(transmit, 0);
    // Both count from the frame's first octet; where there is nothing to do they are not read.
    for at in [2, 6] {
        let counted = u16::from_ne_bytes([header[at], header[at + 1]]);
        header[at..at + 2].copy_from_slice(&(counted + link_len).to_ne_bytes());
    }
    header
}

#[cfg(test)]
#[path = "virtio_tests.rs"]
mod tests;

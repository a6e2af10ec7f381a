//! Packets by hand: just enough of IPv4, ICMP, UDP and TCP to talk to the kernel.

use std::num::NonZeroU16;

use bytes::Bytes;
use switchboard_wire::Transmit;
use switchboard_wire::packet::PartialChecksum;

pub(crate) const KERNEL: [u8; 4] = [10, 7, 0, 1];
pub(crate) const PEER: [u8; 4] = [10, 7, 0, 2];

/// Sum of 16-bit words (RFC 1071), not complemented.
pub(crate) fn sum(octets: &[u8]) -> u16 {
    let words = octets.chunks(2).map(|pair| {
        let low = pair.get(1).copied().unwrap_or(0);
        u64::from(u16::from_be_bytes([pair[0], low]))
    });
    let mut sum: u64 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

fn header(protocol: u8, len: usize) -> Vec<u8> {
    let mut header = vec![0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, protocol, 0, 0];
    header[2..4].copy_from_slice(&(20 + len as u16).to_be_bytes());
    header.extend(PEER);
    header.extend(KERNEL);
    let check = !sum(&header);
    header[10..12].copy_from_slice(&check.to_be_bytes());
    header
}

fn pseudo(protocol: u8, len: usize) -> u16 {
    let mut octets = [PEER, KERNEL].concat();
    octets.extend([0, protocol]);
    octets.extend((len as u16).to_be_bytes());
    sum(&octets)
}

/// Whatever the kernel asked, echoed (RFC 792).
pub(crate) fn echo_reply(request: &[u8]) -> Transmit {
    let mut icmp = request[20..].to_vec();
    icmp[0] = 0;
    icmp[2..4].fill(0);
    let check = !sum(&icmp);
    icmp[2..4].copy_from_slice(&check.to_be_bytes());
    let head = header(1, icmp.len());
    Transmit {
        head: head.into_iter().collect(),
        payload: [Bytes::from(icmp)].into_iter().collect(),
        ..Transmit::default()
    }
}

/// Head and payload of a transport protocol, with the checksum left to the device, or done.
fn transport(
    protocol: u8,
    mut text: Vec<u8>,
    check_at: usize,
    payload: Bytes,
    segment_size: Option<u16>,
    offloads: bool,
) -> Transmit {
    let len = text.len() + payload.len();
    let start = pseudo(protocol, len);
    let check = if offloads {
        start
    } else {
        let all = [&text[..], &payload[..]].concat();
        let total = u32::from(start) + u32::from(sum(&all));
        !((total & 0xffff) + (total >> 16)) as u16
    };
    text[check_at..check_at + 2].copy_from_slice(&check.to_be_bytes());
    let head = [header(protocol, len), text].concat();
    // In two slices, so that they are gathered.
    let half = payload.len() / 2;
    let payload = [payload.slice(..half), payload.slice(half..)];
    Transmit {
        head: head.into_iter().collect(),
        payload: payload
            .into_iter()
            .filter(|slice| !slice.is_empty())
            .collect(),
        checksum: offloads.then_some(PartialChecksum {
            start: 20,
            offset: check_at as u16,
        }),
        segment_size: segment_size.and_then(NonZeroU16::new),
    }
}

/// A datagram from the peer's port `from` to the kernel's `to`.
pub(crate) fn udp(
    from: u16,
    to: u16,
    payload: Bytes,
    segment_size: Option<u16>,
    offloads: bool,
) -> Transmit {
    let mut text = [from.to_be_bytes(), to.to_be_bytes()].concat();
    text.extend((8 + payload.len() as u16).to_be_bytes());
    text.extend([0, 0]);
    transport(17, text, 6, payload, segment_size, offloads)
}

pub(crate) const SYN: u8 = 2;
pub(crate) const ACK: u8 = 16;

/// The few words of a segment that the tests look at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tcp {
    pub(crate) ports: [u8; 4],
    pub(crate) seq: u32,
    pub(crate) flags: u8,
    pub(crate) text: usize,
}

pub(crate) fn parse_tcp(packet: &[u8]) -> Tcp {
    let tcp = &packet[20..];
    Tcp {
        ports: tcp[..4].try_into().unwrap(),
        seq: u32::from_be_bytes(tcp[4..8].try_into().unwrap()),
        flags: tcp[13],
        text: tcp.len() - usize::from(tcp[12] >> 4) * 4,
    }
}

/// A segment in answer to one of the kernel's.
pub(crate) fn tcp(
    of: Tcp,
    seq: u32,
    ack: u32,
    flags: u8,
    payload: Bytes,
    segment_size: Option<u16>,
) -> Transmit {
    let mut text = [&of.ports[2..], &of.ports[..2]].concat();
    text.extend(seq.to_be_bytes());
    text.extend(ack.to_be_bytes());
    text.extend([5 << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
    if flags & SYN != 0 {
        text[12] = 6 << 4;
        text.extend([2, 4, 0x05, 0xb4]);
    }
    transport(6, text, 16, payload, segment_size, true)
}

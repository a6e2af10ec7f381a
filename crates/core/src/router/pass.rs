//! A packet goes on: one hop less, and as long as the next link takes.

use alloc::vec::Vec;

use arrayvec::ArrayVec;
use bytes::Bytes;
use switchboard_wire::ip::{IpProtocol, spend_hop};
use switchboard_wire::ipv4::{Ipv4Header, OPTION_END, OPTION_NOP, OPTIONS_MAX};
use switchboard_wire::{Instant, Transmit, offload};

use super::{Outlet, Passing, PortConfig, PortId, Router};
use crate::drop_reason::DropReason;
use crate::error::Unreachable;
use crate::ip::icmp::Say;
use crate::ip::ingress::Refused;

impl Router {
    /// Sends it on by `port`.
    pub(super) fn pass(
        &mut self,
        now: Instant,
        passing: &Passing<'_>,
        port: PortId,
        out: &mut Outlet<'_>,
    ) {
        let Some(config) = self.ports.get(&port) else {
            return self.stats.drops.drop(DropReason::PortGone);
        };
        let mtu = config.mtu;
        let longest = longest_piece(passing);
        if longest > mtu && passing.packet.dont_fragment {
            return self.too_long(now, passing, mtu, out);
        }
        let whole = if longest <= mtu {
            offload::relay(passing.rx).filter(|transmit| takes(config, transmit, passing))
        } else {
            None
        };
        self.stats.forwarded += 1;
        self.stats.forwarded_octets += passing.rx.bytes.len() as u64;
        match whole {
            Some(mut transmit) => {
                spend_hop(&mut transmit.head);
                out(port, transmit);
            }
            None => self.pass_in_pieces(passing, (port, mtu), out),
        }
    }

    /// Cut, summed and fragmented, as far as each is needed.
    fn pass_in_pieces(
        &mut self,
        passing: &Passing<'_>,
        (port, mtu): (PortId, usize),
        out: &mut Outlet<'_>,
    ) {
        self.stats.cut += u64::from(passing.rx.segment_size.is_some());
        for piece in offload::cut_received(passing.rx) {
            if piece.len() <= mtu {
                let mut transmit = Transmit::from_packet(&piece);
                spend_hop(&mut transmit.head);
                out(port, transmit);
                continue;
            }
            let made = fragment(&piece, mtu, &mut |mut transmit| {
                spend_hop(&mut transmit.head);
                out(port, transmit);
            });
            match made {
                Some(count) => self.stats.fragments_sent += count,
                None => self.stats.drops.drop(DropReason::TooLong),
            }
        }
    }

    /// Its sender is told the MTU of the next link (RFC 1191 section 4, RFC 4443 section 3.2).
    fn too_long(&mut self, now: Instant, passing: &Passing<'_>, mtu: usize, out: &mut Outlet<'_>) {
        let mtu = u32::try_from(mtu).unwrap_or(u32::MAX);
        let refused = Refused {
            reason: DropReason::TooLong,
            say: Some(Say::Unreachable(Unreachable::TooBig { mtu })),
        };
        self.turn_away(now, passing, refused, out);
    }
}

/// Octets of the longest packet that a wire would see of it.
fn longest_piece(passing: &Passing<'_>) -> usize {
    let whole = passing.packet.total_len();
    let Some(segment_size) = passing.rx.segment_size else {
        return whole;
    };
    // Relaying finds the headers; where it cannot, nothing can be cut either.
    match offload::relay(passing.rx) {
        Some(transmit) if transmit.segment_size.is_some() => {
            whole.min(transmit.head.len() + usize::from(segment_size.get()))
        }
        _ => {
            let pieces = offload::cut_received(passing.rx);
            pieces.map(|piece| piece.len()).max().unwrap_or(whole)
        }
    }
}

/// Whether the port's device takes it as it is.
fn takes(config: &PortConfig, transmit: &Transmit, passing: &Passing<'_>) -> bool {
    let offloads = &config.offloads;
    let cuts = match (transmit.segment_size, passing.packet.protocol) {
        (None, _) => true,
        (Some(_), IpProtocol::UDP) => offloads.uso,
        (Some(_), _) if passing.packet.is_ipv6() => offloads.tso6,
        (Some(_), _) => offloads.tso4,
    };
    cuts && (transmit.checksum.is_none() || offloads.checksum)
}

/// Fragments of `packet` (RFC 791 section 3.2), each but the last as long as it can be. Says how
/// many; `None` where the link does not even take eight octets behind the header.
fn fragment(packet: &Bytes, mtu: usize, each: &mut dyn FnMut(Transmit)) -> Option<u64> {
    let header = Ipv4Header::parse(packet).ok()?;
    let header_len = header.header_len();
    let step = mtu.checked_sub(header_len)? / 8 * 8;
    let body = packet.slice(header_len.min(packet.len())..);
    if step == 0 {
        return None;
    }
    let mut later = header.clone();
    later.options = copied(&header.options);
    let (mut at, mut count) = (0, 0);
    while at < body.len() {
        let len = step.min(body.len() - at);
        let mut own = if at == 0 {
            header.clone()
        } else {
            later.clone()
        };
        own.fragment_offset = header.fragment_offset + u16::try_from(at).ok()?;
        own.more_fragments = header.more_fragments || at + len < body.len();
        own.total_len = u16::try_from(own.header_len() + len).ok()?;
        let mut transmit = Transmit::default();
        own.emit(&mut transmit.head);
        transmit.payload.push(body.slice(at..at + len));
        each(transmit);
        at += len;
        count += 1;
    }
    Some(count)
}

/// The options that every fragment carries: those with the copied flag (RFC 791 section 3.1).
fn copied(options: &[u8]) -> ArrayVec<u8, OPTIONS_MAX> {
    let mut kept = Vec::new();
    let mut rest = options;
    while let [kind, tail @ ..] = rest {
        let len = match (*kind, tail) {
            (OPTION_END, _) => break,
            (OPTION_NOP, _) => 1,
            (_, [len, ..]) if *len >= 2 => usize::from(*len),
            _ => break,
        };
        let Some((option, after)) = rest.split_at_checked(len) else {
            break;
        };
        if *kind & 0x80 != 0 {
            kept.extend_from_slice(option);
        }
        rest = after;
    }
    // No more than the header had.
    kept.into_iter().take(OPTIONS_MAX).collect()
}

/// The packet that an error quotes: of a super-segment its first segment, as it would have been
/// on a wire.
pub(super) fn quoted(passing: &Passing<'_>) -> Bytes {
    let mut pieces = offload::cut_received(passing.rx);
    let first = pieces.next();
    first.unwrap_or_else(|| passing.rx.bytes.clone())
}

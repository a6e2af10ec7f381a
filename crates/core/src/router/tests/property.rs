//! Whatever comes in: no panic, one hop less, nothing longer than the link takes.

use alloc::vec::Vec;
use core::num::NonZeroU16;

use proptest::prelude::*;
use switchboard_wire::{Checksum, IpPacket, RxPacket, offload};

use super::craft::{self, Udp, tcp_super, udp};
use super::{ALL, Bench, NOW};
use crate::config::Offloads;

/// A packet that is well made, before somebody changes it.
fn seeds() -> impl Strategy<Value = RxPacket> {
    (0..6_usize, 0..3000_usize, 1..2000_u16, any::<bool>()).prop_map(
        |(kind, payload, segment_size, dont_fragment)| {
            let how = Udp {
                dont_fragment,
                ..Udp::of(payload)
            };
            match kind {
                0 => udp("10.1.0.5", "10.2.0.5", how),
                1 => udp("fd01::5", "fd02::5", how),
                2 => tcp_super("10.1.0.5", "10.2.0.5", payload, segment_size),
                3 => tcp_super("fd01::5", "fd02::5", payload, segment_size),
                4 => craft::echo("10.1.0.5", "10.1.0.1", b"ping"),
                _ => {
                    let options = [payload as u8, 4, 1, 2, 3, 4];
                    let kind = switchboard_wire::IpProtocol::HOP_BY_HOP;
                    craft::with_extension("fd01::5", "fd02::5", kind, options)
                }
            }
        },
    )
}

/// Octets of the first 80 to overwrite, what is claimed of the sum, and a segment size.
type Change = (Vec<(usize, u8)>, u8, u16, bool);

fn change(mut packet: RxPacket, (octets, sum, size, fixed): Change) -> RxPacket {
    let mut bytes = packet.bytes.to_vec();
    for (at, value) in octets {
        let len = bytes.len();
        bytes[at % len] = value;
    }
    if fixed && bytes[0] == 0x45 && bytes.len() >= 20 {
        craft::fix_header(&mut bytes);
    }
    packet.bytes = bytes.into();
    match sum % 4 {
        0 => packet.checksum = Checksum::Partial,
        1 => packet.checksum = Checksum::Verified,
        2 => packet.segment_size = NonZeroU16::new(size),
        _ => {}
    }
    packet
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn forwarding_never_panics_spends_a_hop_and_respects_the_link(
        seed in seeds(),
        octets in prop::collection::vec((0..80_usize, any::<u8>()), 0..6),
        sum: u8,
        size in 1..3000_u16,
        fixed: bool,
        mtu in 68..1500_usize,
        takes_all: bool,
    ) {
        let packet = change(seed, (octets, sum, size, fixed));
        let mut bench = Bench::new(mtu, if takes_all { ALL } else { Offloads::default() });
        let out = bench.give(&packet);
        let Ok(arrived) = IpPacket::parse(&packet.bytes) else {
            prop_assert!(out.is_empty());
            return Ok(());
        };
        for (port, transmit) in out {
            prop_assert!(takes_all || port != bench.east || offload::is_plain(&transmit));
            for piece in offload::cut(&transmit) {
                let piece = piece.to_bytes();
                let passed = IpPacket::parse(&piece);
                prop_assert!(passed.is_ok(), "{passed:?}");
                let Ok(passed) = passed else { continue };
                if (passed.source, passed.destination) != (arrived.source, arrived.destination) {
                    // An answer of the router's own.
                    prop_assert_eq!(passed.destination, arrived.source);
                    continue;
                }
                prop_assert_eq!(port, bench.east);
                prop_assert_eq!(passed.hop_limit, arrived.hop_limit - 1);
                prop_assert!(piece.len() <= mtu, "{} on {mtu}", piece.len());
            }
        }
    }

    #[test]
    fn random_octets_never_panic(octets in prop::collection::vec(any::<u8>(), 0..200), v6: bool) {
        let mut octets = octets;
        if let Some(first) = octets.first_mut() {
            *first = if v6 { 0x60 } else { 0x45 };
        }
        let mut bench = Bench::plain();
        bench.give(&RxPacket::new(octets.into(), NOW));
        prop_assert_eq!(bench.router.stats().received, 1);
    }
}

use alloc::collections::BTreeSet;
use core::net::Ipv4Addr;

use super::*;

fn address(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, last).into()
}

#[test]
fn none_comes_again_before_all_have_been_used() {
    let mut ids = Identifications::new(SecretHash::new([7; 16]), 1);
    let mut seen = BTreeSet::new();
    for _ in 0..=u16::MAX {
        let id = ids.next(address(1), address(2), IpProtocol::UDP);
        assert!(seen.insert(id as u16), "{id} came again");
    }
}

#[test]
fn who_knows_one_pairs_does_not_know_anothers() {
    let mut ids = Identifications::new(SecretHash::new([7; 16]), 1);
    let one = ids.next(address(1), address(2), IpProtocol::UDP);
    let other = ids.next(address(1), address(3), IpProtocol::UDP);
    assert!(one.abs_diff(other) > 1_000);
    let mut elsewhere = Identifications::new(SecretHash::new([8; 16]), 1);
    let same_pair = elsewhere.next(address(1), address(2), IpProtocol::UDP);
    assert!(one.abs_diff(same_pair) > 1_000);
}

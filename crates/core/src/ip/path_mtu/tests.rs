use core::net::IpAddr;
use core::time::Duration;

use switchboard_wire::Instant;

use super::{AGE, PathMtus};
use crate::demux::hash::SecretHash;

const NOW: Instant = Instant::ZERO;

fn cache() -> PathMtus {
    PathMtus::new(9000, 2, SecretHash::new([1; 16]))
}

fn v4(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

fn v6() -> IpAddr {
    IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1])
}

#[test]
fn lies_below_the_floor_are_kept_from_crippling_a_path() {
    let mut cache = cache();
    assert_eq!(cache.reduce(v4(1), 68, 9000, NOW), Some(552));
    assert_eq!(cache.reduce(v4(1), 1, 9000, NOW), None);
    assert_eq!(cache.reduce(v6(), 1279, 9000, NOW), None);
    assert_eq!(cache.reduce(v6(), 0, 9000, NOW), None);
    assert_eq!(cache.get(v6(), NOW), 9000);
    assert_eq!(cache.reduce(v6(), 1280, 9000, NOW), Some(1280));
}

#[test]
fn a_message_never_makes_a_path_wider() {
    let mut cache = cache();
    assert_eq!(cache.reduce(v4(1), 65_535, 9000, NOW), None);
    assert_eq!(cache.reduce(v4(1), 1400, 9000, NOW), Some(1400));
    assert_eq!(cache.reduce(v4(1), 1500, 9000, NOW), None);
    assert_eq!(cache.get(v4(1), NOW), 1400);
}

#[test]
fn a_router_that_names_no_mtu_gets_the_next_plateau() {
    let mut cache = cache();
    assert_eq!(cache.reduce(v4(1), 0, 1500, NOW), Some(1492));
    assert_eq!(cache.reduce(v4(1), 0, 1492, NOW), Some(1006));
}

#[test]
fn it_ages_and_is_bounded() {
    let mut cache = cache();
    let later = NOW + AGE;
    let _ = cache.reduce(v4(1), 1400, 1500, NOW);
    assert_eq!(cache.get(v4(1), later), 9000);
    cache.expire(later);
    assert!(cache.is_empty());
    for last in 0..100 {
        let _ = cache.reduce(
            v4(last),
            1400,
            1500,
            NOW + Duration::from_secs(u64::from(last)),
        );
    }
    assert_eq!(cache.entries.len(), 2);
    assert_eq!(cache.get(v4(99), later), 1400);
}

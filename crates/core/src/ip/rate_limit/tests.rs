use core::net::IpAddr;

use switchboard_wire::Instant;

use super::RateLimit;
use crate::demux::hash::SecretHash;

#[test]
fn one_destination_cannot_use_up_the_share_of_all() {
    let mut limit = RateLimit::new(1000, 50, SecretHash::new([1; 16]));
    let noisy = IpAddr::from([192, 0, 2, 1]);
    let other = IpAddr::from([192, 0, 2, 2]);
    let sent = (0..1000)
        .filter(|_| limit.allows(noisy, Instant::ZERO))
        .count();
    assert_eq!(sent, 25);
    assert!(limit.allows(other, Instant::ZERO));
}

#[test]
fn all_together_keep_to_the_rate() {
    let mut limit = RateLimit::new(1000, 50, SecretHash::new([1; 16]));
    let mut sent = 0;
    for step in 0_u32..1_000_000 {
        // A million packets in one second, each from somebody else.
        let now = Instant::from_micros(u64::from(step));
        let destination = IpAddr::from((0x0a00_0000 + step).to_be_bytes());
        sent += usize::from(limit.allows(destination, now));
    }
    assert!((1000..=1050).contains(&sent), "{sent}");
}

use super::*;
use crate::impair::{Burst, QueueLimit};

const MS: Duration = Duration::from_millis(1);

fn packet(n: u8) -> Bytes {
    Bytes::from(vec![n; 100])
}

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

/// Everything that ever comes out, with its time.
fn drain(link: &mut Link) -> Vec<(Instant, u8)> {
    let mut out = Vec::new();
    while let Some(now) = link.deadline() {
        while let Some(packet) = link.poll(now) {
            out.push((now, packet[0]));
        }
    }
    out
}

#[test]
fn a_packet_comes_out_after_the_delay_and_not_before() {
    let mut link = Link::new(Conditions::delay(20 * MS), Seed(1));
    link.send(at(5), &packet(1));
    assert_eq!(link.deadline(), Some(at(25)));
    assert_eq!(link.poll(at(24)), None);
    assert_eq!(link.poll(at(25)), Some(packet(1)));
    assert_eq!(link.deadline(), None);
}

#[test]
fn jitter_keeps_the_order() {
    let mut conditions = Conditions::delay(MS);
    conditions.delay.jitter = 50 * MS;
    let mut link = Link::new(conditions, Seed(2));
    for n in 0..100 {
        link.send(at(u64::from(n)), &packet(n));
    }
    let order: Vec<u8> = drain(&mut link).into_iter().map(|(_, n)| n).collect();
    assert_eq!(order, (0..100).collect::<Vec<u8>>());
}

#[test]
fn reordering_changes_the_order_and_loses_nothing() {
    let mut conditions = Conditions::delay(MS);
    conditions.reorder = Reorder {
        chance: Chance::percent(20),
        by: 10 * MS,
    };
    let mut link = Link::new(conditions, Seed(3));
    for n in 0..100 {
        link.send(at(u64::from(n)), &packet(n));
    }
    let mut order: Vec<u8> = drain(&mut link).into_iter().map(|(_, n)| n).collect();
    assert_ne!(order, (0..100).collect::<Vec<u8>>());
    order.sort_unstable();
    assert_eq!(order, (0..100).collect::<Vec<u8>>());
}

#[test]
fn rate_spaces_packets_and_its_queue_ends_somewhere() {
    let mut conditions = Conditions::delay(10 * MS);
    conditions.rate = Rate::bits_per_second(800_000); // 100 octets a millisecond
    conditions.rate.limit = QueueLimit {
        packets: 3,
        octets: 1 << 20,
    };
    let mut link = Link::new(conditions, Seed(4));
    let fates: Vec<bool> = (0..5)
        .map(|n| matches!(link.send(at(0), &packet(n)), Fate::Sent { .. }))
        .collect();
    assert_eq!(fates, [true, true, true, false, false]);
    // One has left after a millisecond, and its place is free.
    assert!(matches!(link.send(at(1), &packet(9)), Fate::Sent { .. }));
    assert_eq!(
        drain(&mut link),
        [(at(11), 0), (at(12), 1), (at(13), 2), (at(14), 9)]
    );
    assert_eq!(link.stats().queue_drops, 2);
}

#[test]
fn loss_is_as_frequent_as_asked_for_and_the_same_for_the_same_seed() {
    let run = |seed| {
        let conditions = Conditions::delay(MS).loss(Chance::percent(10));
        let mut link = Link::new(conditions, Seed(seed));
        (0..10_000)
            .map(|n| matches!(link.send(at(n), &packet(0)), Fate::Lost(LostTo::Loss)))
            .collect::<Vec<bool>>()
    };
    let lost = run(7).into_iter().filter(|&lost| lost).count();
    assert!((900..1100).contains(&lost), "{lost} of 10,000");
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

#[test]
fn bursts_have_the_mean_length_that_was_asked_for() {
    let conditions = Conditions {
        loss: Loss::Burst(Burst::new(Chance::percent(1), Chance::percent(25))),
        ..Conditions::default()
    };
    let mut link = Link::new(conditions, Seed(5));
    let (mut lost, mut bursts, mut before) = (0, 0, false);
    for n in 0..100_000 {
        let now = matches!(link.send(at(n), &packet(0)), Fate::Lost(_));
        lost += u32::from(now);
        bursts += u32::from(now && !before);
        before = now;
    }
    let mean = f64::from(lost) / f64::from(bursts);
    assert!((3.5..4.5).contains(&mean), "bursts of {mean} packets");
}

#[test]
fn corruption_flips_exactly_one_bit() {
    let mut link = Link::new(Conditions::default(), Seed(6));
    for bit in [0, 7, 8, 799, 800] {
        link.send_faulty(at(0), &packet(0), Some(Fault::Corrupt(bit)));
        let out = link.poll(at(0)).expect("it arrives");
        let ones: u32 = out.iter().map(|octet| octet.count_ones()).sum();
        assert_eq!(ones, 1);
    }
}

#[test]
fn a_cut_line_loses_what_comes_and_delivers_what_is_on_the_way() {
    let mut link = Link::new(Conditions::delay(10 * MS), Seed(7));
    link.send(at(0), &packet(1));
    link.conditions_mut().partition = Partition::Cut;
    assert_eq!(link.send(at(1), &packet(2)), Fate::Lost(LostTo::Partition));
    link.conditions_mut().partition = Partition::Whole;
    link.send(at(2), &packet(3));
    assert_eq!(drain(&mut link), [(at(10), 1), (at(12), 3)]);
}

#[test]
fn every_packet_is_counted_once() {
    let mut conditions = Conditions::delay(MS).loss(Chance::percent(10));
    conditions.duplicate.chance = Chance::percent(10);
    conditions.corrupt.chance = Chance::percent(10);
    conditions.mtu = Mtu::BlackHole(99);
    let mut link = Link::new(conditions, Seed(8));
    for n in 0..1000 {
        if n == 500 {
            link.conditions_mut().mtu = Mtu::Unlimited;
        }
        link.send(at(n), &packet(0));
    }
    drain(&mut link);
    let stats = *link.stats();
    assert_eq!(stats.too_long, 500);
    assert_eq!(
        stats.sent + stats.duplicated,
        stats.arrived + stats.dropped()
    );
}

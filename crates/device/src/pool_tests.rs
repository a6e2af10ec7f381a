use super::*;

fn write(pool: &mut Pool, octet: u8, len: usize) -> Slice {
    let packet = vec![octet; len];
    pool.join(len, [packet.as_slice()].into_iter())
}

#[test]
fn a_slot_is_reused_when_its_packets_are_gone() {
    let mut pool = Pool::new(65_535);
    let first = write(&mut pool, 1, 60_000);
    let address = first.bytes.as_ptr();
    drop(first);
    let second = write(&mut pool, 2, 60_000);
    assert_eq!(second.bytes.as_ptr(), address);
    assert_eq!(pool.retired.len(), 0);
}

#[test]
fn a_held_packet_is_never_overwritten() {
    let mut pool = Pool::new(65_535);
    let held: Vec<Slice> = (0..40).map(|i| write(&mut pool, i, 50_000)).collect();
    for (i, slice) in (0..40).zip(&held) {
        assert!(slice.bytes.iter().all(|octet| *octet == i));
    }
    drop(held);
    let slots = pool.retired.len();
    for i in 0..200 {
        drop(write(&mut pool, i, 50_000));
    }
    assert_eq!(
        pool.retired.len(),
        slots,
        "no slot was allocated where old ones were free"
    );
}

#[test]
fn small_packets_share_a_slot_and_say_what_they_pin() {
    let mut pool = Pool::new(65_535);
    let held: Vec<Slice> = (0..100).map(|i| write(&mut pool, i, 60)).collect();
    assert!(pool.retired.is_empty());
    assert!(held.iter().all(|slice| slice.slot_size == 65_535 + SHARED));
}

#[test]
fn one_packet_to_a_slot_where_packets_are_small() {
    let mut pool = Pool::new(1_500);
    let held: Vec<Slice> = (0..3).map(|i| write(&mut pool, i, 1_500)).collect();
    assert!(held.iter().all(|slice| slice.slot_size == 1_536));
    assert_eq!(pool.retired.len(), 2);
}

#[test]
fn kept_slots_are_bounded_and_shrink_when_idle() {
    let mut pool = Pool::new(65_535);
    let held: Vec<Slice> = (0..1_000)
        .map(|i| write(&mut pool, i as u8, 60_000))
        .collect();
    assert!(pool.retired.len() <= pool.kept_max);
    pool.trim();
    let busy = pool.retired.len();
    pool.trim();
    assert_eq!(pool.retired.len(), busy, "what is held is not given back");
    drop(held);
    for _ in 0..20 {
        pool.trim();
    }
    assert_eq!(pool.retired.len(), KEPT_MIN);
    assert!(!pool.has_excess());
}

#[test]
fn a_packet_beyond_the_slot_size_gets_its_own_memory() {
    let mut pool = Pool::new(1_500);
    let big = write(&mut pool, 7, 40_000);
    assert_eq!(big.slot_size, 40_000);
    assert_eq!(big.bytes.len(), 40_000);
    assert_eq!(write(&mut pool, 8, 100).slot_size, 1_536);
}

use super::Slab;

#[test]
fn a_stale_name_finds_nothing_although_its_place_has_a_new_owner() {
    let mut slab = Slab::default();
    let old = slab.insert("old");
    assert_eq!(slab.remove(old), Some("old"));
    let new = slab.insert("new");
    assert_eq!(new.index, old.index);
    assert_eq!(slab.get(old), None);
    assert_eq!(slab.remove(old), None);
    assert_eq!(slab.get(new), Some(&"new"));
    assert_eq!(slab.len(), 1);
}

#[test]
fn it_grows_past_its_first_piece_and_iterates_by_place() {
    let mut slab = Slab::default();
    let keys: alloc::vec::Vec<_> = (0..1000).map(|n| slab.insert(n)).collect();
    for (n, key) in keys.iter().enumerate() {
        assert_eq!(slab.get(*key), Some(&n));
    }
    slab.remove(keys[500]);
    assert!(slab.iter().map(|(_, n)| *n).eq((0..500).chain(501..1000)));
}

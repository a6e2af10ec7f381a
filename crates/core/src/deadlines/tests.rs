use alloc::vec::Vec;

use proptest::prelude::*;
use switchboard_wire::Instant;

use super::Deadlines;

fn drain(deadlines: &mut Deadlines, now: Instant) -> Vec<u32> {
    core::iter::from_fn(|| deadlines.pop_due(now)).collect()
}

#[test]
fn a_later_deadline_leaves_the_entry_and_an_earlier_one_moves_it() {
    let mut deadlines = Deadlines::default();
    deadlines.set(3, Some(Instant::from_millis(10)));
    deadlines.set(3, Some(Instant::from_millis(20)));
    assert_eq!(deadlines.earliest(), Some(Instant::from_millis(10)));
    deadlines.set(3, Some(Instant::from_millis(5)));
    assert_eq!(deadlines.earliest(), Some(Instant::from_millis(5)));
    assert_eq!(drain(&mut deadlines, Instant::from_millis(4)), []);
    assert_eq!(drain(&mut deadlines, Instant::from_millis(5)), [3]);
    assert_eq!(deadlines.earliest(), None);
}

proptest! {
    /// Against a plain list: everybody is woken at the earliest moment asked for, once.
    #[test]
    fn it_agrees_with_a_sorted_list(steps in proptest::collection::vec((0_u32..40, 0_u64..100, any::<bool>()), 0..300)) {
        let mut deadlines = Deadlines::default();
        let mut model = [None::<u64>; 40];
        for (index, at, remove) in steps {
            if remove {
                deadlines.remove(index);
                model[index as usize] = None;
            } else {
                deadlines.set(index, Some(Instant::from_nanos(at)));
                let entry = &mut model[index as usize];
                *entry = Some(entry.map_or(at, |old| old.min(at)));
            }
        }
        let mut expected: Vec<(u64, u32)> =
            (0..).zip(model).filter_map(|(index, at)| Some((at?, index))).collect();
        expected.sort_unstable();
        let expected: Vec<u32> = expected.into_iter().map(|(_, index)| index).collect();
        prop_assert_eq!(drain(&mut deadlines, Instant::from_nanos(1000)), expected);
    }
}

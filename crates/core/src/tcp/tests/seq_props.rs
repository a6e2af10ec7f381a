//! Sequence arithmetic against wrapping (bug 7).

use proptest::prelude::*;

use crate::tcp::SeqNum;

proptest! {
    #[test]
    fn a_number_and_what_comes_within_half_the_circle(start: u32, step in 1u32..0x7fff_ffff) {
        let (early, late) = (SeqNum::new(start), SeqNum::new(start) + step);
        prop_assert!(early.is_before(late) && late.is_after(early));
        prop_assert!(!late.is_before(early) && !early.is_after(late));
        prop_assert!(early.is_at_or_before(late) && late.is_at_or_after(early));
        prop_assert_eq!(late.since(early), step);
        prop_assert_eq!(early.since(late), 0);
        prop_assert_eq!(early.later(late), late);
        prop_assert_eq!(early.earlier(late), early);
        prop_assert_eq!(late - step, early);
    }

    #[test]
    fn windows_are_exact_for_every_length(start: u32, offset: u32, len: u32) {
        let point = SeqNum::new(start) + offset;
        prop_assert_eq!(point.is_within(SeqNum::new(start), len), offset < len);
    }

    #[test]
    fn equal_numbers_are_neither_before_nor_after(value: u32) {
        let seq = SeqNum::new(value);
        prop_assert!(!seq.is_before(seq) && !seq.is_after(seq));
        prop_assert!(seq.is_at_or_before(seq) && seq.is_at_or_after(seq));
    }
}

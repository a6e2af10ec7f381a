//! One packet as one line of text.

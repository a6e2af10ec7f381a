//! A line that is cut.

/// Whether the line is cut. What is already on the way still arrives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Partition {
    /// Packets pass.
    #[default]
    Whole,
    /// Nothing passes.
    Cut,
}

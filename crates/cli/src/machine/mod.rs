//! What this machine grants, and what to do where it does not.

mod facts;
mod trouble;

pub(crate) use facts::{Container, Facts, TunNode};
pub(crate) use trouble::Trouble;

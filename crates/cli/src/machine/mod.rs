//! What this machine grants, and what to do where it does not.

mod apparmor;
mod facts;
pub(crate) mod trials;
mod trouble;

pub(crate) use apparmor::profile as apparmor_profile;
pub(crate) use facts::{Container, Facts, TunNode};
pub(crate) use trials::{Names, Trials, has_ipv6, has_way_v6, was_reached};
pub(crate) use trouble::Trouble;

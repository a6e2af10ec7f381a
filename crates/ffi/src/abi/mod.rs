//! What C programs call: each function checks its arguments, follows the caller's pointers by
//! `user`, and leaves the rest to the modules.

pub mod io;
pub mod multiplex;
pub mod options;
pub mod socket;
pub mod stack;

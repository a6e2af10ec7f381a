//! One file for each command.

pub(crate) mod doctor;
pub(crate) mod open;
pub(crate) mod paper;
pub(crate) mod run;
pub(crate) mod sockets;
pub(crate) mod tour;

//! One file for each command.

pub(crate) mod attach;
pub(crate) mod doctor;
pub(crate) mod links;
pub(crate) mod open;
pub(crate) mod paper;
pub(crate) mod pasta;
pub(crate) mod run;
pub(crate) mod set;
pub(crate) mod slirp4netns;
pub(crate) mod sockets;
pub(crate) mod top;
pub(crate) mod tour;

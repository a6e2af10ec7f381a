//! Packet path, step 3 of 5: which socket. Before this `ip::ingress`, after this `tcp` or `udp`.

pub(crate) mod addresses;
pub(crate) mod ageing;
pub(crate) mod backlog;
pub(crate) mod bound;
pub(crate) mod four_tuple;
pub(crate) mod hash;
pub(crate) mod listeners;
pub(crate) mod pending;
pub(crate) mod ports;
pub(crate) mod table;
pub(crate) mod time_waits;
pub(crate) mod udp_table;

pub(crate) use four_tuple::{FourTuple, four_tuple, plain};

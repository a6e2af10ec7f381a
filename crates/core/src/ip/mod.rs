//! Packet path, step 2 of 5: is it for us, is it whole; and on the way back, where does it
//! go. Before this a device, after this `demux`.

pub(crate) mod egress;
pub(crate) mod icmp;
pub(crate) mod identification;
pub(crate) mod ingress;
pub(crate) mod path_mtu;
pub(crate) mod rate_limit;
pub(crate) mod reassembly;
pub(crate) mod route;

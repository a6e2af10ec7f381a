//! UDP (RFC 768). Packet path, step 4 of 5: before this `demux`, after this `socket`.

pub(crate) mod queue;
pub(crate) mod socket;

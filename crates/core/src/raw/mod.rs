//! Sockets below the transports: raw ones, which get a copy of every packet of a protocol
//! before the transport does. Packet path, step 3 of 5. Ping sockets (`ping`) are of the same
//! kind and share what is in `socket`.

pub(crate) mod socket;
pub(crate) mod table;

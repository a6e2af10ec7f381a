//! Ping sockets: echo requests out, the answers that match them in, as Linux's datagram sockets
//! of protocol ICMP. The identifier is what a port is elsewhere.

pub(crate) mod table;

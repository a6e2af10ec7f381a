//! What the application asks (RFC 9293 sections 3.10.2 to 3.10.6).

mod abort;
mod close;
mod options;
mod receive;
mod send;
mod status;

//! What is kept of what arrives, and what is said about it.

pub(crate) mod ack_policy;
pub(crate) mod assembler;
pub(crate) mod buffer;
pub(crate) mod window;

pub(crate) use ack_policy::AckPolicy;
pub(crate) use assembler::Assembler;
pub(crate) use buffer::ReceiveBuffer;

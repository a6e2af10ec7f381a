//! What goes out: the queue, what to take from it, and how it is written.

pub(crate) mod emit;
pub(crate) mod nagle;
pub(crate) mod pace;
pub(crate) mod pick;
pub(crate) mod push;
pub(crate) mod queue;
pub(crate) mod sent;
pub(crate) mod window;

pub(crate) use pick::{Plan, Why};
pub(crate) use queue::SendQueue;
pub(crate) use sent::SentLog;

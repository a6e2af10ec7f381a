//! TCP: what `tokio::net::tcp` has.

mod chunks;
pub(crate) mod listener;
mod options;
pub(crate) mod socket;
mod split;
mod split_owned;
pub(crate) mod stream;

pub(crate) use options::to_hops;
pub use split::{ReadHalf, WriteHalf};
pub use split_owned::{OwnedReadHalf, OwnedWriteHalf, ReuniteError};

//! TCP: what `tokio::net::tcp` has.

mod chunks;
pub(crate) mod eyeballs;
pub(crate) mod listener;
mod options;
pub(crate) mod socket;
mod socket_options;
mod split;
mod split_owned;
pub(crate) mod stream;

pub(crate) use options::{only_device, to_hops, to_octet};
pub use split::{ReadHalf, WriteHalf};
pub use split_owned::{OwnedReadHalf, OwnedWriteHalf, ReuniteError};

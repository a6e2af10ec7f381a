//! TCP: what `tokio::net::tcp` has.

mod chunks;
pub(crate) mod listener;
mod options;
pub(crate) mod socket;
mod split;
mod split_owned;
pub(crate) mod stream;

pub use split::{ReadHalf, WriteHalf};
pub use split_owned::{OwnedReadHalf, OwnedWriteHalf, ReuniteError};

/// What the datagram types share with streams.
pub(crate) mod stream_support {
    pub(crate) use super::options::to_hops;
    pub(crate) use super::stream::{now_or_never, to_ready};
}

//! `tokio::net`'s types over packets.

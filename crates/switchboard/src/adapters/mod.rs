//! For crates that want more than a type with tokio's methods: their traits on our sockets, one
//! feature of this crate each.
//!
//! | crate | feature | what |
//! |---|---|---|
//! | axum | `axum` (default) | `axum::serve` takes a [`TcpListener`](crate::net::TcpListener); the caller is [`Caller`](crate::Caller) |
//! | hyper-util's client, and what takes its connectors | `hyper` | `adapters::hyper::Connector` |
//! | tonic | `tonic` | `adapters::tonic::Incoming` for the server; the client takes the connector |
//! | quinn | `quinn` | `adapters::quinn::endpoint`, `adapters::quinn::Socket` |
//!
//! Crates that take any `AsyncRead + AsyncWrite` (hyper, rustls, redis, ...) need none of this.

#[cfg(feature = "axum")]
mod axum;
#[cfg(feature = "hyper")]
pub mod hyper;
#[cfg(feature = "quinn")]
pub mod quinn;
#[cfg(feature = "tonic")]
pub mod tonic;

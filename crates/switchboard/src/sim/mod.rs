//! Deterministic simulation: ordinary tokio code of several hosts, in virtual time, from a seed.
//!
//! Each host of a [`Sim`] has a real stack of ours and a paused tokio runtime; between them are
//! links that delay, lose, reorder and cut. One thread runs them all. Code that says
//! [`TcpStream::connect("server:80")`](crate::net::TcpStream::connect) runs in it unchanged, with
//! real segments, windows and retransmissions, and an hour passes in seconds.
//!
//! ```
//! use std::time::Duration;
//! use switchboard::net::{TcpListener, TcpStream};
//! use switchboard::sim;
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! // #[test]
//! fn a_reply_survives_a_partition() {
//!     sim::check(0..5, |sim| {
//!         sim.host("server", || async {
//!             let listener = TcpListener::bind("0.0.0.0:80").await?;
//!             loop {
//!                 let (mut stream, _) = listener.accept().await?;
//!                 tokio::spawn(async move { stream.write_all(b"hello").await });
//!             }
//!         });
//!         sim.client("client", || async {
//!             let mut said = String::new();
//!             TcpStream::connect("server:80").await?.read_to_string(&mut said).await?;
//!             assert_eq!(said, "hello");
//!             Ok(())
//!         });
//!         sim.link("client", "server").delay(Duration::from_millis(20)).loss(0.05);
//!         sim.at(Duration::from_millis(30), |sim| sim.partition("client", "server"));
//!         sim.at(Duration::from_secs(3), |sim| sim.repair("client", "server"));
//!     });
//! }
//! # a_reply_survives_a_partition();
//! ```
//!
//! # What it is made of
//!
//! - [`Sim`]: hosts ([`host`](Sim::host), [`client`](Sim::client)), faults, plans, captures; the
//!   run ends when every client's software has returned. [`run`], [`twice`] and [`check`] make
//!   one from a seed.
//! - [`Line`]: what links do to packets, changeable at any time. Every two hosts are joined; a
//!   link nobody speaks of takes 10 ms ([`Builder::delay`]).
//! - [`Control`]: the same from inside a host ([`control`]); [`elapsed`], [`random`],
//!   [`with_rng`] and [`host_name`] are for software inside.
//! - [`Failure`]: what went wrong, the seed, each host's sockets, and a ladder of the last
//!   packets.
//!
//! Names are the hosts' names, addresses are given automatically: the n-th host is 10.0.0.n and
//! fd00::n.
//!
//! # What is repeatable
//!
//! The same seed gives the same packets at the same moments as long as the software inside takes
//! time from `tokio::time` and luck from [`random`]. What breaks it, and is found by [`twice`]:
//!
//! - `std::time::Instant` and `SystemTime`, which are the real ones;
//! - other randomness, as of the `rand` crate's thread generator: seed it with [`random_seed`];
//! - the order of std's `HashMap` and `HashSet`, which is another one in each process and map:
//!   use `BTreeMap`, or a hasher with a fixed key, where the order reaches a packet;
//! - `tokio::select!` without `biased;`: its order is drawn. With `--cfg tokio_unstable` it
//!   follows from the world's seed;
//! - threads and `spawn_blocking`, which run in real time;
//! - statics that one run leaves to the next.
//!
//! tokio's clock must not be moved by the software inside (`pause`, `resume`, `advance`): the run
//! fails and says so. tokio's own sockets, files and signals are not there: its I/O is off.

mod control;
mod fabric;
mod failure;
mod inside;
mod links;
mod machine;
mod pace;
mod port;
mod record;
mod report;
mod seeds;
mod world;

pub use control::{Control, Host};
pub use failure::{Failure, FailureKind};
pub use inside::{control, elapsed, host_name, random, random_seed, with_rng};
pub use links::{Group, Line};
pub use machine::Result;
pub use report::Report;
pub use seeds::{Seeds, check, run, twice};
pub use world::{Builder, HostBuilder, Sim};

/// What links are made of: for [`Line::change`] and [`Builder::conditions`].
pub use switchboard_sim::{Chance, Conditions, Rng, impair, link::LinkStats};

//! A deterministic simulated network: real stacks, links that misbehave, a clock that jumps.
//!
//! Everything in a [`World`] follows from one [`Seed`]: the same seed gives the same run,
//! packet for packet. A failure is a [`Failure`], which says how to see it again and shows
//! the packets as a ladder.
//!
//! - [`link`]: one direction of a line with its impairments, usable without a world
//! - [`world`], [`host`], [`app`]: machines with a real `Stack` each, and what runs on them
//! - [`oracle`]: what must be true whatever the network did
//! - [`trace`]: every packet, as a ladder, as a capture, as a digest
//! - [`script`]: the ladder language; one real stack against a peer written by hand
//! - [`sweep`]: one fault at a time, at every packet in turn
//! - [`swarm`]: random worlds by the thousand
//! - [`scenario`]: conversations that sweeps, tests and `switchboard tour` share
//!
//! Nothing here knows real time, threads, sockets or a runtime.

#![forbid(unsafe_code)]

pub mod app;
pub mod door;
mod failure;
pub mod host;
pub mod icmp;
pub mod impair;
pub mod link;
pub mod notation;
pub mod oracle;
pub mod packets;
pub mod pattern;
pub mod rng;
pub mod scenario;
pub mod script;
pub mod seen;
pub mod swarm;
pub mod sweep;
pub mod trace;
pub mod world;

pub use failure::Failure;
pub use link::{Conditions, Fate, Fault, Link, LinkStats};
pub use rng::{Chance, Rng, Seed};
/// The stack that every host runs: what a caller of [`World::call`] needs.
pub use switchboard_core as stack;
pub use trace::Trace;
pub use world::{HostId, World};

//! What the fuzz targets do with their octets.
//!
//! The same code runs in three places: under libFuzzer (`fuzz_targets/`), over the committed
//! corpora in `cargo test` (`crates/core/tests/corpus_replay.rs`), and there again over inputs
//! made from a seed, for as long as `SWITCHBOARD_FUZZ_SECONDS` says.

mod craft;
mod host;
mod input;
mod pattern;
mod program;
mod wire;

#[allow(
    unused_imports,
    reason = "the replayer asks, libFuzzer has its own measure"
)]
pub use host::reached;

/// Octets as a packet, through every parser.
pub fn wire_parse(octets: &[u8]) {
    wire::parse(octets);
}

/// Octets as packets into a stack, with time passing and an application that calls.
pub fn stack_random(octets: &[u8]) {
    program::random(octets);
}

/// Octets as a program of valid packets, and of packets that are nearly valid, into a stack
/// whose own packets they answer.
pub fn stack_mutated(octets: &[u8]) {
    program::mutated(octets);
}

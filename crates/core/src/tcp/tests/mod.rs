//! Tests of one connection, and of two that talk to each other. Ladders of whole stacks are in
//! `crates/core/tests`.

mod harness;

mod close;
mod congestion;
mod data_path;
mod fast_open;
mod loss;
mod memory;
mod open;
mod reset;
mod sack;
mod seq_props;
mod storm;
mod table;
mod tail_probe;
mod timers;
mod window;

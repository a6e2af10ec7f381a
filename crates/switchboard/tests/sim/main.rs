//! The simulator for users: what it promises, each as a test.

mod cluster;
mod faults;
mod hosts;
#[cfg(feature = "axum")]
mod http;
mod time;

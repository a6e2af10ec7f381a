//! The simulator for users: what it promises, each as a test.

mod faults;
mod hosts;
mod time;

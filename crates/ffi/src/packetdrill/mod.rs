//! The adapter for packetdrill's shared-object mode: `packetdrill --so_filename=libswitchboard.so`.
//!
//! packetdrill plays scripts of packets and system calls against a stack and checks what comes
//! back, and when. In this mode it loads a library, lets it fill in a table of functions
//! (`interface`) and calls those instead of the kernel. One stack runs here, on a clock that
//! packetdrill moves: its sleeps (`usleep`) take no real time, a call of `gettimeofday` takes a
//! microsecond (packetdrill spins on it), and waiting for a packet (`netdev_receive`) moves the
//! clock from timer to timer until one leaves.
//!
//! Calls that the script expects to block come on a second thread. The clock moves only while that
//! thread truly sleeps (`threads`), so that every run is like every other.

mod adapter;
mod interface;
#[cfg(feature = "packetdrill")]
mod preload;
mod settings;
mod threads;

pub use interface::{packetdrill_interface, packetdrill_interface_init};

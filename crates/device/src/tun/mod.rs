//! TUN: a network interface of the kernel whose other end is a file descriptor.
//!
//! With the virtio-net header a read brings, and a write takes, super-segments of up to
//! 64 KiB with unfinished checksums: the kernel's own TCP then never cuts or sums anything on
//! its way to us, nor do we on the way to it. That is worth a factor of ten or more.
//!
//! - [`open`] makes the interface; it must happen inside the network namespace, by whoever
//!   has `CAP_NET_ADMIN` there.
//! - [`configure`] gives it MTU, queue length, addresses and routes, inside as well.
//! - [`Tun::from_fd`] makes a [`Device`](crate::Device) of the descriptor, in any process.

#[cfg(target_os = "linux")]
mod link;
#[cfg(target_os = "linux")]
pub(crate) mod linux;
#[cfg(target_os = "linux")]
pub(crate) mod open;
#[cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "pure, tested everywhere")
)]
pub(crate) mod virtio;

#[cfg(target_os = "linux")]
pub use link::{LinkConfig, LinkError, Route, configure, exists, move_to, set_station};
#[cfg(target_os = "linux")]
pub use linux::{Tun, TunDrops};
#[cfg(target_os = "linux")]
pub use open::{NODE, OpenError, OpenTun, open, open_plain, open_tap};

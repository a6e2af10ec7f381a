//! `libswitchboard`: the BSD socket calls for C programs, over a TCP/IP stack in user space.
//!
//! Names are the C library's with `sb_` before them, and so are meanings and `errno`; `switchboard.h`
//! beside this crate declares them, `docs/guide/c.md` begins with a program and lists what is
//! different. Descriptors are ours and far above the kernel's; `sb_poll` and `sb_epoll_wait` take
//! both kinds.
//!
//! ```text
//! abi          extern "C": arguments and pointers
//! descriptor   numbers            epoll, poll, wait   many at once
//! socket       what a call means  network, clock      one lock, one time for one or two stacks
//! stack        opening them       driver, link        packets in and out
//! packetdrill  the interface of packetdrill's shared-object mode
//! ```
//!
//! There is no logic of TCP or UDP here: that is `switchboard_core`. `unsafe` is where the caller's
//! memory (`abi`, `user`, `address`, `packetdrill`) and the kernel (`kernel`) begin. Linux only.

#![cfg(target_os = "linux")]
#![allow(non_camel_case_types, reason = "C's names")]

pub mod abi;
mod address;
mod clock;
mod descriptor;
mod driver;
mod epoll;
mod errno;
mod kernel;
mod link;
mod network;
pub mod packetdrill;
mod poll;
mod signal;
mod socket;
mod stack;
mod user;
mod wait;
mod watchers;

//! A veth pair instead of a TUN: for machines without `/dev/net/tun`.
//!
//! One end is the program's interface, with the names, addresses and MTU that a TUN would have.
//! The other end lives in a network namespace of its own in which nothing else is, and is read
//! and written by packet sockets (packet(7)). `PACKET_VNET_HDR` gives them the same virtio-net
//! header that a TUN has: super-segments of up to 64 KiB with unfinished checksums, both ways.
//!
//! - [`open`] makes the pair; it must happen inside the network namespace, by whoever has
//!   `CAP_NET_ADMIN` and `CAP_SYS_ADMIN` there: any user in a user namespace of their own.
//! - [`configure`](crate::tun::configure) gives it MTU, addresses and routes, as a TUN.
//! - [`Veth::from_fds`] makes a [`Device`](crate::Device) of the descriptors, in any process.
//!
//! Its routes should name a gateway: of each neighbour that is not behind one the kernel keeps an
//! entry in a table that the whole machine shares. Nobody asks for that neighbour's address:
//! both ends have `IFF_NOARP`.
//!
//! What waits to be read is bounded in octets, not in packets as in a TUN, and the bound is the
//! system's (`net.core.rmem_max`, 208 KiB for years, 4 MiB of late). So the far end has as many
//! sockets as make a queue that holds the windows of its connections: see `queue`.

mod device;
mod open;
mod queue;
mod socket;

use switchboard_wire::ethernet::MacAddr;

pub use device::{Veth, VethDrops};
pub use open::{OpenVeth, open, open_in_parts};

/// The program's interface. Locally administered (IEEE 802, second bit of the first octet).
const NEAR: MacAddr = MacAddr([0x02, 0x73, 0x77, 0x62, 0x00, 0x01]);

/// The far end. Frames of the program are not addressed to it: without ARP its kernel puts its
/// own interface's address there, so that the far end's kernel drops them at once.
const FAR: MacAddr = MacAddr([0x02, 0x73, 0x77, 0x62, 0x00, 0x02]);

//! Making a veth pair whose other end is packet sockets.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};

use super::{FAR, NEAR, socket};
use crate::netlink::{
    CHANGE, CREATE_NEW, IFLA_ADDRESS, IFLA_IFNAME, IFLA_LINKINFO, IFLA_MTU, IFLA_NET_NS_FD,
    Message, Netlink, RTM_NEWLINK,
};
use crate::tun::LinkError;

/// Octets that may wait at the far end: sixteen windows of a megabyte, where one socket's room
/// allows it or the chain is long enough.
const QUEUE_OCTETS: usize = 16 << 20;

/// Sockets of one far end at most. Each costs the kernel some 10 ms when it is closed.
const SOCKETS_MAX: usize = 16;

/// Octets that may be on their way to the program's kernel; it takes them in the same call.
const SEND_OCTETS: usize = 4 << 20;

/// The far end's name; nobody sees it.
const FAR_NAME: &str = "far";

/// The far end takes whatever the program's end sends, at any MTU of that.
const FAR_MTU: u32 = 65_535;

const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;

/// A pair that was made just now.
#[derive(Debug)]
pub struct OpenVeth {
    /// Sockets that together are the far end, in their order. Non-blocking, closed on exec.
    pub fds: Vec<OwnedFd>,
    /// The program's interface.
    pub name: String,
}

/// Makes the interface `name` in the calling thread's network namespace, as one end of a veth
/// pair. The other end is in a namespace of its own, which lives as long as the descriptors do,
/// and the pair with it.
///
/// For a moment the calling thread leaves its network namespace: nothing else of the process
/// should be in the middle of making sockets by it.
///
/// # Errors
///
/// [`LinkError`] names the step: packet sockets, the other namespace, or the pair itself.
pub fn open(name: &str) -> Result<OpenVeth, LinkError> {
    open_in_parts(name, QUEUE_OCTETS)
}

/// As [`open`], but with no more than `room` octets for what waits in each of the sockets: what
/// a system with a small `net.core.rmem_max` grants.
///
/// # Errors
///
/// As for [`open`].
pub fn open_in_parts(name: &str, room: usize) -> Result<OpenVeth, LinkError> {
    let far = elsewhere(|| FarEnd::open(room.min(QUEUE_OCTETS)))?;
    far.pair_with(name)?;
    Ok(OpenVeth {
        fds: far.sockets,
        name: name.to_owned(),
    })
}

fn failed(tried: impl Into<String>) -> impl FnOnce(io::Error) -> LinkError {
    let tried = tried.into();
    move |source| LinkError { tried, source }
}

/// Does `what` in a new network namespace, and comes back.
fn elsewhere<T>(what: impl FnOnce() -> Result<T, LinkError>) -> Result<T, LinkError> {
    let here = own_namespace()?;
    // SAFETY: this flag concerns the calling thread's network namespace alone; descriptors and
    // memory stay shared.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }
        .map_err(|errno| failed("make the far end's network namespace")(errno.into()))?;
    let done = what();
    move_into_link_name_space(here.as_fd(), Some(LinkNameSpaceType::Network))
        .map_err(|errno| failed("return to the program's network namespace")(errno.into()))?;
    done
}

/// The network namespace in which the calling thread is.
fn own_namespace() -> Result<OwnedFd, LinkError> {
    let path = "/proc/thread-self/ns/net";
    let file = File::open(path).map_err(failed(format!("open {path}")))?;
    Ok(file.into())
}

/// Sockets in a namespace that has nothing else.
struct FarEnd {
    sockets: Vec<OwnedFd>,
    namespace: OwnedFd,
    netlink: Netlink,
}

impl FarEnd {
    /// In the namespace where the calling thread is.
    fn open(room: usize) -> Result<Self, LinkError> {
        let tried = "open a packet socket";
        // Its kernel has nothing to say on this link; IPv6 would begin by itself.
        let _ = std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
        let first = socket::open().map_err(failed(tried))?;
        let granted = socket::set_receive_room(&first, room).map_err(failed(tried))?;
        socket::set_send_room(&first, SEND_OCTETS).map_err(failed(tried))?;
        let count = QUEUE_OCTETS.div_ceil(granted.max(1)).clamp(1, SOCKETS_MAX);
        let mut sockets = vec![first];
        while sockets.len() < count {
            let next = socket::open().map_err(failed(tried))?;
            socket::set_receive_room(&next, room).map_err(failed(tried))?;
            sockets.push(next);
        }
        Ok(Self {
            sockets,
            namespace: own_namespace()?,
            netlink: Netlink::open().map_err(failed("open a netlink socket"))?,
        })
    }

    /// Makes the pair, with the interface `name` where the calling thread is now, down.
    fn pair_with(&self, name: &str) -> Result<(), LinkError> {
        let tried = format!("make the veth pair {name}");
        let made = || -> io::Result<()> {
            match Netlink::open()?.ask_all(vec![self.new_pair(name)])? {
                Some((_, refused)) => Err(refused),
                None => Ok(()),
            }
        };
        made().map_err(failed(tried))?;
        self.bring_up()
            .map_err(failed("bind packet sockets to a veth pair"))
    }

    /// `RTM_NEWLINK` for both ends at once. Neither can be up before the other is there.
    fn new_pair(&self, name: &str) -> Message {
        let namespace = self.namespace.as_raw_fd().to_ne_bytes();
        let far = end(Message::nested(), 0, libc::IFF_NOARP)
            .text(IFLA_IFNAME, FAR_NAME)
            .attribute(IFLA_ADDRESS, &FAR.0)
            .attribute(IFLA_MTU, &FAR_MTU.to_ne_bytes())
            .attribute(IFLA_NET_NS_FD, &namespace);
        let data = Message::nested().nest(VETH_INFO_PEER, &far);
        let info = Message::nested()
            .text(IFLA_INFO_KIND, "veth")
            .nest(IFLA_INFO_DATA, &data);
        end(Message::new(RTM_NEWLINK, CREATE_NEW), 0, libc::IFF_NOARP)
            .text(IFLA_IFNAME, name)
            .attribute(IFLA_ADDRESS, &NEAR.0)
            .nest(IFLA_LINKINFO, &info)
    }

    /// Brings the far end up and has the sockets receive from it. They belong to its namespace
    /// wherever their owner is.
    fn bring_up(&self) -> io::Result<()> {
        let index = rustix::net::netdevice::name_to_index(&self.netlink.0, FAR_NAME)?;
        let up = end(Message::new(RTM_NEWLINK, CHANGE), index, libc::IFF_UP);
        if let Some((_, refused)) = self.netlink.ask_all(vec![up])? {
            return Err(refused);
        }
        for socket in &self.sockets {
            socket::bind(socket, index)?;
            // Nothing can arrive before all are members: the program's end is down.
            if self.sockets.len() > 1 {
                socket::join_chain(socket)?;
            }
        }
        Ok(())
    }
}

/// `ifinfomsg`: family, padding, type; index; flags; which flags change.
fn end(message: Message, index: u32, flags: libc::c_int) -> Message {
    message
        .put(&[0; 4])
        .put(&index.to_ne_bytes())
        .put(&flags.to_ne_bytes())
        .put(&flags.to_ne_bytes())
}

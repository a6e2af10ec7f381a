//! The far end of a veth pair as a [`Device`].
//!
//! Packet path, step 1 of 6: before this the kernel, after this `ip::ingress` of the stack.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd as _, OwnedFd};
use std::task::{Context, Poll, ready};

use bytes::Buf as _;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use switchboard_wire::ethernet::{self, EtherType};
use switchboard_wire::packet::IP_PACKET_MAX;
use switchboard_wire::{Instant, RxPacket, Transmit};
use tokio::io::unix::AsyncFd;

use super::queue::Place;
use super::{FAR, NEAR, socket};
use crate::pool::{Pool, Trim};
use crate::tun::linux::{BATCH_OCTETS_MAX, SLICES_MAX};
use crate::tun::open::set_nonblocking;
use crate::tun::virtio::{self, HEADER_LEN_SHORT};
use crate::{Device, Offloads};

/// Octets before each IP packet: virtio-net header, Ethernet header.
const HEADERS_LEN: usize = HEADER_LEN_SHORT + ethernet::HEADER_LEN;

/// Octets that one read may bring.
const READ_MAX: usize = HEADERS_LEN + IP_PACKET_MAX;

/// The first Linux whose packet sockets know of UDP super-datagrams.
const USO_SINCE: (u32, u32) = (6, 2);

/// Packets that went no further, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VethDrops {
    /// They came from the program's end while nothing had room for them.
    pub overflow: u64,
    /// The kernel had no room or no memory for them (`ENOBUFS`, `ENOMEM`).
    pub refused: u64,
    /// The kernel did not understand what was written (`EINVAL`, `EMSGSIZE`): a bug of ours.
    pub malformed: u64,
    /// They came with less than their headers.
    pub truncated: u64,
    /// The virtio-net header has no words for them (`EINVAL`): super-segments of a protocol
    /// other than TCP and UDP.
    pub unspeakable: u64,
}

/// A veth pair, from the side of the program at its far end.
pub struct Veth {
    /// The far end's sockets, in the order in which the kernel fills them. The first one also
    /// sends.
    sockets: Vec<AsyncFd<OwnedFd>>,
    place: Place,
    mtu: usize,
    uso: bool,
    pool: Pool,
    trim: Trim,
    /// A read has found nothing since the last time that epoll said otherwise: the next one
    /// can be saved.
    drained: bool,
    /// The kernel has said that the pair is gone; it says so once.
    gone: bool,
    drops: VethDrops,
}

/// How one read ended.
enum Read {
    Packet(RxPacket),
    /// Nothing waits.
    Empty,
    /// The pair is gone.
    Gone,
    /// Something that is no packet for us.
    Skip,
}

impl Veth {
    /// A device of `fds`, which [`open`](super::open) made here or in another process; `mtu` is
    /// the program's interface's.
    ///
    /// Must be called inside a tokio runtime with I/O and time enabled.
    ///
    /// # Errors
    ///
    /// There are none, or the runtime cannot watch them.
    pub fn from_fds(fds: Vec<OwnedFd>, mtu: usize) -> io::Result<Self> {
        let first = fds.first().ok_or(io::ErrorKind::InvalidInput)?;
        let place = Place::new(fds.len(), socket::receive_room(first)?);
        let mut sockets = Vec::with_capacity(fds.len());
        for fd in fds {
            set_nonblocking(fd.as_fd())?;
            // SAFETY: the descriptor is owned by the `AsyncFd`, and this type neither replaces
            // nor closes it before the `AsyncFd` is dropped.
            sockets.push(unsafe { AsyncFd::register(fd)? });
        }
        Ok(Self {
            sockets,
            place,
            mtu,
            uso: linux_version().is_some_and(|version| version >= USO_SINCE),
            pool: Pool::new(READ_MAX),
            trim: Trim::default(),
            drained: false,
            gone: false,
            drops: VethDrops::default(),
        })
    }

    /// Packets that went no further, by reason. Asks the kernel.
    pub fn drops(&mut self) -> VethDrops {
        for socket in &self.sockets {
            self.drops.overflow += socket::overflows(socket.as_fd()).map_or(0, u64::from);
        }
        self.drops
    }

    /// Reads one packet without waiting.
    fn read(&mut self, arrived: Instant) -> io::Result<Read> {
        let Some(socket) = self.sockets.get(self.place.at()) else {
            return Ok(Read::Gone);
        };
        let mut slice = match self.pool.read(socket.get_ref(), READ_MAX) {
            Ok(slice) => slice,
            Err(Errno::AGAIN) => return Ok(Read::Empty),
            Err(Errno::INTR) => return Ok(Read::Skip),
            // The namespace of the other end has ended, or either interface was deleted.
            Err(Errno::NETDOWN | Errno::NODEV | Errno::NXIO) => return Ok(Read::Gone),
            Err(Errno::INVAL) => {
                self.drops.unspeakable += 1;
                return Ok(Read::Skip);
            }
            Err(error) => return Err(error.into()),
        };
        let received = match slice.bytes.get(..HEADERS_LEN).and_then(virtio::parse) {
            Some(received) if slice.bytes.len() > HEADERS_LEN => received,
            _ => {
                self.drops.truncated += 1;
                return Ok(Read::Skip);
            }
        };
        slice.bytes.advance(HEADERS_LEN);
        Ok(Read::Packet(RxPacket {
            bytes: slice.bytes,
            arrived,
            checksum: received.checksum,
            segment_size: received.segment_size,
            slot_size: slice.slot_size,
        }))
    }

    /// Reads what waits, up to `max` packets: `None` if nothing does.
    fn read_batch(
        &mut self,
        now: &dyn Fn() -> Instant,
        max: usize,
        batch: &mut Vec<RxPacket>,
    ) -> io::Result<Option<usize>> {
        let arrived = now();
        let (mut count, mut octets) = (0, 0);
        while count < max && octets < BATCH_OCTETS_MAX && !self.gone {
            match self.read(arrived)? {
                Read::Packet(packet) => {
                    octets += packet.bytes.len();
                    count += 1;
                    if self.place.has_read(packet.bytes.len()) {
                        self.place.look_around(&self.sockets);
                    }
                    batch.push(packet);
                }
                Read::Skip => {}
                Read::Empty if self.place.goes_on(&self.sockets) => {}
                Read::Empty => {
                    self.drained = true;
                    if count == 0 {
                        return Ok(None);
                    }
                    break;
                }
                Read::Gone => self.gone = true,
            }
        }
        Ok(Some(count))
    }

    /// Whether a socket has something to read; registers `cx` with all that have not.
    fn poll_news(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        for (index, socket) in self.sockets.iter().enumerate() {
            if let Poll::Ready(mut guard) = socket.poll_read_ready(cx)? {
                // What came between the last read and this may have left its mark only here:
                // it must be looked at again.
                guard.clear_ready();
                self.place.mark(index);
            }
        }
        Ok(self.place.has_news(&self.sockets))
    }

    /// Whether the pair was deleted; registers `cx` to hear of it. Linux says so with
    /// `EPOLLERR` beside "writable", which counts as an end of writing and would not wake a
    /// reader.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let Some(socket) = self.sockets.first() else {
            return Ok(true);
        };
        while let Poll::Ready(mut guard) = socket.poll_write_ready(cx)? {
            if guard.ready().is_write_closed() {
                return Ok(true);
            }
            // Writable, as nearly always: only news can wake us now.
            guard.clear_ready();
        }
        Ok(false)
    }

    /// A packet that the kernel would not take: the link goes on, the packet is lost.
    fn record_drop(&mut self, error: Errno) -> io::Result<()> {
        match error {
            Errno::NOBUFS | Errno::NOMEM => self.drops.refused += 1,
            Errno::INVAL | Errno::MSGSIZE => self.drops.malformed += 1,
            _ => return Err(error.into()),
        }
        tracing::debug!(%error, "the kernel did not take a packet");
        Ok(())
    }
}

impl Device for Veth {
    fn mtu(&self) -> usize {
        self.mtu
    }

    fn offloads(&self) -> Offloads {
        Offloads {
            checksum: true,
            tso4: true,
            tso6: true,
            uso: self.uso,
        }
    }

    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        now: &dyn Fn() -> Instant,
        max: usize,
        batch: &mut Vec<RxPacket>,
    ) -> Poll<io::Result<usize>> {
        loop {
            if !self.drained
                && let Some(count) = self.read_batch(now, max, batch)?
            {
                return Poll::Ready(Ok(count));
            }
            if self.poll_news(cx)? {
                self.drained = false;
                continue;
            }
            if self.poll_gone(cx)? {
                return Poll::Ready(Ok(0));
            }
            self.trim.poll(&mut self.pool, cx);
            return Poll::Pending;
        }
    }

    fn try_send(&mut self, transmit: &Transmit) -> io::Result<()> {
        let Some(socket) = self.sockets.first() else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let headers = headers(transmit);
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        slices[0] = IoSlice::new(&headers);
        slices[1] = IoSlice::new(&transmit.head);
        for (to, from) in slices[2..].iter_mut().zip(&transmit.payload) {
            *to = IoSlice::new(from);
        }
        let slices = &slices[..2 + transmit.payload.len()];
        loop {
            match rustix::io::writev(socket.get_ref(), slices) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Err(io::ErrorKind::WouldBlock.into()),
                Err(Errno::NETDOWN | Errno::NODEV | Errno::NXIO) => {
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
                Err(error) => return self.record_drop(error),
            }
        }
    }

    fn poll_send_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(socket) = self.sockets.first() else {
            return Poll::Ready(Ok(()));
        };
        loop {
            let mut fds = [PollFd::new(socket.get_ref(), PollFlags::OUT)];
            if rustix::event::poll(&mut fds, Some(&Timespec::default()))? > 0 {
                return Poll::Ready(Ok(()));
            }
            ready!(socket.poll_write_ready(cx))?.clear_ready();
        }
    }
}

/// What precedes the IP packet of `transmit`.
fn headers(transmit: &Transmit) -> [u8; HEADERS_LEN] {
    let mut headers = [0; HEADERS_LEN];
    let (virtio, frame) = headers.split_at_mut(HEADER_LEN_SHORT);
    virtio.copy_from_slice(
        &virtio::emit_behind(transmit, ethernet::HEADER_LEN as u16)[..HEADER_LEN_SHORT],
    );
    let is_v6 = transmit.head.first().is_some_and(|octet| octet >> 4 == 6);
    let kind = if is_v6 {
        EtherType::IPV6
    } else {
        EtherType::IPV4
    };
    frame[..6].copy_from_slice(&NEAR.0);
    frame[6..12].copy_from_slice(&FAR.0);
    frame[12..].copy_from_slice(&kind.0.to_be_bytes());
    headers
}

/// The kernel's first two numbers.
fn linux_version() -> Option<(u32, u32)> {
    let uname = rustix::system::uname();
    let release = uname.release().to_str().ok()?;
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

//! A TUN descriptor as a [`Device`].
//!
//! Packet path, step 1 of 6: before this the kernel, after this `ip::ingress` of the stack.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, OwnedFd};
use std::task::{Context, Poll, ready};

use bytes::Buf;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use switchboard_wire::packet::{IP_PACKET_MAX, PAYLOAD_SLICES_MAX};
use switchboard_wire::{Checksum, Instant, RxPacket, Transmit, offload};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::open::{Agreed, agree, set_nonblocking};
use super::virtio::{self, Received};
use crate::pool::{Pool, Trim};
use crate::{Device, Offloads};

/// Octets after which a batch is handed over although more packets wait: what has just been
/// copied by the kernel is then still in the cache when the stack looks at it.
pub(crate) const BATCH_OCTETS_MAX: usize = 256 * 1024;

/// Slices of one write: virtio-net header, head, payload.
pub(crate) const SLICES_MAX: usize = PAYLOAD_SLICES_MAX + 2;

/// Packets that the device took and that went no further, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TunDrops {
    /// The interface was not up (`EIO`).
    pub link_down: u64,
    /// The kernel had no memory for it (`ENOBUFS`, `ENOMEM`).
    pub no_memory: u64,
    /// The kernel's queue filled up in the middle of a super-segment.
    pub no_room: u64,
    /// The kernel did not understand it (`EINVAL`): a bug of ours.
    pub malformed: u64,
    /// A received packet was shorter than its virtio-net header.
    pub truncated: u64,
}

/// A TUN interface, from the side of the program.
pub struct Tun {
    /// Watched for what can be read alone: a TUN has room nearly always, and each packet that
    /// was read before epoll looked would otherwise be a wake-up of its own for it.
    fd: AsyncFd<OwnedFd>,
    /// The same once more, watched for room, from the first time that there was none.
    room: Option<AsyncFd<OwnedFd>>,
    agreed: Agreed,
    mtu: usize,
    /// Octets that one read may bring, virtio-net header included.
    read_max: usize,
    pool: Pool,
    trim: Trim,
    /// A read has found nothing since the last time that epoll said otherwise: the next one
    /// can be saved.
    drained: bool,
    drops: TunDrops,
}

/// How one read ended.
enum Read {
    Packet(RxPacket),
    /// Nothing waits.
    Empty,
    /// The interface is gone.
    Gone,
    /// Something that is no packet.
    Skip,
}

impl Tun {
    /// A device of `fd`, which [`open`](super::open) made here or in another process; `mtu` is
    /// the interface's. Offloads are agreed on with the kernel: everything where it has the
    /// virtio-net header, nothing where not.
    ///
    /// Must be called inside a tokio runtime with I/O and time enabled.
    ///
    /// # Errors
    ///
    /// The descriptor is no TUN, or the runtime cannot watch it.
    pub fn from_fd(fd: OwnedFd, mtu: usize) -> io::Result<Self> {
        let tun = Self::watch(fd, mtu)?;
        if tun.agreed.link_len > 0 {
            let text = "a TAP: its frames need an Ethernet layer";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Ok(tun)
    }

    /// A device of a TUN's packets or a TAP's frames.
    pub(crate) fn watch(fd: OwnedFd, mtu: usize) -> io::Result<Self> {
        set_nonblocking(fd.as_fd())?;
        let agreed = agree(&fd)?;
        let read_max = match agreed.header_len {
            0 => mtu,
            header_len => header_len + IP_PACKET_MAX,
        } + agreed.link_len;
        // SAFETY: the descriptor is owned by the `AsyncFd`, and this type neither replaces nor
        // closes it before the `AsyncFd` is dropped.
        let fd = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE)? };
        Ok(Self {
            fd,
            room: None,
            agreed,
            mtu,
            read_max,
            pool: Pool::new(read_max),
            trim: Trim::default(),
            drained: false,
            drops: TunDrops::default(),
        })
    }

    pub(crate) fn is_tap(&self) -> bool {
        self.agreed.link_len > 0
    }

    /// Packets that went no further, by reason.
    #[must_use]
    pub fn drops(&self) -> TunDrops {
        self.drops
    }

    /// Reads one packet without waiting.
    fn read(&mut self, arrived: Instant) -> io::Result<Read> {
        let mut slice = match self.pool.read(self.fd.get_ref(), self.read_max) {
            Ok(slice) => slice,
            Err(Errno::AGAIN) => return Ok(Read::Empty),
            Err(Errno::INTR) => return Ok(Read::Skip),
            // The namespace has ended, or the interface was deleted.
            Err(Errno::BADFD | Errno::NODEV) => return Ok(Read::Gone),
            Err(error) => return Err(error.into()),
        };
        let received = match self.agreed.header_len {
            0 => Received {
                checksum: Checksum::Unknown,
                segment_size: None,
            },
            header_len => {
                let header = slice.bytes.get(..header_len).and_then(virtio::parse);
                let Some(received) = header else {
                    self.drops.truncated += 1;
                    return Ok(Read::Skip);
                };
                slice.bytes.advance(header_len);
                received
            }
        };
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
        while count < max && octets < BATCH_OCTETS_MAX {
            match self.read(arrived)? {
                Read::Packet(packet) => {
                    octets += packet.bytes.len();
                    count += 1;
                    batch.push(packet);
                }
                Read::Skip => {}
                Read::Empty => {
                    self.drained = true;
                    if count == 0 {
                        return Ok(None);
                    }
                    break;
                }
                // Otherwise said again by the next read.
                Read::Gone if count == 0 => return Ok(Some(0)),
                Read::Gone => break,
            }
        }
        Ok(Some(count))
    }

    /// Whether the interface was deleted; registers `cx` to hear of it. Linux says so with
    /// `EPOLLERR` alone, which counts as an end of writing and would not wake a reader.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        while let Poll::Ready(mut guard) = self.fd.poll_write_ready(cx)? {
            if guard.ready().is_write_closed() {
                return Ok(true);
            }
            guard.clear_ready();
        }
        Ok(false)
    }

    /// Who tells when there is room again.
    fn room(&mut self) -> io::Result<&AsyncFd<OwnedFd>> {
        if self.room.is_none() {
            let again = self.fd.get_ref().try_clone()?;
            // SAFETY: as for the first one; nobody else knows of this descriptor.
            let again = unsafe { AsyncFd::register_with_interest(again, Interest::WRITABLE)? };
            self.room = Some(again);
        }
        self.room
            .as_ref()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Writes one packet that needs nothing that was not agreed on.
    fn write(&mut self, transmit: &Transmit) -> io::Result<()> {
        let header = virtio::emit(transmit, self.agreed.link_len);
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        slices[0] = IoSlice::new(&header[..self.agreed.header_len]);
        slices[1] = IoSlice::new(&transmit.head);
        for (to, from) in slices[2..].iter_mut().zip(&transmit.payload) {
            *to = IoSlice::new(from);
        }
        // A plain device has no header: an empty slice would be harmless, but costs.
        let first = usize::from(self.agreed.header_len == 0);
        let slices = &slices[first..2 + transmit.payload.len()];
        loop {
            match rustix::io::writev(self.fd.get_ref(), slices) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Err(io::ErrorKind::WouldBlock.into()),
                Err(Errno::BADFD | Errno::NODEV) => return Err(io::ErrorKind::BrokenPipe.into()),
                Err(error) => return self.record_drop(error),
            }
        }
    }

    /// Cuts and sums first what a plain device cannot do. Where the kernel takes only some of
    /// the pieces the others are lost, as on a wire: the transmit must not be sent twice.
    fn write_cut(&mut self, transmit: &Transmit) -> io::Result<()> {
        for (index, piece) in offload::cut(transmit).enumerate() {
            match self.write(&piece) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && index > 0 => {
                    self.drops.no_room += 1;
                }
                result => result?,
            }
        }
        Ok(())
    }

    /// A packet that the kernel would not take: the link goes on, the packet is lost.
    fn record_drop(&mut self, error: Errno) -> io::Result<()> {
        match error {
            Errno::IO | Errno::NETDOWN => self.drops.link_down += 1,
            Errno::NOBUFS | Errno::NOMEM => self.drops.no_memory += 1,
            Errno::INVAL => self.drops.malformed += 1,
            _ => return Err(error.into()),
        }
        tracing::debug!(%error, "the kernel did not take a packet");
        Ok(())
    }
}

impl Device for Tun {
    fn mtu(&self) -> usize {
        self.mtu
    }

    fn offloads(&self) -> Offloads {
        // With the header the kernel takes super-segments whatever it was asked to bring.
        let header = self.agreed.header_len > 0;
        Offloads {
            checksum: header,
            tso4: header,
            tso6: header,
            uso: self.agreed.uso,
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
            if let Poll::Ready(mut guard) = self.fd.poll_read_ready(cx)? {
                // What came between the last read and this may have left its mark only here:
                // it must be read again.
                guard.clear_ready();
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
        if self.agreed.header_len == 0 && !offload::is_plain(transmit) {
            return self.write_cut(transmit);
        }
        self.write(transmit)
    }

    fn poll_send_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut fds = [PollFd::new(self.fd.get_ref(), PollFlags::OUT)];
            let at_once = rustix::event::Timespec::default();
            if rustix::event::poll(&mut fds, Some(&at_once))? > 0 {
                return Poll::Ready(Ok(()));
            }
            ready!(self.room()?.poll_write_ready(cx))?.clear_ready();
        }
    }
}

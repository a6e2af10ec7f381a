//! A guest's end of a link: frames over a UNIX socket, as QEMU's `-netdev stream` has them.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::task::{Context, Poll, Waker, ready};

use switchboard_device::stream::FrameStream;
use switchboard_device::{Device, Offloads};
use switchboard_wire::{Instant, RxPacket, Transmit};
use tokio::net::{UnixListener, UnixStream};

/// Where passt looks for a name of its own that is free.
const NAMES: std::ops::RangeInclusive<u32> = 1..=64;

/// Where the guest comes from.
#[derive(Debug)]
pub(crate) enum Guest {
    /// It connects here, again and again unless it is `one_off`.
    Socket {
        listener: std::os::unix::net::UnixListener,
        one_off: bool,
    },
    /// It is connected already.
    Connected(OwnedFd),
}

impl Guest {
    /// Listens at `path`, or at the first of passt's own names that is free. Returns where.
    ///
    /// # Errors
    ///
    /// Somebody else listens there; the socket's own.
    pub(crate) fn listen(path: Option<&Path>, one_off: bool) -> io::Result<(Self, PathBuf)> {
        let names = NAMES.map(|number| PathBuf::from(format!("/tmp/passt_{number}.socket")));
        let paths = match path {
            Some(path) => vec![path.to_owned()],
            None => names.collect(),
        };
        let mut failed = io::Error::from(io::ErrorKind::AddrInUse);
        for path in paths {
            match bind(&path) {
                Ok(listener) => return Ok((Self::Socket { listener, one_off }, path)),
                Err(error) => {
                    let text = format!("cannot listen at {}: {error}", path.display());
                    failed = io::Error::new(error.kind(), text);
                }
            }
        }
        Err(failed)
    }

    /// The device that it is; `mtu` is that of the packets inside the frames. On the runtime.
    pub(super) fn device(self, mtu: usize) -> io::Result<GuestDevice> {
        let (listener, stream, one_off) = match self {
            Self::Socket { listener, one_off } => {
                listener.set_nonblocking(true)?;
                (Some(UnixListener::from_std(listener)?), None, one_off)
            }
            Self::Connected(fd) => {
                let stream = std::os::unix::net::UnixStream::from(fd);
                stream.set_nonblocking(true)?;
                let stream = FrameStream::new(UnixStream::from_std(stream)?, mtu);
                (None, Some(stream), true)
            }
        };
        Ok(GuestDevice {
            listener,
            stream,
            one_off,
            mtu,
            sender: None,
        })
    }
}

/// A socket that nobody answers at was left behind.
fn bind(path: &Path) -> io::Result<std::os::unix::net::UnixListener> {
    use std::os::unix::fs::FileTypeExt as _;
    use std::os::unix::net::{UnixListener, UnixStream};

    match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let is_socket = std::fs::symlink_metadata(path)?.file_type().is_socket();
            if !is_socket || UnixStream::connect(path).is_ok() {
                return Err(error);
            }
            std::fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        bound => bound,
    }
}

/// One guest at a time; while there is none, frames to it are lost, as on a cable that is not
/// plugged in.
pub(super) struct GuestDevice {
    listener: Option<UnixListener>,
    stream: Option<FrameStream>,
    one_off: bool,
    mtu: usize,
    /// The task that waits to send.
    sender: Option<Waker>,
}

impl GuestDevice {
    /// The guest has hung up. Whether another may come.
    fn unplug(&mut self) -> bool {
        self.stream = None;
        if let Some(sender) = self.sender.take() {
            sender.wake();
        }
        !self.one_off && self.listener.is_some()
    }
}

impl Device for GuestDevice {
    fn mtu(&self) -> usize {
        self.mtu
    }

    fn offloads(&self) -> Offloads {
        Offloads::default()
    }

    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        now: &dyn Fn() -> Instant,
        max: usize,
        batch: &mut Vec<RxPacket>,
    ) -> Poll<io::Result<usize>> {
        loop {
            if let Some(stream) = &mut self.stream {
                match ready!(stream.poll_recv(cx, now, max, batch)) {
                    Ok(count) if count > 0 => return Poll::Ready(Ok(count)),
                    ended => {
                        if let Err(error) = &ended {
                            tell_of(error);
                        }
                        if !self.unplug() {
                            return Poll::Ready(Ok(0));
                        }
                    }
                }
            }
            let Some(listener) = &self.listener else {
                return Poll::Ready(Ok(0));
            };
            let (stream, _) = ready!(listener.poll_accept(cx))?;
            self.stream = Some(FrameStream::new(stream, self.mtu));
        }
    }

    fn try_send(&mut self, transmit: &Transmit) -> io::Result<()> {
        let Some(stream) = &mut self.stream else {
            return Ok(());
        };
        match stream.try_send(transmit) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(error),
            // Gone: who receives sees it too, and says what follows.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn poll_send_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(stream) = &mut self.stream else {
            return Poll::Ready(Ok(()));
        };
        self.sender = Some(cx.waker().clone());
        match ready!(stream.poll_send_ready(cx)) {
            Ok(()) | Err(_) => Poll::Ready(Ok(())),
        }
    }
}

/// A guest that broke the framing, or whose socket failed: the next one begins afresh.
fn tell_of(error: &io::Error) {
    crate::say::notice(format_args!("the guest's link failed: {error}"));
}

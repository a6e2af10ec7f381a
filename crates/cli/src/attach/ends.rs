//! Everything that ends an attached network.

use std::future::pending;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use switchboard::Net;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Calls;
use super::descriptors::{ExitFd, HangUp};

/// All of it, watched.
pub(super) struct Ends {
    terminate: Signal,
    interrupt: Signal,
    quit: Option<Signal>,
    exit: Option<HangUp>,
    /// A process whose end is the network's.
    process: Option<AsyncFd<OwnedFd>>,
    file: Option<WatchedFile>,
}

impl Ends {
    /// `process` is watched beside what `calls` names. Takes its exit descriptor.
    pub(super) fn watch(calls: &mut Calls, process: Option<u32>) -> io::Result<Self> {
        let of_terminal = calls.child.is_some();
        let process = calls.child.or(process);
        let file = calls.file.as_deref();
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: match of_terminal {
                true => Some(signal(SignalKind::quit())?),
                false => None,
            },
            exit: calls.exit.take().map(ExitFd::watch).transpose()?,
            process: process.map(watch_process).transpose()?,
            file: file.map(WatchedFile::new).transpose()?.flatten(),
        })
    }

    /// Waits for the first of them.
    pub(super) async fn first(mut self, net: &Net) -> io::Result<()> {
        let exit = async {
            match &self.exit {
                Some(exit) => exit.gone().await,
                None => pending().await,
            }
        };
        let process = async {
            match &self.process {
                Some(process) => process.readable().await.map(|_| ()),
                None => pending().await,
            }
        };
        let file = async {
            match &self.file {
                Some(file) => file.gone().await,
                None => pending().await,
            }
        };
        let interrupt = async {
            match self.quit {
                // A terminal's signals are meant for the command: here they are only caught.
                Some(_) => pending().await,
                None => self.interrupt.recv().await,
            }
        };
        tokio::select! {
            why = net.closed() => match why {
                switchboard::Ended::LinkGone => Ok(()),
                why => Err(io::Error::other(format!("the network ended: {why}"))),
            },
            ended = exit => ended,
            ended = process => ended,
            ended = file => ended,
            _ = self.terminate.recv() => Ok(()),
            _ = interrupt => Ok(()),
        }
    }
}

/// Readable when the process `pid` has ended.
fn watch_process(pid: u32) -> io::Result<AsyncFd<OwnedFd>> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or(io::ErrorKind::InvalidInput)?;
    watched(pidfd_open(pid, PidfdFlags::NONBLOCK)?)
}

fn watched(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` always names the same descriptor, and is not taken out.
    Ok(unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }?)
}

/// A namespace that is bound to a file, until it is removed or unmounted and removed.
struct WatchedFile {
    path: PathBuf,
    /// Which file it was: device and number.
    file: (u64, u64),
    news: AsyncFd<OwnedFd>,
}

impl WatchedFile {
    /// `None`: in a file system that tells nobody.
    fn new(path: &Path) -> io::Result<Option<Self>> {
        let Some(folder) = path.parent().filter(|_| !path.starts_with("/proc")) else {
            return Ok(None);
        };
        let folder = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        let news = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let what = WatchFlags::DELETE | WatchFlags::MOVED_FROM | WatchFlags::DELETE_SELF;
        inotify::add_watch(&news, folder, what)?;
        Ok(Some(Self {
            path: path.to_owned(),
            file: identity(path)?,
            news: watched(news)?,
        }))
    }

    async fn gone(&self) -> io::Result<()> {
        let mut ignored = [0; 4096];
        loop {
            let mut guard = self.news.readable().await?;
            while rustix::io::read(self.news.get_ref(), &mut ignored).is_ok() {}
            guard.clear_ready();
            if identity(&self.path).ok() != Some(self.file) {
                return Ok(());
            }
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = std::fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

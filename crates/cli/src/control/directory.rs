//! Where control sockets are. Only their owner may look into the directory: whoever can talk to
//! a control socket sees whom the programs of the run talk to.
//!
//! `PID.sock` is a run's socket; `NAME.name`, a symbolic link to it, its name.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, symlink};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

/// The directory, whether or not it exists.
fn path() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR") {
        // A variable may outlive its session, and be told by another user's (`su`).
        Some(runtime) if Path::new(&runtime).is_dir() => PathBuf::from(runtime).join("switchboard"),
        _ => PathBuf::from(format!("/tmp/switchboard-{}", geteuid().as_raw())),
    }
}

/// The directory, made if need be.
///
/// # Errors
///
/// It cannot be made, or somebody else could look into it: `/tmp` is everybody's.
pub(super) fn make() -> io::Result<PathBuf> {
    let path = path();
    match DirBuilder::new().mode(0o700).create(&path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made?,
    }
    check(&path)?;
    Ok(path)
}

/// Whether the directory is this user's alone: whoever else could put a socket there could
/// answer for a run.
fn check(path: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    let ours = metadata.is_dir() && metadata.uid() == geteuid().as_raw();
    if !ours || metadata.mode() & 0o077 != 0 {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("{} is not a directory of mode 0700 of ours", path.display()),
        ));
    }
    Ok(())
}

/// Gives the run `pid`, which listens already, a name; the name's file.
///
/// # Errors
///
/// `AlreadyExists`: another run that is under way has it.
pub(super) fn claim(name: &str, pid: u32) -> io::Result<PathBuf> {
    let link = make()?.join(format!("{name}.name"));
    let ours = socket_name(pid);
    match symlink(&ours, &link) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => return made.map(|()| link),
    }
    if UnixStream::connect(&link).is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    // Left behind by a run that was killed, agent and all.
    fs::remove_file(&link)?;
    symlink(&ours, &link)?;
    Ok(link)
}

/// The process ids of the runs that are under way, in order.
///
/// # Errors
///
/// There is a directory, and it cannot be read or is not this user's alone.
pub(super) fn runs() -> io::Result<Vec<u32>> {
    let path = path();
    match check(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        checked => checked?,
    }
    let names = fs::read_dir(&path)?
        .flatten()
        .map(|entry| entry.file_name());
    let mut pids: Vec<u32> = names
        .filter_map(|name| name.to_str()?.strip_suffix(".sock")?.parse().ok())
        .filter(|pid| is_under_way(&path.join(socket_name(*pid))))
        .collect();
    pids.sort_unstable();
    Ok(pids)
}

/// Whether somebody listens. The socket of a run that was killed, agent and all, is removed.
fn is_under_way(socket: &Path) -> bool {
    match UnixStream::connect(socket) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            let _ = fs::remove_file(socket);
            false
        }
        connected => connected.is_ok(),
    }
}

/// The control socket of the run `pid`.
///
/// # Errors
///
/// There is no directory, or it is not this user's alone.
pub(super) fn socket(pid: u32) -> io::Result<PathBuf> {
    let path = path();
    check(&path)?;
    Ok(path.join(socket_name(pid)))
}

/// The run that is called `name`.
///
/// # Errors
///
/// `NotFound`: none.
pub(super) fn named(name: &str) -> io::Result<u32> {
    let path = path();
    check(&path)?;
    let target = fs::read_link(path.join(format!("{name}.name")))?;
    let pid = target.to_str().and_then(|name| name.strip_suffix(".sock"));
    let pid = pid.and_then(|pid| pid.parse().ok());
    pid.ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// What a control socket is called in the directory.
pub(super) fn socket_name(pid: u32) -> String {
    format!("{pid}.sock")
}

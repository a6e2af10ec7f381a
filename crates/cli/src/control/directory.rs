//! Where control sockets are. Only their owner may look into the directory: whoever can talk to
//! a control socket sees whom the programs of the run talk to.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
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

/// The process ids of the runs that have a control socket, in order. One whose relay was killed
/// may be among them.
pub(crate) fn runs() -> Vec<u32> {
    let path = path();
    let Ok(entries) = check(&path).and_then(|()| fs::read_dir(&path)) else {
        return Vec::new();
    };
    let names = entries.flatten().map(|entry| entry.file_name());
    let mut pids: Vec<u32> = names
        .filter_map(|name| name.to_str()?.strip_suffix(".sock")?.parse().ok())
        .collect();
    pids.sort_unstable();
    pids
}

/// The control socket of the run `pid`.
///
/// # Errors
///
/// There is no directory, or it is not this user's alone.
pub(super) fn socket(pid: u32) -> io::Result<PathBuf> {
    let path = path();
    check(&path)?;
    Ok(path.join(format!("{pid}.sock")))
}

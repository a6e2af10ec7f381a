//! `switchboard install-links DIR`: the names by which this command stands in for others.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::flags::attach::LinksFlags;
use crate::{DONE, FAILED, say};

/// Programs that this command stands in for, when it is called by their names.
pub(crate) const NAMES: [&str; 3] = ["slirp4netns", "pasta", "passt"];

/// Makes them; the exit code.
pub(crate) fn main(flags: &LinksFlags) -> u8 {
    let ours = match std::env::current_exe() {
        Ok(ours) => ours,
        Err(error) => {
            say::error(format_args!("cannot find this program's file: {error}"));
            return FAILED;
        }
    };
    for name in NAMES {
        let link = flags.directory.join(name);
        if let Err(error) = make(&ours, &link) {
            say::error(format_args!("cannot make {}: {error}", link.display()));
            return FAILED;
        }
        say::notice(format_args!("{} is {}", link.display(), ours.display()));
    }
    DONE
}

/// A link of ours may be there; anything else is somebody's program.
fn make(ours: &Path, link: &Path) -> io::Result<()> {
    match symlink(ours, link) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            match fs::read_link(link) {
                Ok(there) if there == ours => Ok(()),
                // Not a link, or one to somewhere else.
                Ok(_) | Err(_) => Err(error),
            }
        }
        made => made,
    }
}

//! Errors by the names that programs know.

use std::io::{self, ErrorKind};

use nix::errno::Errno;

pub(super) fn errno_name(error: &io::Error) -> String {
    match error.raw_os_error() {
        // A timeout of the socket's, of reading or writing.
        Some(nix::libc::EAGAIN) => "silent".into(),
        Some(code) => format!("{:?}", Errno::from_raw(code)),
        None if error.kind() == ErrorKind::TimedOut => "silent".into(),
        None => error.to_string(),
    }
}

//! What an attached network says while it runs: to a file, or to stderr.

use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use switchboard_gateway::{Flow, Happening, Observer};

/// Where lines go.
#[derive(Debug)]
pub(crate) struct Log {
    file: Option<Mutex<Bounded>>,
    /// Whether each conversation is told.
    conversations: bool,
}

/// A file that takes so many octets.
#[derive(Debug)]
struct Bounded {
    file: File,
    left: u64,
}

impl Log {
    /// To stderr.
    pub(crate) fn to_stderr(conversations: bool) -> Self {
        Self {
            file: None,
            conversations,
        }
    }

    /// To the file at `path`, up to `size` octets.
    ///
    /// # Errors
    ///
    /// It cannot be written; the text says which.
    pub(crate) fn to_file(path: &Path, size: u64, conversations: bool) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path);
        let file = file.map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("cannot log to {}: {error}", path.display()),
            )
        })?;
        Ok(Self {
            file: Some(Mutex::new(Bounded { file, left: size })),
            conversations,
        })
    }

    /// A line.
    pub(crate) fn line(&self, text: impl Display) {
        let Some(file) = &self.file else {
            return crate::say::notice(text);
        };
        let mut bounded = file.lock().unwrap_or_else(PoisonError::into_inner);
        let line = format!("{text}\n");
        let len = u64::try_from(line.len()).unwrap_or(u64::MAX);
        if let Some(left) = bounded.left.checked_sub(len) {
            bounded.left = left;
            // A full disk is nobody's error here.
            let _ = bounded.file.write_all(line.as_bytes());
        } else {
            bounded.left = 0;
        }
    }
}

impl Observer for Log {
    fn observe(&self, happening: &Happening) {
        if !self.conversations {
            return;
        }
        let who =
            |flow: &Flow| format!("{} {} > {}", flow.transport, flow.from, flow.destination());
        match happening {
            Happening::FlowConnected { flow, elapsed, .. } => {
                self.line(format_args!("{}: connected after {elapsed:.1?}", who(flow)));
            }
            Happening::FlowRefused { flow, why, .. } => {
                self.line(format_args!("{}: refused: {why}", who(flow)));
            }
            Happening::DatagramRefused { flow, to, why } => {
                self.line(format_args!(
                    "{}: datagram to {to} refused: {why}",
                    who(flow)
                ));
            }
            Happening::FlowAbandoned { flow, elapsed } => {
                self.line(format_args!("{}: given up after {elapsed:.1?}", who(flow)));
            }
            Happening::FlowEnded {
                flow,
                received,
                sent,
                elapsed,
                ..
            } => {
                self.line(format_args!(
                    "{}: ended after {elapsed:.1?}, {received} octets in, {sent} out",
                    who(flow)
                ));
            }
            Happening::Resolved {
                name, record_type, ..
            } => {
                self.line(format_args!("dns {name} {record_type}"));
            }
            _ => {}
        }
    }
}

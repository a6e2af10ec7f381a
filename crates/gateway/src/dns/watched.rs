//! A file of the host's that is read again when it changes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use crate::registry::lock;

/// How often the file's date is looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Octets of a file that are read; lists of blocked names have some megabytes.
const OCTETS_MAX: u64 = 16 << 20;

/// What a file says, kept up to date.
pub(super) struct Watched<T> {
    path: PathBuf,
    parse: fn(&str) -> T,
    seen: Mutex<Seen<T>>,
}

struct Seen<T> {
    looked: Instant,
    modified: Option<SystemTime>,
    says: Arc<T>,
}

impl<T> Watched<T> {
    /// Reads it now: later the relay is confined and may have lost the right to. A file that
    /// cannot be read says what an empty one does.
    pub(super) fn new(path: &Path, parse: fn(&str) -> T) -> Self {
        let modified = modified(path);
        let text = read(path).unwrap_or_default();
        Self {
            path: path.to_owned(),
            parse,
            seen: Mutex::new(Seen {
                looked: Instant::now(),
                modified,
                says: Arc::new(parse(&text)),
            }),
        }
    }

    /// What it says. What cannot be read any more stays as it was.
    pub(super) fn get(&self) -> Arc<T> {
        self.get_at(Instant::now())
    }

    fn get_at(&self, now: Instant) -> Arc<T> {
        let mut seen = lock(&self.seen);
        if now.saturating_duration_since(seen.looked) >= LOOK_AGAIN {
            seen.looked = now;
            let modified = modified(&self.path);
            if modified.is_some()
                && modified != seen.modified
                && let Some(text) = read(&self.path)
            {
                seen.modified = modified;
                seen.says = Arc::new((self.parse)(&text));
            }
        }
        seen.says.clone()
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).ok()?.modified().ok()
}

fn read(path: &Path) -> Option<String> {
    use std::io::Read as _;
    let mut octets = Vec::new();
    let file = std::fs::File::open(path).ok()?;
    file.take(OCTETS_MAX).read_to_end(&mut octets).ok()?;
    Some(String::from_utf8_lossy(&octets).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_changes_is_read_again_and_one_that_goes_stays_known() {
        let path = std::env::temp_dir().join(format!("sb-watched-{}", std::process::id()));
        std::fs::write(&path, "one").unwrap();
        let watched = Watched::new(&path, str::to_owned);
        assert_eq!(*watched.get(), "one");
        std::fs::write(&path, "two").unwrap();
        // Both may have been written in one tick of the clock of file systems.
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() + LOOK_AGAIN).unwrap();
        let later = Instant::now() + LOOK_AGAIN;
        assert_eq!(*watched.get_at(later), "two");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(*watched.get_at(later + LOOK_AGAIN), "two");
    }

    #[test]
    fn no_file_is_an_empty_one() {
        let watched = Watched::new(Path::new("/nonexistent/file"), str::to_owned);
        assert_eq!(*watched.get(), "");
    }
}

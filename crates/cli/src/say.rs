//! What Switchboard says goes to stderr; stdout belongs to the program.

use std::fmt::Display;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set by `-q`: all but errors stay away.
static QUIET: AtomicBool = AtomicBool::new(false);

/// Keeps all but errors away from now on.
pub(crate) fn be_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

/// A refusal or an error: one line, to be copied or searched for.
pub(crate) fn error(text: impl Display) {
    line(format_args!("switchboard: {text}"));
}

/// A warning or a summary: one line, not with `-q`.
pub(crate) fn notice(text: impl Display) {
    if !QUIET.load(Ordering::Relaxed) {
        line(format_args!("switchboard: {text}"));
    }
}

/// A line of a story that was asked for.
pub(crate) fn story(text: impl Display) {
    line(text);
}

/// A whole line in one write, so that lines of the program do not cut it. A closed stderr is
/// nobody's error here.
fn line(text: impl Display) {
    let text = format!("{text}\n");
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Lines of `--explain`, whole and together.
pub(crate) fn block(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

//! Limits of this process.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// As many open files as this user may have. What cannot be raised shows as flows that do
/// not open.
pub(crate) fn raise_open_files() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    let _ = setrlimit(Resource::Nofile, raised);
}

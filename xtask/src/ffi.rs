//! The C library: its header, and where it is installed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cargo::{cargo, output, root};

/// What the shared library is called towards programs (`crates/ffi/build.rs`).
const SONAME: &str = "libswitchboard.so.0";

fn crate_dir() -> PathBuf {
    root().join("crates/ffi")
}

/// The header as the source says it now. Needs `cbindgen` (`cargo install --locked cbindgen`).
fn header() -> Result<String, String> {
    let text = output(
        Command::new("cbindgen")
            .args(["--quiet", "--config", "cbindgen.toml", "."])
            .current_dir(crate_dir()),
    )?;
    // What Rust calls a section is a paragraph in C.
    let mut lines = text.lines().peekable();
    let mut header = String::new();
    while let Some(line) = lines.next() {
        if line.trim() == "// # Safety" {
            lines.next_if(|next| next.trim() == "//");
            continue;
        }
        header.push_str(line);
        header.push('\n');
    }
    Ok(header)
}

/// Writes `switchboard.h`; with `--check` says whether it is current.
pub(crate) fn write_header(arguments: &[String]) -> Result<(), String> {
    let path = crate_dir().join("switchboard.h");
    let header = header()?;
    if arguments.first().is_some_and(|first| first == "--check") {
        let committed = fs::read_to_string(&path).map_err(|error| error.to_string())?;
        if committed == header {
            return Ok(());
        }
        return Err(format!(
            "{} is not current: cargo xtask ffi-header",
            path.display()
        ));
    }
    fs::write(&path, header).map_err(|error| format!("{}: {error}", path.display()))
}

/// Builds the library for release and puts it, its header and its pkg-config file under `PREFIX`.
pub(crate) fn install(arguments: &[String]) -> Result<(), String> {
    let [prefix] = arguments else {
        return Err("usage: cargo xtask ffi-install PREFIX".to_owned());
    };
    let prefix = std::path::absolute(prefix).map_err(|error| error.to_string())?;
    output(cargo().args(["build", "--release", "-p", "switchboard-ffi"]))?;
    let built = root().join("target/release");
    let version = env!("CARGO_PKG_VERSION");
    let whole = format!("libswitchboard.so.{version}");
    let (lib, include) = (prefix.join("lib"), prefix.join("include"));
    let pkgconfig = lib.join("pkgconfig");
    for directory in [&include, &pkgconfig] {
        make(directory)?;
    }
    copy(&built.join("libswitchboard_c.so"), &lib.join(&whole))?;
    copy(
        &built.join("libswitchboard_c.a"),
        &lib.join("libswitchboard.a"),
    )?;
    copy(
        &crate_dir().join("switchboard.h"),
        &include.join("switchboard.h"),
    )?;
    for (name, to) in [(SONAME, whole.as_str()), ("libswitchboard.so", SONAME)] {
        let link = lib.join(name);
        // Whatever an earlier installation left; if it cannot go, the next step says so.
        let _ = fs::remove_file(&link);
        symlink(to, &link).map_err(|error| format!("{}: {error}", link.display()))?;
    }
    let template = fs::read_to_string(crate_dir().join("switchboard.pc.in"));
    let template = template.map_err(|error| format!("switchboard.pc.in: {error}"))?;
    let filled = template
        .replace("@PREFIX@", &prefix.to_string_lossy())
        .replace("@VERSION@", version);
    let path = pkgconfig.join("switchboard.pc");
    fs::write(&path, filled).map_err(|error| format!("{}: {error}", path.display()))?;
    println!("installed under {}", prefix.display());
    Ok(())
}

fn make(directory: &Path) -> Result<(), String> {
    fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let copied = fs::copy(from, to).map(|_| ());
    copied.map_err(|error| format!("{} to {}: {error}", from.display(), to.display()))
}

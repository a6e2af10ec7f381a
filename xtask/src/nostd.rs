//! Proves that `wire` and `core`, with all that they depend on, need no standard library.
//!
//! Builds them against a sysroot that holds `core`, `alloc` and `compiler_builtins` and nothing
//! else: whatever names a clock, a socket or a thread does not compile there. It needs no
//! other target than the one at hand.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cargo::{cargo, output, root};

const CRATES: [&str; 2] = ["switchboard-wire", "switchboard-core"];
const LIBRARIES: [&str; 3] = ["libcore-", "liballoc-", "libcompiler_builtins-"];

pub(crate) fn check() -> Result<(), String> {
    let target = host()?;
    let directory = root().join("target").join("nostd");
    let sysroot = make_sysroot(&directory, &target)?;
    refuses_std(&directory, &sysroot)?;

    let mut build = cargo();
    build
        // With a target named, build scripts keep the compiler's own sysroot.
        .args(["build", "--quiet", "--lib", "--target", &target])
        .arg("--target-dir")
        .arg(directory.join("build"))
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            format!("--sysroot\x1f{}", sysroot.display()),
        )
        .env_remove("RUSTC_WRAPPER");
    for name in CRATES {
        build.args(["--package", name]);
    }
    output(&mut build)?;
    println!(
        "nostd: {} build with core and alloc alone",
        CRATES.join(" and ")
    );
    Ok(())
}

fn rustc() -> Command {
    let mut command = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    command.current_dir(root());
    command
}

/// The machine's own target.
fn host() -> Result<String, String> {
    let version = output(rustc().arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.ok_or("rustc does not name its host")?.to_owned())
}

/// A sysroot without `std`; made anew, so that one of an older compiler cannot stay.
fn make_sysroot(directory: &Path, target: &str) -> Result<PathBuf, String> {
    let from = output(rustc().args(["--print", "sysroot"]))?;
    let libraries = Path::new("lib/rustlib").join(target).join("lib");
    let from = Path::new(from.trim()).join(&libraries);
    let sysroot = directory.join("sysroot");
    let to = sysroot.join(&libraries);
    let failed = |what: &Path| {
        let what = what.display().to_string();
        move |error| format!("{what}: {error}")
    };
    if sysroot.exists() {
        fs::remove_dir_all(&sysroot).map_err(failed(&sysroot))?;
    }
    fs::create_dir_all(&to).map_err(failed(&to))?;
    let mut copied = 0;
    for entry in fs::read_dir(&from).map_err(failed(&from))? {
        let path = entry.map_err(failed(&from))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let wanted = LIBRARIES.iter().any(|library| name.starts_with(library));
        let is_library = name.ends_with(".rlib");
        // Newer compilers keep a library's metadata beside it.
        if wanted && (is_library || name.ends_with(".rmeta")) {
            fs::copy(&path, to.join(name.as_ref())).map_err(failed(&path))?;
            copied += usize::from(is_library);
        }
    }
    if copied == LIBRARIES.len() {
        Ok(sysroot)
    } else {
        let expected = LIBRARIES.len();
        Err(format!(
            "{}: {copied} libraries of {expected}",
            from.display()
        ))
    }
}

/// The check checks itself: a program that names `std` must fail, one that does not must pass.
fn refuses_std(directory: &Path, sysroot: &Path) -> Result<(), String> {
    let compile = |name: &str, source: &str| {
        let path = directory.join(format!("{name}.rs"));
        fs::write(&path, source).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut compile = rustc();
        compile
            .args([
                "--crate-type=lib",
                "--edition=2024",
                "--emit=metadata",
                "--out-dir",
            ])
            .arg(directory)
            .arg("--sysroot")
            .args([sysroot, path.as_path()]);
        Ok::<bool, String>(output(&mut compile).is_ok())
    };
    if !compile("without", "#![no_std] extern crate alloc;")? {
        return Err("the sysroot is broken: an empty crate does not compile".into());
    }
    if compile("with", "#![no_std] extern crate std;")? {
        return Err("the sysroot has a standard library, so it proves nothing".into());
    }
    Ok(())
}

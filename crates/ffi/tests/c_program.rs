//! The example in C, compiled and run against the library as a C program would be.

#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// The shared library that was built with this test.
fn library() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let deps = here.parent().unwrap();
    let places = [deps, deps.parent().unwrap()];
    let found = places.iter().map(|place| place.join("libswitchboard_c.so"));
    found
        .into_iter()
        .find(|path| path.exists())
        .expect("the shared library is built with its tests")
}

#[test]
fn echo_in_c() {
    if Command::new("cc").arg("--version").output().is_err() {
        eprintln!("SKIPPED: there is no `cc` to compile crates/ffi/examples/echo.c with");
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let library = library();
    let directory = std::env::temp_dir().join(format!("switchboard-echo-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let program = directory.join("echo");
    // As it is installed: by its name towards programs.
    let installed = directory.join("libswitchboard.so.0");
    std::fs::copy(&library, &installed).unwrap();
    let compiled = Command::new("cc")
        .args([
            "-std=c11",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-pthread",
            "-D_DEFAULT_SOURCE",
        ])
        .arg("-I")
        .arg(root)
        .arg(root.join("examples/echo.c"))
        .arg(&installed)
        .arg("-o")
        .arg(&program)
        .output()
        .unwrap();
    assert!(
        compiled.status.success(),
        "{}",
        String::from_utf8_lossy(&compiled.stderr)
    );
    let output = Command::new(&program)
        .env("LD_LIBRARY_PATH", &directory)
        .output()
        .unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.stdout, b"hello from a network without a kernel\n");
}

//! `cargo xtask parity`: every public method and trait of `tokio::net`'s socket types, beside ours.
//!
//! tokio's source is read where cargo keeps it, ours from the tree. What is missing, or has
//! another signature, must have its reason in `xtask/parity.txt`; the same list says where a
//! method that has tokio's signature behaves differently. `docs/parity.md` is written from both;
//! `--check` fails if it is not up to date.

mod cfg;
mod reasons;
mod signature;
mod surface;
mod table;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cargo::{cargo, output, root};
use reasons::Reasons;
use surface::Surface;

/// tokio's files that hold the types, under `src/net`.
const THEIRS: [&str; 8] = [
    "addr.rs",
    "lookup_host.rs",
    "tcp/listener.rs",
    "tcp/socket.rs",
    "tcp/split.rs",
    "tcp/split_owned.rs",
    "tcp/stream.rs",
    "udp.rs",
];

/// The types, in the order of the table.
pub(crate) const TYPES: [&str; 10] = [
    "TcpListener",
    "TcpStream",
    "TcpSocket",
    "ReadHalf",
    "WriteHalf",
    "OwnedReadHalf",
    "OwnedWriteHalf",
    "ReuniteError",
    "UdpSocket",
    surface::FUNCTIONS,
];

/// Writes `docs/parity.md`, or with `--check` compares it.
pub(crate) fn check() -> Result<(), String> {
    let (folder, version) = tokio()?;
    let theirs = THEIRS.iter().map(|file| folder.join("src/net").join(file));
    let theirs = Surface::read(theirs)?;
    let ours = Surface::read(rust_files(&root().join("crates/switchboard/src/net"))?)?;
    let reasons = Reasons::read(&root().join("xtask/parity.txt"))?;
    let table = table::make(&theirs, &ours, &reasons)?;
    let text = table::page(&table, &version);
    let body = rust_files(&root().join("crates/switchboard/tests/parity"))?;
    all_called(&ours, &theirs, &body)?;
    let page = root().join("docs/parity.md");
    if std::env::args().any(|argument| argument == "--check") {
        let present = fs::read_to_string(&page).unwrap_or_default();
        if present != text {
            return Err("docs/parity.md is not up to date: cargo xtask parity".to_owned());
        }
    } else {
        fs::write(&page, text).map_err(|error| format!("{}: {error}", page.display()))?;
    }
    println!("{}", table::summary(&table));
    Ok(())
}

/// Whether the body that runs on both calls each method that both have.
fn all_called(ours: &Surface, theirs: &Surface, body: &[PathBuf]) -> Result<(), String> {
    let mut text = String::new();
    for file in body {
        text += &fs::read_to_string(file).map_err(|error| error.to_string())?;
    }
    let mut missing = Vec::new();
    for (type_name, of_type) in &theirs.types {
        for name in of_type.methods.keys() {
            let is_ours = ours
                .types
                .get(type_name)
                .is_some_and(|of_type| of_type.methods.contains_key(name));
            let calls = [
                format!(".{name}("),
                format!("::{name}("),
                format!(" {name}("),
            ];
            if is_ours && !calls.iter().any(|call| text.contains(call)) {
                missing.push(format!("{type_name}::{name}"));
            }
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "never called in crates/switchboard/tests/parity: {}",
        missing.join(", ")
    ))
}

/// Where cargo keeps the tokio that we build with, and its version.
fn tokio() -> Result<(PathBuf, String), String> {
    let json = output(cargo().args(["metadata", "--format-version=1", "--locked"]))?;
    let metadata: Value = serde_json::from_str(&json).map_err(|error| error.to_string())?;
    let packages = metadata["packages"].as_array().ok_or("no packages")?;
    let package = packages
        .iter()
        .find(|package| package["name"] == "tokio")
        .ok_or("the workspace does not use tokio")?;
    let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
    let manifest = PathBuf::from(text("manifest_path"));
    let folder = manifest.parent().ok_or("tokio has no folder")?;
    Ok((folder.to_owned(), text("version")))
}

/// Every Rust file under `folder`.
fn rust_files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder);
        let entries = entries.map_err(|error| format!("{}: {error}", folder.display()))?;
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

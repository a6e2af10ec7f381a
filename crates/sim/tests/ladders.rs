//! Every ladder of `/ladders`, each a page that anybody who reads tcpdump can read.
//!
//! `UPDATE_LADDERS=1 cargo test -p switchboard-sim --test ladders` rewrites what differs;
//! `LADDER=close/` runs only the scripts whose path contains that.

use std::path::{Path, PathBuf};

use switchboard_sim::script;

/// Fewer than this means that the folder was not found.
const LADDERS_MIN: usize = 40;

fn scripts(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).expect("the folder of ladders is there");
    for entry in entries {
        let path = entry.expect("a folder can be read").path();
        if path.is_dir() {
            scripts(&path, found);
        } else if path.extension().is_some_and(|name| name == "ladder") {
            found.push(path);
        }
    }
}

#[test]
fn every_ladder_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ladders");
    let mut found = Vec::new();
    scripts(&folder, &mut found);
    found.sort();
    assert!(found.len() >= LADDERS_MIN, "{} ladders", found.len());

    let wanted = std::env::var("LADDER").unwrap_or_default();
    let mut failures = Vec::new();
    for path in &found {
        let name = path.strip_prefix(&folder).unwrap_or(path);
        if !name.to_string_lossy().contains(&wanted) {
            continue;
        }
        // A panic in one must not hide the others.
        let result = std::panic::catch_unwind(|| script::run_file(path))
            .unwrap_or_else(|_| Err(format!("{}: the stack panicked", path.display())));
        if let Err(what) = result {
            println!("{what}");
            failures.push(name.display().to_string());
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {} ladders do not hold: {failures:#?}",
        failures.len(),
        found.len()
    );
}

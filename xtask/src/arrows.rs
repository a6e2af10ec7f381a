//! Who may depend on whom: the manifests against the table of ARCHITECTURE.md.

use serde_json::Value;

use crate::cargo::{cargo, output};

/// A crate of ours; what of ours it may use; what else of ours its tests may use.
type Row = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

const ALLOWED: [Row; 8] = [
    ("switchboard-wire", &[], &[]),
    (
        "switchboard-core",
        &["switchboard-wire"],
        &["switchboard-sim"],
    ),
    ("switchboard-device", &["switchboard-wire"], &[]),
    (
        "switchboard-sim",
        &["switchboard-core", "switchboard-wire"],
        &[],
    ),
    (
        "switchboard",
        &[
            "switchboard-core",
            "switchboard-device",
            "switchboard-sim",
            "switchboard-wire",
        ],
        &[],
    ),
    (
        "switchboard-gateway",
        &["switchboard", "switchboard-wire"],
        &["switchboard-device", "switchboard-sim"],
    ),
    (
        "switchboard-cli",
        &[
            "switchboard",
            "switchboard-device",
            "switchboard-gateway",
            "switchboard-sim",
            "switchboard-wire",
        ],
        &[],
    ),
    (
        "switchboard-ffi",
        &["switchboard", "switchboard-core", "switchboard-wire"],
        &[],
    ),
];

/// What a crate must not use although it is not ours, and why.
const NEVER: [(&str, &str, &str); 4] = [
    (
        "switchboard-wire",
        "tokio",
        "wire has no state, no clock and no socket",
    ),
    ("switchboard-core", "tokio", "core has no runtime"),
    (
        "switchboard-core",
        "rand",
        "randomness comes in by the entropy that a caller seeds",
    ),
    ("switchboard-sim", "tokio", "simulated time has no runtime"),
];

/// Outside the product: these use what they like.
const OUTSIDE: [&str; 3] = ["switchboard-bench", "switchboard-examples", "xtask"];

pub(crate) fn check() -> Result<(), String> {
    let metadata = output(cargo().args(["metadata", "--format-version=1", "--no-deps"]))?;
    let metadata: Value = serde_json::from_str(&metadata).map_err(|error| error.to_string())?;
    let packages = metadata["packages"].as_array().ok_or("no packages")?;
    let names: Vec<&str> = packages.iter().filter_map(|p| p["name"].as_str()).collect();
    let mut wrong = Vec::new();
    let mut arrows = 0;
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        if OUTSIDE.contains(&name) {
            continue;
        }
        let Some((_, allowed, in_tests)) = ALLOWED.iter().find(|row| row.0 == name) else {
            wrong.push(format!("{name}: not in the table of xtask/src/arrows.rs"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let to = dependency["name"].as_str().unwrap_or_default();
            let is_dev = dependency["kind"] == "dev";
            if let Some((_, _, why)) = NEVER.iter().find(|row| row.0 == name && row.1 == to)
                && !is_dev
            {
                wrong.push(format!("{name} -> {to}: {why}"));
            }
            if !names.contains(&to) {
                continue;
            }
            arrows += 1;
            if !(allowed.contains(&to) || is_dev && in_tests.contains(&to)) {
                wrong.push(format!("{name} -> {to}: no such arrow"));
            }
        }
    }
    if wrong.is_empty() {
        println!(
            "arrows: {arrows} between {} crates, all as drawn",
            names.len()
        );
        Ok(())
    } else {
        Err(wrong.join("\n        "))
    }
}

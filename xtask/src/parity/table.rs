//! The table, and what is wrong with it.

use super::TYPES;
use super::reasons::{Reasons, Why};
use super::surface::{FUNCTIONS, Method, OfType, Surface};

/// One line.
pub(super) struct Row {
    section: &'static str,
    name: String,
    ours: Ours,
}

/// What of it we have.
enum Ours {
    Same,
    Differs(String),
    Absent(String),
}

/// Compares, and fails for whatever has no reason.
pub(super) fn make(
    theirs: &Surface,
    ours: &Surface,
    reasons: &Reasons,
) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    let mut wrong = Vec::new();
    let nothing = OfType::default();
    for section in TYPES {
        let Some(their) = theirs.types.get(section) else {
            wrong.push(format!("tokio has no {section} where we looked"));
            continue;
        };
        let our = ours.types.get(section).unwrap_or(&nothing);
        for (name, method) in &their.methods {
            let why = reasons.find(section, name);
            match compare(method, our.methods.get(name), why) {
                Ok(ours) => rows.push(Row {
                    section,
                    name: title(name, method),
                    ours,
                }),
                Err(problem) => wrong.push(format!("{section}::{name}: {problem}")),
            }
        }
        for name in their.traits.keys() {
            let has = our.traits.contains_key(name) || is_covered(name, our);
            let ours = match (has, reasons.find(section, name)) {
                (true, None) => Ours::Same,
                (true, Some(Why::Differs(how))) => Ours::Differs(how.clone()),
                (false, Some(Why::Absent(why))) => Ours::Absent(why.clone()),
                (true, Some(Why::Absent(_))) => {
                    wrong.push(format!("{section}: {name} is there, and said to be absent"));
                    continue;
                }
                (false, _) => {
                    wrong.push(format!("{section}: {name} is missing without a reason"));
                    continue;
                }
            };
            let name = format!("`impl {}`", name.replace('|', "\\|"));
            rows.push(Row {
                section,
                name,
                ours,
            });
        }
    }
    for name in reasons.unused() {
        wrong.push(format!("xtask/parity.txt: {name} explains nothing"));
    }
    if wrong.is_empty() {
        Ok(rows)
    } else {
        Err(wrong.join("\n"))
    }
}

fn title(name: &str, method: &Method) -> String {
    if method.is_deprecated {
        format!("`{name}` (deprecated)")
    } else {
        format!("`{name}`")
    }
}

fn compare(theirs: &Method, ours: Option<&Method>, why: Option<&Why>) -> Result<Ours, String> {
    match (ours, why) {
        (None, Some(Why::Absent(why))) => Ok(Ours::Absent(why.clone())),
        (None, _) => Err(format!("missing without a reason: {}", theirs.signature)),
        (Some(_), Some(Why::Absent(_))) => Err("there, and said to be absent".to_owned()),
        (Some(ours), why) if ours.signature != theirs.signature => match why {
            Some(Why::Differs(how)) => Ok(Ours::Differs(how.clone())),
            _ => Err(format!(
                "\n  tokio {}\n  ours  {}",
                theirs.signature, ours.signature
            )),
        },
        (Some(_), Some(Why::Differs(how))) => Ok(Ours::Differs(how.clone())),
        (Some(ours), None) if ours.is_deprecated != theirs.is_deprecated => {
            Err("deprecated in one of the two only".to_owned())
        }
        (Some(_), None) => Ok(Ours::Same),
    }
}

/// A reference to something is an address where the thing itself is, and any reference.
fn is_covered(name: &str, ours: &OfType) -> bool {
    let Some(of) = name.strip_prefix("ToSocketAddrs for &") else {
        return false;
    };
    let has = |of: &str| ours.traits.contains_key(&format!("ToSocketAddrs for {of}"));
    has("&T") && has(of)
}

/// `docs/parity.md`.
pub(super) fn page(rows: &[Row], version: &str) -> String {
    let mut text = format!(
        "# tokio::net, method by method\n\n\
         Written by `cargo xtask parity` from the source of tokio {version} and from ours; the \
         reasons stand in `xtask/parity.txt`. `cargo xtask parity --check` fails if a method is \
         missing or has another signature without a reason. `crates/switchboard/tests/parity.rs` \
         runs one body against both.\n\n{}.\n",
        summary(rows)
    );
    for section in TYPES {
        if section == FUNCTIONS {
            text.push_str("\n## Functions and `ToSocketAddrs`\n\n");
        } else {
            text.push_str(&format!("\n## `{section}`\n\n"));
        }
        text.push_str("| tokio | here |\n|---|---|\n");
        for row in rows.iter().filter(|row| row.section == section) {
            let ours = match &row.ours {
                Ours::Same => "same".to_owned(),
                Ours::Differs(how) => format!("differs: {how}"),
                Ours::Absent(why) => format!("not there: {why}"),
            };
            text.push_str(&format!("| {} | {ours} |\n", row.name));
        }
    }
    text
}

/// The table in a line.
pub(super) fn summary(rows: &[Row]) -> String {
    let count = |is: fn(&Ours) -> bool| rows.iter().filter(|row| is(&row.ours)).count();
    format!(
        "{} methods and traits: {} the same, {} there with a difference, {} not there",
        rows.len(),
        count(|ours| matches!(ours, Ours::Same)),
        count(|ours| matches!(ours, Ours::Differs(_))),
        count(|ours| matches!(ours, Ours::Absent(_)))
    )
}

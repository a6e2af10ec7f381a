//! The table: the bare kernel's answers, and whether each launcher gives the same.

use std::fmt::Write;
use std::path::Path;

use serde_json::{Value, json};

use super::Column;
use super::rows::{ALONE, PROBED, Row};
use super::trial::{self, Answers};
use crate::run::launcher::Kind;
use crate::run::progress;

/// The file in the common directory that has everything.
pub(super) const JSON: &str = "truth.json";

/// Tries all, prints the table and writes the file.
///
/// # Errors
///
/// Ours gives another answer than the bare kernel.
pub(super) fn run(columns: &[Column], wanted: &[String], directory: &Path) -> Result<(), String> {
    let mut answers = Vec::new();
    for column in columns {
        progress(&format!("{} ...", column.name));
        answers.push(trial::run(column, wanted, directory));
    }
    progress("");
    let kernel = &answers[0];
    let rows: Vec<&Row> = PROBED.iter().chain(ALONE).collect();
    let rows: Vec<&Row> = rows
        .into_iter()
        .filter(|row| kernel.contains_key(row.key))
        .collect();
    println!("{}", render(columns, &rows, &answers));
    let text = serde_json::to_string_pretty(&document(columns, &rows, &answers));
    let text = text.map_err(|error| error.to_string())?;
    std::fs::write(directory.join(JSON), text).map_err(|error| error.to_string())?;

    let ours = columns
        .iter()
        .position(|column| column.launcher.kind == Kind::Switchboard);
    let Some(ours) = ours else {
        return Ok(());
    };
    let differs = |row: &&&Row| !row.holds(&kernel[row.key], &answers[ours][row.key]);
    match rows.iter().filter(differs).count() {
        0 => Ok(()),
        count => Err(format!(
            "ours is not the bare kernel in {count} of {} rows",
            rows.len()
        )),
    }
}

fn render(columns: &[Column], rows: &[&Row], answers: &[Answers]) -> String {
    let mut text = String::from("|");
    for column in columns {
        let _ = write!(text, " | {}", column.name);
    }
    let _ = write!(text, " |\n|---|{}", "---|".repeat(columns.len()));
    let mut same = vec![0; columns.len()];
    for row in rows {
        let kernel = &answers[0][row.key];
        let _ = write!(text, "\n| {} | {kernel} |", row.title);
        for (at, answers) in answers.iter().enumerate().skip(1) {
            let answer = &answers[row.key];
            let holds = row.holds(kernel, answer);
            same[at] += usize::from(holds);
            let _ = match (holds, answer == kernel) {
                (true, true) => write!(text, " ok |"),
                (true, false) => write!(text, " ok ({answer}) |"),
                (false, _) => write!(text, " **{answer}** |"),
            };
        }
    }
    let _ = write!(text, "\n| as the bare kernel, of {} | |", rows.len());
    for same in &same[1..] {
        let _ = write!(text, " {same} |");
    }
    for row in rows {
        if let Some((answer, why)) = row.instead {
            let _ = write!(text, "\n\n{}: {answer} counts as well, {why}.", row.title);
        }
    }
    text
}

fn document(columns: &[Column], rows: &[&Row], answers: &[Answers]) -> Value {
    let kernel = &answers[0];
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            let named = columns.iter().zip(answers);
            let named: serde_json::Map<String, Value> = named
                .map(|(column, answers)| {
                    let answer = &answers[row.key];
                    let holds = row.holds(&kernel[row.key], answer);
                    (
                        column.name.clone(),
                        json!({ "answer": answer, "holds": holds }),
                    )
                })
                .collect();
            json!({ "key": row.key, "row": row.title, "columns": named })
        })
        .collect();
    json!({ "rows": rows })
}

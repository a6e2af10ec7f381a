//! Figures side by side: medians, and ratios to the one under test.

use std::fmt::Write;
use std::path::Path;

use serde_json::{Value, json};

/// The values of one row: for each column those of all rounds, in order.
pub(crate) struct Figures(Vec<Vec<f64>>);

impl Figures {
    pub(crate) fn new(columns: &[String]) -> Self {
        Self(vec![Vec::new(); columns.len()])
    }

    pub(crate) fn push(&mut self, column: usize, value: f64) {
        self.0[column].push(value);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(Vec::is_empty)
    }
}

/// Which way is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Better {
    More,
    Less,
}

/// What a row shows.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// By which it is found.
    pub(crate) key: String,
    pub(crate) title: String,
    pub(crate) better: Better,
}

/// Rows of figures.
pub(crate) struct Table {
    pub(crate) columns: Vec<String>,
    rows: Vec<(Row, Figures)>,
}

impl Table {
    pub(crate) fn new(columns: &[String]) -> Self {
        Self {
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, row: Row, figures: Figures) {
        self.rows.push((row, figures));
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().map(|(row, _)| row)
    }

    /// The median of a row in a column.
    pub(crate) fn median(&self, key: &str, column: &str) -> Option<f64> {
        let column = self.columns.iter().position(|name| name == column)?;
        let (_, figures) = self.rows.iter().find(|(row, _)| row.key == key)?;
        median(&figures.0[column])
    }

    /// The table as Markdown. Each figure is the median of its rounds; the ratio in brackets
    /// is that of `ours` to it.
    pub(crate) fn render(&self, ours: &str) -> String {
        let mut text = String::new();
        let _ = writeln!(text, "| | {} |", self.columns.join(" | "));
        let _ = writeln!(text, "|---|{}", "---:|".repeat(self.columns.len()));
        let ours = self.columns.iter().position(|column| column == ours);
        for (row, figures) in &self.rows {
            let _ = write!(text, "| {} |", row.title);
            let own = ours.and_then(|ours| median(&figures.0[ours]));
            for (column, values) in figures.0.iter().enumerate() {
                let _ = match (median(values), own) {
                    (None, _) => write!(text, " - |"),
                    (Some(value), Some(own)) if Some(column) != ours && value > 0.0 => {
                        write!(text, " {} (x{:.2}) |", short(value), own / value)
                    }
                    (Some(value), _) => write!(text, " {} |", short(value)),
                };
            }
            text.push('\n');
        }
        if let Some(ours) = ours {
            let name = &self.columns[ours];
            let _ = write!(
                text,
                "\nMedians; in brackets {name}'s figure over that one's."
            );
        }
        text
    }

    /// Writes all values to `path`.
    pub(crate) fn write_json(&self, path: &Path, ours: &str) -> Result<(), String> {
        let rows: Vec<Value> = self.rows.iter().map(|row| self.row(row)).collect();
        let cpus = std::thread::available_parallelism().map_or(0, usize::from);
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let document = json!({
            "command": std::env::args().skip(1).collect::<Vec<_>>(),
            "machine": { "cpus": cpus, "kernel": kernel.trim() },
            "ours": ours,
            "rows": rows,
        });
        let text = serde_json::to_string_pretty(&document).map_err(|error| error.to_string())?;
        std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn row(&self, (row, figures): &(Row, Figures)) -> Value {
        let columns = self.columns.iter().zip(&figures.0);
        let columns: serde_json::Map<String, Value> = columns
            .map(|(column, values)| {
                (
                    column.clone(),
                    json!({ "median": median(values), "rounds": values }),
                )
            })
            .collect();
        let better = match row.better {
            Better::More => "more",
            Better::Less => "less",
        };
        json!({
            "key": row.key,
            "figure": row.title.trim(),
            "better": better,
            "columns": columns,
        })
    }
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        len if len % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// Three digits are more than such a machine can tell apart.
fn short(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 1.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

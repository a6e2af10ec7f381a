//! `switchboard sockets [PID]`: the table of a run's sockets.

use std::fmt::Write as _;

use crate::control::{AskError, Row, RunReport, ask, runs};
use crate::flags::SocketsFlags;
use crate::{DONE, FAILED, say};

/// Prints it; the exit code.
pub(crate) fn main(flags: &SocketsFlags) -> u8 {
    let pids = match flags.pid {
        Some(pid) => vec![pid],
        None => runs(),
    };
    let mut shown = 0;
    for pid in pids {
        match show(pid, flags.json) {
            Ok(text) => {
                let gap = if shown > 0 && !flags.json { "\n" } else { "" };
                print!("{gap}{text}");
                shown += 1;
            }
            // One whose relay was killed leaves its file behind.
            Err(AskError::NoRun(_)) if flags.pid.is_none() => {}
            Err(error) => {
                say::error(error);
                return FAILED;
            }
        }
    }
    if shown == 0 {
        say::error("no run is under way: switchboard run -- CMD starts one");
        return FAILED;
    }
    DONE
}

fn show(pid: u32, json: bool) -> Result<String, AskError> {
    let body = ask(pid, "/sockets")?;
    if json {
        return Ok(String::from_utf8_lossy(&body).into_owned() + "\n");
    }
    let report: RunReport<Row> = serde_json::from_slice(&body)
        .map_err(|error| AskError::NoAnswer(pid, error.to_string()))?;
    Ok(table(&report))
}

/// The table of `SCREENS.md` section 3, which the built-in page has too.
fn table(report: &RunReport<Row>) -> String {
    let head = ["PROGRAM", "SOCKET", "TALKS TO", "STATE"].map(str::to_owned);
    let rows = report.sockets.iter().map(|row| {
        let protocol = row.endpoint.split("://").next().unwrap_or_default();
        let peer = match &row.peer {
            Some(peer) => format!("{protocol}://{peer}"),
            None => "anyone".to_owned(),
        };
        [
            row.program.clone(),
            row.endpoint.clone(),
            peer,
            row.state.clone(),
        ]
    });
    let rows: Vec<[String; 4]> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2)];
    let mut text = format!("Sockets of run {}: {}\n", report.pid, report.command);
    for [program, socket, peer, state] in &rows {
        let [a, b, c] = widths;
        let _ = writeln!(
            text,
            "  {program:<a$}   {socket:<b$}   {peer:<c$}   {state}"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lines_up() {
        let row = |program: &str, endpoint: &str, peer: Option<&str>, state: &str| Row {
            program: program.to_owned(),
            endpoint: endpoint.to_owned(),
            peer: peer.map(str::to_owned),
            state: state.to_owned(),
        };
        let report = RunReport {
            pid: 48110,
            command: "npm start".to_owned(),
            age_ms: 12,
            sockets: vec![
                row(
                    "curl[48213]",
                    "tcp://10.0.2.100:41866",
                    Some("10.0.2.4:80"),
                    "ESTABLISHED",
                ),
                row("(built in)", "tcp://10.0.2.4:80", None, "LISTEN"),
            ],
        };
        insta::assert_snapshot!(table(&report));
    }
}

//! `switchboard sockets [PID|NAME]`: the table of a run's sockets.

use std::fmt::Write as _;

use crate::control::{self, AskError, RunReport};
use crate::flags::SocketsFlags;
use crate::{DONE, FAILED, say};

/// Prints it; the exit code.
pub(crate) fn main(flags: &SocketsFlags) -> u8 {
    match control::wait_for(show(flags)) {
        Ok(text) => {
            print!("{text}");
            DONE
        }
        Err(error) => {
            say::error(error);
            FAILED
        }
    }
}

async fn show(flags: &SocketsFlags) -> Result<String, AskError> {
    let run = control::find(flags.run.as_ref()).await?;
    if flags.json {
        let body = run.get_bytes("/sockets").await?;
        return Ok(String::from_utf8_lossy(&body).into_owned() + "\n");
    }
    Ok(table(&run.get("/sockets").await?))
}

/// The table of `SCREENS.md` section 3, which the built-in page has too.
fn table(report: &RunReport) -> String {
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
    let run = &report.run;
    let name = run.name.as_deref();
    let name = name.map_or_else(String::new, |name| format!(" ({name})"));
    let mut text = format!("Sockets of run {}{name}: {}\n", run.pid, run.command);
    for [program, socket, peer, state] in &rows {
        let [a, b, c] = widths;
        let _ = writeln!(
            text,
            "  {program:<a$}   {socket:<b$}   {peer:<c$}   {state}"
        );
    }
    for published in &report.published {
        let (listen, port) = (&published.listen, published.port);
        let _ = writeln!(text, "{listen} is the program's port {port}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{Published, Row, RunInfo};

    #[test]
    fn the_table_lines_up() {
        let row = |program: &str, endpoint: &str, peer: Option<&str>, state: &str| Row {
            program: program.to_owned(),
            endpoint: endpoint.to_owned(),
            peer: peer.map(str::to_owned),
            state: state.to_owned(),
            ..Row::default()
        };
        let report = RunReport {
            run: RunInfo {
                pid: 48110,
                name: Some("app".to_owned()),
                command: "npm start".to_owned(),
                age_ms: 12,
                agent: Some(48111),
                map_root: false,
                record: None,
            },
            published: vec![Published {
                listen: "tcp://127.0.0.1:8080".to_owned(),
                port: 80,
            }],
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

//! A screen as lines, of what is known and what was chosen: nothing else decides.

use std::path::Path;
use std::time::Duration;

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;

use super::figures::{clock, cut, octets, rate, rate_in_words, round_trip};
use super::inside;
use super::model::{Snapshot, Socket};
use super::story::{headline, steps, wrapped};
use super::ui::{Screen, Ui};

/// Columns that the screens are made for; more are given to the remote end.
const COLUMNS: usize = 80;
/// Columns of the remote end.
const REMOTE: usize = 22;
/// Columns of a program's name and its process id together.
const PROGRAM: usize = 14;
/// Lines that are no sockets: four above with the columns' names, and seven below.
const AROUND: usize = 12;
/// Lines below the table that tell of the selected socket.
const STORY: usize = 5;

const HELP: &str = "
Each line is one socket of the run: one exact endpoint of a conversation.

  RTT    round trip of the far half, from this machine's own socket
  RS     segments that the far half sent again
  DOWN   bits per second that the program receives; UP: that it sends

A call that failed stays for 10 s, a conversation that is over for 3 s.

  Up Down PgUp PgDn Home End   choose a socket
  Enter   look inside: both halves of the conversation, its first packets
  /       show only sockets with this in their line; Esc shows all again
  s       sort by rate, rtt, resent, program, newest
  f       freeze, and go on
  q       leave; the run goes on

The same once, for scripts: switchboard sockets --json";

/// The lines of a screen of `width` columns and `height` lines.
pub(super) fn view(
    snapshot: &Snapshot,
    ui: &mut Ui,
    (width, height): (usize, usize),
) -> Vec<Line<'static>> {
    let rows = ui.rows(snapshot);
    let selected = ui.select(&rows);
    let mut lines = match &ui.screen {
        Screen::Table => table(snapshot, ui, &rows, (width, height)),
        Screen::Inside(found) => {
            let key = ui.selected.as_ref();
            let socket = snapshot.sockets.iter().find(|row| Some(&row.key()) == key);
            let text = inside::lines(socket, found.as_deref(), width);
            screen(
                snapshot,
                ui,
                text,
                "Enter back  f freeze  q quit",
                (width, height),
            )
        }
        Screen::Help => {
            let text = HELP.lines().map(str::to_owned).collect();
            screen(snapshot, ui, text, "Enter back  q quit", (width, height))
        }
    };
    if ui.screen == Screen::Table {
        ui.first = first_row(ui.first, selected, height.saturating_sub(AROUND));
    }
    lines.truncate(height);
    lines
}

/// The first row that is shown, so that the selected one is among them.
fn first_row(first: usize, selected: usize, room: usize) -> usize {
    first.min(selected).max((selected + 1).saturating_sub(room))
}

/// A screen that is text between the first line and that of the keys.
fn screen(
    snapshot: &Snapshot,
    ui: &Ui,
    text: Vec<String>,
    keys: &str,
    (width, height): (usize, usize),
) -> Vec<Line<'static>> {
    let mut lines = vec![bold(title(snapshot, ui, width))];
    lines.extend(text.into_iter().map(|line| Line::from(cut(&line, width))));
    lines.truncate(height.saturating_sub(1));
    lines.resize(height.saturating_sub(1), Line::default());
    lines.push(bold(cut(keys, width)));
    lines
}

fn table(
    snapshot: &Snapshot,
    ui: &Ui,
    rows: &[&Socket],
    (width, height): (usize, usize),
) -> Vec<Line<'static>> {
    let room = height.saturating_sub(AROUND);
    let selected = rows.iter().position(|row| Some(row.key()) == ui.selected);
    let first = first_row(ui.first, selected.unwrap_or(0), room);
    let remote = REMOTE + width.saturating_sub(COLUMNS);
    let mut lines = vec![
        bold(title(snapshot, ui, width)),
        Line::from(cut(&totals(snapshot), width)),
        Line::from(cut(&settings(snapshot), width)),
        Line::default(),
        bold(cut(&columns(remote), width)),
    ];
    for (number, socket) in rows.iter().enumerate().skip(first).take(room) {
        let is_selected = selected == Some(number);
        let text = cut(&row(socket, is_selected, remote), width);
        lines.push(Line::styled(text, style(socket, is_selected)));
    }
    lines.resize(height.saturating_sub(STORY + 2), Line::default());
    lines.push(Line::default());
    let chosen = selected.and_then(|number| rows.get(number));
    let mut story = chosen.map_or_else(Vec::new, |socket| {
        let mut story = vec![cut(&headline(socket), width)];
        story.extend(wrapped(&steps(socket), width));
        story
    });
    story.truncate(STORY);
    story.resize(STORY, String::new());
    lines.extend(story.into_iter().map(Line::from));
    lines.push(bold(cut(&keys(ui), width)));
    lines
}

/// The first line: which run, how long, and whether what is seen is now.
fn title(snapshot: &Snapshot, ui: &Ui, width: usize) -> String {
    let run = &snapshot.run;
    let state = match (snapshot.ended, ui.frozen) {
        (true, _) => "ended",
        (false, true) => "frozen",
        (false, false) => "live",
    };
    let up = clock(Duration::from_millis(run.age_ms));
    let right = format!("up {up}  1 s  {state}");
    let name = run.name.as_deref();
    let name = name.map_or_else(String::new, |name| format!(" {name}"));
    let left = format!("switchboard top     run {}{name}: {}", run.pid, run.command);
    let room = width.saturating_sub(right.len() + 2);
    format!("{:<room$}  {right}", cut(&left, room))
}

fn totals(snapshot: &Snapshot) -> String {
    let sockets = &snapshot.sockets;
    let sum = |of: fn(&Socket) -> Option<u64>| sockets.iter().filter_map(of).sum::<u64>();
    let refused = sockets.iter().filter(|row| row.row.state == "REFUSED");
    let count = sockets.len();
    format!(
        "{count} socket{}   down {}   up {}   {} resent   {} refused",
        if count == 1 { "" } else { "s" },
        rate_in_words(sum(|row| row.down)),
        rate_in_words(sum(|row| row.up)),
        sum(|row| row.row.resent),
        refused.count()
    )
}

fn settings(snapshot: &Snapshot) -> String {
    let name = |path: &str| {
        let name = Path::new(path).file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    };
    let record = match (&snapshot.run.record, snapshot.recorded) {
        (None, _) => "none".to_owned(),
        (Some(path), None) => name(path),
        (Some(path), Some(len)) => format!("{} {}", name(path), octets(len)),
    };
    format!("shape none   policy none   record {record}")
}

fn columns(remote: usize) -> String {
    format!(
        "  PROGRAM    PID PRO LOCAL {:<remote$} STATE       RTT RS  DOWN    UP",
        "REMOTE"
    )
}

fn row(socket: &Socket, is_selected: bool, remote: usize) -> String {
    let mark = if is_selected { '>' } else { ' ' };
    let (name, pid) = socket.program();
    let room = PROGRAM.saturating_sub(pid.len() + 1);
    let name = cut(name, room);
    let to = match socket.remote() {
        Some(to) => fit(&to, remote),
        None => "(listening)".to_owned(),
    };
    let resent = socket
        .row
        .resent
        .map_or_else(|| "-".to_owned(), |count| count.min(99).to_string());
    format!(
        "{mark} {name:<room$} {pid} {:<3} {:>5} {to:<remote$} {:<9} {:>5} {resent:>2} {:>5} {:>5}",
        socket.protocol(),
        socket.local_port(),
        socket.state(),
        round_trip(socket.row.rtt_us),
        rate(socket.down),
        rate(socket.up),
    )
}

/// Name or address with its port: the port is never cut off.
fn fit(remote: &str, width: usize) -> String {
    if remote.chars().count() <= width {
        return remote.to_owned();
    }
    let (host, port) = remote.rsplit_once(':').unwrap_or((remote, ""));
    let room = width.saturating_sub(port.len() + 1);
    format!("{}:{port}", cut(host, room))
}

fn keys(ui: &Ui) -> String {
    if ui.editing {
        return format!("/ {}_   Enter keeps it  Esc shows all", ui.filter);
    }
    let filter = match ui.filter.as_str() {
        "" => String::new(),
        filter => format!(": {filter}"),
    };
    let sort = ui.sort.name();
    format!("Enter look inside  / filter{filter}  s sort: {sort}  f freeze  ? help  q quit")
}

fn bold(text: String) -> Line<'static> {
    Line::styled(text, Style::new().add_modifier(Modifier::BOLD))
}

/// Colour says again what words say: nobody needs it.
fn style(socket: &Socket, is_selected: bool) -> Style {
    let mut style = Style::new();
    if std::env::var_os("NO_COLOR").is_none() && socket.has_failed() {
        style = style.fg(Color::Red);
    }
    if socket.row.ended_ms.is_some() && !socket.has_failed() {
        style = style.add_modifier(Modifier::DIM);
    }
    match is_selected {
        true => style.add_modifier(Modifier::BOLD),
        false => style,
    }
}

#[cfg(test)]
mod tests;

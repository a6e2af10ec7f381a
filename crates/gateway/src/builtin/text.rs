//! The page as plain text, for curl.

use std::fmt::{self, Write};

use switchboard_wire::Endpoint;
use switchboard_wire::line::Layout;

use super::page::Page;
use crate::registry::SocketRow;

/// The page in columns.
pub(super) fn render(page: &Page) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let written = write(page, &mut text);
    debug_assert!(written.is_ok(), "a string takes everything");
    text
}

fn write(page: &Page, out: &mut String) -> fmt::Result {
    writeln!(out, "You have reached one exact desk.\n")?;
    let ends = [("your socket", &page.you), ("this socket", &page.this)];
    let width = ends.iter().map(|(_, end)| end.socket.to_string().len());
    let width = width.max().unwrap_or(0) + 3;
    for (label, end) in ends {
        let socket = end.socket.to_string();
        writeln!(out, "  {label}   {socket:width$}{}", in_words(&end.socket))?;
        writeln!(out, "                held by {}", end.held_by)?;
    }
    write!(out, "  state         {}", page.state)?;
    if let Some(rtt) = page.rtt_words() {
        write!(out, ", round trip {rtt}")?;
    }
    writeln!(out, ", {}", page.resent_words())?;
    if !page.lines.is_empty() {
        writeln!(out)?;
    }
    for line in &page.lines {
        let packet = line.text(Layout::WIDE);
        let (ms, arrow) = (line.millis(), line.arrow());
        writeln!(out, "  {ms:.2} ms  {arrow}  {}", packet.trim_end())?;
    }
    writeln!(out, "\nSockets of this run")?;
    table(&page.sockets, out)?;
    if page.sockets_not_listed > 0 {
        writeln!(out, "  and {} more", page.sockets_not_listed)?;
    }
    Ok(())
}

/// `10.0.2.100 + port 41866 + TCP`.
pub(super) fn in_words(endpoint: &Endpoint) -> String {
    let (ip, port) = (endpoint.address.ip(), endpoint.address.port());
    let protocol = endpoint.protocol.to_string().to_ascii_uppercase();
    format!("{ip} + port {port} + {protocol}")
}

/// The other end of a row, as an endpoint.
pub(super) fn talks_to(row: &SocketRow) -> String {
    match row.peer {
        None => "anyone".to_owned(),
        Some(address) => {
            let protocol = row.endpoint.protocol;
            Endpoint { protocol, address }.to_string()
        }
    }
}

fn table(rows: &[SocketRow], out: &mut String) -> fmt::Result {
    let header = ["PROGRAM", "SOCKET", "TALKS TO", "STATE"].map(str::to_owned);
    let mut lines = vec![header];
    lines.extend(rows.iter().map(|row| {
        [
            row.program.to_string(),
            row.endpoint.to_string(),
            talks_to(row),
            row.state.to_string(),
        ]
    }));
    let mut widths = [0; 4];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.len().max(*width);
        }
    }
    let [program, socket, peer, _] = widths.map(|width| width + 3);
    for [a, b, c, d] in &lines {
        writeln!(out, "  {a:program$}{b:socket$}{c:peer$}{d}")?;
    }
    Ok(())
}

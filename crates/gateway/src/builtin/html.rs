//! The page for browsers: what a socket is, told with the visitor's own.

use std::fmt::{self, Display, Write};

use switchboard_wire::Endpoint;
use switchboard_wire::line::Layout;

use super::page::{End, Page};
use super::text::{in_words, talks_to};
use crate::registry::SocketRow;

/// Self-contained: no script, no asset from elsewhere; light or dark as the reader likes it.
const STYLE: &str = include_str!("page.css");

/// Text that cannot be mistaken for markup.
struct Escaped<T>(T);

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.to_string().chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// The whole page.
pub(super) fn render(page: &Page) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let written = write(page, &mut out);
    debug_assert!(written.is_ok(), "a string takes everything");
    out
}

fn write(page: &Page, out: &mut String) -> fmt::Result {
    writeln!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>One exact desk: {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>",
        Escaped(&page.this.socket)
    )?;
    hero(page, out)?;
    what_it_is(page, out)?;
    steps(page, out)?;
    sockets(page, out)?;
    writeln!(
        out,
        "<footer>Served by axum on Switchboard\u{2019}s own sockets: no kernel socket was used on \
         this side. The same page as text: <code>curl {url}</code>; for programs: \
         <code>curl -H 'accept: application/json' {url}</code></footer>\n</main>\n</body>\n</html>",
        url = Escaped(url(page)),
    )
}

/// Where this page is.
fn url(page: &Page) -> String {
    match &page.name {
        Some(name) => format!("http://{name}/"),
        None => format!("http://{}/", page.this.socket.address),
    }
}

fn hero(page: &Page, out: &mut String) -> fmt::Result {
    writeln!(
        out,
        "<header>\n<p class=\"brand\">Switchboard</p>\n\
         <h1>You have reached one exact desk.</h1>\n\
         <p class=\"lead\">This conversation has two ends. Each end is a <em>socket</em>, and \
         these are the two of them, right now.</p>\n</header>\n\
         <section class=\"ends\" aria-label=\"The two sockets of this conversation\">"
    )?;
    end("Your socket", &page.you, out)?;
    writeln!(
        out,
        "<div class=\"line\" role=\"img\" aria-label=\"connected, {state}\">\
         <span class=\"state\">{state}</span><span class=\"wire\"></span>\
         <span class=\"facts\">{rtt}{resent}</span></div>",
        state = Escaped(&page.state),
        rtt = page
            .rtt_words()
            .map_or(String::new(), |rtt| format!("round trip {rtt}<br>")),
        resent = Escaped(page.resent_words()),
    )?;
    end("This socket", &page.this, out)?;
    writeln!(out, "</section>")
}

fn end(label: &str, end: &End, out: &mut String) -> fmt::Result {
    writeln!(
        out,
        "<div class=\"end\">\n<h2>{label}</h2>\n<p class=\"endpoint\">{}</p>\n\
         <p>{}</p>\n<p class=\"holder\">held by <strong>{}</strong></p>\n</div>",
        Escaped(&end.socket),
        Escaped(in_words(&end.socket)),
        Escaped(&end.held_by),
    )
}

fn what_it_is(page: &Page, out: &mut String) -> fmt::Result {
    let you = page.you.socket.address;
    writeln!(
        out,
        "<section>\n<h2>What a socket is</h2>\n\
         <p>A socket is one endpoint of a network conversation: an IP address, a port and a \
         protocol. It turns raw networking into app-to-app communication.</p>\n\
         <dl class=\"parts\">\n\
         <div><dt>{ip}</dt><dd><b>The address: which building.</b> It gets the packets to the \
         right machine, and no further: a machine runs many programs.</dd></div>\n\
         <div><dt>port {port}</dt><dd><b>The port: which desk.</b> It gets them to the right \
         program on that machine. Yours was picked for this one conversation; ours, \
         {our_port}, is where everybody looks for a web server.</dd></div>\n\
         <div><dt>{protocol}</dt><dd><b>The protocol: which rules.</b> TCP promises that what \
         is sent arrives, once and in order, or that you are told. UDP promises \
         nothing and starts at once.</dd></div>\n</dl>\n</section>",
        ip = Escaped(you.ip()),
        port = you.port(),
        our_port = page.this.socket.address.port(),
        protocol = protocol(&page.you.socket),
    )
}

fn protocol(endpoint: &Endpoint) -> String {
    endpoint.protocol.to_string().to_ascii_uppercase()
}

fn steps(page: &Page, out: &mut String) -> fmt::Result {
    let this = page.this.socket.address;
    let (ip, port) = (Escaped(this.ip()), this.port());
    writeln!(
        out,
        "<section>\n<h2>The six steps of this very conversation</h2>\n<ol class=\"steps\">"
    )?;
    let caller = Escaped(&page.you.held_by);
    let url = Escaped(url(page));
    step(
        out,
        "Someone wants to call",
        &format!("<b>{caller}</b> asked for <code>{url}</code>."),
    )?;
    let building = match &page.name {
        Some(name) => format!(
            "The directory (DNS) said: <b>{}</b> is <code>{ip}</code>.",
            Escaped(name)
        ),
        None => format!("The address was given: <code>{ip}</code>. Nobody had to be asked."),
    };
    step(out, "Which building? The IP address", &building)?;
    let desk = match port {
        80 => "<code>http://</code> without a number means port <code>80</code>.".to_owned(),
        port => format!("Port <code>{port}</code>."),
    };
    step(out, "Which desk? The port", &desk)?;
    step(
        out,
        "Which rules? The protocol",
        "<code>http://</code> is spoken over TCP: reliable, in order, with a start and an end.",
    )?;
    step(
        out,
        "The line is put through",
        &format!(
            "Three packets, then two sockets are one connection.{}",
            packets(page)
        ),
    )?;
    step(
        out,
        "The conversation",
        "You are reading it. Both ends may speak at once, until each has hung up.",
    )?;
    writeln!(out, "</ol>\n</section>")
}

fn step(out: &mut String, title: &str, body: &str) -> fmt::Result {
    writeln!(out, "<li><h3>{title}</h3><div>{body}</div></li>")
}

fn packets(page: &Page) -> String {
    if page.lines.is_empty() {
        return String::new();
    }
    let mut text = String::from("<pre class=\"packets\" tabindex=\"0\">");
    for line in &page.lines {
        let class = if line.arrow() == "->" { "out" } else { "in" };
        text.push_str(&format!(
            "<span class=\"{class}\">{:.2} ms  {}  {}</span>\n",
            line.millis(),
            Escaped(line.arrow()),
            Escaped(line.text(Layout::WIDE).trim_end()),
        ));
    }
    text + "</pre><p class=\"hint\"><code>-&gt;</code> left your program, <code>&lt;-</code> came \
            to it; numbers start at 0 on each side.</p>"
}

fn sockets(page: &Page, out: &mut String) -> fmt::Result {
    writeln!(
        out,
        "<section>\n<h2>All sockets of this run</h2>\n\
         <p>A program holds as many as it has conversations. These are all that \
         crossed this switchboard of late.</p>\n<div class=\"scroll\" tabindex=\"0\">\n<table>\n\
         <thead><tr><th>Program</th><th>Socket</th><th>Talks to</th><th>State</th>\
         <th class=\"num\">Round trip</th><th class=\"num\">Down</th><th class=\"num\">Up</th></tr>\
         </thead>\n<tbody>"
    )?;
    for row in &page.sockets {
        self::row(page, row, out)?;
    }
    writeln!(out, "</tbody>\n</table>\n</div>")?;
    if page.sockets_not_listed > 0 {
        writeln!(out, "<p>and {} more</p>", page.sockets_not_listed)?;
    }
    writeln!(out, "</section>")
}

fn row(page: &Page, row: &SocketRow, out: &mut String) -> fmt::Result {
    let is_yours = row.endpoint == page.you.socket && row.peer == Some(page.this.socket.address);
    let class = match (is_yours, row.state.is_live()) {
        (true, _) => "yours",
        (_, true) => "live",
        (_, false) => "gone",
    };
    let name = match &row.peer_name {
        Some(name) => format!("<br><small>{}</small>", Escaped(name)),
        None => String::new(),
    };
    let rtt = row.rtt.map_or("\u{2013}".to_owned(), |rtt| {
        format!("{:.2} ms", rtt.as_secs_f64() * 1000.0)
    });
    writeln!(
        out,
        "<tr class=\"{class}\"><td>{}</td><td><code>{}</code></td><td><code>{}</code>{name}</td>\
         <td><span class=\"tag\">{}</span></td><td class=\"num\">{rtt}</td>\
         <td class=\"num\">{}</td><td class=\"num\">{}</td></tr>",
        Escaped(&row.program),
        Escaped(&row.endpoint),
        Escaped(talks_to(row)),
        row.state,
        octets(row.received),
        octets(row.sent),
    )
}

/// `512`, `1.2 k`, `3.4 M`: octets as people read them.
fn octets(count: u64) -> String {
    const UNITS: [&str; 5] = ["", "k", "M", "G", "T"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    match UNITS.get(unit) {
        Some(&"") | None => count.to_string(),
        Some(unit) => format!("{value:.1} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_programs_call_themselves_is_no_markup() {
        let name = Escaped("<script>'\"&");
        assert_eq!(name.to_string(), "&lt;script&gt;&#39;&quot;&amp;");
    }

    #[test]
    fn octets_are_short() {
        assert_eq!(octets(999), "999");
        assert_eq!(octets(61_440), "61.4 k");
        assert_eq!(octets(3_400_000_000), "3.4 G");
    }
}

//! The telling: six steps, word for word the same for every conversation.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use switchboard::net::TcpStream;
use switchboard::{ConnectError, SocketError};
use switchboard_gateway::Refused;
use switchboard_wire::line::{Layout, Relative, Side};
use switchboard_wire::{Endpoint, Instant};

use super::destination::{Destination, Host};
use super::directory::{self, Answer, Lookup};
use super::network::Network;
use super::packets::{SeenSegment, arrow, first_line};
use super::page;
use crate::{say, words};

/// Lines of step 6 before its middle is left out.
const LINES_MAX: usize = 16;
/// Columns of a line.
const COLUMNS: usize = 80;
/// How long a page may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the last packets of a goodbye may take.
const GOODBYE: Duration = Duration::from_millis(500);

/// One conversation that is being told.
pub(super) struct Story<'a> {
    network: &'a Network,
    destination: &'a Destination,
    timeout: Duration,
    /// Where times count from.
    began: Instant,
}

impl<'a> Story<'a> {
    pub(super) fn new(
        network: &'a Network,
        destination: &'a Destination,
        timeout: Duration,
    ) -> Self {
        Self {
            network,
            destination,
            timeout,
            began: network.net().clock().now(),
        }
    }

    /// Holds the conversation and tells it. `None`: it failed, and it was told how.
    pub(super) async fn tell(&self) -> Option<Bytes> {
        let destination = self.destination;
        tell("");
        tell("1  Someone wants to call.");
        tell(format_args!(
            "   You asked for the page {}",
            destination.url
        ));
        tell("");
        tell("2  Which building? The IP address.");
        let address = self.building().await?;
        tell("");
        tell("3  Which desk? The port.");
        if destination.port_is_written {
            tell(format_args!("   You wrote it: port {}.", destination.port));
        } else {
            tell("   http:// without a number means port 80.");
        }
        tell("");
        tell("4  Which rules? The protocol.");
        tell("   http:// is spoken over TCP: reliable, in order, with a start and an end.");
        tell("");
        let from = self.network.log().totals().packets;
        let far = SocketAddr::new(address, destination.port);
        let stream = self.line(from, far).await?;
        self.talk(from, stream, far).await
    }

    /// Step 2: the address.
    async fn building(&self) -> Option<IpAddr> {
        match &self.destination.host {
            Host::Address(address) => {
                tell(format_args!("   You wrote it: {address}."));
                Some(*address)
            }
            Host::ThisMachine => {
                let gateway = self.network.gateway();
                tell(format_args!(
                    "   {} is this machine; from in here it is {gateway}.",
                    self.destination.host_text
                ));
                Some(gateway)
            }
            Host::Name(name) => self.ask_the_directory(name).await,
        }
    }

    async fn ask_the_directory(&self, name: &str) -> Option<IpAddr> {
        let network = self.network;
        let from = network.log().totals().packets;
        let asked = directory::look_up(network.net(), network.program(), network.directory(), name);
        let lookups = match asked.await {
            Ok(lookups) => lookups,
            Err(error) => {
                tell(format_args!("   The directory cannot be asked: {error}."));
                return None;
            }
        };
        for lookup in &lookups {
            self.tell_lookup(from, name, lookup);
        }
        match lookups.last().map(|lookup| &lookup.answer) {
            Some(Answer::Addresses(found)) if !found.is_empty() => {
                tell(format_args!(
                    "   The directory (DNS) says: {name} is {}.",
                    found[0]
                ));
                Some(found[0])
            }
            Some(Answer::NoSuchName) => {
                tell(format_args!(
                    "   NO SUCH NAME. The directory has no {name} (NXDOMAIN)."
                ));
                None
            }
            Some(Answer::CouldNot(why)) => {
                tell(format_args!(
                    "   NO ANSWER. The directory could not find out: {why}."
                ));
                None
            }
            _ => {
                tell(format_args!(
                    "   NO SUCH NAME. The directory has no address of {name}."
                ));
                None
            }
        }
    }

    /// The two datagrams of a question.
    fn tell_lookup(&self, from: usize, name: &str, lookup: &Lookup) {
        for seen in self.network.log().since(from) {
            let Some((source, destination)) = seen.datagram() else {
                continue;
            };
            if source != lookup.near && destination != lookup.near {
                continue;
            }
            let record_type = lookup.record_type;
            let said = match (&lookup.answer, seen.from) {
                (_, Side::Near) => format!("{record_type}? {name}"),
                (Answer::Addresses(found), Side::Far) if found.is_empty() => {
                    format!("no {record_type}")
                }
                (Answer::Addresses(found), Side::Far) => format!("{record_type} {}", found[0]),
                (Answer::NoSuchName, Side::Far) => "NXDOMAIN".to_owned(),
                (Answer::CouldNot(why), Side::Far) => why.clone(),
            };
            tell(format_args!(
                "{}  {}  udp {source} > {destination}   {said}",
                self.time(seen.at),
                arrow(seen.from),
            ));
        }
    }

    /// Step 5: the line is put through.
    async fn line(&self, from: usize, far: SocketAddr) -> Option<TcpStream> {
        tell("5  The line is put through: three packets, then two sockets are one connection.");
        let connect = self.network.net().tcp_connect(far);
        let stream = match tokio::time::timeout(self.timeout, connect).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                self.tell_packets(from, None, far, |_| true);
                self.tell_refusal(far, &error);
                return None;
            }
            Err(_) => {
                self.tell_packets(from, None, far, |_| true);
                tell(format_args!(
                    "   NO ANSWER from {} in {:.1} s. The machine is off, or drops us",
                    far.ip(),
                    self.timeout.as_secs_f32()
                ));
                tell("   silently. You stopped waiting.");
                return None;
            }
        };
        // The handshake's own packets: everything before the first octet of text.
        self.tell_packets(from, stream.local_addr().ok(), far, |_| true);
        self.tell_sockets(&stream, far);
        Some(stream)
    }

    fn tell_refusal(&self, far: SocketAddr, error: &io::Error) {
        let (building, desk) = (far.ip(), far.port());
        // The gateway knows more than the error number, and says it as `run --explain` does.
        match self.network.refused(far) {
            None | Some(Refused::NobodyThere) => {}
            Some(why) => return tell_wrapped(&words::refused(&why, building, desk, "You")),
        }
        match SocketError::of(error) {
            Some(SocketError::Connect {
                why: ConnectError::Refused,
                ..
            }) => {
                tell(format_args!(
                    "   REFUSED. The building {building} is there, but nobody answers at"
                ));
                tell(format_args!(
                    "   desk {desk}. You were told: connection refused (ECONNREFUSED)."
                ));
                if self.destination.is_built_in() && desk != 80 {
                    tell("");
                    tell("Desk 80 answers there:   switchboard open http://switchboard.internal/");
                }
            }
            _ => tell(format_args!("   NO LINE to {building}: {error}.")),
        }
    }

    fn tell_sockets(&self, stream: &TcpStream, far: SocketAddr) {
        let Ok(near) = stream.local_addr() else {
            return;
        };
        let (near_name, far_name) = (
            Endpoint::tcp(near).to_string(),
            Endpoint::tcp(far).to_string(),
        );
        let width = near_name.len().max(far_name.len()) + 3;
        let built_in = self.network.is_built_in(far.ip());
        let holder = if built_in {
            "the built-in web server"
        } else {
            "whoever answers there"
        };
        tell("");
        let line = |what: &str, name: &str, endpoint: SocketAddr, holder: &str| {
            let parts = format!("{} + port {} + TCP", endpoint.ip(), endpoint.port());
            // Both in 80 columns; long IPv6 endpoints take a line of their own.
            let first = format!("   {what}  {name:width$}");
            let column = 3 + "your socket".len() + 2 + width;
            if first.len() + parts.len() <= 80 {
                tell(format_args!("{first}{parts}"));
                tell(format_args!("{:column$}held by {holder}", ""));
            } else {
                tell(first.trim_end());
                tell(format_args!("{:16}{parts}, held by {holder}", ""));
            }
        };
        line(
            "your socket",
            &near_name,
            near,
            &format!("switchboard[{}]", std::process::id()),
        );
        line("its socket ", &far_name, far, holder);
        if let Some(took) = self.network.beyond(far) {
            tell("");
            tell(format_args!(
                "   beyond       {far_name} through this machine's own kernel, connected"
            ));
            tell(format_args!(
                "                in {}. The packets above are those between you and us.",
                milliseconds(took)
            ));
        }
        tell("");
    }

    /// Step 6: the conversation.
    async fn talk(&self, from: usize, stream: TcpStream, far: SocketAddr) -> Option<Bytes> {
        tell("6  The conversation.");
        let near = stream.local_addr().ok()?;
        let log = self.network.log();
        let told = self.handshake_end(from, near, far);
        let fetching = page::fetch(stream, self.destination);
        let fetched = tokio::time::timeout(PATIENCE, fetching).await;
        let _ = tokio::time::timeout(GOODBYE, log.over()).await;
        self.tell_packets(from, Some(near), far, |number| number >= told);
        let received = log.totals().received;
        match fetched {
            Ok(Ok(page)) => {
                self.tell_page(from, near, far, &page);
                return Some(page.body);
            }
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionReset => {
                tell(format_args!(
                    "   CUT OFF by the desk after {received} bytes received. You were told:"
                ));
                tell("   connection reset by peer (ECONNRESET).");
            }
            Ok(Err(error)) => tell(format_args!("   The conversation failed: {error}.")),
            Err(_) => tell(format_args!(
                "   NO END: after {received} bytes the desk fell silent. You hung up."
            )),
        }
        None
    }

    /// The summary, and where to go from here.
    fn tell_page(&self, from: usize, near: SocketAddr, far: SocketAddr, page: &page::Page) {
        let totals = self.network.log().totals();
        let len = page.body.len() as u64;
        let status = page.status;
        tell("");
        tell(format_args!(
            "{status}: {len} bytes of {} after {} bytes of headers (--body prints them).",
            page.content_type,
            totals.received.saturating_sub(len),
        ));
        let resent = match totals.resent {
            0 => "none lost, none sent again".to_owned(),
            resent => format!("{resent} sent again"),
        };
        let round_trip = self
            .round_trip(from, near, far)
            .map(|took| format!(" Round trip {}.", milliseconds(took)))
            .unwrap_or_default();
        tell(format_args!(
            "{} UDP and {} TCP packets, {resent}.{round_trip}",
            totals.udp, totals.tcp
        ));
        if self.destination.is_built_in() {
            tell("");
            tell("Nobody at that desk:    switchboard open http://switchboard.internal:81/");
            tell("No answer whatsoever:   switchboard open http://silent.switchboard.internal/");
            tell("The rest, in 8 stops:   switchboard tour");
        }
    }

    /// From our SYN to its answer.
    fn round_trip(&self, from: usize, near: SocketAddr, far: SocketAddr) -> Option<Duration> {
        let seen = self.network.log().since(from);
        let syn_of = |side| {
            seen.iter()
                .filter(|seen| seen.from == side)
                .filter_map(|seen| seen.segment(near, far))
                .find(|segment| segment.header.flags.syn())
                .map(|segment| segment.seen.at)
        };
        let (asked, answered) = (syn_of(Side::Near)?, syn_of(Side::Far)?);
        Some(answered.saturating_since(asked))
    }

    /// The number of the first packet behind the handshake.
    fn handshake_end(&self, from: usize, near: SocketAddr, far: SocketAddr) -> usize {
        let seen = self.network.log().since(from);
        seen.iter()
            .filter_map(|seen| seen.segment(near, far))
            .take_while(|segment| segment.text.is_empty() && !segment.header.flags.fin())
            .last()
            .map_or(from, |segment| segment.seen.number + 1)
    }

    /// The packets between two endpoints whose number passes `wanted`; the middle of a long
    /// list is left out. Without `near`, those of the first caller of `far`.
    fn tell_packets(
        &self,
        from: usize,
        near: Option<SocketAddr>,
        far: SocketAddr,
        wanted: impl Fn(usize) -> bool,
    ) {
        let log = self.network.log().since(from);
        let mut relative = Relative::new();
        let mut lines = Vec::new();
        let mut near = near;
        for seen in &log {
            near = near.or_else(|| seen.caller_of(far));
            let Some(segment) = near.and_then(|near| seen.segment(near, far)) else {
                continue;
            };
            relative.observe(seen.from, &segment.header);
            if wanted(seen.number) {
                lines.push((seen.number, self.packet_line(&relative, &segment)));
            }
        }
        let left_out = lines.len().saturating_sub(LINES_MAX);
        let (head, tail) = if left_out > 1 {
            (LINES_MAX / 2, LINES_MAX / 2)
        } else {
            (lines.len(), 0)
        };
        for (_, line) in lines.iter().take(head) {
            tell(line);
        }
        if let (Some((first, _)), Some((last, _))) = (
            lines.get(head.wrapping_sub(1)),
            lines.get(lines.len() - tail),
        ) && tail > 0
        {
            tell(format_args!(
                "            ... {} packets more ...",
                last - first - 1
            ));
        }
        for (_, line) in lines.iter().skip(lines.len() - tail) {
            tell(line);
        }
    }

    fn packet_line(&self, relative: &Relative, segment: &SeenSegment<'_>) -> String {
        let flags = segment.header.flags;
        let from = segment.seen.from;
        let note = match from {
            Side::Near if flags.fin() => "you hang up",
            Side::Far if flags.fin() => "the desk hangs up",
            _ if relative.relative(from, segment.header.seq) == 1 => first_line(segment.text),
            _ => "",
        };
        let line = relative.line(from, &segment.header, segment.text.len());
        let line = line.laid_out(Layout::WIDE, note);
        format!(
            "{}  {}  {}",
            self.time(segment.seen.at),
            arrow(from),
            line.trim_end()
        )
    }

    /// The column of times: `   0.31 ms`.
    fn time(&self, at: Instant) -> String {
        format!("{:>10}", milliseconds(at.saturating_since(self.began)))
    }
}

/// One line of the story.
/// Words of [`words`] as indented lines.
fn tell_wrapped(text: &str) {
    let mut line = String::from("  ");
    for word in text.split(' ') {
        if line.len() + 1 + word.len() > COLUMNS {
            tell(&line);
            line = String::from("  ");
        }
        line.push(' ');
        line += word;
    }
    tell(line);
}

fn tell(line: impl std::fmt::Display) {
    say::story(line);
}

/// `0.31 ms`: milliseconds with two digits behind the point.
fn milliseconds(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1e3)
}

//! Stop 6: reliable and not, over the same bad line.

use switchboard_sim::scenario::notes::{Notes, NotesReport};
use switchboard_sim::trace::Rung;
use switchboard_sim::{Failure, Seed};

use super::Page;

pub(super) fn tell(seed: Seed, page: &mut Page) -> Result<(), Box<Failure>> {
    let notes = Notes::default();
    let udp = notes.over_udp(seed)?;
    let tcp = notes.over_tcp(seed)?;
    page.line("1000 numbered notes, one each millisecond, over a line of 20 ms each way that");
    page.line(format_args!(
        "loses 1 packet in 10. Simulated line, our real stacks, seed {}.",
        seed.0
    ));
    page.gap();
    page.line("       notes   arrived   missing   in order   packets   sent again   last at");
    row(page, "UDP", &notes, &udp);
    row(page, "TCP", &notes, &tcp);
    page.gap();
    page.line(format_args!(
        "UDP does not wait and does not look back: {} notes are gone.",
        notes.count - udp.arrived
    ));
    if let Some(story) = tcp.a_note_sent_again() {
        tell_recovery(page, &notes, &story);
    }
    Ok(())
}

fn row(page: &mut Page, name: &str, notes: &Notes, report: &NotesReport) {
    let missing = notes.count - report.arrived;
    let in_order = if report.in_order { "yes" } else { "no" };
    let again = report.sent_again;
    page.line(format_args!(
        "  {name}{:>7}{:>10}{missing:>10}   {in_order:<8}{:>10}{again:>13}    {:.2} s",
        notes.count,
        report.arrived,
        report.packets,
        report.last_at.as_nanos() as f64 / 1e9,
    ));
}

/// The lost note and how it was noticed: at most six lines.
fn tell_recovery(page: &mut Page, notes: &Notes, story: &[Rung]) {
    let number = story
        .first()
        .and_then(|rung| number_after(&rung.line, "seq="))
        .map_or(0, |seq| (seq - 1) / notes.len as u64 + 1);
    page.line(format_args!("TCP noticed. Note {number}, for example:"));
    let (reports, sendings): (Vec<_>, Vec<_>) = story.iter().partition(|rung| !rung.is_outgoing);
    for rung in sendings
        .iter()
        .take(1)
        .chain(&reports[..reports.len().min(4)])
    {
        page.line(rung_line(rung, notes, number));
    }
    for rung in sendings.iter().skip(1).take(2) {
        page.line(rung_line(rung, notes, number));
    }
}

fn rung_line(rung: &Rung, notes: &Notes, number: u64) -> String {
    let arrow = if rung.is_outgoing { "->" } else { "<-" };
    let remark = match number_after(&rung.line, "sack=").filter(|_| !rung.is_outgoing) {
        Some(_) => {
            let came = rung
                .line
                .split("sack=")
                .nth(1)
                .and_then(|blocks| blocks.split([',', ' ']).next())
                .and_then(|block| number_after(block, "-"))
                .map_or(0, |end| (end - 1) / notes.len as u64);
            format!("{came} came, not {number}")
        }
        None => rung.remark.clone(),
    };
    let line = rung.line.split_whitespace().collect::<Vec<_>>();
    let flags = line.first().copied().unwrap_or_default();
    let field = |name: &str| {
        line.iter()
            .find(|word| word.starts_with(name))
            .copied()
            .unwrap_or_default()
    };
    let rest = if rung.is_outgoing {
        field("len=")
    } else {
        field("sack=")
    };
    let rest = rest.split(',').next().unwrap_or_default();
    format!(
        "{:>5} ms  {arrow}  {flags:<9}{:<10}{:<10}{rest:<18}{remark}",
        rung.at.as_millis(),
        field("seq="),
        field("ack="),
    )
}

/// The number behind a word of a line.
fn number_after(line: &str, word: &str) -> Option<u64> {
    let rest = line.split_once(word)?.1;
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    rest.get(..end)?.parse().ok()
}

//! What happened beside what was claimed.

use std::fmt;

use super::run::{Actual, What};
use super::{Item, Script, Sent, Step};
use crate::notation::time;

/// Something else happened than the script claims.
#[derive(Clone, Debug)]
pub struct Mismatch {
    script: Script,
    actual: Vec<Actual>,
    /// The first place where the two differ.
    differs_at: usize,
}

/// Compares line by line.
pub(super) fn compare(script: &Script, actual: &[Actual]) -> Result<(), Box<Mismatch>> {
    let same = script
        .items
        .iter()
        .zip(actual)
        .take_while(|(item, actual)| agrees(item, actual))
        .count();
    if same == script.items.len() && same == actual.len() {
        return Ok(());
    }
    Err(Box::new(Mismatch {
        script: script.clone(),
        actual: actual.to_vec(),
        differs_at: same,
    }))
}

fn agrees(item: &Item, actual: &Actual) -> bool {
    if item.at != actual.at || actual.complaint.is_some() {
        return false;
    }
    match (&item.step, &actual.what) {
        (Step::News(claimed), What::News(heard)) => claimed == heard,
        (
            Step::Sent(Sent::Segment { port, line }),
            What::Segment {
                port: actual_port,
                line: actual_line,
            },
        ) => port == actual_port && line.is_met_by(actual_line),
        (Step::Sent(Sent::Other(claimed)), What::Other(sent)) => is_met(claimed, sent),
        (Step::Call(_) | Step::Peer(_) | Step::End | Step::Idle, What::Input(source)) => {
            *source == item.source
        }
        _ => false,
    }
}

/// Word for word; a claimed word that ends in `*` leaves its rest open (`id=*`).
fn is_met(claimed: &str, sent: &str) -> bool {
    let (claimed, sent): (Vec<&str>, Vec<&str>) =
        (claimed.split(' ').collect(), sent.split(' ').collect());
    claimed.len() == sent.len()
        && claimed
            .iter()
            .zip(&sent)
            .all(|(claimed, sent)| match claimed.strip_suffix('*') {
                Some(start) => sent.starts_with(start),
                None => claimed == sent,
            })
}

impl Mismatch {
    /// The script as it would have to be for what happened.
    #[must_use]
    pub fn rewritten(&self) -> String {
        let mut lines = self.script.head.clone();
        let mut items = self.script.items.iter().peekable();
        for actual in &self.actual {
            match &actual.what {
                What::Input(source) => {
                    // Claims that were not met end here; their comments stay.
                    for item in items.by_ref() {
                        lines.extend(item.comments.iter().cloned());
                        if item.source == *source && is_input(&item.step) {
                            break;
                        }
                    }
                    lines.push(source.clone());
                }
                _ => match items.next_if(|item| agrees(item, actual)) {
                    Some(item) => {
                        lines.extend(item.comments.iter().cloned());
                        lines.push(item.source.clone());
                    }
                    None => lines.push(actual.to_string()),
                },
            }
        }
        lines.extend(self.script.tail.iter().cloned());
        let mut text = lines.join("\n");
        text.push('\n');
        text
    }
}

const fn is_input(step: &Step) -> bool {
    matches!(step, Step::Call(_) | Step::Peer(_) | Step::End | Step::Idle)
}

impl fmt::Display for Actual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = time(self.at);
        match &self.what {
            What::Input(source) => f.write_str(source)?,
            What::News(news) => write!(f, "{at:>8}  app  {news}")?,
            What::Segment { port, line } => {
                let port = port.map_or(String::new(), |port| format!("port={port} "));
                let text = line.to_string();
                write!(f, "{at:>8}  ->   {port}{}", text.trim_end())?;
            }
            What::Other(text) => write!(f, "{at:>8}  ->   {text}")?,
        }
        match &self.complaint {
            Some(complaint) => write!(f, "  # {complaint}"),
            None => Ok(()),
        }
    }
}

/// Both ladders in full, and a mark where they part.
impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let claimed: Vec<String> = self
            .script
            .items
            .iter()
            .map(|item| item.source.trim_end().to_owned())
            .collect();
        let happened: Vec<String> = self.actual.iter().map(ToString::to_string).collect();
        writeln!(f, "{}: the ladder does not hold", self.script.name)?;
        for (title, lines) in [("claimed", &claimed), ("happened", &happened)] {
            writeln!(f, "  {title}:")?;
            for (index, line) in lines.iter().enumerate() {
                let mark = if index == self.differs_at { ">>" } else { "  " };
                writeln!(f, "  {mark} {line}")?;
            }
            if lines.len() <= self.differs_at {
                writeln!(f, "  >> (nothing more)")?;
            }
        }
        Ok(())
    }
}

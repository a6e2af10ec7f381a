//! What is promised beside what was measured.

use std::fmt::Write;

use crate::table::Table;

/// How the two figures must stand.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wanted {
    AtLeast(f64),
    AtMost(f64),
}

/// What ours is compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Against {
    /// The same row of another network.
    Other(&'static str),
    /// The best of slirp4netns in these rows.
    Slirp4netns(&'static [&'static str]),
    /// A number; the ratio is the figure itself.
    Number,
    /// The difference to the bare kernel.
    Above,
}

struct Promise {
    text: &'static str,
    key: &'static str,
    against: Against,
    wanted: Wanted,
}

const TAP: Against = Against::Other("pasta, tap");

#[rustfmt::skip]
const PROMISES: &[Promise] = &[
    promise("into the program, 1 flow, over pasta's tap", "in 1", TAP, Wanted::AtLeast(1.2)),
    promise("into the program, 8 flows, over pasta's tap", "in 8", TAP, Wanted::AtLeast(1.2)),
    promise("out of it, over slirp4netns at MTU 65520", "out 1 mtu=65520", Against::Other("slirp4netns"), Wanted::AtLeast(3.0)),
    promise("out of it, over pasta's spliced loopback", "out 1", Against::Other("pasta, spliced"), Wanted::AtLeast(0.4)),
    promise("out of it, Mbit/s", "out 1", Against::Number, Wanted::AtLeast(20_000.0)),
    promise("out at MTU 1500, over slirp4netns at 1500", "out 1 mtu=1500", Against::Other("slirp4netns"), Wanted::AtLeast(5.0)),
    promise("in at MTU 1500, over slirp4netns at 1500", "in 1 mtu=1500", Against::Other("slirp4netns"), Wanted::AtLeast(5.0)),
    promise("CPU per GB out, over pasta's tap", "out 1 cpu", TAP, Wanted::AtMost(1.0)),
    promise("CPU per GB in, over pasta's tap", "in 1 cpu", TAP, Wanted::AtMost(1.0)),
    promise("CPU per GB out, over slirp4netns's best", "out 1 cpu", Against::Slirp4netns(&["out 1 cpu", "out 1 mtu=1500 cpu", "out 1 mtu=65520 cpu"]), Wanted::AtMost(0.5)),
    promise("CPU per GB in, over slirp4netns's best", "in 1 cpu", Against::Slirp4netns(&["in 1 cpu", "in 1 mtu=1500 cpu", "in 1 mtu=65520 cpu"]), Wanted::AtMost(0.5)),
    promise("request/response per s, over pasta's tap", "exchange", TAP, Wanted::AtLeast(1.0)),
    promise("CPU per request, over pasta's tap", "exchange cpu", TAP, Wanted::AtMost(1.5)),
    promise("CPU in the second after the last one, ms", "exchange after", Against::Number, Wanted::AtMost(2.0)),
    promise("connections per s, over pasta's tap", "connect", TAP, Wanted::AtLeast(1.5)),
    promise("start-up, over pasta's", "start", TAP, Wanted::AtMost(1.0 / 3.0)),
    promise("start-up beyond bare `unshare`, ms", "start", Against::Above, Wanted::AtMost(20.0)),
    promise("UDP out at 300 Mbit/s, loss beyond pasta's, %", "udp out 1400 paced loss", Against::Above, Wanted::AtMost(0.0)),
    promise("UDP in at 300 Mbit/s, loss beyond pasta's, %", "udp in 1400 paced loss", Against::Above, Wanted::AtMost(0.0)),
    promise("10,000 idle flows: open", "idle 10000 opened", Against::Number, Wanted::AtLeast(10_000.0)),
    promise("10,000 idle flows: seconds until they stand", "idle 10000 seconds", Against::Number, Wanted::AtMost(3.0)),
    promise("10,000 idle flows: KiB for each", "idle 10000 each", Against::Number, Wanted::AtMost(4.0)),
    promise("one unread byte each: KiB more", "idle 10000 unread", Against::Number, Wanted::AtMost(1.0)),
];

const fn promise(
    text: &'static str,
    key: &'static str,
    against: Against,
    wanted: Wanted,
) -> Promise {
    Promise {
        text,
        key,
        against,
        wanted,
    }
}

impl Promise {
    /// The number that is judged; nothing where a row or a network is not there.
    fn measured(&self, table: &Table, ours: &str) -> Option<f64> {
        let own = table.median(self.key, ours)?;
        match self.against {
            Against::Number => Some(own),
            Against::Other(name) => Some(own / table.median(self.key, name)?),
            Against::Slirp4netns(keys) => {
                let all = keys
                    .iter()
                    .filter_map(|key| table.median(key, "slirp4netns"));
                Some(own / all.min_by(f64::total_cmp)?)
            }
            Against::Above => {
                // What is lost is lost beyond pasta's; what takes time, beyond the kernel's.
                let base = if self.key.ends_with("loss") {
                    "pasta, tap"
                } else {
                    "bare kernel"
                };
                Some(own - table.median(self.key, base)?)
            }
        }
    }
}

/// The promises as a table of Markdown, for what has been measured.
pub(crate) fn render(table: &Table, ours: &str) -> String {
    let mut text = String::from("| promised | wanted | measured | |\n|---|---:|---:|---|\n");
    let (mut met, mut all) = (0, 0);
    for promise in PROMISES {
        let Some(measured) = promise.measured(table, ours) else {
            continue;
        };
        let (wanted, is_met) = match promise.wanted {
            Wanted::AtLeast(least) => (format!(">= {}", number(least)), measured >= least),
            Wanted::AtMost(most) => (format!("<= {}", number(most)), measured <= most),
        };
        all += 1;
        met += usize::from(is_met);
        let word = if is_met { "met" } else { "**not met**" };
        let _ = writeln!(
            text,
            "| {} | {wanted} | {} | {word} |",
            promise.text,
            number(measured)
        );
    }
    let _ = write!(text, "\n{met} of {all} met.");
    text
}

fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 100.0 => format!("{value:.0}"),
        _ => format!("{value:.2}"),
    }
}

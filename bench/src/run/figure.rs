//! What is measured: each figure, the rows that it gives, and who can show it.

use super::launcher::Kind as Network;
use crate::load::Kind as Load;
use crate::table::{Better, Row};

/// Megabits per second of a paced load, where datagrams are large enough for it.
const PACED_MBIT: u32 = 300;

/// Datagrams per second of a paced load of small ones.
const PACED_SMALL: u32 = 20_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Out,
    In,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Figure {
    Bulk {
        direction: Direction,
        flows: usize,
        /// Of the link, where the launcher can choose.
        mtu: Option<u32>,
    },
    Datagrams {
        direction: Direction,
        size: usize,
        paced: bool,
    },
    Exchange,
    Connect,
    Latency(Direction),
    Idle {
        flows: usize,
    },
    Start,
}

/// Figures that are asked for together.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    Out,
    In,
    Udp,
    Exchange,
    Connect,
    Latency,
    Idle,
    Start,
}

/// Everything; with `quick` what shows in two minutes that nothing is broken.
pub(crate) fn all(quick: bool) -> Vec<Figure> {
    let directions = [Direction::Out, Direction::In];
    let (flows, mtus): (&[usize], &[Option<u32>]) = match quick {
        true => (&[1, 8], &[None]),
        false => (&[1, 8, 64], &[None, Some(1_500), Some(65_520)]),
    };
    let mut figures = Vec::new();
    for direction in directions {
        for mtu in mtus {
            let bulk = |flows: &usize| Figure::Bulk {
                direction,
                flows: *flows,
                mtu: *mtu,
            };
            figures.extend(flows.iter().map(bulk));
        }
    }
    let sizes: &[usize] = if quick {
        &[1_400]
    } else {
        &[64, 1_400, 60_000]
    };
    for paced in [true, false] {
        for direction in directions {
            let datagrams = |size: &usize| Figure::Datagrams {
                direction,
                size: *size,
                paced,
            };
            // A flood from outside measures the sender's socket.
            if paced || direction == Direction::Out {
                figures.extend(sizes.iter().map(datagrams));
            }
        }
    }
    figures.extend([Figure::Exchange, Figure::Connect]);
    if !quick {
        figures.extend(directions.map(Figure::Latency));
    }
    let flows = if quick { 1_000 } else { 10_000 };
    figures.extend([Figure::Idle { flows }, Figure::Start]);
    figures
}

impl Figure {
    pub(crate) fn group(self) -> Group {
        match self {
            Self::Bulk { direction, .. } => match direction {
                Direction::Out => Group::Out,
                Direction::In => Group::In,
            },
            Self::Datagrams { .. } => Group::Udp,
            Self::Exchange => Group::Exchange,
            Self::Connect => Group::Connect,
            Self::Latency(_) => Group::Latency,
            Self::Idle { .. } => Group::Idle,
            Self::Start => Group::Start,
        }
    }

    /// Whether it can be measured there, and means something.
    pub(crate) fn fits(self, network: Network) -> bool {
        match self {
            // Loopback has the MTU that it has.
            Self::Bulk { mtu, .. } => {
                mtu.is_none() || !matches!(network, Network::Kernel | Network::PastaSpliced)
            }
            // microsocks carries none; and tun2proxy does not end with its program.
            Self::Datagrams { .. } | Self::Start => network != Network::Tun2proxy,
            Self::Exchange | Self::Connect | Self::Latency(_) | Self::Idle { .. } => true,
        }
    }

    /// More than this many rounds show nothing more.
    pub(crate) fn rounds(self) -> usize {
        match self {
            Self::Idle { .. } => 1,
            _ => usize::MAX,
        }
    }

    /// What the program inside does.
    pub(crate) fn load(self) -> Load {
        use Direction::{In, Out};
        match self {
            Self::Bulk { direction: Out, .. } => Load::Out,
            Self::Bulk { direction: In, .. } => Load::In,
            Self::Datagrams { direction: Out, .. } => Load::DatagramsOut,
            Self::Datagrams { direction: In, .. } => Load::DatagramsIn,
            Self::Exchange | Self::Start => Load::Exchange,
            Self::Connect => Load::Connect,
            Self::Latency(Out) => Load::LatencyOut,
            Self::Latency(In) => Load::LatencyIn,
            Self::Idle { .. } => Load::Idle,
        }
    }

    /// Datagrams per second; 0 is as many as can be.
    pub(crate) fn pace(self) -> u32 {
        match self {
            Self::Datagrams {
                paced: true, size, ..
            } => PACED_SMALL.min(PACED_MBIT * 1_000_000 / 8 / size as u32),
            _ => 0,
        }
    }

    pub(crate) fn title(self) -> String {
        self.rows()[0].title.clone()
    }

    /// Its rows, in the order of its values.
    pub(crate) fn rows(self) -> Vec<Row> {
        use Better::{Less, More};
        let row = |key: &str, title: &str, better| Row {
            key: key.to_owned(),
            title: title.to_owned(),
            better,
        };
        match self {
            Self::Bulk {
                direction,
                flows,
                mtu,
            } => {
                let key = bulk_key(direction, flows, mtu);
                let plural = if flows == 1 { "" } else { "s" };
                let link = mtu.map_or_else(String::new, |mtu| format!(", MTU {mtu}"));
                let way = match direction {
                    Direction::Out => "out of the program",
                    Direction::In => "into it",
                };
                let title = format!("TCP {way}, {flows} flow{plural}{link}, Mbit/s");
                vec![
                    row(&key, &title, More),
                    row(&format!("{key} cpu"), "  helper's CPU, s per GB", Less),
                ]
            }
            Self::Datagrams { .. } => self.datagram_rows(),
            Self::Exchange => vec![
                row("exchange", "TCP request/response per s", More),
                row("exchange cpu", "  helper's CPU, us per request", Less),
                row(
                    "exchange after",
                    "  helper's CPU in the second after, ms",
                    Less,
                ),
            ],
            Self::Connect => vec![
                row("connect", "connect, 1 byte, close per s", More),
                row("connect cpu", "  helper's CPU, us each", Less),
            ],
            Self::Latency(direction) => {
                let (key, beside) = match direction {
                    Direction::Out => ("out", "an upload"),
                    Direction::In => ("in", "a download"),
                };
                [50, 90, 99]
                    .map(|percent| {
                        let title = format!("exchange beside {beside}, {percent}%, us");
                        row(&format!("latency {key} {percent}"), &title, Less)
                    })
                    .into()
            }
            Self::Idle { flows } => {
                let row = |key: &str, title: &str, better| Row {
                    key: format!("idle {flows} {key}"),
                    title: title.to_owned(),
                    better,
                };
                vec![
                    row("opened", &format!("of {flows} flows opened"), More),
                    row("seconds", "  seconds until they stand", Less),
                    row("mib 0", "  helper's MiB with no flow", Less),
                    row("mib 1000", "  helper's MiB with 1,000", Less),
                    row("mib all", "  helper's MiB with all", Less),
                    row("each", "  KiB for each", Less),
                    row("unread", "  KiB more with one unread byte", Less),
                ]
            }
            Self::Start => vec![row("start", "start-up of `true`, ms", Less)],
        }
    }

    fn datagram_rows(self) -> Vec<Row> {
        let Self::Datagrams {
            direction,
            size,
            paced,
        } = self
        else {
            return Vec::new();
        };
        let way = match direction {
            Direction::Out => "out",
            Direction::In => "in",
        };
        let loss = |title: String| Row {
            key: format!(
                "udp {way} {size} {} loss",
                if paced { "paced" } else { "flood" }
            ),
            title,
            better: Better::Less,
        };
        if paced {
            let rate = match size {
                64 => format!("{PACED_SMALL}/s"),
                _ => format!("{PACED_MBIT} Mbit/s"),
            };
            return vec![loss(format!("UDP {way}, {size} B at {rate}, loss in %"))];
        }
        vec![
            Row {
                key: format!("udp {way} {size} flood"),
                title: format!("UDP flood {way}, {size} B, received Mbit/s"),
                better: Better::More,
            },
            loss("  loss in %".to_owned()),
        ]
    }
}

/// What the verdict looks for.
pub(crate) fn bulk_key(direction: Direction, flows: usize, mtu: Option<u32>) -> String {
    let way = match direction {
        Direction::Out => "out",
        Direction::In => "in",
    };
    let link = mtu.map_or_else(String::new, |mtu| format!(" mtu={mtu}"));
    format!("{way} {flows}{link}")
}

//! Which ports are forwarded: the grammar of pasta's and passt's `-t`, `-u`, `-T` and `-U`.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;

/// What one direction of one protocol forwards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ports {
    #[default]
    None,
    /// What is listened to at the other side, but for these.
    Auto {
        excluded: Vec<RangeInclusive<u16>>,
    },
    These(Vec<Range>),
}

/// Consecutive ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    /// Where to listen; `None`: at every address.
    pub(crate) listen: Option<IpAddr>,
    pub(crate) ports: RangeInclusive<u16>,
    /// What `ports` begins with is there this port.
    pub(crate) target: u16,
    /// Not these.
    pub(crate) excluded: Vec<RangeInclusive<u16>>,
    /// As it was written.
    pub(crate) spec: String,
}

impl Range {
    /// Each port, and where it leads.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (u16, u16)> + '_ {
        let first = *self.ports.start();
        let ports = self
            .ports
            .clone()
            .filter(|port| !is_in(&self.excluded, *port));
        ports.map(move |port| (port, self.target + (port - first)))
    }
}

/// Whether a port is in one of these.
pub(crate) fn is_in(ranges: &[RangeInclusive<u16>], port: u16) -> bool {
    ranges.iter().any(|range| range.contains(&port))
}

/// What is wrong with a specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PortsError {
    Format(String),
    /// `none` and `auto` stand alone.
    Mixed(String),
    /// Interfaces, and all ports at once.
    Unsupported(String, &'static str),
}

impl fmt::Display for PortsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format(spec) => write!(f, "Invalid port specifier {spec}"),
            Self::Mixed(spec) => write!(f, "Port forwarding mode '{spec}' conflicts with another"),
            Self::Unsupported(spec, why) => write!(f, "{spec} is not supported: {why}"),
        }
    }
}

impl std::error::Error for PortsError {}

impl Ports {
    /// Reads all specifications of one option; without any it is `default`.
    pub(crate) fn parse(specs: &[String], default: Self) -> Result<Self, PortsError> {
        let mut all: Option<Self> = None;
        for spec in specs {
            let next = Self::parse_one(spec)?;
            all = Some(match (all, next) {
                (None, next) => next,
                (Some(Self::None), Self::None) => Self::None,
                (Some(Self::These(mut before)), Self::These(more)) => {
                    before.extend(more);
                    Self::These(before)
                }
                _ => return Err(PortsError::Mixed(spec.clone())),
            });
        }
        Ok(all.unwrap_or(default))
    }

    fn parse_one(spec: &str) -> Result<Self, PortsError> {
        match spec {
            "none" => return Ok(Self::None),
            "auto" => return Ok(Self::Auto { excluded: vec![] }),
            "all" => {
                let why = "name the ports";
                return Err(PortsError::Unsupported(spec.to_owned(), why));
            }
            _ => {}
        }
        let wrong = || PortsError::Format(spec.to_owned());
        let (listen, list) = match spec.rsplit_once('/') {
            None => (None, spec),
            Some((address, list)) => (Some(address), list),
        };
        if listen.is_some_and(|listen| listen.contains('%')) {
            let why = "no listening on one interface alone, name an address";
            return Err(PortsError::Unsupported(spec.to_owned(), why));
        }
        let listen = match listen {
            None => None,
            Some(address) => {
                let bare = address.trim_start_matches('[').trim_end_matches(']');
                Some(bare.parse().map_err(|_| wrong())?)
            }
        };
        let (mut ranges, mut excluded) = (Vec::new(), Vec::new());
        for part in list.split(',') {
            match part.strip_prefix('~') {
                Some(part) => excluded.push(range(part).ok_or_else(wrong)?),
                None => {
                    let (ports, target) = mapped(part).ok_or_else(wrong)?;
                    ranges.push((ports, target));
                }
            }
        }
        if ranges.is_empty() {
            if listen.is_some() {
                let why = "'all but' is for every address";
                return Err(PortsError::Unsupported(spec.to_owned(), why));
            }
            return Ok(Self::Auto { excluded });
        }
        let ranges = ranges.into_iter().map(|(ports, target)| Range {
            listen,
            ports,
            target,
            excluded: excluded.clone(),
            spec: spec.to_owned(),
        });
        Ok(Self::These(ranges.collect()))
    }
}

/// `PORT[-PORT][:PORT[-PORT]]`; both sides as long.
fn mapped(text: &str) -> Option<(RangeInclusive<u16>, u16)> {
    let (from, to) = text.split_once(':').unwrap_or((text, text));
    let (from, to) = (range(from)?, range(to)?);
    (from.len() == to.len()).then(|| (from.clone(), *to.start()))
}

/// `PORT[-PORT]`.
fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    let (first, last) = (port(first)?, port(last)?);
    (first <= last).then_some(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(spec: &str) -> Result<Ports, PortsError> {
        Ports::parse(&[spec.to_owned()], Ports::None)
    }

    fn pairs(spec: &str) -> Vec<(u16, u16)> {
        match parse(spec).unwrap() {
            Ports::These(ranges) => ranges.iter().flat_map(Range::pairs).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_manual_pages_examples() {
        assert_eq!(pairs("22"), [(22, 22)]);
        assert_eq!(pairs("22:23"), [(22, 23)]);
        assert_eq!(pairs("22,25"), [(22, 22), (25, 25)]);
        assert_eq!(pairs("22-24:32-34"), [(22, 32), (23, 33), (24, 34)]);
        assert_eq!(
            pairs("192.0.2.1/20-24,~22"),
            [(20, 20), (21, 21), (23, 23), (24, 24)]
        );
        assert_eq!(pairs("8000-8000:80-80"), [(8000, 80)]);
        assert_eq!(
            parse("~25"),
            Ok(Ports::Auto {
                excluded: vec![25..=25]
            })
        );
        assert_eq!(parse("auto"), Ok(Ports::Auto { excluded: vec![] }));
        assert_eq!(parse("none"), Ok(Ports::None));
        let Ok(Ports::These(ranges)) = parse("[::1]/5") else {
            panic!("an address of IPv6");
        };
        assert_eq!(ranges[0].listen, Some("::1".parse().unwrap()));
    }

    #[test]
    fn several_options_add_up_unless_they_contradict() {
        let both = |a: &str, b: &str| Ports::parse(&[a.to_owned(), b.to_owned()], Ports::None);
        assert!(matches!(both("22", "25"), Ok(Ports::These(all)) if all.len() == 2));
        assert_eq!(both("none", "none"), Ok(Ports::None));
        assert_eq!(both("none", "22"), Err(PortsError::Mixed("22".to_owned())));
        assert_eq!(
            both("22", "auto"),
            Err(PortsError::Mixed("auto".to_owned()))
        );
        let default = Ports::Auto { excluded: vec![] };
        assert_eq!(Ports::parse(&[], default.clone()), Ok(default));
    }

    #[test]
    fn what_is_not_in_the_grammar_is_refused() {
        for wrong in [
            "", "0", "65536", "5-3", "1-2:3-5", "a", "22,", "host/22", "22:", "-5",
        ] {
            assert_eq!(
                parse(wrong),
                Err(PortsError::Format(wrong.to_owned())),
                "{wrong}"
            );
        }
        for refused in ["all", "192.0.2.1%eth0/22", "192.0.2.1/~5"] {
            assert!(
                matches!(parse(refused), Err(PortsError::Unsupported(..))),
                "{refused}"
            );
        }
    }
}

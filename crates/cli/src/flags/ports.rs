//! Ports as people write them: `-p`, `--localhost`, and the changes of `set`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use switchboard_wire::Protocol;

/// Ports that one range may have: each costs a descriptor.
const RANGE_MAX: u16 = 1024;

/// What `-p` of `run` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PublishFlag {
    /// Whatever the program listens on.
    Auto,
    /// These.
    Ports(PortMap),
}

/// Ports of this machine that are the program's, one by one in the same order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PortMap {
    protocol: Protocol,
    address: IpAddr,
    outer: Range,
    inner: u16,
}

/// One port of this machine that is the program's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Publish {
    pub(crate) protocol: Protocol,
    pub(crate) listen: SocketAddr,
    pub(crate) port: u16,
}

/// Ports of the program's localhost that are this machine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LocalPorts {
    pub(crate) protocol: Protocol,
    range: Range,
}

/// What `set -p` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PublishChange {
    Add(PortMap),
    Remove(PortMap),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    first: u16,
    last: u16,
}

impl Range {
    fn count(self) -> u16 {
        // A range is not longer than `RANGE_MAX`.
        self.last - self.first + 1
    }
}

impl PortMap {
    /// Each port on its own.
    pub(crate) fn each(&self) -> impl Iterator<Item = Publish> + use<> {
        let map = *self;
        (0..map.outer.count()).map(move |offset| Publish {
            protocol: map.protocol,
            listen: SocketAddr::new(map.address, map.outer.first + offset),
            port: map.inner + offset,
        })
    }
}

impl LocalPorts {
    /// Each port on its own.
    pub(crate) fn each(&self) -> impl Iterator<Item = u16> + use<> {
        self.range.first..=self.range.last
    }
}

/// `auto`, or ports.
pub(crate) fn parse_publish(text: &str) -> Result<PublishFlag, String> {
    match text {
        "auto" => Ok(PublishFlag::Auto),
        text => parse_ports(text).map(PublishFlag::Ports),
    }
}

/// `[ADDR:]PORT[-PORT][:PORT[-PORT]][/tcp|/udp]`, as docker has it; one port alone is the same
/// port on both sides.
pub(crate) fn parse_ports(text: &str) -> Result<PortMap, String> {
    let (ports, protocol) = split_protocol(text)?;
    let (address, ports) = split_address(ports)?;
    let (here, inside) = ports.split_once(':').unwrap_or((ports, ports));
    let host_picks = here == "0" && here != inside;
    let outer = match host_picks {
        true => Range { first: 0, last: 0 },
        false => parse_range(here)?,
    };
    let wanted = parse_range(inside)?;
    // One port inside is where a range begins.
    if wanted.count() != outer.count() && wanted.count() != 1 {
        return Err(format!("{here} and {inside} are not as many ports"));
    }
    if wanted.first.checked_add(outer.count() - 1).is_none() {
        return Err(format!("{inside} and what follows is beyond port 65535"));
    }
    Ok(PortMap {
        protocol,
        address,
        outer,
        inner: wanted.first,
    })
}

/// `+PORTS` or `-PORTS`.
pub(crate) fn parse_change(text: &str) -> Result<PublishChange, String> {
    if let Some(ports) = text.strip_prefix('+') {
        return parse_ports(ports).map(PublishChange::Add);
    }
    match text.strip_prefix('-') {
        Some(ports) => parse_ports(ports).map(PublishChange::Remove),
        None => Err("write +8080:80 to publish, -8080:80 to take back".to_owned()),
    }
}

/// The text of a change, as the run that is asked reads it again.
pub(crate) fn checked_change(text: &str) -> Result<String, String> {
    parse_change(text).map(|_| text.to_owned())
}

/// `PORT[-PORT][/tcp|/udp]`.
pub(crate) fn parse_local_ports(text: &str) -> Result<LocalPorts, String> {
    let (ports, protocol) = split_protocol(text)?;
    let range = parse_range(ports)?;
    Ok(LocalPorts { protocol, range })
}

fn split_protocol(text: &str) -> Result<(&str, Protocol), String> {
    match text.rsplit_once('/') {
        None => Ok((text, Protocol::Tcp)),
        Some((ports, "tcp")) => Ok((ports, Protocol::Tcp)),
        Some((ports, "udp")) => Ok((ports, Protocol::Udp)),
        Some((_, other)) => Err(format!("{other} is neither tcp nor udp")),
    }
}

/// The address before the ports, loopback where there is none.
fn split_address(text: &str) -> Result<(IpAddr, &str), String> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, ports) = rest
            .split_once("]:")
            .ok_or("write IPv6 addresses as [ADDR]:PORT")?;
        let parsed = address
            .parse()
            .map_err(|_| format!("{address} is no address"))?;
        return Ok((parsed, ports));
    }
    let Some((first, ports)) = text.split_once(':') else {
        return Ok((Ipv4Addr::LOCALHOST.into(), text));
    };
    // `10.0.0.1:80` has two parts as `8080:80` has: only an address has dots.
    let is_address = first.contains('.') || ports.contains(':');
    match first.parse() {
        Ok(address) => Ok((address, ports)),
        Err(_) if is_address => Err(format!("{first} is no address")),
        Err(_) => Ok((Ipv4Addr::LOCALHOST.into(), text)),
    }
}

fn parse_range(text: &str) -> Result<Range, String> {
    let port = |text: &str| match text.parse() {
        Ok(0) | Err(_) => Err(format!("{text} is no port")),
        Ok(port) => Ok(port),
    };
    let (first, last) = match text.split_once('-') {
        None => (port(text)?, port(text)?),
        Some((first, last)) => (port(first)?, port(last)?),
    };
    if last < first {
        return Err(format!("{text} ends before it begins"));
    }
    if last - first >= RANGE_MAX {
        return Err(format!("{text} is more than {RANGE_MAX} ports"));
    }
    Ok(Range { first, last })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(text: &str) -> Vec<(String, u16)> {
        let ports = parse_ports(text).unwrap();
        let each = ports.each().map(|one| {
            let listen = one.listen;
            (format!("{}://{listen}", one.protocol), one.port)
        });
        each.collect()
    }

    fn one(listen: &str, port: u16) -> Vec<(String, u16)> {
        vec![(listen.to_owned(), port)]
    }

    #[test]
    fn published_ports_bind_loopback_unless_an_address_is_given() {
        assert_eq!(published("8080:80"), one("tcp://127.0.0.1:8080", 80));
        assert_eq!(published("80"), one("tcp://127.0.0.1:80", 80));
        assert_eq!(published("0:80"), one("tcp://127.0.0.1:0", 80));
        assert_eq!(published("192.0.2.1:80"), one("tcp://192.0.2.1:80", 80));
        assert_eq!(published("0.0.0.0:8080:80"), one("tcp://0.0.0.0:8080", 80));
        assert_eq!(published("[::1]:5353:53/udp"), one("udp://[::1]:5353", 53));
        assert_eq!(published("[::]:53/udp"), one("udp://[::]:53", 53));
    }

    #[test]
    fn ranges_are_published_one_by_one() {
        let expected = |pairs: &[(u16, u16)]| -> Vec<_> {
            let pairs = pairs.iter();
            pairs
                .map(|(outer, inner)| (format!("tcp://127.0.0.1:{outer}"), *inner))
                .collect()
        };
        assert_eq!(
            published("8000-8001"),
            expected(&[(8000, 8000), (8001, 8001)])
        );
        let shifted = expected(&[(8000, 80), (8001, 81)]);
        assert_eq!(published("8000-8001:80-81"), shifted);
        assert_eq!(published("8000-8001:80"), shifted);
    }

    #[test]
    fn published_ports_that_make_no_sense_are_named() {
        for (text, said) in [
            ("0", "0 is no port"),
            ("8080:0", "0 is no port"),
            ("8080:http", "http is no port"),
            ("x:8080:80", "x is no address"),
            ("300.0.0.1:80", "300.0.0.1 is no address"),
            ("::1:80", " is no address"),
            ("[::1]", "write IPv6 addresses as [ADDR]:PORT"),
            ("8080:80/sctp", "sctp is neither tcp nor udp"),
            ("81-80", "81-80 ends before it begins"),
            ("1-2000", "1-2000 is more than 1024 ports"),
            ("80-82:80-81", "80-82 and 80-81 are not as many ports"),
            ("80:80-81", "80 and 80-81 are not as many ports"),
            ("80-82:65534", "65534 and what follows is beyond port 65535"),
        ] {
            assert_eq!(parse_ports(text), Err(said.to_owned()), "{text}");
        }
    }

    #[test]
    fn changes_begin_with_their_sign() {
        let ports = parse_ports("8080:80").unwrap();
        assert_eq!(parse_change("+8080:80"), Ok(PublishChange::Add(ports)));
        assert_eq!(parse_change("-8080:80"), Ok(PublishChange::Remove(ports)));
        assert!(parse_change("8080:80").is_err());
        assert!(parse_change("+auto").is_err());
    }

    #[test]
    fn localhost_takes_ranges_and_udp() {
        let ports = parse_local_ports("53/udp").unwrap();
        assert_eq!(ports.protocol, Protocol::Udp);
        assert_eq!(ports.each().collect::<Vec<_>>(), [53]);
        let ports = parse_local_ports("8000-8002").unwrap();
        assert_eq!(ports.protocol, Protocol::Tcp);
        assert_eq!(ports.each().collect::<Vec<_>>(), [8000, 8001, 8002]);
        assert!(parse_local_ports("127.0.0.1:53").is_err());
    }
}

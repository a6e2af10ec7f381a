//! Who listens in a network namespace: `/proc/self/net` of a process in it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// States of `/proc/net/tcp` and `/proc/net/udp` (`tcp_states.h`): listening, and not connected.
const LISTEN: &str = "0A";
const CLOSE: &str = "07";

/// Listeners that are told; more are left out.
const LISTENERS_MAX: usize = 700;

/// The ports that clients get by themselves, where the kernel does not say.
const EPHEMERAL: (u16, u16) = (32_768, 60_999);

/// Ports that somebody listens to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Listening {
    pub(super) tcp: Vec<Listener>,
    pub(super) udp: Vec<Listener>,
}

/// A port that somebody listens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Listener {
    pub(super) port: u16,
    pub(super) reach: Reach,
}

/// Who can call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Reach {
    /// Everybody.
    Anybody,
    /// Who is there too.
    Loopback,
    /// Who knows its one address.
    Address,
}

impl Listening {
    /// Of this process's network namespace.
    pub(super) fn read() -> Self {
        let text = |name: &str| std::fs::read_to_string(format!("/proc/self/net/{name}"));
        let listeners = |names: [&str; 2], state| {
            let texts = names.map(|name| text(name).unwrap_or_default());
            let lines = texts.iter().flat_map(|text| text.lines().skip(1));
            let mut all: Vec<Listener> = lines.filter_map(|line| listener(line, state)).collect();
            all.sort_unstable();
            all.dedup();
            all.truncate(LISTENERS_MAX);
            all
        };
        let mut listening = Self {
            tcp: listeners(["tcp", "tcp6"], LISTEN),
            udp: listeners(["udp", "udp6"], CLOSE),
        };
        // A client that asks one question has a port too, for a moment.
        let (first, last) = ephemeral();
        listening
            .udp
            .retain(|known| known.port < first || known.port > last);
        listening
    }
}

fn ephemeral() -> (u16, u16) {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    let text = text.unwrap_or_default();
    let mut numbers = text.split_ascii_whitespace().map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(first)), Some(Ok(last))) => (first, last),
        _ => EPHEMERAL,
    }
}

/// `sl local_address rem_address st ...`
fn listener(line: &str, wanted: &str) -> Option<Listener> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (address, port) = fields.next()?.split_once(':')?;
    let (_, remote_port) = fields.next()?.split_once(':')?;
    if fields.next()? != wanted || remote_port != "0000" {
        return None;
    }
    let address = address_of(address)?.to_canonical();
    let reach = if address.is_unspecified() {
        Reach::Anybody
    } else if address.is_loopback() {
        Reach::Loopback
    } else {
        Reach::Address
    };
    let port = u16::from_str_radix(port, 16)
        .ok()
        .filter(|port| *port > 0)?;
    Some(Listener { port, reach })
}

/// Words of 32 bits, each in the machine's order.
fn address_of(text: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let word = u32::from_str_radix(text.get(at * 8..at * 8 + 8)?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    match text.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let octets: [u8; 16] = words.concat().try_into().ok()?;
            Some(Ipv6Addr::from(octets).into())
        }
        _ => None,
    }
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use super::*;

    #[test]
    fn lines_of_proc_net_are_read() {
        let tcp = |line| listener(line, LISTEN);
        let found = |port, reach| Some(Listener { port, reach });
        assert_eq!(
            tcp("   0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000"),
            found(8080, Reach::Anybody)
        );
        assert_eq!(
            tcp("   1: 0100007F:0016 00000000:0000 0A"),
            found(22, Reach::Loopback)
        );
        assert_eq!(
            tcp(
                "   2: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A"
            ),
            found(80, Reach::Loopback)
        );
        assert_eq!(
            tcp(
                "   3: 0000000000000000FFFF00000100007F:0050 00000000000000000000000000000000:0000 0A"
            ),
            found(80, Reach::Loopback)
        );
        assert_eq!(
            tcp("   4: 020200C0:0050 00000000:0000 0A"),
            found(80, Reach::Address)
        );
        assert_eq!(
            tcp("   5: 0100007F:0016 0100007F:9C40 01"),
            None,
            "a connection"
        );
        assert_eq!(tcp("nonsense"), None);
    }
}

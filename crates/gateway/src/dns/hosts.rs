//! The host's table of names (hosts(5)): what its own programs find before they ask a server.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Names and addresses of the table.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    by_name: HashMap<String, Vec<IpAddr>>,
    /// The first name of each address: the canonical one.
    by_address: HashMap<IpAddr, String>,
}

impl Hosts {
    /// `ADDRESS NAME [NAME...]` on each line; what follows `#` is a comment.
    pub(super) fn parse(text: &str) -> Self {
        let mut hosts = Self::default();
        for line in text.lines() {
            let line = line.split_once('#').map_or(line, |(line, _)| line);
            let mut words = line.split_ascii_whitespace();
            // A link-local address with a zone is no address of a record.
            let address = words.next().and_then(|word| word.parse::<IpAddr>().ok());
            let Some(address) = address else { continue };
            for name in words {
                let name = name.trim_end_matches('.').to_ascii_lowercase();
                let first = hosts.by_address.entry(address);
                first.or_insert_with(|| name.clone());
                let addresses = hosts.by_name.entry(name).or_default();
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
        }
        hosts
    }

    /// The addresses of `name`, in small letters and without the last dot; none: it is not there.
    pub(super) fn addresses(&self, name: &str) -> Option<&[IpAddr]> {
        self.by_name.get(name).map(Vec::as_slice)
    }

    /// The name of the address that a reverse name (RFC 1035 section 3.5, RFC 3596 section 2.5)
    /// stands for.
    pub(super) fn name_of_reverse(&self, reverse: &str) -> Option<&str> {
        let address = reversed(reverse)?;
        self.by_address.get(&address).map(String::as_str)
    }
}

/// `4.2.0.10.in-addr.arpa` and the nibbles of `ip6.arpa`.
fn reversed(name: &str) -> Option<IpAddr> {
    if let Some(octets) = name.strip_suffix(".in-addr.arpa") {
        let octets: Vec<u8> = octets.rsplit('.').map_while(|o| o.parse().ok()).collect();
        let octets: [u8; 4] = octets.try_into().ok()?;
        return Some(Ipv4Addr::from(octets).into());
    }
    let nibbles = name.strip_suffix(".ip6.arpa")?.rsplit('.');
    let nibble = |digit: &str| match digit.len() {
        1 => u128::from_str_radix(digit, 16).ok(),
        _ => None,
    };
    let nibbles: Vec<u128> = nibbles.map_while(nibble).collect();
    if nibbles.len() != 32 || name.len() != 72 {
        return None;
    }
    let address = nibbles
        .iter()
        .fold(0, |address, nibble| address << 4 | nibble);
    Some(Ipv6Addr::from(address).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "# 192.0.2.1 comment\n127.0.0.1 localhost\n\
        192.0.2.7\tDB.corp db # two names\n2001:db8::7 db.corp\nfe80::1%eth0 zoned\nnonsense x\n\
        192.0.2.7 db.corp again\n192.0.2.8 db.corp\n";

    #[test]
    fn a_name_has_all_its_addresses_once() {
        let hosts = Hosts::parse(TABLE);
        let all: Vec<IpAddr> = ["192.0.2.7", "2001:db8::7", "192.0.2.8"]
            .map(|address| address.parse().unwrap())
            .to_vec();
        assert_eq!(hosts.addresses("db.corp"), Some(&all[..]));
        assert_eq!(hosts.addresses("db"), Some(&all[..1]));
        assert_eq!(hosts.addresses("comment"), None);
        assert_eq!(hosts.addresses("zoned"), None);
        assert_eq!(hosts.addresses("x"), None);
    }

    #[test]
    fn an_address_has_its_first_name() {
        let hosts = Hosts::parse(TABLE);
        let v4 = hosts.name_of_reverse("7.2.0.192.in-addr.arpa");
        assert_eq!(v4, Some("db.corp"));
        let v6 = "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
        assert_eq!(hosts.name_of_reverse(v6), Some("db.corp"));
        for nobody in [
            "2.0.192.in-addr.arpa",
            "in-addr.arpa",
            "8.b.d.0.1.0.0.2.ip6.arpa",
            "x",
        ] {
            assert_eq!(hosts.name_of_reverse(nobody), None, "{nobody}");
        }
    }
}

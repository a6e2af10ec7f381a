use core::net::IpAddr;

use super::{NextHop, RouteTable, contains};
use crate::config::Cidr;

fn cidr(address: &str, prefix_len: u8) -> Cidr {
    Cidr {
        address: address.parse().expect("an address"),
        prefix_len,
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn a_host_reaches_only_the_families_that_it_has_an_address_of() {
    let own = [cidr("10.0.2.2", 24)];
    let table = RouteTable::for_link(own.iter(), false);
    assert_eq!(table.find(address("10.0.2.100")), Some(NextHop::Link));
    assert_eq!(table.find(address("192.0.2.1")), Some(NextHop::Link));
    assert_eq!(table.find(address("2001:db8::1")), None);
    let gateway = RouteTable::for_link(own.iter(), true);
    assert_eq!(gateway.find(address("2001:db8::1")), Some(NextHop::Link));
}

#[test]
fn prefixes_contain_what_they_should() {
    assert!(contains(&cidr("10.0.2.2", 24), address("10.0.2.255")));
    assert!(!contains(&cidr("10.0.2.2", 24), address("10.0.3.0")));
    assert!(contains(&cidr("::", 0), address("2001:db8::1")));
    assert!(!contains(&cidr("::", 0), address("192.0.2.1")));
    assert!(contains(&cidr("10.0.2.2", 32), address("10.0.2.2")));
}

use clap::CommandFactory as _;

use super::*;

#[test]
fn the_definitions_are_consistent() {
    Arguments::command().debug_assert();
}

#[test]
fn published_ports_bind_loopback_unless_an_address_is_given() {
    let published = parse_publish("8080:80").unwrap();
    assert_eq!(published.listen, "127.0.0.1:8080".parse().unwrap());
    assert_eq!((published.port, published.protocol), (80, Protocol::Tcp));
    let published = parse_publish("[::1]:5353:53/udp").unwrap();
    assert_eq!(published.listen, "[::1]:5353".parse().unwrap());
    assert_eq!((published.port, published.protocol), (53, Protocol::Udp));
}

#[test]
fn published_ports_that_make_no_sense_are_named() {
    for (text, said) in [
        ("80", "write PORT:PORT or ADDR:PORT:PORT"),
        ("8080:0", "0 is no port"),
        ("8080:http", "http is no port"),
        ("x:8080:80", "x is no address"),
        ("8080:80/sctp", "sctp is neither tcp nor udp"),
    ] {
        assert_eq!(parse_publish(text), Err(said.to_owned()), "{text}");
    }
}

#[test]
fn directories_default_to_port_53() {
    assert_eq!(parse_dns("192.0.2.1"), Ok("192.0.2.1:53".parse().unwrap()));
    assert_eq!(parse_dns("[::1]"), Ok("[::1]:53".parse().unwrap()));
    assert_eq!(parse_dns("[::1]:5300"), Ok("[::1]:5300".parse().unwrap()));
    assert!(parse_dns("dns.example").is_err());
}

#[test]
fn networks_lose_their_host_bits_and_have_room_for_host_100() {
    assert_eq!(
        parse_net("10.9.8.7/24"),
        Ok((Ipv4Addr::new(10, 9, 8, 0), 24))
    );
    assert!(parse_net("10.9.8.0/26").is_err());
    assert!(parse_net("10.9.8.0").is_err());
}

use clap::CommandFactory as _;

use super::*;

#[test]
fn the_definitions_are_consistent() {
    Arguments::command().debug_assert();
}

#[test]
fn a_run_is_meant_by_its_process_id_or_its_name() {
    assert_eq!(parse_which("48110"), Ok(Which::Pid(48110)));
    assert_eq!(parse_which("db-1.x"), Ok(Which::Name("db-1.x".to_owned())));
    for text in ["", "1x", "../x", "a b", "-x", "4811000000000"] {
        assert!(parse_which(text).is_err(), "{text}");
    }
    assert!(parse_name("12").is_err());
    assert!(parse_name(&"x".repeat(33)).is_err());
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

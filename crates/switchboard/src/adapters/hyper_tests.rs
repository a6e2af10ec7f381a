use super::*;

fn of(uri: &'static str) -> Result<(String, u16), ErrorKind> {
    target(&Uri::from_static(uri)).map_err(|error| error.kind())
}

#[test]
fn a_uri_names_host_and_port_or_its_scheme_does() {
    assert_eq!(of("http://a.test/x"), Ok(("a.test".into(), 80)));
    assert_eq!(of("https://a.test"), Ok(("a.test".into(), 443)));
    assert_eq!(of("https://a.test:8443/"), Ok(("a.test".into(), 8443)));
    assert_eq!(of("a.test:7"), Ok(("a.test".into(), 7)));
}

#[test]
fn an_ipv6_address_comes_out_of_its_brackets() {
    assert_eq!(of("http://[fd00::2]:81/"), Ok(("fd00::2".into(), 81)));
}

#[test]
fn what_names_no_endpoint_is_refused() {
    assert_eq!(of("/only/a/path"), Err(ErrorKind::InvalidInput));
    assert_eq!(of("ftp://a.test/"), Err(ErrorKind::InvalidInput));
}

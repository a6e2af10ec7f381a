use super::*;

#[test]
fn a_resolv_conf_is_understood() {
    let text = "# by hand\n\
                domain old.example\n\
                search corp.example lab.example ; both\n\
                nameserver 10.0.2.3\n\
                nameserver fe80::1%eth0\n\
                sortlist 10.0.0.0\n\
                options ndots:3 timeout:2 attempts:1 rotate edns0\n";
    let config: DnsConfig = text.parse().unwrap();
    let expected = DnsConfig {
        servers: vec![
            "10.0.2.3:53".parse().unwrap(),
            "[fe80::1]:53".parse().unwrap(),
        ],
        search: vec!["corp.example".into(), "lab.example".into()],
        ndots: 3,
        timeout: Duration::from_secs(2),
        attempts: 1,
        ..DnsConfig::default()
    };
    assert_eq!(config, expected);
}

#[test]
fn a_line_that_cannot_be_meant_is_named() {
    for wrong in ["nameserver", "nameserver ns1.example", "options ndots:many"] {
        let text = format!("search a.example\n{wrong}\n");
        let error = text.parse::<DnsConfig>().unwrap_err();
        assert_eq!((error.line, error.text.as_str()), (2, wrong));
    }
}

#[test]
fn everything_is_brought_into_its_range() {
    let config: DnsConfig = "options ndots:999 timeout:0 attempts:0".parse().unwrap();
    let config = config.within_bounds();
    assert_eq!((config.ndots, config.attempts), (15, 1));
    assert_eq!(config.timeout, Duration::from_millis(1));
}

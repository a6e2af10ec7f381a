use super::*;

const HEAD: &str =
    "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n";

/// The line of `/proc/net/route` on a little-endian or big-endian machine alike.
fn line(destination: [u8; 4], mask: [u8; 4]) -> String {
    let destination = u32::from_ne_bytes(destination);
    let mask = u32::from_ne_bytes(mask);
    format!("eth0\t{destination:08X}\t00000000\t0001\t0\t0\t0\t{mask:08X}\t0\t0\t0\n")
}

#[test]
fn a_default_route_leaves_every_range_free() {
    let routes = HostRoutes::parse(&(HEAD.to_owned() + &line([0; 4], [0; 4])), "");
    let network = routes.choose(None).unwrap();
    assert_eq!(network.v4, (Ipv4Addr::new(10, 0, 2, 0), 24));
    assert_eq!(network.host_v4(100), Ipv4Addr::new(10, 0, 2, 100));
}

#[test]
fn a_range_that_the_host_uses_is_left_alone() {
    for mask in [[255, 0, 0, 0], [255, 255, 255, 0], [255, 255, 255, 255]] {
        let text = HEAD.to_owned() + &line([10, 0, 2, 0].map(|octet: u8| octet), mask);
        let routes = HostRoutes::parse(&text, "");
        let taken = routes.choose(None).unwrap().v4.0;
        assert_ne!(taken, Ipv4Addr::new(10, 0, 2, 0), "{mask:?}");
        let wanted = routes.choose(Some((Ipv4Addr::new(10, 0, 2, 0), 24)));
        assert_eq!(
            wanted,
            Err(NetworkError::Taken(Ipv4Addr::new(10, 0, 2, 0), 24))
        );
    }
}

#[test]
fn a_reject_route_uses_no_range() {
    let line = |flags: &str, device: &str| {
        format!(
            "fd5b0002000000000000000000000000 40 00000000000000000000000000000000 00 \
             00000000000000000000000000000000 00000400 00000001 00000000 {flags}     {device}\n"
        )
    };
    let free = Network {
        v4: (RANGES_V4[0], 24),
        v6: RANGES_V6[0],
    };
    let rejects = HostRoutes::parse("", &line("00200200", "lo"));
    assert_eq!(rejects.choose(None), Ok(free));
    let uses = HostRoutes::parse("", &line("00000001", "eth0"));
    assert_eq!(uses.choose(None).unwrap().v6, RANGES_V6[1]);
}

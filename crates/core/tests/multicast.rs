//! Groups: members, copies, hop limits, and what routers are told. And broadcast.

mod common;

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use common::{A4, A6, B4, B6, Pair, at, bytes_of, cidr, config, ip, pattern};
use switchboard_core::{
    Config, DropReason, Entropy, Instant, MembershipError, RxPacket, Stack, UdpId, UdpMeta,
    UdpOptions, UdpSendError,
};
use switchboard_wire::checksum::{self, Sum};
use switchboard_wire::ipv4::Ipv4Header;
use switchboard_wire::ipv6::Ipv6Header;
use switchboard_wire::ipv6::extensions::emit_router_alert;
use switchboard_wire::{IpPacket, IpProtocol};

const G4: &str = "239.1.2.3";
const G6: &str = "ff15::1234";
const LL_A: &str = "fe80::a";
const LL_ROUTER: &str = "fe80::1";

/// Both families: our address, theirs, a group, the wildcard.
const FAMILIES: [(&str, &str, &str, &str); 2] = [(A4, B4, G4, "0.0.0.0"), (A6, B6, G6, "::")];

fn shared() -> UdpOptions {
    UdpOptions {
        reuse_address: true,
        only_v6: true,
        ..UdpOptions::default()
    }
}

fn bind(stack: &mut Stack, address: &str, port: u16) -> UdpId {
    stack
        .call_udp_bind(at(address, port), &shared())
        .expect("binds")
}

fn send(stack: &mut Stack, now: Instant, id: UdpId, to: &str, data: &Bytes) {
    let meta = Some(UdpMeta::to(at(to, 5000)));
    stack
        .call_udp_send(now, id, data.clone(), meta)
        .expect("sends");
}

#[test]
fn every_member_at_the_port_gets_the_same_octets_and_nobody_else() {
    for (mine, _, group, any) in FAMILIES {
        let mut pair = Pair::plain();
        let members = [5000, 5000, 5000].map(|port| bind(&mut pair.b, any, port));
        let bystander = bind(&mut pair.b, any, 5000);
        let elsewhere = bind(&mut pair.b, any, 5001);
        for id in members.into_iter().chain([elsewhere]) {
            pair.b
                .call_udp_join(pair.now, id, ip(group))
                .expect("joins");
        }
        pair.settle();
        let sender = bind(&mut pair.a, mine, 0);
        let data = Bytes::from(pattern(1200));
        send(&mut pair.a, pair.now, sender, group, &data);
        pair.settle();
        let got = members.map(|id| pair.b.call_udp_receive(id).expect("arrives"));
        for (payload, meta) in &got {
            assert_eq!(payload, &data);
            assert_eq!(meta.local, at(group, 5000));
            assert_eq!(meta.remote.ip(), ip(mine));
            assert_eq!(meta.hop_limit, Some(1), "the link alone, by default");
            assert_eq!(payload.as_ptr(), got[0].0.as_ptr(), "one copy for all");
        }
        assert!(pair.b.call_udp_receive(bystander).is_err());
        assert!(pair.b.call_udp_receive(elsewhere).is_err());
        // The last one leaves: nobody is left to hear it.
        for id in members {
            pair.b
                .call_udp_leave(pair.now, id, ip(group))
                .expect("leaves");
        }
        let before = pair.b.stats().dropped(DropReason::NoGroupMember);
        pair.settle();
        send(&mut pair.a, pair.now, sender, group, &data);
        pair.settle();
        let dropped = pair.b.stats().dropped(DropReason::NoGroupMember);
        assert_eq!(dropped - before, 1);
        assert_eq!(pair.b.stats().pinned_octets, 0);
    }
}

#[test]
fn a_sender_hears_itself_unless_it_does_not_want_to() {
    for (mine, _, group, any) in FAMILIES {
        let mut pair = Pair::plain();
        let member = bind(&mut pair.a, any, 5000);
        pair.a
            .call_udp_join(pair.now, member, ip(group))
            .expect("joins");
        pair.settle();
        let sender = bind(&mut pair.a, mine, 0);
        let data = Bytes::from(pattern(4000));
        let packets = pair.packets;
        send(&mut pair.a, pair.now, sender, group, &data);
        pair.settle();
        let (payload, _) = pair.a.call_udp_receive(member).expect("loops");
        assert_eq!(payload, data);
        assert_eq!(pair.packets - packets, 3, "it left as well, in fragments");
        let options = UdpOptions {
            multicast_loop: false,
            multicast_hop_limit: 9,
            ..shared()
        };
        pair.a.set_udp_options(sender, &options).expect("socket");
        let other = bind(&mut pair.b, any, 5000);
        pair.b
            .call_udp_join(pair.now, other, ip(group))
            .expect("joins");
        send(&mut pair.a, pair.now, sender, group, &data);
        pair.settle();
        assert!(pair.a.call_udp_receive(member).is_err());
        let (_, meta) = pair.b.call_udp_receive(other).expect("arrives");
        assert_eq!(meta.hop_limit, Some(9));
        // Hop limit zero stays on the host (RFC 1112 section 6.1).
        let options = UdpOptions {
            multicast_hop_limit: 0,
            ..shared()
        };
        pair.a.set_udp_options(sender, &options).expect("socket");
        let packets = pair.packets;
        send(&mut pair.a, pair.now, sender, group, &data);
        pair.settle();
        assert!(pair.a.call_udp_receive(member).is_ok());
        assert_eq!(pair.packets, packets);
    }
}

#[test]
fn memberships_are_refused_for_a_reason_each() {
    let mut only_v4 = config(A4, A6);
    only_v4.addresses.truncate(1);
    only_v4.limits.groups = 3;
    only_v4.limits.groups_per_socket = 2;
    let mut stack = Stack::new(only_v4, Entropy::from_seed([7; 32]));
    let now = Instant::ZERO;
    let one = bind(&mut stack, "0.0.0.0", 1);
    let two = bind(&mut stack, "0.0.0.0", 2);
    let join = |stack: &mut Stack, id, group| stack.call_udp_join(now, id, ip(group));
    let refused = MembershipError::NotMulticast;
    assert_eq!(join(&mut stack, one, "10.0.0.9"), Err(refused));
    assert_eq!(join(&mut stack, one, G6), Err(MembershipError::NoRoute));
    assert_eq!(join(&mut stack, one, "239.0.0.1"), Ok(()));
    let refused = MembershipError::AlreadyMember;
    assert_eq!(join(&mut stack, one, "239.0.0.1"), Err(refused));
    assert_eq!(join(&mut stack, one, "239.0.0.2"), Ok(()));
    let refused = MembershipError::NoBuffers;
    assert_eq!(join(&mut stack, one, "239.0.0.3"), Err(refused), "its own");
    assert_eq!(join(&mut stack, two, "239.0.0.3"), Ok(()));
    assert_eq!(join(&mut stack, two, "239.0.0.4"), Err(refused), "all");
    assert_eq!(join(&mut stack, two, "239.0.0.1"), Ok(()), "is there");
    let refused = MembershipError::NotMember;
    let leave = stack.call_udp_leave(now, two, ip("239.0.0.2"));
    assert_eq!(leave, Err(refused));
    stack.call_udp_close(one).expect("closes");
    let refused = MembershipError::NoSuchSocket;
    assert_eq!(join(&mut stack, one, "239.0.0.2"), Err(refused));
}

#[test]
fn broadcast_takes_permission_and_reaches_every_socket_of_the_port() {
    for to in ["255.255.255.255", "10.0.0.255"] {
        let mut pair = Pair::plain();
        let mine = bind(&mut pair.a, "0.0.0.0", 5000);
        let theirs = [0, 1].map(|_| bind(&mut pair.b, "0.0.0.0", 5000));
        let data = Bytes::from_static(b"who is there?");
        let meta = Some(UdpMeta::to(at(to, 5000)));
        let refused = UdpSendError::BroadcastNotAllowed;
        let sent = pair.a.call_udp_send(pair.now, mine, data.clone(), meta);
        assert_eq!(sent, Err(refused));
        assert_eq!(pair.a.call_udp_connect(mine, at(to, 5000)), Err(refused));
        let options = UdpOptions {
            broadcast: true,
            ..shared()
        };
        pair.a.set_udp_options(mine, &options).expect("socket");
        send(&mut pair.a, pair.now, mine, to, &data);
        pair.settle();
        for id in theirs {
            let (payload, meta) = pair.b.call_udp_receive(id).expect("arrives");
            assert_eq!((payload, meta.local.ip()), (data.clone(), ip(to)));
            assert_eq!(meta.hop_limit, Some(64));
        }
        // As on Linux it comes back to the sender's own host.
        assert!(pair.a.call_udp_receive(mine).is_ok());
    }
}

/// A host whose reports are read.
struct Host {
    stack: Stack,
    now: Instant,
}

/// What a report says: kind and group of each record.
type Records = Vec<(u8, IpAddr)>;

impl Host {
    fn new() -> Self {
        let mut config: Config = config(A4, A6);
        config.addresses.push(cidr(LL_A, 64));
        Self {
            stack: Stack::new(config, Entropy::from_seed([3; 32])),
            now: Instant::ZERO,
        }
    }

    /// The reports that leave now.
    fn reports(&mut self) -> Vec<Records> {
        let mut all = vec![];
        while let Some(transmit) = self.stack.poll_transmit(self.now) {
            all.push(read_report(&bytes_of(&transmit)));
        }
        all
    }

    /// The next reports, and after what time they come.
    fn later(&mut self) -> Option<(Duration, Vec<Records>)> {
        let start = self.now;
        while let Some(due) = self.stack.poll_timeout() {
            self.now = due;
            self.stack.handle_timeout(due);
            let reports = self.reports();
            if !reports.is_empty() {
                return Some((self.now.saturating_since(start), reports));
            }
        }
        None
    }

    fn receive(&mut self, packet: Vec<u8>) {
        let rx = RxPacket::new(Bytes::from(packet), self.now);
        self.stack.handle_packet(self.now, rx);
    }
}

/// Reads a report and checks what every report must have.
fn read_report(bytes: &[u8]) -> Records {
    let packet = IpPacket::parse(bytes).expect("a packet");
    assert_eq!(packet.hop_limit, 1);
    assert!(packet.router_alert);
    let body = packet.body();
    let record_len = if packet.is_ipv6() {
        assert_eq!(packet.destination, ip("ff02::16"));
        assert_eq!(packet.source, ip(LL_A));
        assert_eq!((packet.protocol, body[0]), (IpProtocol::ICMPV6, 143));
        assert!(packet.pseudo_header().plus(body).is_valid());
        20
    } else {
        assert_eq!(packet.destination, ip("224.0.0.22"));
        assert_eq!((packet.protocol, body[0]), (IpProtocol::IGMP, 0x22));
        assert_eq!(packet.traffic_class, 0xc0);
        assert_eq!(checksum::checksum(body), 0);
        8
    };
    let (header, records) = body.split_at(8);
    let records: Records = records
        .chunks(record_len)
        .map(|record| {
            assert_eq!(record[1..4], [0, 0, 0], "no sources");
            let group = match <[u8; 4]>::try_from(&record[4..]) {
                Ok(v4) => IpAddr::from(v4),
                Err(_) => IpAddr::from(<[u8; 16]>::try_from(&record[4..]).expect("a group")),
            };
            (record[0], group)
        })
        .collect();
    let count = usize::from(u16::from_be_bytes([header[6], header[7]]));
    assert_eq!(count, records.len());
    records
}

/// A query of version 3 or MLDv2, for a group or for all; answers within ten seconds.
fn query(group: Option<&str>, ipv6: bool) -> Vec<u8> {
    let mut packet = vec![];
    if ipv6 {
        let mut body = vec![130, 0, 0, 0];
        body.extend_from_slice(&10_000_u16.to_be_bytes());
        body.extend_from_slice(&[0, 0]);
        let (group, to) = (group.unwrap_or("::"), group.unwrap_or("ff02::1"));
        let group: std::net::Ipv6Addr = group.parse().expect("a group");
        body.extend_from_slice(&group.octets());
        body.extend_from_slice(&[2, 125, 0, 0]);
        let sum = checksum::pseudo(ip(LL_ROUTER), ip(to), IpProtocol::ICMPV6, body.len());
        let sum = sum.plus(&body).checksum();
        body[2..4].copy_from_slice(&sum.to_be_bytes());
        let (from, to) = (LL_ROUTER.parse().unwrap(), to.parse().unwrap());
        let len = u16::try_from(8 + body.len()).unwrap();
        let mut header = Ipv6Header::new(from, to, IpProtocol::HOP_BY_HOP, len);
        header.hop_limit = 1;
        header.emit(&mut packet);
        emit_router_alert(IpProtocol::ICMPV6, &mut packet);
        packet.extend_from_slice(&body);
    } else {
        let mut body = vec![0x11, 100, 0, 0];
        let (group, to) = (group.unwrap_or("0.0.0.0"), group.unwrap_or("224.0.0.1"));
        let group: std::net::Ipv4Addr = group.parse().expect("a group");
        body.extend_from_slice(&group.octets());
        body.extend_from_slice(&[2, 125, 0, 0]);
        let sum = Sum::new().plus(&body).checksum();
        body[2..4].copy_from_slice(&sum.to_be_bytes());
        let len = u16::try_from(20 + body.len()).unwrap();
        let from = "10.0.0.254".parse().unwrap();
        let mut header = Ipv4Header::new(from, to.parse().unwrap(), IpProtocol::IGMP, len);
        header.hop_limit = 1;
        header.emit(&mut packet);
        packet.extend_from_slice(&body);
    }
    packet
}

/// RFC 3376 section 5.1, RFC 3810 section 6.1: news are told at once and once more soon after.
#[test]
fn joining_and_leaving_are_told_twice() {
    for (_, _, group, any) in FAMILIES {
        let mut host = Host::new();
        let first = bind(&mut host.stack, any, 5000);
        let second = bind(&mut host.stack, any, 5000);
        let joined = vec![vec![(4, ip(group))]];
        let left = vec![vec![(3, ip(group))]];
        host.stack
            .call_udp_join(host.now, first, ip(group))
            .expect("joins");
        assert_eq!(host.reports(), joined);
        // One more member is no news.
        host.stack
            .call_udp_join(host.now, second, ip(group))
            .expect("joins");
        assert!(host.reports().is_empty());
        let (waited, again) = host.later().expect("told again");
        assert_eq!(again, joined);
        assert!(waited <= Duration::from_secs(1), "{waited:?}");
        assert!(host.later().is_none(), "then it is known");
        // One of two leaves: no news. Closing the other is leaving.
        host.stack
            .call_udp_leave(host.now, second, ip(group))
            .expect("leaves");
        assert!(host.reports().is_empty());
        host.stack.call_udp_close(first).expect("closes");
        assert_eq!(host.reports(), left);
        // It comes back before the second telling: that is what is told from now on.
        host.stack
            .call_udp_join(host.now, second, ip(group))
            .expect("joins");
        assert_eq!(host.reports(), joined);
        assert_eq!(host.later().expect("again").1, joined);
        assert!(host.later().is_none());
        assert_eq!(host.stack.stats().membership_reports_sent, 5);
    }
}

#[test]
fn queries_are_answered_once_within_their_time() {
    for (ipv6, (_, _, group, any)) in [false, true].into_iter().zip(FAMILIES) {
        let mut host = Host::new();
        let other = if ipv6 { "ff15::9999" } else { "239.9.9.9" };
        let id = bind(&mut host.stack, any, 5000);
        for group in [group, other] {
            let joins = host.stack.call_udp_join(host.now, id, ip(group));
            joins.expect("joins");
        }
        host.reports();
        while host.later().is_some() {}
        // A general query, and one for a group that waits no longer than that answer: one
        // report says it all.
        host.receive(query(None, ipv6));
        host.receive(query(None, ipv6));
        let (waited, reports) = host.later().expect("answers");
        assert!(waited <= Duration::from_secs(10), "{waited:?}");
        assert_eq!(reports.len(), 1);
        let mut records = reports[0].clone();
        records.sort();
        assert_eq!(records, [(2, ip(group)), (2, ip(other))]);
        while host.later().is_some() {}
        host.receive(query(Some(group), ipv6));
        let (_, reports) = host.later().expect("answers");
        assert_eq!(reports, [vec![(2, ip(group))]]);
        assert!(host.later().is_none());
        // Of a group that nobody is in there is nothing to say; nor of everybody's.
        let all = if ipv6 { "ff02::1" } else { "224.0.0.1" };
        let stranger = if ipv6 { "ff15::77" } else { "239.7.7.7" };
        host.receive(query(Some(stranger), ipv6));
        host.receive(query(Some(all), ipv6));
        assert!(host.later().is_none());
    }
}

/// RFC 3810 section 6.2: only from the link itself.
#[test]
fn mld_queries_from_afar_are_ignored() {
    let mut host = Host::new();
    let id = bind(&mut host.stack, "::", 5000);
    let joins = host.stack.call_udp_join(host.now, id, ip(G6));
    joins.expect("joins");
    host.reports();
    while host.later().is_some() {}
    let mut far = query(None, true);
    far[7] = 2;
    host.receive(far);
    let reason = DropReason::MembershipIgnored;
    assert_eq!(host.stack.stats().dropped(reason), 1);
    assert!(host.later().is_none());
    // What other hosts report is for routers.
    let mut report = query(None, false);
    report[20] = 0x16;
    let sum = checksum::checksum(&[&[0x16, 100, 0, 0], &report[24..]].concat());
    report[22..24].copy_from_slice(&sum.to_be_bytes());
    host.receive(report);
    assert_eq!(host.stack.stats().dropped(reason), 2);
}

#[test]
fn many_groups_make_several_reports() {
    let mut host = Host::new();
    for port in 1..=13 {
        let id = bind(&mut host.stack, "0.0.0.0", port);
        for number in 0..19 {
            let group = IpAddr::from([239, 1, u8::try_from(port).unwrap(), number]);
            let joins = host.stack.call_udp_join(host.now, id, group);
            joins.expect("joins");
        }
    }
    while !host.reports().is_empty() || host.later().is_some() {}
    host.receive(query(None, false));
    let (_, reports) = host.later().expect("answers");
    let counts: Vec<_> = reports.iter().map(Vec::len).collect();
    // 1500 octets less 24 of IP header and 8 of IGMP's, in records of 8.
    assert_eq!(counts, [183, 247 - 183]);
}

#[test]
fn a_link_local_group_is_spoken_to_from_a_link_local_address() {
    let mut host = Host::new();
    let id = bind(&mut host.stack, "::", 0);
    let now = host.now;
    for (group, source) in [("ff02::fb", LL_A), (G6, A6)] {
        send(&mut host.stack, now, id, group, &Bytes::new());
        let transmit = host.stack.poll_transmit(now).expect("a packet");
        let bytes = bytes_of(&transmit);
        let packet = IpPacket::parse(&bytes).expect("valid");
        assert_eq!(packet.source, ip(source));
    }
}

#[test]
fn everybody_hears_what_is_for_all_hosts() {
    for (all, mine, any) in [("224.0.0.1", A4, "0.0.0.0"), ("ff02::1", A6, "::")] {
        let mut pair = Pair::plain();
        let hears = bind(&mut pair.b, any, 5000);
        let sender = bind(&mut pair.a, mine, 0);
        let data = Bytes::from_static(b"all");
        send(&mut pair.a, pair.now, sender, all, &data);
        pair.settle();
        assert!(pair.b.call_udp_receive(hears).is_ok());
        assert_eq!(pair.b.stats().membership_reports_sent, 0);
    }
}

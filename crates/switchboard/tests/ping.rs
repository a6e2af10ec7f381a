//! Ping and traceroute through a gateway, with the library's types.

mod common;

use std::net::IpAddr;

use bytes::Bytes;
use common::{A, B, plain_pipe, run};
use switchboard::net::{PingSocket, RawSocket};
use switchboard::{
    IncomingFlow, IpProtocol, IpVersion, Net, PacketMeta, Router, SocketError, SocketKind,
    Unreachable,
};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A host behind a gateway that answers for every address in 203.0.113.0/24.
fn host_and_gateway() -> (Net, Net) {
    let (a, b) = plain_pipe();
    let host = common::host_a().build(a).unwrap();
    let gateway = common::host_b().any_address(true).echo(true);
    let gateway = gateway.build(b).unwrap();
    let mut flows = gateway.incoming();
    tokio::spawn(async move {
        while let Some(flow) = flows.next().await {
            if let IncomingFlow::Echo(ping) = flow {
                let payload = ping.request().payload.clone();
                ping.reply(payload);
            }
        }
    });
    (host, gateway)
}

/// Who answers on the way from `net` to `target`, hop by hop.
async fn trace(net: &Net, any: &str, target: IpAddr) -> Vec<IpAddr> {
    let socket = PingSocket::bind_on(net, any.parse().unwrap()).unwrap();
    let mut hops = vec![];
    for hop_limit in 1..=30_u8 {
        let meta = PacketMeta {
            hop_limit: Some(hop_limit),
            ..PacketMeta::to(target)
        };
        let payload = Bytes::from_static(b"traceroute");
        let sequence = u16::from(hop_limit);
        let sent = socket.send_message(sequence, payload, Some(meta));
        sent.await.unwrap();
        match socket.recv().await {
            Ok(reply) => {
                assert_eq!(reply.sequence, sequence);
                assert_eq!(&reply.payload[..], b"traceroute");
                hops.push(reply.meta.remote);
                break;
            }
            Err(error) => match SocketError::of(&error) {
                Some(SocketError::Returned {
                    why: Unreachable::TimeExceeded,
                    offender,
                    ..
                }) => hops.push(*offender),
                _ => panic!("{error}"),
            },
        }
    }
    hops
}

#[test]
fn a_traceroute_names_the_gateway_and_then_the_target() {
    run(async {
        let (host, _gateway) = host_and_gateway();
        for (any, target, router) in [
            ("0.0.0.0:0", "203.0.113.7", B),
            ("[::]:0", "2001:db8::7", "fd00::2"),
        ] {
            let target = ip(target);
            assert_eq!(trace(&host, any, target).await, [ip(router), target]);
        }
    });
}

#[test]
fn a_traceroute_names_both_routers_on_the_way() {
    run(async {
        let (r1, r2) = (Router::with_seed([1; 32]), Router::with_seed([2; 32]));
        let cidr = |text: &str| text.parse().unwrap();
        let (_, west) = r1.attach([cidr("10.1.0.1/24")]).unwrap();
        let (_, east) = r2.attach([cidr("10.2.0.1/24")]).unwrap();
        let (one, two) = plain_pipe();
        let to_r2 = r1.add_port(one, [cidr("10.9.0.1/30")]).unwrap();
        let to_r1 = r2.add_port(two, [cidr("10.9.0.2/30")]).unwrap();
        r1.add_route(cidr("10.2.0.0/24"), to_r2);
        r2.add_route(cidr("0.0.0.0/0"), to_r1);
        let west = Net::builder().address(cidr("10.1.0.5/24")).build(west);
        let east = Net::builder().address(cidr("10.2.0.5/24")).build(east);
        let (west, _east) = (west.unwrap(), east.unwrap());
        let hops = trace(&west, "0.0.0.0:0", ip("10.2.0.5")).await;
        assert_eq!(hops, ["10.1.0.1", "10.9.0.2", "10.2.0.5"].map(ip));
    });
}

#[test]
fn a_connected_ping_socket_is_listed_waits_and_goes_with_its_drop() {
    run(async {
        let (host, _gateway) = host_and_gateway();
        let socket = PingSocket::bind_on(&host, "0.0.0.0:77".parse().unwrap()).unwrap();
        assert_eq!(socket.local_addr().unwrap().port(), 77);
        assert!(socket.peer_addr().is_err());
        let error = socket.send(1, Bytes::new()).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::NotConnected);
        socket.connect(ip(B)).unwrap();
        assert_eq!(socket.peer_addr().unwrap(), ip(B));
        let error = socket.try_recv().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
        socket.writable().await.unwrap();
        socket.send(2, Bytes::from_static(b"x")).await.unwrap();
        socket.readable().await.unwrap();
        let reply = socket.try_recv().unwrap();
        assert_eq!((reply.sequence, reply.meta.local), (2, ip(A)));
        let entry = host.sockets()[0];
        assert_eq!((entry.kind, entry.local.port()), (SocketKind::Ping, 77));
        drop(socket);
        assert!(host.sockets().is_empty());
    });
}

#[test]
fn whoever_waits_on_a_raw_or_ping_socket_hears_of_the_end() {
    run(async {
        let (host, _gateway) = host_and_gateway();
        let ping = PingSocket::bind_on(&host, "0.0.0.0:0".parse().unwrap()).unwrap();
        let raw = RawSocket::open_on(&host, IpVersion::V4, IpProtocol::ICMP).unwrap();
        let waits = async { tokio::join!(ping.recv(), raw.recv()) };
        let ((ping, raw), ()) = tokio::join!(waits, async {
            tokio::task::yield_now().await;
            host.shutdown();
        });
        assert_eq!(ping.unwrap_err().kind(), std::io::ErrorKind::NetworkDown);
        assert_eq!(raw.unwrap_err().kind(), std::io::ErrorKind::NetworkDown);
    });
}

#[test]
fn a_raw_socket_watches_what_a_ping_socket_asks() {
    run(async {
        let (host, gateway) = host_and_gateway();
        let watch = RawSocket::open_on(&gateway, IpVersion::V6, IpProtocol::ICMPV6).unwrap();
        let ping = PingSocket::bind_on(&host, "[::]:5".parse().unwrap()).unwrap();
        let (payload, remote) = (Bytes::from_static(b"seen"), ip("fd00::2"));
        ping.send_to(9, payload, remote).await.unwrap();
        ping.recv().await.unwrap();
        let (message, meta) = watch.recv().await.unwrap();
        assert_eq!((message[0], &message[4..8]), (128, &[0, 5, 0, 9][..]));
        assert_eq!(meta.remote, ip("fd00::1"));
    });
}

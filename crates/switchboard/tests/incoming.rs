//! A gateway's view: flows to any address.

mod common;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use common::{host_a, plain_pipe, run, run_paused};
use switchboard::{
    ConnectError, IncomingFlow, IncomingTcp, IncomingUdp, Net, Refusal, SocketError, UdpMeta,
    Unreachable,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A host and its gateway.
fn host_and_gateway() -> (Net, Net) {
    let (a, g) = plain_pipe();
    let gateway = Net::builder()
        .address("10.0.0.254/24".parse().unwrap())
        .any_address(true)
        .echo(true)
        .build(g)
        .unwrap();
    (host_a().build(a).unwrap(), gateway)
}

async fn next_tcp(flows: &mut switchboard::IncomingFlows) -> IncomingTcp {
    match flows.next().await {
        Some(IncomingFlow::Tcp(flow)) => flow,
        other => panic!("{other:?}"),
    }
}

async fn next_udp(flows: &mut switchboard::IncomingFlows) -> IncomingUdp {
    match flows.next().await {
        Some(IncomingFlow::Udp(flow)) => flow,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_call_to_any_address_is_accepted() {
    run(async {
        let (a, gateway) = host_and_gateway();
        let mut flows = gateway.incoming();
        let server = tokio::spawn(async move {
            let flow = next_tcp(&mut flows).await;
            assert_eq!(flow.local().to_string(), "93.184.216.34:80");
            let mut stream = flow.accept().unwrap();
            // At once: the handshake is not complete yet.
            stream.write_all(b"welcome").await.unwrap();
            let mut said = String::new();
            stream.read_to_string(&mut said).await.unwrap();
            said
        });
        let mut stream = a.tcp_connect("93.184.216.34:80").await.unwrap();
        let mut got = [0; 7];
        stream.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"welcome");
        stream.write_all(b"thanks").await.unwrap();
        drop(stream);
        assert_eq!(server.await.unwrap(), "thanks");
    });
}

#[test]
fn a_call_is_refused_as_the_gateway_says() {
    run(async {
        let (a, gateway) = host_and_gateway();
        let mut flows = gateway.incoming();
        tokio::spawn(async move {
            next_tcp(&mut flows).await.refuse(Refusal::Reset);
            next_tcp(&mut flows).await.refuse(Refusal::Unreachable {
                why: Unreachable::Host,
                offender: Some("198.51.100.7".parse().unwrap()),
            });
            drop(next_tcp(&mut flows).await);
        });
        let error = a.tcp_connect("192.0.2.1:80").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let error = a.tcp_connect("192.0.2.1:80").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::HostUnreachable);
        let Some(SocketError::Connect { why, .. }) = SocketError::of(&error) else {
            panic!("{error:?}");
        };
        assert!(matches!(
            why,
            ConnectError::Unreachable { offender, .. } if offender.to_string() == "198.51.100.7"
        ));
        let error = a.tcp_connect("192.0.2.1:80").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn nobody_to_take_flows_refuses_them() {
    run(async {
        let (a, gateway) = host_and_gateway();
        drop(gateway.incoming());
        let error = a.tcp_connect("192.0.2.1:80").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn a_caller_that_gives_up_is_noticed() {
    run_paused(async {
        let (a, gateway) = host_and_gateway();
        let mut flows = gateway.incoming();
        let calling = a.clone();
        let caller = tokio::spawn(async move { calling.tcp_connect("192.0.2.1:80").await });
        let flow = next_tcp(&mut flows).await;
        assert!(!flow.is_closed());
        // The caller never resets: its SYNs end, and the flow expires.
        tokio::time::timeout(Duration::from_secs(400), flow.expired())
            .await
            .unwrap();
        assert!(flow.is_closed());
        let error = flow.accept().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
        let error = caller.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    });
}

#[test]
fn datagrams_to_any_address_are_one_flow_a_source() {
    run(async {
        let (a, gateway) = host_and_gateway();
        let mut flows = gateway.incoming();
        let client = a.udp_bind("0.0.0.0:4000").await.unwrap();
        client.send_to(b"one", "192.0.2.1:53").await.unwrap();
        let flow = next_udp(&mut flows).await.accept().unwrap();
        assert_eq!(flow.remote().port(), 4000);
        client.send_to(b"two", "192.0.2.2:54").await.unwrap();
        let (payload, meta) = flow.recv().await.unwrap();
        assert_eq!(
            (&payload[..], meta.local),
            (&b"one"[..], addr("192.0.2.1:53"))
        );
        let (payload, meta) = flow.recv().await.unwrap();
        assert_eq!(
            (&payload[..], meta.local),
            (&b"two"[..], addr("192.0.2.2:54"))
        );

        // Answers come from whom they pretend to come.
        let answer = UdpMeta {
            hop_limit: None,
            ..meta
        };
        flow.send(Bytes::from_static(b"answer"), answer)
            .await
            .unwrap();
        let mut buffer = [0; 16];
        let (count, from) = client.recv_from(&mut buffer).await.unwrap();
        assert_eq!(
            (&buffer[..count], from),
            (&b"answer"[..], addr("192.0.2.2:54"))
        );

        // An error that a relay learnt outside.
        client.connect("192.0.2.9:9").await.unwrap();
        client.send(b"x").await.unwrap();
        let (_, meta) = flow.recv().await.unwrap();
        let offender = Some("203.0.113.1".parse().unwrap());
        flow.refuse(&meta, Unreachable::Host, offender).unwrap();
        let error = client.recv(&mut buffer).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::HostUnreachable);
        let Some(SocketError::Returned { offender, .. }) = SocketError::of(&error) else {
            panic!("{error:?}");
        };
        assert_eq!(offender.to_string(), "203.0.113.1");
    });
}

#[test]
fn a_refused_datagram_is_refused() {
    run(async {
        let (a, gateway) = host_and_gateway();
        let mut flows = gateway.incoming();
        let client = a.udp_bind("0.0.0.0:0").await.unwrap();
        client.connect("192.0.2.1:53").await.unwrap();
        client.send(b"x").await.unwrap();
        next_udp(&mut flows).await.refuse(Refusal::Reset);
        let error = client.recv(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn a_gateway_calls_from_any_address() {
    run(async {
        let (a, gateway) = host_and_gateway();
        let listener = a.tcp_listen("10.0.0.1:80").await.unwrap();
        let from = addr("203.0.113.5:4321");
        let stream = gateway.tcp_connect_from(from, addr("10.0.0.1:80"));
        let (stream, accepted) = tokio::join!(stream, listener.accept());
        assert_eq!(stream.unwrap().local_addr().unwrap(), from);
        assert_eq!(accepted.unwrap().1, from);
    });
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn each_of_several_takers_is_woken() {
    run(async {
        let (a, gateway) = host_and_gateway();
        let takers = [gateway.incoming(), gateway.incoming()].map(|mut flows| {
            tokio::spawn(async move {
                let next = std::future::poll_fn(|cx| flows.poll_next(cx)).await;
                let Some(IncomingFlow::Udp(flow)) = next else {
                    panic!("{next:?}");
                };
                flow.accept().unwrap();
            })
        });
        tokio::task::yield_now().await;
        let socket = a.udp_bind("10.0.0.1:0").await.unwrap();
        let other = a.udp_bind("10.0.0.1:0").await.unwrap();
        socket.send_to(b"one", "192.0.2.1:7").await.unwrap();
        other.send_to(b"two", "192.0.2.1:7").await.unwrap();
        for taker in takers {
            taker.await.unwrap();
        }
    });
}

//! Hosts: names, addresses, software and its end, spawned tasks, local tasks, luck.

use std::cell::Cell;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use switchboard::net::{TcpListener, TcpStream, UdpSocket, lookup_host};
use switchboard::sim::{self, FailureKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

/// A server that sends back what it gets.
async fn echo() -> sim::Result {
    let listener = TcpListener::bind("[::]:7").await?;
    loop {
        let (mut stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            let (mut read, mut write) = stream.split();
            tokio::io::copy(&mut read, &mut write).await
        });
    }
}

async fn ask(address: &str, text: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[test]
fn names_and_both_families_reach_a_host() {
    sim::run(1, |sim| {
        let server = sim.add("server").alias("db.example").host(echo);
        assert_eq!(server.name(), "server");
        assert!(!server.is_up(), "it starts with the run");
        sim.client("client", || async {
            for place in [
                "server:7",
                "SERVER.:7",
                "db.example:7",
                "10.0.0.1:7",
                "[fd00::1]:7",
            ] {
                assert_eq!(ask(place, place).await?, place);
            }
            let found: Vec<IpAddr> = lookup_host("server:7").await?.map(|a| a.ip()).collect();
            assert_eq!(
                found,
                ["10.0.0.1", "fd00::1"].map(|a| a.parse::<IpAddr>().unwrap())
            );
            let error = ask("nobody:7", "").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            Ok(())
        });
    })
    .unwrap();
}

#[test]
fn a_closed_port_refuses_and_loopback_stays_inside() {
    let report = sim::run(1, |sim| {
        sim.host("server", || async { std::future::pending().await });
        sim.client("client", || async {
            let error = TcpStream::connect("server:80").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);

            let socket = UdpSocket::bind("0.0.0.0:0").await?;
            socket.connect("10.0.0.1:53").await?;
            socket.send(b"anybody?").await?;
            let error = socket.recv(&mut [0; 16]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);

            tokio::spawn(echo());
            tokio::task::yield_now().await;
            assert_eq!(ask("localhost:7", "within").await?, "within");
            assert_eq!(ask("client:7", "by name").await?, "by name");
            Ok(())
        });
    });
    // Two SYNs (each family), two resets; a datagram, an ICMP error.
    assert_eq!(report.unwrap().packets, 6);
}

#[test]
fn an_address_of_its_own_choice_is_what_the_name_means() {
    sim::run(1, |sim| {
        let address = "192.168.7.9/24".parse().unwrap();
        sim.add("server").address(address).mtu(1280).host(echo);
        sim.client("client", || async {
            let found: Vec<_> = lookup_host("server:7").await?.collect();
            assert_eq!(found, ["192.168.7.9:7".parse().unwrap()]);
            assert_eq!(ask("server:7", "hello").await?, "hello");
            Ok(())
        });
    })
    .unwrap();
}

#[test]
fn tasks_of_all_kinds_run_on_their_host() {
    sim::run(1, |sim| {
        sim.host("server", echo);
        sim.client("client", || async {
            let mut set = JoinSet::new();
            for n in 0..20 {
                set.spawn(async move { ask("server:7", &format!("task {n}")).await });
            }
            let mut answers = Vec::new();
            while let Some(answer) = set.join_next().await {
                answers.push(answer??);
            }
            assert_eq!(answers.len(), 20);

            let shared = Rc::new(Cell::new(0));
            let theirs = Rc::clone(&shared);
            let local = tokio::task::spawn_local(async move {
                theirs.set(ask("server:7", "local").await.unwrap().len());
            });
            local.await?;
            assert_eq!(shared.get(), 5);
            Ok(())
        });
    })
    .unwrap();
}

#[test]
fn an_error_fails_the_run_and_names_its_host() {
    let failure = sim::run(11, |sim| {
        sim.host("server", || async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            Err("the disk is full".into())
        });
        sim.client("client", || async { std::future::pending().await });
    });
    let failure = failure.unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Software);
    assert_eq!((failure.host(), failure.seed()), (Some("server"), 11));
    assert_eq!(
        failure.what(),
        "server: its software failed: the disk is full"
    );
    assert_eq!(failure.at(), Duration::from_secs(2));
}

#[test]
fn a_panic_fails_the_run_and_shows_the_last_packets() {
    let failure = sim::run(1, |sim| {
        sim.host("server", echo);
        sim.client("client", || async {
            assert_eq!(ask("server:7", "right").await?, "wrong");
            Ok(())
        });
    });
    let failure = failure.unwrap_err();
    assert_eq!(
        (failure.kind(), failure.host()),
        (FailureKind::Panic, Some("client"))
    );
    let ladder = failure.ladder();
    for wanted in ["client > server", "server > client", "SYN|ACK", "len=5"] {
        assert!(ladder.contains(wanted), "{wanted:?} is not in\n{ladder}");
    }
    assert!(failure.capture().len() > 1000);
}

#[test]
fn of_two_failures_in_one_stretch_the_earlier_counts() {
    let failure = sim::run(1, |sim| {
        for (name, ms) in [("late", 3), ("early", 2)] {
            sim.client(name, move || async move {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                Err(name.into())
            });
        }
    });
    assert_eq!(failure.unwrap_err().host(), Some("early"));
}

#[test]
fn luck_follows_from_the_seed_the_host_and_its_life() {
    let draw = |seed| {
        let drawn = Arc::new(Mutex::new(Vec::new()));
        sim::run(seed, |sim| {
            for name in ["a", "b"] {
                let drawn = Arc::clone(&drawn);
                sim.client(name, move || {
                    let drawn = Arc::clone(&drawn);
                    async move {
                        let mine = [sim::random(), sim::with_rng(|rng| rng.below(u64::MAX))];
                        drawn.lock().unwrap().extend(mine);
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        Ok(())
                    }
                });
            }
            sim.at(Duration::from_millis(500), |sim| sim.restart("a"));
        })
        .unwrap();
        let mut drawn = drawn.lock().unwrap().clone();
        let all = drawn.clone();
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!(
            drawn.len(),
            6,
            "two hosts, one of them twice, two numbers each"
        );
        all
    };
    assert_eq!(draw(5), draw(5));
    assert_ne!(draw(5), draw(6));
}

#[test]
fn what_a_host_holds_can_be_seen_from_outside() {
    let mut sim = sim::Builder::new().seed(1).build();
    let server = sim.host("server", echo);
    sim.client("client", || async {
        assert_eq!(ask("server:7", "hello").await?, "hello");
        Ok(())
    });
    sim.run().unwrap();
    assert!(server.is_up());
    assert!(
        server
            .sockets()
            .iter()
            .any(|socket| socket.local.port() == 7)
    );
    assert!(server.stats().packets_received > 3);
    assert_eq!(server.starts(), 1);
    let stats = sim.control().link_stats("client", "server");
    assert_eq!(stats.arrived, server.stats().packets_received);
}

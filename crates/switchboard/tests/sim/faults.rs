//! Faults: partitions, crashes and restarts, links that change, captures, repeatability.

use std::cell::RefCell;
use std::io::{self, ErrorKind, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use switchboard::net::{TcpListener, TcpStream, UdpSocket};
use switchboard::sim::{self, FailureKind, Sim};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

const MS: Duration = Duration::from_millis(1);
const S: Duration = Duration::from_secs(1);

/// Sends each connection a number of octets, then ends it.
async fn source(octets: usize) -> sim::Result {
    let listener = TcpListener::bind("0.0.0.0:80").await?;
    loop {
        let (mut stream, _) = listener.accept().await?;
        tokio::spawn(async move { stream.write_all(&vec![7; octets]).await });
    }
}

async fn fetch() -> io::Result<usize> {
    let mut stream = TcpStream::connect("server:80").await?;
    stream.read_to_end(&mut Vec::new()).await
}

#[test]
fn a_transfer_survives_every_impairment_at_once() {
    for seed in 0..5 {
        sim::run(seed, |sim| {
            sim.host("server", || source(200_000));
            sim.client("client", || async {
                assert_eq!(fetch().await?, 200_000);
                Ok(())
            });
            sim.link("client", "server")
                .delay(10 * MS)
                .jitter(3 * MS)
                .loss(0.02)
                .duplicate(0.02)
                .corrupt(0.02)
                .reorder(0.02, 20 * MS)
                .rate(20_000_000)
                .queue(50)
                .mtu(900);
        })
        .unwrap();
    }
}

#[test]
fn a_partition_holds_back_and_a_repair_lets_go() {
    let report = sim::run(1, |sim| {
        sim.host("server", || source(1_000_000));
        sim.client("client", || async {
            assert_eq!(fetch().await?, 1_000_000);
            assert!(sim::elapsed() > 5 * S);
            Ok(())
        });
        sim.at(30 * MS, |sim| sim.partition("client", ["server"]));
        sim.at(5 * S, |sim| sim.repair("client", "server"));
    });
    assert!(report.unwrap().elapsed < 15 * S);
}

#[test]
fn an_isolated_host_reaches_nobody_and_others_do() {
    sim::run(1, |sim| {
        for name in ["server", "bystander"] {
            sim.host(name, || source(10));
        }
        sim.client("client", || async {
            sleep(S).await;
            let error = timeout(S, fetch()).await;
            assert!(error.is_err(), "the server is isolated");
            TcpStream::connect("bystander:80").await?;
            sim::control().repair_all();
            sleep(10 * MS).await;
            assert_eq!(fetch().await?, 10);
            Ok(())
        });
        sim.at(500 * MS, |sim| sim.isolate("server"));
    })
    .unwrap();
}

#[test]
fn a_crash_says_nothing_and_a_restart_knows_nothing() {
    let starts = Arc::new(AtomicU32::new(0));
    let dropped = Arc::new(AtomicU32::new(0));
    struct Counted(Arc<AtomicU32>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let (starts_seen, dropped_seen) = (Arc::clone(&starts), Arc::clone(&dropped));
    sim::run(1, |sim| {
        sim.host("server", move || {
            starts.fetch_add(1, Ordering::Relaxed);
            let counted = Counted(Arc::clone(&dropped));
            async move {
                let _counted = counted;
                let listener = TcpListener::bind("0.0.0.0:80").await?;
                let mut streams = Vec::new();
                loop {
                    streams.push(listener.accept().await?);
                }
            }
        });
        sim.client("client", || async {
            let mut stream = TcpStream::connect("server:80").await?;
            let silence = timeout(2 * S, stream.read_u8()).await;
            assert!(silence.is_err(), "a crash sends neither FIN nor RST");
            assert!(
                timeout(S, TcpStream::connect("server:80")).await.is_err(),
                "it is down"
            );
            sim::control().restart("server");
            sleep(10 * MS).await;
            // What it hears of an old connection it answers with a reset.
            stream.write_all(b"hello?").await?;
            let error = stream.read_u8().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
            TcpStream::connect("server:80").await?;
            Ok(())
        });
        sim.at(S, |sim| sim.crash("server"));
    })
    .unwrap();
    assert_eq!(starts_seen.load(Ordering::Relaxed), 2);
    assert_eq!(
        dropped_seen.load(Ordering::Relaxed),
        2,
        "by the crash, and at the end"
    );
}

#[test]
fn a_restarted_client_has_to_be_done_again() {
    let starts = Rc::new(RefCell::new(0));
    let seen = Rc::clone(&starts);
    let report = sim::run(1, |sim| {
        sim.client("client", move || {
            *starts.borrow_mut() += 1;
            async {
                sleep(S).await;
                Ok(())
            }
        });
        sim.at(900 * MS, |sim| sim.crash("client"));
        sim.at(2 * S, |sim| sim.restart("client"));
    });
    assert_eq!(*seen.borrow(), 2);
    assert!((3000..=3010).contains(&report.unwrap().elapsed.as_millis()));
}

#[test]
fn links_change_while_the_world_runs_from_outside_and_from_inside() {
    sim::run(1, |sim| {
        sim.host("server", || async {
            let socket = UdpSocket::bind("0.0.0.0:7").await?;
            let mut buffer = [0; 100];
            loop {
                let (len, from) = socket.recv_from(&mut buffer).await?;
                socket.send_to(&buffer[..len], from).await?;
            }
        });
        sim.client("client", || async {
            let socket = UdpSocket::bind("0.0.0.0:0").await?;
            socket.connect("server:7").await?;
            let ping = async || -> io::Result<Duration> {
                let began = sim::elapsed();
                socket.send(b"ping").await?;
                socket.recv(&mut [0; 10]).await?;
                Ok(sim::elapsed() - began)
            };
            assert_eq!(ping().await?, 20 * MS);
            sleep(S).await;
            assert_eq!(ping().await?, 60 * MS, "a plan has changed it");
            sim::control().link("client", "server").delay(2 * MS);
            // From inside: at most the shortest delay later.
            sleep(30 * MS).await;
            assert_eq!(ping().await?, 4 * MS);
            sim::control().links().loss(1.0);
            sleep(10 * MS).await;
            assert!(timeout(S, ping()).await.is_err());
            Ok(())
        });
        sim.at(500 * MS, |sim| {
            sim.link("client", "server").delay(30 * MS);
        });
    })
    .unwrap();
}

/// A file in memory.
#[derive(Clone, Default)]
struct File(Rc<RefCell<Vec<u8>>>);

impl Write for File {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        Write::write(&mut *self.0.borrow_mut(), octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn count(haystack: &[u8], needle: &[u8]) -> usize {
    haystack
        .windows(needle.len())
        .filter(|window| window == &needle)
        .count()
}

#[test]
fn captures_have_the_packets_of_their_links() {
    let (all, one) = (File::default(), File::default());
    let (into_all, into_one) = (all.clone(), one.clone());
    let report = sim::run(1, |sim| {
        sim.host("server", || source(5_000));
        for name in ["client", "other"] {
            sim.client(name, || async {
                assert_eq!(fetch().await?, 5_000);
                Ok(())
            });
        }
        sim.link("client", "server").loss(0.3);
        sim.capture(into_all);
        sim.capture_link("other", "server", into_one);
    });
    let packets = report.unwrap().packets as usize;
    // An enhanced packet block begins with its type, 6.
    let blocks = |file: &File| count(&file.0.borrow(), &[6, 0, 0, 0]);
    assert!(blocks(&all) >= packets);
    assert!(blocks(&one) < blocks(&all));
    assert!(count(&all.0.borrow(), b"lost on the way") > 0);
    assert_eq!(count(&one.0.borrow(), b"lost on the way"), 0);
}

/// Two hosts that say something every few milliseconds, drawn from `luck`.
fn chatter(luck: impl Fn() -> u64 + Copy + 'static) -> impl Fn(&mut Sim) {
    move |sim| {
        sim.host("server", || async {
            let socket = UdpSocket::bind("0.0.0.0:7").await?;
            loop {
                socket.recv_from(&mut [0; 100]).await?;
            }
        });
        sim.client("client", move || async move {
            let socket = UdpSocket::bind("0.0.0.0:0").await?;
            for _ in 0..100 {
                socket.send_to(&luck().to_be_bytes(), "server:7").await?;
                sleep(MS * (luck() % 7) as u32).await;
            }
            Ok(())
        });
        sim.links().loss(0.1).jitter(MS);
    }
}

#[test]
fn one_seed_is_one_run_and_another_is_another() {
    let first = sim::twice(8, chatter(sim::random)).unwrap();
    let again = sim::run(8, chatter(sim::random)).unwrap();
    let other = sim::run(9, chatter(sim::random)).unwrap();
    assert_eq!((first.digest, first.packets), (again.digest, again.packets));
    assert_ne!(first.digest, other.digest);
}

#[test]
fn a_run_that_is_not_repeatable_is_told_with_its_first_packet() {
    // What a program does that asks anybody else for luck: here, a static.
    static LEFT_OVER: AtomicU32 = AtomicU32::new(0);
    let luck = || u64::from(LEFT_OVER.fetch_add(1, Ordering::Relaxed));
    let failure = sim::twice(8, chatter(luck)).unwrap_err();
    assert_eq!(failure.kind(), FailureKind::NotRepeatable);
    let what = failure.what();
    assert!(what.contains("first in packet 0"), "{what}");
    assert_eq!(what.matches("client > server").count(), 2, "{what}");
}

#[test]
fn a_crash_comes_after_the_start_that_was_ordered_before() {
    sim::run(1, |sim| {
        sim.host("b", || async {
            assert!(sim::elapsed() >= 5 * S, "it ran before its restart");
            source(10).await
        });
        sim.client("client", || async {
            sleep(6 * S).await;
            TcpStream::connect("b:80").await?;
            Ok(())
        });
        sim.crash("b");
        sim.at(5 * S, |sim| sim.restart("b"));
    })
    .unwrap();
}

#[test]
#[should_panic(expected = "no seed to run")]
fn no_seed_is_no_test() {
    sim::check(5..5, |_| {});
}

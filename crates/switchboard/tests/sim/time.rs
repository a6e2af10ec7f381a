//! Virtual time: exact on links, tokio's inside hosts, and cheap when nothing happens.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use switchboard::net::{TcpListener, TcpStream, UdpSocket};
use switchboard::sim::{self, Builder, FailureKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};

const US: Duration = Duration::from_micros(1);
const MS: Duration = Duration::from_millis(1);
const S: Duration = Duration::from_secs(1);

/// A server that sends each datagram back.
async fn echo() -> sim::Result {
    let socket = UdpSocket::bind("0.0.0.0:7").await?;
    let mut buffer = [0; 2048];
    loop {
        let (len, from) = socket.recv_from(&mut buffer).await?;
        socket.send_to(&buffer[..len], from).await?;
    }
}

/// How long a datagram takes there and back.
async fn ping(socket: &UdpSocket, len: usize) -> std::io::Result<Duration> {
    let began = Instant::now();
    socket.send(&vec![0; len]).await?;
    socket.recv(&mut vec![0; 2048]).await?;
    Ok(began.elapsed())
}

#[test]
fn a_round_trip_takes_what_the_links_say_to_the_nanosecond() {
    for (there, back) in [
        (20 * MS, 20 * MS),
        (1500 * US, 250 * US),
        (37 * US, 1 * US),
        (
            Duration::from_nanos(1_234_567),
            Duration::from_nanos(999_999),
        ),
    ] {
        let report = sim::run(1, move |sim| {
            sim.host("server", echo);
            sim.client("client", move || async move {
                let socket = UdpSocket::bind("0.0.0.0:0").await?;
                socket.connect("server:7").await?;
                for _ in 0..5 {
                    assert_eq!(ping(&socket, 100).await?, there + back);
                    sleep(3 * MS).await;
                }
                Ok(())
            });
            sim.link_one_way("client", "server").delay(there);
            sim.link_one_way("server", "client").delay(back);
        });
        assert_eq!(report.unwrap().packets, 10);
    }
}

#[test]
fn a_line_of_a_rate_takes_the_time_of_each_bit() {
    sim::run(1, |sim| {
        sim.host("server", echo);
        sim.client("client", || async {
            let socket = UdpSocket::bind("0.0.0.0:0").await?;
            socket.connect("server:7").await?;
            // 972 octets, 20 of IP and 8 of UDP: 8,000 bits, a millisecond each way.
            assert_eq!(ping(&socket, 972).await?, 4 * MS);
            Ok(())
        });
        sim.link("client", "server").delay(MS).rate(8_000_000);
    })
    .unwrap();
}

#[test]
fn timers_fire_when_tokio_fires_them_whatever_arrives_meanwhile() {
    sim::run(1, |sim| {
        sim.host("server", echo);
        sim.client("client", || async {
            let ticks = tokio::spawn(async {
                let began = Instant::now();
                for n in 1..=200_u32 {
                    sleep(MS).await;
                    assert_eq!(began.elapsed(), n * MS);
                }
            });
            let socket = UdpSocket::bind("0.0.0.0:0").await?;
            socket.connect("server:7").await?;
            for _ in 0..50 {
                assert_eq!(ping(&socket, 10).await?, 2 * 777 * US);
            }
            assert!(timeout(10 * MS, socket.recv(&mut [0])).await.is_err());
            ticks.await?;
            Ok(())
        });
        sim.link("client", "server").delay(777 * US);
    })
    .unwrap();
}

#[test]
fn hosts_agree_on_time_and_on_who_was_first() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let report = sim::run(1, |sim| {
        for n in 1..=3_u32 {
            let seen = Arc::clone(&seen);
            sim.client(&format!("host{n}"), move || {
                let seen = Arc::clone(&seen);
                async move {
                    sleep(n * 100 * MS).await;
                    seen.lock()
                        .unwrap()
                        .push((sim::host_name(), sim::elapsed()));
                    Ok(())
                }
            });
        }
    })
    .unwrap();
    let expected: Vec<_> = (1..=3_u32)
        .map(|n| (format!("host{n}"), n * 100 * MS))
        .collect();
    assert_eq!(*seen.lock().unwrap(), expected);
    assert_eq!(report.elapsed, 310 * MS);
}

#[test]
fn a_connect_that_nobody_answers_times_out_in_virtual_time() {
    let report = Builder::new().time_limit(600 * S).run(|sim| {
        sim.client("client", || async {
            let error = TcpStream::connect("10.0.0.99:80").await.unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
            Ok(())
        });
    });
    let elapsed = report.unwrap().elapsed;
    assert!((120 * S..140 * S).contains(&elapsed), "{elapsed:?}");
}

/// "An idle hour of 20 hosts passes within a minute of real time."
#[test]
fn an_idle_hour_of_twenty_hosts_passes_within_a_minute() {
    let report = Builder::new().seed(1).time_limit(2 * 3600 * S).run(|sim| {
        for n in 0..19 {
            sim.host(&format!("server{n}"), || async {
                let listener = TcpListener::bind("0.0.0.0:80").await?;
                loop {
                    let (mut stream, _) = listener.accept().await?;
                    tokio::spawn(async move { stream.read_to_end(&mut Vec::new()).await });
                }
            });
        }
        sim.client("client", || async {
            let mut streams = Vec::new();
            for n in 0..19 {
                streams.push(TcpStream::connect(format!("server{n}:80")).await?);
            }
            sleep(3600 * S).await;
            for stream in &mut streams {
                stream.write_all(b"still there").await?;
            }
            Ok(())
        });
    });
    let report = report.unwrap();
    println!("{report}");
    assert!(report.elapsed >= 3600 * S);
    assert!(report.real < 60 * S, "{report}");
}

#[test]
fn waiting_for_ever_is_a_failure_that_says_who_waits() {
    let failure = Builder::new().seed(3).run(|sim| {
        sim.host("server", || async {
            let _listener = TcpListener::bind("0.0.0.0:80").await?;
            std::future::pending().await
        });
        sim.client("client", || async {
            let mut stream = TcpStream::connect("server:80").await?;
            stream.read_u8().await?;
            Ok(())
        });
        sim.client("other", || async { Ok(()) });
    });
    let failure = failure.unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Stuck);
    let text = failure.to_string();
    for wanted in [
        "still waiting: client",
        "client: waiting; tcp://10.0.0.2:",
        "other: done",
    ] {
        assert!(text.contains(wanted), "{wanted:?} is not in {text}");
    }
}

#[test]
fn whoever_is_busy_when_time_is_over_is_told_apart() {
    let failure = Builder::new().time_limit(10 * S).run(|sim| {
        sim.client("client", || async {
            let socket = UdpSocket::bind("0.0.0.0:0").await?;
            loop {
                sleep(S).await;
                socket.send_to(b"still here", "client:9").await?;
                socket.send_to(b"still here", "10.0.0.9:9").await?;
            }
        });
    });
    let failure = failure.unwrap_err();
    assert_eq!(failure.kind(), FailureKind::TimeLimit);
    let ladder = failure.ladder();
    assert!(
        ladder.contains("client > ?") && ladder.contains("nobody has that address"),
        "{ladder}"
    );
}

#[test]
fn whoever_moves_tokios_clock_is_named() {
    let failure = sim::run(1, |sim| {
        sim.host("other", || async { Ok(()) });
        sim.client("mover", || async {
            tokio::time::advance(3 * S).await;
            sleep(S).await;
            Ok(())
        });
    });
    let failure = failure.unwrap_err();
    assert_eq!(
        (failure.kind(), failure.host()),
        (FailureKind::ClockMoved, Some("mover"))
    );
}

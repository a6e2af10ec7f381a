//! How networks begin and end, and what is left of them.

mod common;

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use common::{B, host_a, host_b, plain_pipe, run, run_paused, run_threads, two_hosts};
use switchboard::device::Device;
use switchboard::{Ended, Instant, Net, SocketError};
use switchboard_core::{RxPacket, Transmit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

/// A device whose link never says anything, until it fails.
struct Failing(oneshot::Receiver<()>);

impl Device for Failing {
    fn mtu(&self) -> usize {
        1500
    }

    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        _now: &dyn Fn() -> Instant,
        _max: usize,
        _batch: &mut Vec<RxPacket>,
    ) -> Poll<io::Result<usize>> {
        match std::pin::Pin::new(&mut self.0).poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(_) => Poll::Ready(Err(io::Error::new(
                ErrorKind::PermissionDenied,
                "the tunnel was taken away",
            ))),
        }
    }

    fn try_send(&mut self, _transmit: &Transmit) -> io::Result<()> {
        Ok(())
    }

    fn poll_send_ready(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A pipe's end that takes one packet a millisecond, and counts what it refuses.
struct Slow {
    inner: switchboard::device::pipe::Pipe,
    next: tokio::time::Instant,
    sleep: Option<std::pin::Pin<Box<tokio::time::Sleep>>>,
}

impl Device for Slow {
    fn mtu(&self) -> usize {
        self.inner.mtu()
    }

    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        now: &dyn Fn() -> Instant,
        max: usize,
        batch: &mut Vec<RxPacket>,
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_recv(cx, now, max, batch)
    }

    fn try_send(&mut self, transmit: &Transmit) -> io::Result<()> {
        let now = tokio::time::Instant::now();
        if now < self.next {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.next = now + Duration::from_millis(1);
        self.inner.try_send(transmit)
    }

    fn poll_send_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut sleep = Box::pin(tokio::time::sleep_until(self.next));
        let is_ready = sleep.as_mut().poll(cx);
        self.sleep = Some(sleep);
        is_ready.map(Ok)
    }
}

#[test]
fn a_device_that_fails_fails_every_socket_by_name() {
    run(async {
        let (fail, failure) = oneshot::channel();
        let net = host_a().build(Failing(failure)).unwrap();
        let listener = net.tcp_listen("10.0.0.1:80").await.unwrap();
        let socket = net.udp_bind("10.0.0.1:53").await.unwrap();
        let calling = net.clone();
        let caller = tokio::spawn(async move { calling.tcp_connect((B, 80)).await });
        let accept = tokio::spawn(async move { listener.accept().await.map(drop) });
        let receive = tokio::spawn(async move { socket.recv(&mut [0; 8]).await });
        tokio::time::sleep(Duration::from_millis(20)).await;
        fail.send(()).unwrap();
        let errors = [
            caller.await.unwrap().map(drop).unwrap_err(),
            accept.await.unwrap().unwrap_err(),
            receive.await.unwrap().map(drop).unwrap_err(),
            net.udp_bind("10.0.0.1:54").await.map(drop).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::PermissionDenied);
            assert!(error.to_string().contains("the tunnel was taken away"));
        }
        assert!(matches!(net.closed().await, Ended::Device(_)));
    });
}

#[test]
fn what_arrived_before_the_link_went_can_be_read() {
    run(async {
        let (a, b) = two_hosts();
        let listener = b.tcp_listen((B, 80)).await.unwrap();
        let mut caller = a.tcp_connect((B, 80)).await.unwrap();
        let (mut answered, _) = listener.accept().await.unwrap();
        caller.write_all(b"last words").await.unwrap();
        answered.readable().await.unwrap();
        a.shutdown();
        assert!(matches!(a.closed().await, Ended::ShutDown));
        assert!(matches!(b.closed().await, Ended::LinkGone));
        let mut got = [0; 10];
        answered.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"last words");
        let error = answered.read(&mut got).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NetworkDown);
        assert!(matches!(
            SocketError::of(&error),
            Some(SocketError::Ended(Ended::LinkGone))
        ));
        let error = caller.write(b"x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NetworkDown);
    });
}

#[test]
fn sockets_keep_their_network_and_the_last_one_ends_it() {
    run(async {
        let (a, b) = two_hosts();
        let listener = b.tcp_listen((B, 80)).await.unwrap();
        let mut caller = a.tcp_connect((B, 80)).await.unwrap();
        let (mut answered, _) = listener.accept().await.unwrap();
        drop((a, listener));
        caller.write_all(b"still").await.unwrap();
        let mut got = [0; 5];
        answered.read_exact(&mut got).await.unwrap();
        caller.write_all(&[1; 300_000]).await.unwrap();
        // What was written is sent although nobody holds the socket or its network any more.
        drop(caller);
        let mut rest = Vec::new();
        answered.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest.len(), 300_000);
        drop(answered);
        assert!(matches!(b.closed().await, Ended::LinkGone));
    });
}

#[test]
fn a_runtime_that_ends_fails_sockets_that_live_on() {
    let (device, other) = plain_pipe();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let net = runtime.block_on(async { host_a().build(device).unwrap() });
    let other_runtime = tokio::runtime::Runtime::new().unwrap();
    let b = other_runtime.block_on(async { host_b().build(other).unwrap() });
    let listener = other_runtime.block_on(b.tcp_listen((B, 80))).unwrap();
    let stream = other_runtime.block_on(async {
        let (stream, accepted) = tokio::join!(net.tcp_connect((B, 80)), listener.accept());
        drop(accepted.unwrap());
        stream.unwrap()
    });
    drop(runtime);
    other_runtime.block_on(async {
        assert!(matches!(net.closed().await, Ended::DriverDropped));
        let error = stream.try_write(b"x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NetworkDown);
        assert!(error.to_string().contains("runtime"));
        assert!(matches!(b.closed().await, Ended::LinkGone));
    });
}

#[test]
fn without_a_runtime_it_says_so() {
    let error = host_a().build(plain_pipe().0).unwrap_err();
    assert!(error.to_string().contains("runtime"), "{error}");
}

#[test]
fn a_slow_device_loses_nothing() {
    run_paused(async {
        let (a, b) = plain_pipe();
        let slow = Slow {
            inner: a,
            next: tokio::time::Instant::now(),
            sleep: None,
        };
        let (a, b) = (host_a().build(slow).unwrap(), host_b().build(b).unwrap());
        let listener = b.tcp_listen((B, 80)).await.unwrap();
        let caller = a.tcp_connect((B, 80)).await.unwrap();
        let (answered, _) = listener.accept().await.unwrap();
        let writer = tokio::spawn(common::write_pattern(caller, 1 << 20));
        common::read_pattern(answered, 1 << 20).await;
        writer.await.unwrap();
        assert_eq!(a.stats().segments_retransmitted, 0);
    });
}

/// Sockets that no longer do anything are no longer there.
async fn settled(net: &Net) -> usize {
    for _ in 0..200 {
        let left = net.sockets().len();
        if left == 0 {
            return 0;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    net.sockets().len()
}

#[test]
fn nothing_is_left_of_a_thousand_conversations() {
    run_paused(async {
        let (a, b) = two_hosts();
        let listener = b.tcp_listen((B, 80)).await.unwrap();
        let server = tokio::spawn(async move {
            for round in 0..1000 {
                let (mut stream, _) = listener.accept().await.unwrap();
                match round % 4 {
                    0 => drop(stream),
                    1 => stream.abort(),
                    2 => {
                        let _ = stream.write_all(b"hello").await;
                    }
                    _ => {
                        let _ = stream.read(&mut [0; 16]).await;
                    }
                }
            }
        });
        for round in 0..1000 {
            // The reset of an abort may be faster than we are, as with tokio's.
            let Ok(mut stream) = a.tcp_connect((B, 80)).await else {
                continue;
            };
            match round % 3 {
                0 => drop(stream),
                1 => {
                    let _ = stream.write_all(b"hello").await;
                }
                _ => {
                    let mut all = Vec::new();
                    let _ = stream.shutdown().await;
                    let _ = stream.read_to_end(&mut all).await;
                }
            }
        }
        server.await.unwrap();
        assert_eq!(settled(&a).await, 0, "{:?}", a.sockets());
        assert_eq!(settled(&b).await, 0, "{:?}", b.sockets());
    });
}

#[test]
fn futures_dropped_at_every_await_point_leave_nothing_and_stop_nobody() {
    run_paused(async {
        let (a, b) = two_hosts();
        let listener = Arc::new(b.tcp_listen((B, 80)).await.unwrap());
        let server = tokio::spawn({
            let listener = listener.clone();
            async move {
                loop {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    tokio::spawn(async move {
                        let (mut read, mut write) = stream.split();
                        let _ = tokio::io::copy(&mut read, &mut write).await;
                    });
                }
            }
        });
        // A conversation that is dropped after its n-th poll, for each n until it completes.
        for polls in 0..200 {
            let conversation = async {
                let mut stream = a.tcp_connect((B, 80)).await.unwrap();
                stream.write_all(&[7; 20_000]).await.unwrap();
                stream.shutdown().await.unwrap();
                let mut all = Vec::new();
                stream.read_to_end(&mut all).await.unwrap();
                assert_eq!(all.len(), 20_000);
            };
            // An `accept` of another task that is dropped meanwhile takes no wake-up with it.
            let other = listener.clone();
            let accept = tokio::spawn(async move { other.accept().await.map(drop) });
            let done = polled(conversation, polls).await;
            accept.abort();
            if done {
                break;
            }
            assert_ne!(polls, 199, "never completes");
        }
        let mut stream = a.tcp_connect((B, 80)).await.unwrap();
        stream.write_all(b"alive").await.unwrap();
        let mut got = [0; 5];
        let read = tokio::time::timeout(Duration::from_secs(5), stream.read_exact(&mut got));
        // The call may have gone to an `accept` that was aborted after it took it.
        if let Ok(read) = read.await {
            let _ = read;
        }
        drop(stream);
        server.abort();
        let _ = server.await;
        drop(listener);
        assert_eq!(settled(&a).await, 0, "{:?}", a.sockets());
        assert_eq!(settled(&b).await, 0, "{:?}", b.sockets());
    });
}

/// Polls `future` at most `polls` times, then drops it. `true`: it completed.
async fn polled(future: impl Future, polls: usize) -> bool {
    let mut future = Box::pin(future);
    let mut left = polls;
    std::future::poll_fn(move |cx| {
        if future.as_mut().poll(cx).is_ready() {
            return Poll::Ready(true);
        }
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        Poll::Pending
    })
    .await
}

#[test]
fn a_thousand_tasks_take_turns_without_a_lost_wake_up() {
    run_threads(async {
        let (a, b) = two_hosts();
        let listener = b.tcp_listen((B, 80)).await.unwrap();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let mut buffer = [0; 64];
                    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                        stream.write_all(&buffer[..count]).await.unwrap();
                    }
                });
            }
        });
        let tasks: Vec<_> = (0..1000)
            .map(|_| {
                let a = a.clone();
                tokio::spawn(async move {
                    let mut stream = a.tcp_connect((B, 80)).await.unwrap();
                    stream.set_nodelay(true).unwrap();
                    for turn in 0..20_u32 {
                        stream.write_all(&turn.to_be_bytes()).await.unwrap();
                        let mut got = [0; 4];
                        stream.read_exact(&mut got).await.unwrap();
                        assert_eq!(u32::from_be_bytes(got), turn);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[test]
fn several_tasks_wait_for_one_stream() {
    run(async {
        let (a, b) = two_hosts();
        let listener = b.tcp_listen((B, 80)).await.unwrap();
        let mut caller = a.tcp_connect((B, 80)).await.unwrap();
        let (answered, _) = listener.accept().await.unwrap();
        let answered = Arc::new(answered);
        let waiting: Vec<_> = (0..10)
            .map(|_| {
                let answered = answered.clone();
                tokio::spawn(async move { answered.readable().await })
            })
            .collect();
        tokio::task::yield_now().await;
        // One that gives up takes nobody with it.
        waiting[3].abort();
        caller.write_all(b"x").await.unwrap();
        for (place, task) in waiting.into_iter().enumerate() {
            if place != 3 {
                task.await.unwrap().unwrap();
            }
        }
    });
}

#[test]
fn a_task_that_never_waits_lets_others_run() {
    run(async {
        let (a, b) = two_hosts();
        let listener = b.tcp_listen((B, 80)).await.unwrap();
        let caller = a.tcp_connect((B, 80)).await.unwrap();
        let (answered, _) = listener.accept().await.unwrap();
        // Always ready: without tokio's budget this loop would never give way on one thread.
        tokio::spawn(async move {
            loop {
                if caller.writable().await.is_err() {
                    break;
                }
            }
        });
        tokio::time::sleep(Duration::from_millis(10)).await;
        drop(answered);
        b.shutdown();
        assert!(matches!(a.closed().await, Ended::LinkGone));
    });
}

#[test]
fn futures_and_sockets_may_be_sent_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    fn is_sync<T: Sync>(_: &T) {}
    run(async {
        let (a, b) = two_hosts();
        is_send(&a.tcp_connect("10.0.0.2:80"));
        is_send(&switchboard::net::TcpStream::connect(("name", 80)));
        is_send(&switchboard::net::UdpSocket::bind("10.0.0.2:80"));
        let listener = b.tcp_listen((B, 80)).await.unwrap();
        is_send(&listener.accept());
        let stream = a.tcp_connect((B, 80)).await.unwrap();
        is_sync(&stream);
        is_send(&stream.readable());
        let socket = a.udp_bind("10.0.0.1:0").await.unwrap();
        is_send(&socket.send_to(b"x", (B, 80)));
        is_sync(&socket);
        let mut flows = a.incoming();
        is_send(&flows.next());
        is_send(&a.closed());
    });
}

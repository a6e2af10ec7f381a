//! Conversations between two hosts joined by a pipe.

mod common;

use std::io::{ErrorKind, IoSlice};
use std::time::Duration;

use bytes::Bytes;
use common::{A, B, run, run_paused, run_threads, two_hosts};
use switchboard::net::{TcpSocket, TcpStream};
use switchboard::{ConnectError, Limits, Net, SocketError, State, TcpConfig};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest};
use tokio::time::timeout;

/// A connection from A to B, both ends.
async fn connected(a: &Net, b: &Net) -> (TcpStream, TcpStream) {
    let listener = b.tcp_listen((B, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (caller, answered) = tokio::join!(a.tcp_connect(address), listener.accept());
    (caller.unwrap(), answered.unwrap().0)
}

#[test]
fn an_echo_comes_back() {
    run(async {
        let (a, b) = two_hosts();
        let listener = b.tcp_listen((B, 7)).await.unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, caller) = listener.accept().await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), caller);
            let (mut read, mut write) = stream.split();
            tokio::io::copy(&mut read, &mut write).await.unwrap()
        });
        let mut stream = a.tcp_connect((B, 7)).await.unwrap();
        assert_eq!(stream.local_addr().unwrap().ip().to_string(), A);
        stream.write_all(b"hello").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "hello");
        assert_eq!(server.await.unwrap(), 5);
    });
}

#[test]
fn ipv6_speaks_too() {
    run(async {
        let (a, b) = two_hosts();
        let listener = b.tcp_listen("[fd00::2]:80").await.unwrap();
        let (caller, answered) = tokio::join!(a.tcp_connect("[fd00::2]:80"), listener.accept());
        let (mut caller, mut answered) = (caller.unwrap(), answered.unwrap().0);
        caller.write_all(b"six").await.unwrap();
        let mut got = [0; 3];
        answered.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"six");
    });
}

#[test]
fn a_half_closed_stream_still_gets_its_reply() {
    run(async {
        let (a, b) = two_hosts();
        let (mut caller, mut answered) = connected(&a, &b).await;
        caller.write_all(b"question").await.unwrap();
        caller.shutdown().await.unwrap();
        caller.shutdown().await.unwrap();
        let mut question = String::new();
        answered.read_to_string(&mut question).await.unwrap();
        assert_eq!(question, "question");
        assert!(answered.peer_closed());
        answered.write_all(b"answer").await.unwrap();
        drop(answered);
        let mut answer = String::new();
        caller.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "answer");
        let error = caller.write_all(b"more").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn nobody_listening_refuses_at_once() {
    run(async {
        let (a, _b) = two_hosts();
        let error = a.tcp_connect((B, 81)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let Some(SocketError::Connect { remote, why }) = SocketError::of(&error) else {
            panic!("{error:?}");
        };
        assert_eq!(remote.to_string(), format!("{B}:81"));
        assert_eq!(*why, ConnectError::Refused);
        assert!(error.to_string().contains("nothing listens there"));
    });
}

#[test]
fn a_reset_is_seen_as_a_reset_once() {
    run(async {
        let (a, b) = two_hosts();
        let (mut caller, answered) = connected(&a, &b).await;
        answered.abort();
        let mut buffer = [0; 8];
        let error = caller.read(&mut buffer).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        // As on Linux: told once, then the end of the stream, and a broken pipe.
        assert_eq!(caller.read(&mut buffer).await.unwrap(), 0);
        let error = caller.write(b"x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn silence_times_out_in_virtual_time() {
    run_paused(async {
        // The other end of the pipe is held, and nobody reads it.
        let (device, _silent) = common::plain_pipe();
        let a = common::host_a().build(device).unwrap();
        let began = tokio::time::Instant::now();
        let error = a.tcp_connect((B, 80)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let waited = began.elapsed();
        // 1 + 2 + 4 + 8 + 16 + 32 + 64 s, as Linux.
        assert!(
            (Duration::from_secs(120)..Duration::from_secs(135)).contains(&waited),
            "{waited:?}"
        );
    });
}

#[test]
fn a_caller_that_gives_up_leaves_nothing() {
    run_paused(async {
        let (device, _silent) = common::plain_pipe();
        let a = common::host_a().build(device).unwrap();
        let wait = Duration::from_secs(3);
        let connect = tokio::time::timeout(wait, a.tcp_connect((B, 80)));
        assert!(connect.await.is_err());
        assert!(a.sockets().is_empty(), "{:?}", a.sockets());
    });
}

#[test]
fn options_are_kept() {
    run(async {
        let (a, b) = two_hosts();
        let (caller, _answered) = connected(&a, &b).await;
        caller.set_nodelay(true).unwrap();
        assert!(caller.nodelay().unwrap());
        caller.set_ttl(9).unwrap();
        assert_eq!(caller.ttl().unwrap(), 9);
        assert!(caller.set_ttl(0).is_err());
        assert_eq!(caller.linger().unwrap(), None);
        caller.set_zero_linger().unwrap();
        assert_eq!(caller.linger().unwrap(), Some(Duration::ZERO));
        assert_eq!(caller.info().unwrap().state, State::Established);
        assert!(caller.take_error().unwrap().is_none());
    });
}

#[test]
fn a_tcp_socket_connects_from_where_it_is_bound() {
    run(async {
        let (a, b) = two_hosts();
        let socket = TcpSocket::new_v4_on(&b);
        socket.set_reuseaddr(true).unwrap();
        socket.bind(format!("{B}:5000").parse().unwrap()).unwrap();
        let listener = socket.listen(4).unwrap();

        let socket = TcpSocket::new_v4_on(&a);
        socket.set_nodelay(true).unwrap();
        socket.bind(format!("{A}:4000").parse().unwrap()).unwrap();
        let stream = socket
            .connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        assert_eq!(stream.local_addr().unwrap().port(), 4000);
        assert!(stream.nodelay().unwrap());
        let (_stream, caller) = listener.accept().await.unwrap();
        assert_eq!(caller.port(), 4000);

        let socket = TcpSocket::new_v4_on(&a);
        let error = socket.bind("192.0.2.9:1".parse().unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
    });
}

#[test]
fn a_port_can_be_taken_once() {
    run(async {
        let (_a, b) = two_hosts();
        let first = b.tcp_listen((B, 80)).await.unwrap();
        let error = b.tcp_listen((B, 80)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        drop(first);
        b.tcp_listen((B, 80)).await.unwrap();
        let error = b.tcp_listen("192.0.2.1:80").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
    });
}

#[test]
fn a_backlog_holds_callers_until_they_are_accepted() {
    run(async {
        let (a, b) = two_hosts();
        let listener = b.tcp_listen((B, 80)).await.unwrap();
        let mut callers = Vec::new();
        for _ in 0..100 {
            callers.push(a.tcp_connect((B, 80)).await.unwrap());
        }
        for caller in &callers {
            let (_, remote) = listener.accept().await.unwrap();
            assert_eq!(remote, caller.local_addr().unwrap());
        }
    });
}

#[test]
fn dropping_a_listener_resets_who_was_not_accepted() {
    run(async {
        let (a, b) = two_hosts();
        let listener = b.tcp_listen((B, 80)).await.unwrap();
        let mut caller = a.tcp_connect((B, 80)).await.unwrap();
        drop(listener);
        let error = caller.read(&mut [0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        let error = a.tcp_connect((B, 80)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn several_tasks_accept_and_each_call_goes_to_one() {
    run_threads(async {
        let (a, b) = two_hosts();
        let listener = std::sync::Arc::new(b.tcp_listen((B, 80)).await.unwrap());
        let acceptors: Vec<_> = (0..50)
            .map(|_| {
                let listener = listener.clone();
                tokio::spawn(async move { listener.accept().await.unwrap().1 })
            })
            .collect();
        let mut callers = Vec::new();
        for _ in 0..50 {
            callers.push(a.tcp_connect((B, 80)).await.unwrap());
        }
        let mut accepted = Vec::new();
        for acceptor in acceptors {
            accepted.push(acceptor.await.unwrap());
        }
        accepted.sort_unstable();
        accepted.dedup();
        assert_eq!(accepted.len(), 50);
    });
}

#[test]
fn readiness_follows_what_is_there() {
    run(async {
        let (a, b) = two_hosts();
        let (caller, answered) = connected(&a, &b).await;
        let mut buffer = [0; 16];
        let error = answered.try_read(&mut buffer).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        caller.writable().await.unwrap();
        assert_eq!(caller.try_write(b"ready?").unwrap(), 6);
        answered.readable().await.unwrap();
        assert_eq!(answered.peek(&mut buffer).await.unwrap(), 6);
        assert_eq!(answered.try_read(&mut buffer[..2]).unwrap(), 2);
        let ready = answered
            .ready(Interest::READABLE | Interest::WRITABLE)
            .await;
        let ready = ready.unwrap();
        assert!(ready.is_readable() && ready.is_writable() && !ready.is_read_closed());
        assert_eq!(answered.try_read(&mut buffer).unwrap(), 4);
        let error = answered.try_read(&mut buffer).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        drop(caller);
        let ready = answered.ready(Interest::READABLE).await.unwrap();
        assert!(ready.is_read_closed());
        assert_eq!(answered.try_read(&mut buffer).unwrap(), 0);
    });
}

#[test]
fn vectored_writes_arrive_in_order() {
    run(async {
        let (a, b) = two_hosts();
        let (mut caller, mut answered) = connected(&a, &b).await;
        let bufs = [
            IoSlice::new(b"one "),
            IoSlice::new(b""),
            IoSlice::new(b"two"),
        ];
        assert_eq!(caller.write_vectored(&bufs).await.unwrap(), 7);
        assert!(caller.is_write_vectored());
        let mut got = [0; 7];
        answered.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"one two");
    });
}

#[test]
fn chunks_go_through_without_a_copy_of_ours() {
    run(async {
        let (a, b) = two_hosts();
        let (caller, answered) = connected(&a, &b).await;
        let data = Bytes::from(vec![7; 100_000]);
        caller.write_all_chunk(data.clone()).await.unwrap();
        let (read, write) = answered.into_split();
        drop(write);
        let mut got = 0;
        while got < data.len() {
            let chunk = read.read_chunk(4096).await.unwrap();
            assert!(!chunk.is_empty() && chunk.len() <= 4096);
            got += chunk.len();
        }
        let error = read.try_read_chunk(1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        drop(caller);
        assert!(read.read_chunk(1).await.unwrap().is_empty());
    });
}

#[test]
fn owned_halves_end_the_stream_when_the_writer_drops() {
    run(async {
        let (a, b) = two_hosts();
        let (caller, mut answered) = connected(&a, &b).await;
        let (mut read, mut write) = caller.into_split();
        write.write_all(b"bye").await.unwrap();
        drop(write);
        let mut said = String::new();
        answered.read_to_string(&mut said).await.unwrap();
        assert_eq!(said, "bye");
        answered.write_all(b"still here").await.unwrap();
        drop(answered);
        said.clear();
        read.read_to_string(&mut said).await.unwrap();
        assert_eq!(said, "still here");
    });
}

#[test]
fn halves_find_together_again() {
    run(async {
        let (a, b) = two_hosts();
        let (caller, answered) = connected(&a, &b).await;
        let (read, write) = caller.into_split();
        let (other_read, other_write) = answered.into_split();
        let error = read.reunite(other_write).unwrap_err();
        let (read, other_write) = (error.0, error.1);
        let mut caller = read.reunite(write).unwrap();
        let mut answered = other_read.reunite(other_write).unwrap();
        caller.write_all(b"whole").await.unwrap();
        let mut got = [0; 5];
        answered.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"whole");
    });
}

#[test]
fn a_writer_waits_while_the_reader_does_not_read() {
    run_paused(async {
        let (a, b) = two_hosts();
        let (mut caller, mut answered) = connected(&a, &b).await;
        // More than both buffers hold.
        let writer = tokio::spawn(async move {
            common::write_pattern(&mut caller, 32 << 20).await;
            caller
        });
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert!(!writer.is_finished());
        common::read_pattern(&mut answered, 32 << 20).await;
        writer.await.unwrap();
    });
}

#[test]
fn cancelled_reads_and_writes_lose_nothing() {
    run(async {
        let (a, b) = two_hosts();
        let (mut caller, mut answered) = connected(&a, &b).await;
        let total = 4 << 20;
        let writer = tokio::spawn(async move {
            let mut buffer = vec![0; 30_000];
            let mut offset = 0;
            while offset < total {
                let count = buffer.len().min((total - offset) as usize);
                common::fill(offset, &mut buffer[..count]);
                tokio::select! {
                    biased;
                    written = caller.write(&buffer[..count]) => offset += written.unwrap() as u64,
                    () = tokio::task::yield_now() => {}
                }
            }
            caller.shutdown().await.unwrap();
            caller
        });
        let mut buffer = vec![0; 50_000];
        let mut wanted = vec![0; 50_000];
        let mut offset = 0;
        while offset < total {
            tokio::select! {
                biased;
                read = answered.read(&mut buffer) => {
                    let count = read.unwrap();
                    common::fill(offset, &mut wanted[..count]);
                    assert!(buffer[..count] == wanted[..count]);
                    offset += count as u64;
                }
                () = tokio::task::yield_now() => {}
            }
        }
        writer.await.unwrap();
    });
}

#[test]
fn what_a_function_finds_not_ready_is_not_ready_until_there_is_news() {
    run_paused(async {
        let (a, b) = two_hosts();
        let (caller, answered) = connected(&a, &b).await;
        caller.try_write(b"one").unwrap();
        answered.readable().await.unwrap();
        let not_yet = || Err::<(), _>(ErrorKind::WouldBlock.into());
        let error = answered.try_io(Interest::READABLE, not_yet).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        // The octets are still there, but the function waits for something else: no spinning.
        let wait = Duration::from_secs(1);
        assert!(timeout(wait, answered.readable()).await.is_err());
        let mut calls = 0;
        let function = || {
            calls += 1;
            if calls < 3 {
                return Err(ErrorKind::WouldBlock.into());
            }
            answered.try_read(&mut [0; 16])
        };
        let waits = answered.async_io(Interest::READABLE, function);
        let (count, ()) = tokio::join!(waits, async {
            for _ in 0..3 {
                tokio::time::sleep(wait).await;
                caller.try_write(b"more").unwrap();
            }
        });
        assert_eq!(count.unwrap(), 3 + 3 * 4);
        assert_eq!(calls, 3);
    });
}

#[test]
fn who_waits_for_room_waits_while_all_buffers_together_are_full() {
    run_paused(async {
        let (near, far) = common::plain_pipe();
        let limits = Limits {
            buffers: 256 << 10,
            ..Limits::default()
        };
        let a = common::host_a().limits(limits).build(near).unwrap();
        let mut small = TcpConfig::default();
        small.defaults.receive_buffer = 16 << 10;
        let b = common::host_b().tcp(small).build(far).unwrap();
        let (first, unread) = connected(&a, &b).await;
        let (second, _other) = connected(&a, &b).await;
        // Nobody reads: the first one's queue takes what all may hold together.
        while a.stats().pinned_octets < 256 << 10 {
            timeout(Duration::from_secs(1), first.writable())
                .await
                .unwrap()
                .unwrap();
            first.try_write(&[0; 8192]).unwrap();
        }
        while second.try_write(&[0; 1024]).is_ok() {}
        let mut rounds = 0;
        let spin = async {
            loop {
                second.writable().await.unwrap();
                rounds += 1;
                if second.try_write(&[0; 1024]).is_ok() {
                    break;
                }
            }
        };
        let read = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let mut left = 300 << 10;
            while left > 0 {
                left -= unread.read_chunk(1 << 20).await.unwrap().len().min(left);
            }
        };
        tokio::join!(spin, async {
            let _ = timeout(Duration::from_secs(60), read).await;
        });
        assert!(
            rounds <= 3,
            "writable and try_write went round {rounds} times"
        );
    });
}

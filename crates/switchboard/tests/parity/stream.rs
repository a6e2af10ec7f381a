// `TcpStream`: connecting, reading, writing, options.

use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice, IoSliceMut};
use std::time::Duration;

use helpers::{kind, listening, soon, tcp_pair, waits};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

#[test]
fn addresses_agree() {
    run(async {
        let (client, server) = tcp_pair().await;
        assert_eq!(client.local_addr().unwrap(), server.peer_addr().unwrap());
        assert_eq!(client.peer_addr().unwrap(), server.local_addr().unwrap());
        assert!(client.peer_addr().unwrap().ip().is_loopback());
        let itself: &TcpStream = client.as_ref();
        assert_eq!(itself.local_addr().unwrap(), client.local_addr().unwrap());
    });
}

#[test]
fn ipv6_speaks_too() {
    run(async {
        let listener = TcpListener::bind("[::1]:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (client, server) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (mut client, mut server) = (client.unwrap(), server.unwrap().0);
        client.write_all(b"hello").await.unwrap();
        drop(client);
        let mut said = Vec::new();
        server.read_to_end(&mut said).await.unwrap();
        assert_eq!(said, b"hello");
    });
}

#[test]
fn refused() {
    run(async {
        let (listener, address) = listening().await;
        drop(listener);
        assert_eq!(
            kind(TcpStream::connect(address).await),
            ErrorKind::ConnectionRefused
        );
    });
}

#[test]
fn the_second_address_is_tried() {
    run(async {
        let (closed, first) = listening().await;
        let (_open, second) = listening().await;
        drop(closed);
        let stream = TcpStream::connect(&[first, second][..]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), second);
    });
}

#[test]
fn peeking_takes_nothing() {
    run(async {
        let (mut client, mut server) = tcp_pair().await;
        assert!(waits(server.peek(&mut [0; 4])).await);
        client.write_all(b"hello").await.unwrap();
        let mut buffer = [0; 16];
        assert_eq!(soon(server.peek(&mut buffer)).await.unwrap(), 5);
        assert_eq!(&buffer[..5], b"hello");
        assert_eq!(server.peek(&mut buffer[..2]).await.unwrap(), 2);
        let mut space = [0; 16];
        let mut space = ReadBuf::new(&mut space);
        let count = poll_fn(|cx| server.poll_peek(cx, &mut space))
            .await
            .unwrap();
        assert_eq!((count, space.filled()), (5, &b"hello"[..]));
        assert_eq!(server.read(&mut buffer).await.unwrap(), 5);
        client.shutdown().await.unwrap();
        assert_eq!(soon(server.peek(&mut buffer)).await.unwrap(), 0);
        assert_eq!(server.read(&mut buffer).await.unwrap(), 0);
    });
}

#[test]
fn poll_peek_wakes() {
    run(async {
        let (mut client, server) = tcp_pair().await;
        let mut space = [0; 16];
        let mut space = ReadBuf::new(&mut space);
        let (count, written) = tokio::join!(
            soon(poll_fn(|cx| server.poll_peek(cx, &mut space))),
            client.write_all(b"abc")
        );
        written.unwrap();
        assert_eq!(count.unwrap(), 3);
    });
}

#[test]
fn vectored() {
    run(async {
        let (mut client, mut server) = tcp_pair().await;
        assert!(client.is_write_vectored());
        let bufs = [IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cde")];
        assert_eq!(client.write_vectored(&bufs).await.unwrap(), 5);
        assert_eq!(client.try_write_vectored(&bufs).unwrap(), 5);
        let mut all = [0; 10];
        // Both writes may arrive as one or two.
        while server.peek(&mut all).await.unwrap() < 10 {
            tokio::task::yield_now().await;
        }
        let (one, rest) = all.split_at_mut(1);
        let mut bufs = [
            IoSliceMut::new(one),
            IoSliceMut::new(&mut []),
            IoSliceMut::new(rest),
        ];
        assert_eq!(server.try_read_vectored(&mut bufs).unwrap(), 10);
        assert_eq!(&all, b"abcdeabcde");
        let error = server.try_read_vectored(&mut [IoSliceMut::new(&mut all)]);
        assert_eq!(kind(error), ErrorKind::WouldBlock);
        client.write_all(b"x").await.unwrap();
        drop(client);
        assert_eq!(server.read(&mut all).await.unwrap(), 1);
    });
}

#[test]
fn buffers_that_grow() {
    run(async {
        let (client, mut server) = tcp_pair().await;
        assert_eq!(client.try_write(b"hello").unwrap(), 5);
        server.readable().await.unwrap();
        let mut vec = Vec::with_capacity(3);
        assert_eq!(server.try_read_buf(&mut vec).unwrap(), 3);
        let mut vec = bytes::BytesMut::with_capacity(8);
        assert_eq!(server.read_buf(&mut vec).await.unwrap(), 2);
        assert_eq!(&vec[..], b"lo");
        assert_eq!(kind(server.try_read_buf(&mut vec)), ErrorKind::WouldBlock);
    });
}

#[test]
fn nothing_at_all_is_written_and_read() {
    run(async {
        let (mut client, mut server) = tcp_pair().await;
        assert_eq!(client.write(b"").await.unwrap(), 0);
        assert_eq!(client.try_write(b"").unwrap(), 0);
        client.write_all(b"x").await.unwrap();
        server.readable().await.unwrap();
        assert_eq!(server.try_read(&mut []).unwrap(), 0);
        assert_eq!(server.read(&mut []).await.unwrap(), 0);
        assert_eq!(server.read(&mut [0; 4]).await.unwrap(), 1);
    });
}

#[test]
fn reads_that_are_dropped_lose_nothing() {
    run(async {
        let (mut client, mut server) = tcp_pair().await;
        let wait = Duration::from_millis(1);
        for round in 0..5u8 {
            let mut buffer = [0; 4];
            assert!(waits(server.read(&mut buffer)).await);
            assert!(
                tokio::time::timeout(wait, server.peek(&mut buffer))
                    .await
                    .is_err()
            );
            client.write_all(&[round]).await.unwrap();
            assert_eq!(soon(server.read(&mut buffer)).await.unwrap(), 1);
            assert_eq!(buffer[0], round);
        }
    });
}

#[test]
fn a_full_stream_makes_writers_wait() {
    run(async {
        let (client, server) = tcp_pair().await;
        let mut sent = 0;
        loop {
            match client.try_write(&[7; 65536]) {
                Ok(count) => sent += count,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    // What is under way may make room once more.
                    if waits(client.writable()).await {
                        break;
                    }
                }
            }
        }
        let mut buffer = vec![0; 1 << 20];
        let reading = async {
            let mut left = sent;
            while left > 0 {
                server.readable().await.unwrap();
                match server.try_read(&mut buffer) {
                    Ok(count) => left -= count,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                }
            }
        };
        let (writable, ()) = tokio::join!(soon(client.writable()), soon(reading));
        writable.unwrap();
        assert!(client.try_write(&[7; 16]).unwrap() > 0);
    });
}

#[test]
fn flushing_and_options() {
    run(async {
        let (mut client, _server) = tcp_pair().await;
        client.flush().await.unwrap();
        assert!(!client.nodelay().unwrap());
        client.set_nodelay(true).unwrap();
        assert!(client.nodelay().unwrap());
        client.set_quickack(true).unwrap();
        assert!(client.quickack().unwrap());
        client.set_quickack(false).unwrap();
        assert!(!client.quickack().unwrap());
        assert_eq!(client.ttl().unwrap(), 64);
        client.set_ttl(7).unwrap();
        assert_eq!(client.ttl().unwrap(), 7);
        assert_eq!(kind(client.set_ttl(0)), ErrorKind::InvalidInput);
        assert_eq!(kind(client.set_ttl(256)), ErrorKind::InvalidInput);
        assert_eq!(client.linger().unwrap(), None);
        client.set_zero_linger().unwrap();
        assert_eq!(client.linger().unwrap(), Some(Duration::ZERO));
        assert!(client.take_error().unwrap().is_none());
    });
}

/// A time that is not zero is another matter: closing never blocks with us.
#[test]
#[allow(deprecated, reason = "tokio's closing may block")]
fn lingering_is_ended() {
    run(async {
        let (client, _server) = tcp_pair().await;
        client.set_linger(Some(Duration::ZERO)).unwrap();
        assert_eq!(client.linger().unwrap(), Some(Duration::ZERO));
        client.set_linger(None).unwrap();
        assert_eq!(client.linger().unwrap(), None);
    });
}

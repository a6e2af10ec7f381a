// The halves of a stream.

use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice, IoSliceMut};
use std::time::Duration;

use helpers::{kind, soon, tcp_pair, waits};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest, ReadBuf};

/// Both kinds of halves have the same methods.
macro_rules! every_method {
    ($read:ident, $write:ident, $server:ident) => {
        let stream: &TcpStream = $read.as_ref();
        assert_eq!($read.local_addr().unwrap(), stream.local_addr().unwrap());
        assert_eq!($write.local_addr().unwrap(), $server.peer_addr().unwrap());
        assert_eq!($read.peer_addr().unwrap(), $server.local_addr().unwrap());
        assert_eq!($write.peer_addr().unwrap(), $server.local_addr().unwrap());
        assert!($write.is_write_vectored());
        let other: &TcpStream = $write.as_ref();
        assert_eq!(stream.local_addr().unwrap(), other.local_addr().unwrap());

        let mut buffer = [0; 16];
        assert_eq!(kind($read.try_read(&mut buffer)), ErrorKind::WouldBlock);
        assert!(waits($read.readable()).await);
        assert!(waits($read.ready(Interest::READABLE)).await);
        $write.writable().await.unwrap();
        assert!(
            $write
                .ready(Interest::WRITABLE)
                .await
                .unwrap()
                .is_writable()
        );
        assert_eq!($write.try_write(b"ab").unwrap(), 2);
        let bufs = [IoSlice::new(b"c"), IoSlice::new(b"de")];
        assert_eq!($write.try_write_vectored(&bufs).unwrap(), 3);
        assert_eq!($write.write_vectored(&bufs).await.unwrap(), 3);
        $write.flush().await.unwrap();
        $server.read_exact(&mut buffer[..8]).await.unwrap();
        assert_eq!(&buffer[..8], b"abcdecde");

        $server.write_all(b"hello there").await.unwrap();
        assert_eq!(soon($read.peek(&mut buffer)).await.unwrap(), 11);
        let mut space = [0; 16];
        let mut space = ReadBuf::new(&mut space);
        let peeked = poll_fn(|cx| $read.poll_peek(cx, &mut space)).await;
        assert_eq!(peeked.unwrap(), 11);
        assert!($read.ready(Interest::READABLE).await.unwrap().is_readable());
        $read.readable().await.unwrap();
        assert_eq!($read.try_read(&mut buffer[..1]).unwrap(), 1);
        let mut bufs = [IoSliceMut::new(&mut buffer[..2])];
        assert_eq!($read.try_read_vectored(&mut bufs).unwrap(), 2);
        let mut vec = Vec::with_capacity(3);
        assert_eq!($read.try_read_buf(&mut vec).unwrap(), 3);
        assert_eq!($read.read(&mut buffer).await.unwrap(), 5);
        assert_eq!(&buffer[..5], b"there");
    };
}

#[test]
fn borrowed() {
    run(async {
        let (mut client, mut server) = tcp_pair().await;
        {
            let (mut read, mut write) = client.split();
            every_method!(read, write, server);
        }
        // Dropping halves ends nothing.
        let (_, mut write) = client.split();
        write.write_all(b"more").await.unwrap();
        write.shutdown().await.unwrap();
        let mut said = Vec::new();
        server.read_to_end(&mut said).await.unwrap();
        assert_eq!(said, b"more");
    });
}

#[test]
fn owned() {
    run(async {
        let (client, mut server) = tcp_pair().await;
        let (mut read, mut write) = client.into_split();
        every_method!(read, write, server);
        write.shutdown().await.unwrap();
        assert_eq!(server.read(&mut [0; 4]).await.unwrap(), 0);
        assert_eq!(kind(write.write(b"x").await), ErrorKind::BrokenPipe);
        assert_eq!(kind(write.try_write(b"x")), ErrorKind::BrokenPipe);
    });
}

#[test]
fn halves_work_in_two_tasks_at_once() {
    run(async {
        let (client, server) = tcp_pair().await;
        let (mut read, mut write) = client.into_split();
        let echo = tokio::spawn(async move {
            let (mut read, mut write) = server.into_split();
            tokio::io::copy(&mut read, &mut write).await.unwrap();
        });
        let writing = tokio::spawn(async move {
            for round in 0..100u8 {
                write.write_all(&[round; 1000]).await.unwrap();
            }
        });
        let mut said = Vec::new();
        soon(read.read_to_end(&mut said)).await.unwrap();
        assert_eq!(said.len(), 100_000);
        assert!(
            said.chunks(1000)
                .zip(0u8..)
                .all(|(part, round)| part == [round; 1000])
        );
        writing.await.unwrap();
        echo.await.unwrap();
    });
}

#[test]
fn the_write_half_ends_its_direction_when_it_is_dropped() {
    run(async {
        let (client, mut server) = tcp_pair().await;
        let (mut read, write) = client.into_split();
        drop(write);
        assert_eq!(soon(server.read(&mut [0; 4])).await.unwrap(), 0);
        server.write_all(b"late").await.unwrap();
        drop(server);
        let mut got = Vec::new();
        read.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, b"late");
    });
}

#[test]
fn the_read_half_ends_nothing_when_it_is_dropped() {
    run(async {
        let (client, mut server) = tcp_pair().await;
        let (read, mut write) = client.into_split();
        drop(read);
        write.write_all(b"still here").await.unwrap();
        let mut buffer = [0; 16];
        assert_eq!(server.read(&mut buffer).await.unwrap(), 10);
        server.write_all(b"and here").await.unwrap();
        drop(write);
        // Now both are gone, with octets that nobody read.
        assert!(
            server
                .read(&mut buffer)
                .await
                .map_or(true, |count| count == 0)
        );
    });
}

#[test]
fn a_forgotten_half_does_not_end_the_stream() {
    run(async {
        let (client, mut server) = tcp_pair().await;
        let (read, write) = client.into_split();
        write.forget();
        let wait = Duration::from_millis(30);
        let mut buffer = [0; 4];
        let reading = tokio::time::timeout(wait, server.read(&mut buffer));
        assert!(reading.await.is_err());
        drop(read);
        assert_eq!(soon(server.read(&mut buffer)).await.unwrap(), 0);
    });
}

#[test]
fn halves_find_together_again() {
    run(async {
        let (client, mut server) = tcp_pair().await;
        let local = client.local_addr().unwrap();
        let (read, write) = client.into_split();
        let client = read.reunite(write).unwrap();
        let (read, write) = client.into_split();
        let mut client = write.reunite(read).unwrap();
        assert_eq!(client.local_addr().unwrap(), local);
        client.write_all(b"whole").await.unwrap();
        let mut buffer = [0; 8];
        assert_eq!(server.read(&mut buffer).await.unwrap(), 5);
    });
}

#[test]
fn strangers_do_not() {
    run(async {
        let (one, other) = tcp_pair().await;
        let (one_read, one_write): (OwnedReadHalf, OwnedWriteHalf) = one.into_split();
        let (other_read, other_write) = other.into_split();
        let error: ReuniteError = one_read.reunite(other_write).unwrap_err();
        assert!(!error.to_string().is_empty());
        let _: &dyn std::error::Error = &error;
        let ReuniteError(one_read, other_write) = error;
        let ReuniteError(_, _) = one_write.reunite(other_read).unwrap_err();
        assert_ne!(
            one_read.local_addr().unwrap(),
            other_write.local_addr().unwrap()
        );
    });
}

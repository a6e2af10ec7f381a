// What is ready when, of streams.

use std::future::poll_fn;
use std::io::ErrorKind;

use helpers::{kind, moment, soon, tcp_pair, waits};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};

const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

#[test]
fn a_new_stream_can_be_written() {
    run(async {
        let (client, server) = tcp_pair().await;
        let ready = client.ready(BOTH).await.unwrap();
        assert!(ready.is_writable() && !ready.is_readable());
        assert!(!ready.is_read_closed() && !ready.is_write_closed());
        let ready = server.ready(Interest::WRITABLE).await.unwrap();
        assert!(ready.is_writable());
        assert!(waits(server.ready(Interest::READABLE)).await);
        assert!(waits(server.readable()).await);
        assert!(!waits(server.writable()).await);
        poll_fn(|cx| client.poll_write_ready(cx)).await.unwrap();
    });
}

#[test]
fn octets_make_it_readable_until_they_are_read() {
    run(async {
        let (client, server) = tcp_pair().await;
        let mut buffer = [0; 16];
        assert_eq!(kind(server.try_read(&mut buffer)), ErrorKind::WouldBlock);
        let (ready, count) = tokio::join!(soon(poll_fn(|cx| server.poll_read_ready(cx))), async {
            client.try_write(b"hello")
        });
        ready.unwrap();
        assert_eq!(count.unwrap(), 5);
        let ready = server.ready(BOTH).await.unwrap();
        assert!(ready.is_readable() && ready.is_writable());
        let ready = server.ready(Interest::READABLE).await.unwrap();
        assert!(ready.is_readable() && !ready.is_writable());
        assert_eq!(server.try_read(&mut buffer).unwrap(), 5);
        assert_eq!(kind(server.try_read(&mut buffer)), ErrorKind::WouldBlock);
        assert!(waits(server.readable()).await);
    });
}

#[test]
fn a_peer_that_finished_is_read_closed() {
    run(async {
        let (mut client, mut server) = tcp_pair().await;
        client.shutdown().await.unwrap();
        soon(server.readable()).await.unwrap();
        let ready = server.ready(BOTH).await.unwrap();
        assert!(ready.is_readable() && ready.is_read_closed());
        assert!(ready.is_writable() && !ready.is_write_closed());
        assert_eq!(server.try_read(&mut [0; 4]).unwrap(), 0);
        assert_eq!(server.try_read(&mut [0; 4]).unwrap(), 0);
        // Who finished itself can still be written to, as far as readiness says.
        let ready = client.ready(Interest::WRITABLE).await.unwrap();
        assert!(ready.is_writable() && !ready.is_write_closed());
        server.shutdown().await.unwrap();
        assert_eq!(soon(client.read(&mut [0; 4])).await.unwrap(), 0);
        let ready = client.ready(BOTH).await.unwrap();
        assert!(ready.is_read_closed() && ready.is_write_closed());
    });
}

#[test]
fn a_reset_makes_everything_ready() {
    run(async {
        let (client, mut server) = tcp_pair().await;
        client.set_zero_linger().unwrap();
        drop(client);
        soon(server.readable()).await.unwrap();
        let ready = server.ready(BOTH | Interest::ERROR).await.unwrap();
        assert!(ready.is_readable() && ready.is_writable());
        assert!(ready.is_read_closed() && ready.is_write_closed());
        assert!(ready.is_error());
        let ready = server.ready(BOTH).await.unwrap();
        assert!(!ready.is_error(), "only who asks is told");
        assert_eq!(
            kind(server.read(&mut [0; 4]).await),
            ErrorKind::ConnectionReset
        );
    });
}

#[test]
fn try_io_asks_readiness_first_and_believes_what_it_is_told() {
    run(async {
        let (client, server) = tcp_pair().await;
        let never = || -> std::io::Result<()> { panic!("it is not ready") };
        assert_eq!(
            kind(server.try_io(Interest::READABLE, never)),
            ErrorKind::WouldBlock
        );
        client.try_write(b"hello").unwrap();
        server.readable().await.unwrap();
        assert_eq!(server.try_io(Interest::READABLE, || Ok(7)).unwrap(), 7);
        assert!(!waits(server.readable()).await);
        let other = || Err::<(), _>(ErrorKind::TimedOut.into());
        assert_eq!(
            kind(server.try_io(Interest::READABLE, other)),
            ErrorKind::TimedOut
        );
        let would_block = || Err::<(), _>(ErrorKind::WouldBlock.into());
        assert_eq!(
            kind(server.try_io(Interest::READABLE, would_block)),
            ErrorKind::WouldBlock
        );
        // Readiness was taken back, until more comes.
        assert!(waits(server.readable()).await);
        assert!(!waits(server.writable()).await);
        client.try_write(b"more").unwrap();
        soon(server.readable()).await.unwrap();
        let mut buffer = [0; 16];
        assert_eq!(server.try_read(&mut buffer).unwrap(), 9);
    });
}

#[test]
fn async_io_goes_on_until_something_else_is_said() {
    run(async {
        let (client, server) = tcp_pair().await;
        let mut calls = 0;
        let mut total = 0;
        let mut buffer = [0; 16];
        let reading = server.async_io(Interest::READABLE, || {
            calls += 1;
            total += server.try_read(&mut buffer)?;
            if total < 6 {
                return Err(ErrorKind::WouldBlock.into());
            }
            Ok(total)
        });
        let writing = async {
            for _ in 0..3 {
                client.writable().await.unwrap();
                client.try_write(b"ab").unwrap();
                moment().await;
            }
        };
        let (total, ()) = tokio::join!(soon(reading), writing);
        assert_eq!(total.unwrap(), 6);
        assert_eq!(calls, 3);
        let error = server
            .async_io(Interest::WRITABLE, || Err::<(), _>(ErrorKind::Other.into()))
            .await;
        assert_eq!(kind(error), ErrorKind::Other);
    });
}

// How streams end.

use std::io::ErrorKind;

use helpers::{kind, moment, soon, tcp_pair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[test]
fn half_close() {
    run(async {
        let (mut client, mut server) = tcp_pair().await;
        client.write_all(b"question").await.unwrap();
        client.shutdown().await.unwrap();
        let mut said = Vec::new();
        server.read_to_end(&mut said).await.unwrap();
        assert_eq!(said, b"question");
        server.write_all(b"answer").await.unwrap();
        server.shutdown().await.unwrap();
        said.clear();
        client.read_to_end(&mut said).await.unwrap();
        assert_eq!(said, b"answer");
        assert_eq!(kind(client.write(b"x").await), ErrorKind::BrokenPipe);
        assert_eq!(kind(client.try_write(b"x")), ErrorKind::BrokenPipe);
    });
}

#[test]
fn shutting_down_twice() {
    run(async {
        let (mut client, mut server) = tcp_pair().await;
        client.shutdown().await.unwrap();
        client.shutdown().await.unwrap();
        assert_eq!(server.read(&mut [0; 4]).await.unwrap(), 0);
        server.shutdown().await.unwrap();
        assert_eq!(client.read(&mut [0; 4]).await.unwrap(), 0);
        // There is nothing left to end.
        client.shutdown().await.unwrap();
    });
}

#[test]
fn unread_data_at_close_resets() {
    run(async {
        let (mut client, server) = tcp_pair().await;
        client.write_all(b"never read").await.unwrap();
        server.readable().await.unwrap();
        drop(server);
        moment().await;
        let mut buffer = [0; 8];
        assert_eq!(
            kind(client.read(&mut buffer).await),
            ErrorKind::ConnectionReset
        );
        assert_eq!(client.read(&mut buffer).await.unwrap(), 0);
        assert_eq!(kind(client.write(b"x").await), ErrorKind::BrokenPipe);
    });
}

#[test]
fn writing_to_a_closed_peer_resets_then_breaks() {
    run(async {
        let (mut client, server) = tcp_pair().await;
        drop(server);
        moment().await;
        assert_eq!(client.write(b"x").await.unwrap(), 1);
        moment().await;
        // Linux: the reset came after the peer's FIN, so the pipe is broken.
        assert_eq!(kind(client.write(b"x").await), ErrorKind::BrokenPipe);
        assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
    });
}

#[test]
fn zero_linger_resets() {
    run(async {
        let (mut client, server) = tcp_pair().await;
        server.set_zero_linger().unwrap();
        drop(server);
        moment().await;
        assert_eq!(
            kind(client.read(&mut [0; 8]).await),
            ErrorKind::ConnectionReset
        );
        assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
        client.shutdown().await.unwrap();
    });
}

#[test]
fn a_reset_is_told_to_the_writer_if_it_comes_first() {
    run(async {
        let (mut client, server) = tcp_pair().await;
        server.set_zero_linger().unwrap();
        drop(server);
        moment().await;
        assert_eq!(kind(client.write(b"x").await), ErrorKind::ConnectionReset);
        assert_eq!(kind(client.write(b"x").await), ErrorKind::BrokenPipe);
        assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
    });
}

#[test]
fn a_reset_is_told_to_one_half_and_the_other_is_at_its_end() {
    run(async {
        let (client, server) = tcp_pair().await;
        let (mut read, mut write) = client.into_split();
        server.set_zero_linger().unwrap();
        drop(server);
        moment().await;
        assert_eq!(
            kind(read.read(&mut [0; 8]).await),
            ErrorKind::ConnectionReset
        );
        assert_eq!(kind(write.write(b"x").await), ErrorKind::BrokenPipe);
        let (client, server) = tcp_pair().await;
        let (mut read, mut write) = client.into_split();
        server.set_zero_linger().unwrap();
        drop(server);
        moment().await;
        assert_eq!(kind(write.write(b"x").await), ErrorKind::ConnectionReset);
        assert_eq!(read.read(&mut [0; 8]).await.unwrap(), 0);
    });
}

#[test]
fn a_task_that_waits_is_told_of_a_reset() {
    run(async {
        let (mut client, server) = tcp_pair().await;
        let reading = tokio::spawn(async move { kind(client.read(&mut [0; 8]).await) });
        moment().await;
        server.set_zero_linger().unwrap();
        drop(server);
        assert_eq!(soon(reading).await.unwrap(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn the_pending_error_is_taken_once() {
    run(async {
        let (mut client, server) = tcp_pair().await;
        server.set_zero_linger().unwrap();
        drop(server);
        moment().await;
        let error = client.take_error().unwrap().unwrap();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert!(client.take_error().unwrap().is_none());
        assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
        assert_eq!(kind(client.write(b"x").await), ErrorKind::BrokenPipe);
    });
}

#[test]
fn what_arrived_before_a_reset_is_read_first() {
    run(async {
        let (mut client, mut server) = tcp_pair().await;
        server.write_all(b"last words").await.unwrap();
        client.readable().await.unwrap();
        server.set_zero_linger().unwrap();
        drop(server);
        moment().await;
        let mut buffer = [0; 16];
        assert_eq!(client.read(&mut buffer).await.unwrap(), 10);
        assert_eq!(
            kind(client.read(&mut buffer).await),
            ErrorKind::ConnectionReset
        );
        assert_eq!(client.read(&mut buffer).await.unwrap(), 0);
    });
}

#[test]
fn a_reset_after_the_end_breaks_the_pipe_also_while_octets_are_unread() {
    run(async {
        let (mut client, mut server) = tcp_pair().await;
        server.write_all(b"last words").await.unwrap();
        drop(server);
        moment().await;
        // Nobody is there any more, so this draws a reset.
        assert_eq!(client.write(b"x").await.unwrap(), 1);
        moment().await;
        assert_eq!(kind(client.write(b"x").await), ErrorKind::BrokenPipe);
        let mut said = Vec::new();
        client.read_to_end(&mut said).await.unwrap();
        assert_eq!(said, b"last words");
    });
}

#[test]
fn what_was_written_before_the_drop_arrives() {
    run(async {
        let (mut client, mut server) = tcp_pair().await;
        let data: Vec<u8> = (0..200_000u32).map(|place| place as u8).collect();
        let sent = data.clone();
        let writing = async move {
            client.write_all(&sent).await.unwrap();
            drop(client);
        };
        let mut said = Vec::new();
        let (read, ()) = tokio::join!(soon(server.read_to_end(&mut said)), writing);
        read.unwrap();
        assert!(said == data);
    });
}

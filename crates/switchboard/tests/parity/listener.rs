// `TcpListener`.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::sync::Arc;
use std::task::Poll;

use helpers::{kind, listening, moment, soon, waits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[test]
fn errors_of_binding() {
    run(async {
        let (_first, address) = listening().await;
        assert_ne!(address.port(), 0);
        assert_eq!(kind(TcpListener::bind(address).await), ErrorKind::AddrInUse);
        let everywhere = ("0.0.0.0", address.port());
        assert_eq!(
            kind(TcpListener::bind(everywhere).await),
            ErrorKind::AddrInUse
        );
        assert_eq!(
            kind(TcpListener::bind("192.0.2.1:0").await),
            ErrorKind::AddrNotAvailable
        );
    });
}

#[test]
fn of_several_addresses_the_first_that_is_free() {
    run(async {
        let (_taken, address) = listening().await;
        let choice = [address, "127.0.0.1:0".parse().unwrap()];
        let second = TcpListener::bind(&choice[..]).await.unwrap();
        assert_ne!(second.local_addr().unwrap(), address);
    });
}

#[test]
fn calls_are_accepted_in_their_order() {
    run(async {
        let (listener, address) = listening().await;
        let mut callers = Vec::new();
        for _ in 0..4 {
            callers.push(TcpStream::connect(address).await.unwrap());
        }
        for caller in callers {
            let (stream, peer) = listener.accept().await.unwrap();
            assert_eq!(peer, caller.local_addr().unwrap());
            assert_eq!(stream.peer_addr().unwrap(), peer);
            assert_eq!(stream.local_addr().unwrap(), address);
        }
        assert!(waits(listener.accept()).await);
    });
}

#[test]
fn an_accept_that_is_dropped_takes_no_call() {
    run(async {
        let (listener, address) = listening().await;
        for _ in 0..3 {
            assert!(waits(listener.accept()).await);
        }
        let caller = TcpStream::connect(address).await.unwrap();
        let (_, peer) = soon(listener.accept()).await.unwrap();
        assert_eq!(peer, caller.local_addr().unwrap());
    });
}

#[test]
fn poll_accept_wakes() {
    run(async {
        let (listener, address) = listening().await;
        poll_fn(|cx| {
            assert!(listener.poll_accept(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        let (accepted, caller) = tokio::join!(
            soon(poll_fn(|cx| listener.poll_accept(cx))),
            TcpStream::connect(address)
        );
        assert_eq!(accepted.unwrap().1, caller.unwrap().local_addr().unwrap());
    });
}

#[test]
fn several_tasks_accept() {
    run(async {
        let (listener, address) = listening().await;
        let listener = Arc::new(listener);
        let tasks: Vec<_> = (0..3)
            .map(|_| {
                let listener = Arc::clone(&listener);
                tokio::spawn(async move { listener.accept().await.unwrap().1 })
            })
            .collect();
        let mut callers = Vec::new();
        for _ in 0..3 {
            let caller = TcpStream::connect(address).await.unwrap();
            callers.push(caller.local_addr().unwrap());
            // Kept open: a port could be used twice.
            std::mem::forget(caller);
        }
        let mut accepted = Vec::new();
        for task in tasks {
            accepted.push(soon(task).await.unwrap());
        }
        accepted.sort();
        callers.sort();
        assert_eq!(accepted, callers);
    });
}

#[test]
fn the_ttl_is_that_of_its_connections() {
    run(async {
        let (listener, address) = listening().await;
        assert_eq!(listener.ttl().unwrap(), 64);
        listener.set_ttl(7).unwrap();
        assert_eq!(listener.ttl().unwrap(), 7);
        assert_eq!(kind(listener.set_ttl(0)), ErrorKind::InvalidInput);
        assert_eq!(kind(listener.set_ttl(256)), ErrorKind::InvalidInput);
        let _caller = TcpStream::connect(address).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        assert_eq!(stream.ttl().unwrap(), 7);
    });
}

#[test]
fn who_was_not_accepted_is_reset_when_it_is_dropped() {
    run(async {
        let (listener, address) = listening().await;
        let mut caller = TcpStream::connect(address).await.unwrap();
        drop(listener);
        moment().await;
        assert_eq!(
            kind(caller.read(&mut [0; 4]).await),
            ErrorKind::ConnectionReset
        );
        assert_eq!(
            kind(TcpStream::connect(address).await),
            ErrorKind::ConnectionRefused
        );
    });
}

#[test]
fn octets_that_came_before_accept_are_there() {
    run(async {
        let (listener, address) = listening().await;
        let mut caller = TcpStream::connect(address).await.unwrap();
        caller.write_all(b"early").await.unwrap();
        drop(caller);
        moment().await;
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut said = Vec::new();
        stream.read_to_end(&mut said).await.unwrap();
        assert_eq!(said, b"early");
    });
}

#[test]
fn a_port_in_time_wait_can_be_listened_on() {
    run(async {
        let (listener, address) = listening().await;
        let mut caller = TcpStream::connect(address).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        // The server closes first, so TIME-WAIT is its.
        drop(stream);
        assert_eq!(caller.read(&mut [0; 4]).await.unwrap(), 0);
        drop(caller);
        drop(listener);
        moment().await;
        TcpListener::bind(address).await.unwrap();
    });
}

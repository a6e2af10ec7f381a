// The cooperative budget: a task that never has to wait gives way.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use helpers::{listening, tcp_pair, udp_pair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Many more turns than a budget allows.
const TURNS: usize = 100_000;

/// Whether another task got its turn while `turn` was taken again and again.
async fn gives_way(mut turn: impl AsyncFnMut()) -> bool {
    let flag = Arc::new(AtomicBool::new(false));
    let other = Arc::clone(&flag);
    tokio::spawn(async move { other.store(true, Ordering::Relaxed) });
    for _ in 0..TURNS {
        turn().await;
        if flag.load(Ordering::Relaxed) {
            return true;
        }
    }
    false
}

#[test]
fn of_datagrams() {
    run(async {
        let (one, other) = udp_pair().await;
        assert!(
            gives_way(async || {
                one.send(b"x").await.unwrap();
            })
            .await
        );
        let mut buffer = [0; 8];
        assert!(
            gives_way(async || {
                one.send(b"x").await.unwrap();
                other.recv(&mut buffer).await.unwrap();
            })
            .await
        );
        one.send(b"x").await.unwrap();
        assert!(
            gives_way(async || {
                other.peek(&mut buffer).await.unwrap();
            })
            .await
        );
    });
}

#[test]
fn of_streams() {
    run(async {
        let (mut client, mut server) = tcp_pair().await;
        client.write_all(b"x").await.unwrap();
        client.shutdown().await.unwrap();
        let mut buffer = [0; 8];
        assert!(
            gives_way(async || {
                server.peek(&mut buffer).await.unwrap();
            })
            .await
        );
        assert_eq!(server.read(&mut buffer).await.unwrap(), 1);
        // At its end a stream is always ready.
        assert!(
            gives_way(async || {
                assert_eq!(server.read(&mut buffer).await.unwrap(), 0);
            })
            .await
        );
    });
}

#[test]
fn of_listeners() {
    run(async {
        let (listener, address) = listening().await;
        assert!(
            gives_way(async || {
                let (client, server) = tokio::join!(TcpStream::connect(address), listener.accept());
                drop((client.unwrap(), server.unwrap()));
            })
            .await
        );
        poll_fn(|cx| {
            assert!(listener.poll_accept(cx).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
    });
}

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

pub(super) async fn listening() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

pub(super) async fn tcp_pair() -> (TcpStream, TcpStream) {
    let (listener, address) = listening().await;
    let (client, server) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (client, server) = (client.unwrap(), server.unwrap().0);
    // tokio takes a new stream for ready until an attempt says otherwise.
    for stream in [&client, &server] {
        let mut buffer = [0; 1];
        assert_eq!(
            kind(stream.try_read(&mut buffer)),
            io::ErrorKind::WouldBlock
        );
    }
    (client, server)
}

pub(super) async fn udp_pair() -> (UdpSocket, UdpSocket) {
    let one = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    one.connect(other.local_addr().unwrap()).await.unwrap();
    other.connect(one.local_addr().unwrap()).await.unwrap();
    (one, other)
}

/// For what shows in nothing that could be waited for: a reset under way, or that nothing comes.
pub(super) async fn moment() {
    tokio::time::sleep(Duration::from_millis(30)).await;
}

/// What must happen, or the test hangs on one of the two.
pub(super) async fn soon<F: Future>(future: F) -> F::Output {
    let limit = Duration::from_secs(10);
    tokio::time::timeout(limit, future)
        .await
        .expect("it never happens")
}

/// Whether `future` waits now; it is dropped then.
pub(super) async fn waits(future: impl Future) -> bool {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await
}

pub(super) fn kind<T>(result: io::Result<T>) -> io::ErrorKind {
    result.map(drop).unwrap_err().kind()
}

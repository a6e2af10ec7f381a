//! Every await point of some conversations, one after the other: the future there is dropped or
//! leaked, or everything of one side is, or the runtime. No octet that was taken may be lost or
//! doubled, no socket may be left, and whoever waits must be woken.

mod common;

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind};
use std::mem;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use common::{A, B, fill, host_a, host_b, plain_pipe, run_paused};
use switchboard::net::{TcpListener, TcpStream, UdpSocket};
use switchboard::{IncomingFlow, Net};
use tokio::time::timeout;

/// Octets of a stream: more than one window at the start, so that writers wait.
const TOTAL: usize = 60_000;
/// Await points of a conversation before a sweep counts as endless.
const POINTS_MAX: usize = 5_000;

/// What is done to a future at its await point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    Drop,
    Leak,
}

/// Where the cut is made, counted over all operations of a conversation that wait.
#[derive(Clone)]
struct Knife {
    how: Cut,
    at: usize,
    waited: Rc<Cell<usize>>,
}

impl Knife {
    fn new(how: Cut, at: usize) -> Self {
        let waited = Rc::default();
        Self { how, at, waited }
    }

    /// Makes the operation's future and polls it; at the await point it is cut and made anew.
    async fn op<T>(&self, mut make: impl AsyncFnMut() -> T) -> T {
        loop {
            let mut future = Box::pin(make());
            let done = std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
                Poll::Ready(value) => Poll::Ready(Some(value)),
                Poll::Pending => {
                    self.waited.set(self.waited.get() + 1);
                    if self.waited.get() == self.at {
                        Poll::Ready(None)
                    } else {
                        Poll::Pending
                    }
                }
            })
            .await;
            match (done, self.how) {
                (Some(value), _) => return value,
                (None, Cut::Drop) => drop(future),
                (None, Cut::Leak) => mem::forget(future),
            }
        }
    }

    /// Whether the conversation has fewer await points than this.
    fn is_past_the_end(&self) -> bool {
        self.waited.get() < self.at
    }
}

fn pattern() -> Vec<u8> {
    let mut data = vec![0; TOTAL];
    fill(0, &mut data);
    data
}

/// Two hosts. Small buffers make everybody wait.
fn hosts() -> (Net, Net) {
    hosts_with(false)
}

/// As `hosts`; B takes flows to any address if it is a gateway.
fn hosts_with(is_gateway: bool) -> (Net, Net) {
    let mut tcp = switchboard::TcpConfig::default();
    tcp.defaults.send_buffer = 16 << 10;
    tcp.defaults.receive_buffer = 16 << 10;
    let (near, far) = plain_pipe();
    let a = host_a().tcp(tcp.clone()).build(near).unwrap();
    let b = host_b()
        .tcp(tcp)
        .any_address(is_gateway)
        .build(far)
        .unwrap();
    (a, b)
}

/// Sends the pattern and says that this was all.
async fn send_all(knife: &Knife, stream: &TcpStream) {
    let data = pattern();
    let mut sent = 0;
    while sent < TOTAL {
        knife.op(async || stream.writable().await).await.unwrap();
        match stream.try_write(&data[sent..]) {
            Ok(count) => sent += count,
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
    stream.shutdown_write().unwrap();
}

/// Receives the pattern to its end, by several calls in turn.
async fn receive_all(knife: &Knife, stream: &TcpStream) {
    let wanted = pattern();
    let mut got = 0;
    for round in 0.. {
        let mut buffer = [0; 1024];
        let chunk: Bytes = match round % 3 {
            0 => knife
                .op(async || stream.read_chunk(1000).await)
                .await
                .unwrap(),
            1 => {
                let peeked = knife.op(async || stream.peek(&mut buffer).await).await;
                let count = stream.try_read(&mut buffer[..peeked.unwrap()]).unwrap();
                Bytes::copy_from_slice(&buffer[..count])
            }
            _ => {
                knife.op(async || stream.readable().await).await.unwrap();
                let count = stream.try_read(&mut buffer).unwrap();
                Bytes::copy_from_slice(&buffer[..count])
            }
        };
        assert!(wanted[got..].starts_with(&chunk), "octets after {got}");
        got += chunk.len();
        if chunk.is_empty() {
            break;
        }
    }
    assert_eq!(got, TOTAL, "the stream ended early");
}

async fn connected(knife: &Knife, a: &Net, b: &Net) -> (TcpStream, TcpStream, TcpListener) {
    let listener = b.tcp_listen((B, 80)).await.unwrap();
    // A connect that is dropped is given up, and the call may have been accepted by then.
    let caller = knife
        .op(async || a.tcp_connect((B, 80)).await)
        .await
        .unwrap();
    let local = caller.local_addr().unwrap();
    loop {
        let (answered, peer) = knife.op(async || listener.accept().await).await.unwrap();
        if peer == local {
            return (caller, answered, listener);
        }
    }
}

async fn both_ways(knife: Knife, a: Net, b: Net) {
    let (caller, answered, _listener) = connected(&knife, &a, &b).await;
    tokio::join!(
        send_all(&knife, &caller),
        receive_all(&knife, &caller),
        send_all(&knife, &answered),
        receive_all(&knife, &answered),
    );
    let ended = knife.op(async || caller.closed().await);
    ended.await.unwrap();
}

async fn halves(knife: Knife, a: Net, b: Net) {
    let (caller, answered, _listener) = connected(&knife, &a, &b).await;
    let (read, write) = caller.into_split();
    let sending = async {
        let mut data = Bytes::from(pattern());
        while !data.is_empty() {
            let mut rest = data.clone();
            let count = knife.op(async || {
                rest = data.clone();
                write.write_chunk(&mut rest).await
            });
            let count = count.await.unwrap();
            data = data.slice(count..);
        }
        drop(write);
    };
    let receiving = async {
        let wanted = pattern();
        let mut got = 0;
        loop {
            let chunk = knife
                .op(async || read.read_chunk(4096).await)
                .await
                .unwrap();
            assert!(wanted[got..].starts_with(&chunk), "octets after {got}");
            got += chunk.len();
            if chunk.is_empty() {
                break;
            }
        }
        assert_eq!(got, TOTAL);
    };
    tokio::join!(
        sending,
        receiving,
        send_all(&knife, &answered),
        receive_all(&knife, &answered)
    );
}

async fn datagrams(knife: Knife, a: Net, b: Net) {
    let server = b.udp_bind((B, 53)).await.unwrap();
    let client = UdpSocket::bind_on(&a, (A, 0)).await.unwrap();
    client.connect((B, 53)).await.unwrap();
    let answering = async {
        let mut buffer = [0; 64];
        for round in 0..20u8 {
            let received = knife.op(async || server.recv_from(&mut buffer).await).await;
            let (count, peer) = received.unwrap();
            assert_eq!(buffer[..count], [round; 3]);
            let sent = knife
                .op(async || server.send_to(&[round; 5], peer).await)
                .await;
            assert_eq!(sent.unwrap(), 5);
        }
    };
    let asking = async {
        let mut buffer = [0; 64];
        for round in 0..20u8 {
            knife
                .op(async || client.send(&[round; 3]).await)
                .await
                .unwrap();
            knife.op(async || client.peek_sender().await).await.unwrap();
            let count = knife.op(async || client.recv(&mut buffer).await).await;
            assert_eq!(buffer[..count.unwrap()], [round; 5]);
        }
    };
    tokio::join!(answering, asking);
    assert_eq!(
        client.try_recv(&mut [0; 8]).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
}

async fn incoming(knife: Knife, a: Net, b: Net) {
    let mut flows = b.incoming();
    let answered = RefCell::new(Vec::new());
    let answering = async {
        loop {
            // A flow that was handed to a future that is dropped is refused; none is while it
            // waits. A caller that gave up cannot be answered, and that is no harm.
            let flow = knife.op(async || flows.next().await).await.unwrap();
            if let IncomingFlow::Tcp(call) = flow
                && let Ok(stream) = call.accept()
            {
                answered.borrow_mut().push(stream);
            }
        }
    };
    let calling = knife.op(async || a.tcp_connect("203.0.113.7:443").await);
    let caller = tokio::select! {
        caller = calling => caller.unwrap(),
        () = answering => unreachable!("it goes on for ever"),
    };
    // It stands, so it was accepted; calls that were given up may have been too.
    let local = caller.local_addr().unwrap();
    let mut answered = answered.into_inner();
    answered.retain(|stream| stream.peer_addr().unwrap() == local);
    let answered = answered.pop().unwrap();
    tokio::join!(send_all(&knife, &caller), receive_all(&knife, &answered));
}

/// Sockets that no longer do anything are no longer there.
async fn nothing_is_left(net: &Net) {
    for _ in 0..300 {
        if net.sockets().is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    panic!("left: {:?}", net.sockets());
}

/// Cuts one operation at each await point; the conversation goes on and must come to its end.
fn sweep<F: Future<Output = ()>>(is_gateway: bool, conversation: fn(Knife, Net, Net) -> F) {
    for how in [Cut::Drop, Cut::Leak] {
        for at in 1.. {
            assert!(at < POINTS_MAX, "no end of await points");
            let knife = Knife::new(how, at);
            run_paused(async {
                let (a, b) = hosts_with(is_gateway);
                let whole = conversation(knife.clone(), a.clone(), b.clone());
                let limit = Duration::from_secs(100);
                let done = timeout(limit, whole).await;
                assert!(done.is_ok(), "{how:?} at {at}: somebody was not woken");
                // A call that was leaked while it was made is held by nobody and never ends.
                if how == Cut::Drop {
                    nothing_is_left(&a).await;
                    nothing_is_left(&b).await;
                }
            });
            if knife.is_past_the_end() {
                break;
            }
        }
    }
}

#[test]
fn operations_of_streams() {
    sweep(false, both_ways);
}

#[test]
fn operations_of_halves() {
    sweep(false, halves);
}

#[test]
fn operations_of_datagrams() {
    sweep(false, datagrams);
}

#[test]
fn operations_of_incoming_flows() {
    sweep(true, incoming);
}

/// One side of an upload; says how many octets were taken.
async fn upload(net: Net, taken: Rc<Cell<usize>>) -> io::Result<()> {
    let stream = net.tcp_connect((B, 80)).await?;
    let data = pattern();
    while taken.get() < TOTAL {
        stream.writable().await?;
        match stream.try_write(&data[taken.get()..]) {
            Ok(count) => taken.set(taken.get() + count),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    stream.shutdown_write()?;
    // Until the other side has finished too.
    stream.read_chunk(1).await.map(drop)
}

/// The other side; says how many octets came.
async fn download(listener: TcpListener, came: Rc<Cell<usize>>) -> io::Result<()> {
    let (stream, _) = listener.accept().await?;
    let wanted = pattern();
    loop {
        let chunk = stream.read_chunk(3000).await?;
        assert!(wanted[came.get()..].starts_with(&chunk));
        came.set(came.get() + chunk.len());
        if chunk.is_empty() {
            return stream.shutdown_write();
        }
    }
}

/// Polls `future` until it has waited `at` times and then drops or leaks it. `true`: it completed.
async fn cut_off(future: impl Future, how: Cut, at: usize) -> bool {
    let mut future = Box::pin(future);
    let mut waited = 0;
    let done = std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(_) => Poll::Ready(true),
        Poll::Pending => {
            waited += 1;
            if waited == at {
                Poll::Ready(false)
            } else {
                Poll::Pending
            }
        }
    })
    .await;
    if how == Cut::Leak && !done {
        mem::forget(future);
    }
    done
}

/// The side that sends is dropped, socket and all: what was taken arrives, then the end.
#[test]
fn a_sender_that_is_dropped_has_sent_what_was_taken() {
    for at in 1..POINTS_MAX {
        let done = run_paused(async {
            let (a, b) = hosts();
            let (taken, came) = (Rc::default(), Rc::default());
            let listener = b.tcp_listen((B, 80)).await.unwrap();
            let receiving = timeout(
                Duration::from_secs(100),
                download(listener, Rc::clone(&came)),
            );
            let sending = async {
                let sent = cut_off(upload(a.clone(), Rc::clone(&taken)), Cut::Drop, at).await;
                // A call that was given up before it was made reaches nobody; this one does.
                if taken.get() == 0 && !sent {
                    drop(a.tcp_connect((B, 80)).await);
                }
                sent
            };
            let (received, done) = tokio::join!(receiving, sending);
            let received = received.expect("the receiver was not woken");
            match received {
                Ok(()) => assert_eq!(came.get(), taken.get(), "at {at}"),
                // It never stood: a call that is given up is reset.
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "at {at}");
                    assert_eq!(taken.get(), 0);
                }
            }
            nothing_is_left(&a).await;
            nothing_is_left(&b).await;
            done
        });
        if done {
            return;
        }
    }
    panic!("no end of await points");
}

/// The side that receives is dropped: the sender is told, and does not wait for ever. Who had
/// written everything by then sees an orderly end, as TCP has no other word for it.
#[test]
fn a_receiver_that_is_dropped_stops_the_sender() {
    let told = Cell::new(0);
    for at in 1..POINTS_MAX {
        let done = run_paused(async {
            let (a, b) = hosts();
            let listener = b.tcp_listen((B, 80)).await.unwrap();
            let sending = timeout(Duration::from_secs(100), upload(a.clone(), Rc::default()));
            let receiving = cut_off(download(listener, Rc::default()), Cut::Drop, at);
            let (sent, done) = tokio::join!(sending, receiving);
            let sent = sent.expect("the sender was not woken");
            assert!(sent.is_ok() || !done, "at {at}: {sent:?}");
            told.set(told.get() + usize::from(sent.is_err()));
            nothing_is_left(&a).await;
            nothing_is_left(&b).await;
            done
        });
        if done {
            assert!(told.get() > 0, "nobody was ever told");
            return;
        }
    }
    panic!("no end of await points");
}

/// The side that sends is leaked, socket and all: what was taken arrives, and the network's end
/// wakes who waits for more.
#[test]
fn a_sender_that_is_leaked_has_sent_what_was_taken() {
    for at in 1..POINTS_MAX {
        let done = run_paused(async {
            let (a, b) = hosts();
            let (taken, came) = (Rc::default(), Rc::default());
            let listener = b.tcp_listen((B, 80)).await.unwrap();
            let mut receiving = Box::pin(download(listener, Rc::clone(&came)));
            let sending = cut_off(upload(a.clone(), Rc::clone(&taken)), Cut::Leak, at);
            let (early, done) = tokio::join!(
                timeout(Duration::from_secs(20), receiving.as_mut()),
                sending
            );
            assert_eq!(came.get(), taken.get(), "at {at}");
            if early.is_err() {
                a.shutdown();
                let told = timeout(Duration::from_secs(1), receiving).await;
                let told = told.expect("the receiver was not woken");
                assert_eq!(told.unwrap_err().kind(), ErrorKind::NetworkDown);
            }
            done
        });
        if done {
            return;
        }
    }
    panic!("no end of await points");
}

/// The runtime that ran both networks is dropped; a socket of it lives on, and says so.
#[test]
fn a_runtime_that_is_dropped_leaves_nobody_waiting() {
    for at in 1..POINTS_MAX {
        let kept: Arc<Mutex<Option<Arc<TcpStream>>>> = Arc::default();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let done = runtime.block_on(async {
            let (a, b) = hosts();
            let listener = b.tcp_listen((B, 80)).await.unwrap();
            tokio::spawn(async move {
                let (stream, _) = listener.accept().await?;
                while !stream.read_chunk(3000).await?.is_empty() {}
                stream.shutdown_write()
            });
            let kept = Arc::clone(&kept);
            let whole = async move {
                let stream = Arc::new(a.tcp_connect((B, 80)).await.unwrap());
                *kept.lock().unwrap() = Some(Arc::clone(&stream));
                let mut data = Bytes::from(pattern());
                while !data.is_empty() {
                    stream.write_chunk(&mut data).await.unwrap();
                }
                stream.shutdown_write().unwrap();
                stream.read_chunk(1).await.unwrap();
            };
            cut_off(whole, Cut::Drop, at).await
        });
        drop(runtime);
        let kept = kept.lock().unwrap().take();
        if let Some(stream) = kept {
            run_paused(async move {
                let limit = Duration::from_secs(1);
                let read = timeout(limit, stream.read_chunk(1)).await;
                let read = read.expect("the reader was not woken");
                let is_at_end = read.as_ref().is_ok_and(Bytes::is_empty);
                assert!(
                    is_at_end || read.as_ref().unwrap_err().kind() == ErrorKind::NetworkDown,
                    "at {at}: {read:?}"
                );
                let mut data = Bytes::from_static(b"x");
                let written = timeout(limit, stream.write_chunk(&mut data)).await;
                assert!(written.expect("the writer was not woken").is_err());
            });
        }
        if done {
            return;
        }
    }
    panic!("no end of await points");
}

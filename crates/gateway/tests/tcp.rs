//! Streams through the gateway to this machine's loopback, and back.

mod common;

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use common::{Stream, inside, loopbacks, within, world, world_with};
use switchboard::net::TcpStream;
use switchboard_gateway::{Ending, Forward, Happening, Refused, SocketState};
use switchboard_wire::Protocol;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const SOON: Duration = Duration::from_secs(5);

async fn listener(ip: IpAddr) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((ip, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn loopback() -> (TcpListener, SocketAddr) {
    listener("127.0.0.1".parse().unwrap()).await
}

fn closed(ip: IpAddr) -> SocketAddr {
    let listener = std::net::TcpListener::bind((ip, 0)).unwrap();
    listener.local_addr().unwrap()
}

/// Writes `octets` of a test stream, ends, and says their sum.
async fn send(mut to: impl tokio::io::AsyncWrite + Unpin, octets: usize) -> u64 {
    let mut stream = Stream::default();
    let mut buffer = vec![0; 64 << 10];
    let mut left = octets;
    while left > 0 {
        let len = left.min(buffer.len());
        stream.fill(&mut buffer[..len]);
        to.write_all(&buffer[..len]).await.unwrap();
        left -= len;
    }
    to.shutdown().await.unwrap();
    stream.sum
}

/// Reads to the end, and says how much it was and its sum.
async fn receive(mut from: impl tokio::io::AsyncRead + Unpin) -> (usize, u64) {
    let mut stream = Stream::default();
    let mut buffer = vec![0; 256 << 10];
    let mut octets = 0;
    loop {
        let len = from.read(&mut buffer).await.unwrap();
        if len == 0 {
            return (octets, stream.sum);
        }
        stream.add(&buffer[..len]);
        octets += len;
    }
}

#[tokio::test]
async fn a_hundred_megabytes_each_way_at_once() {
    const OCTETS: usize = 100_000_000;
    let world = world().await;
    for loopback in loopbacks() {
        let (listener, address) = listener(loopback).await;
        let server = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let (read, write) = stream.into_split();
            tokio::join!(receive(read), send(write, OCTETS))
        });
        let stream = world.program.tcp_connect(inside(address)).await.unwrap();
        let (read, write) = stream.into_split();
        let client = async { tokio::join!(receive(read), send(write, OCTETS)) };
        let (got, sent) = within(Duration::from_secs(60), client).await;
        let (server_got, server_sent) = server.await.unwrap();
        assert_eq!(got, (OCTETS, server_sent), "down, {loopback}");
        assert_eq!(server_got, (OCTETS, sent), "up, {loopback}");
    }
    let ended = world.heard.wait(|happening| match happening {
        Happening::FlowEnded {
            how,
            received,
            sent,
            ..
        } => Some((*how, *received, *sent)),
        _ => None,
    });
    let octets = OCTETS as u64;
    assert_eq!(ended.await, (Ending::Finished, octets, octets));
}

#[tokio::test]
async fn a_closed_port_refuses_at_once() {
    let world = world().await;
    for loopback in loopbacks() {
        let started = Instant::now();
        let connect = world.program.tcp_connect(inside(closed(loopback)));
        let error = within(SOON, connect).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert!(started.elapsed() < Duration::from_millis(50), "{loopback}");
    }
    let refused = world.heard.wait(|happening| match happening {
        Happening::FlowRefused { flow, why, .. } => Some((why.clone(), flow.holder().cloned())),
        _ => None,
    });
    let (why, holder) = refused.await;
    assert_eq!(why, Refused::NobodyThere);
    assert_eq!(holder.unwrap().to_string(), "curl[48213]");
}

#[tokio::test]
async fn what_is_closed_says_so_and_what_is_silent_says_nothing() {
    let world = world_with(|_| {}).await;
    let (_listener, address) = loopback().await;
    let refused = async |to: &str| {
        within(SOON, world.program.tcp_connect(to))
            .await
            .unwrap_err()
    };
    let kind = async |to: &str| refused(to).await.kind();
    // Nobody at that desk of ours.
    assert_eq!(kind("10.0.2.4:81").await, ErrorKind::ConnectionRefused);
    assert_eq!(kind("10.0.2.3:80").await, ErrorKind::ConnectionRefused);
    // Prohibited: the host's loopback, and links.
    let prohibited = refused(&inside(address).to_string()).await;
    assert_ne!(
        prohibited.kind(),
        ErrorKind::ConnectionRefused,
        "{prohibited}"
    );
    let prohibited = refused("169.254.169.254:80").await;
    assert_ne!(
        prohibited.kind(),
        ErrorKind::ConnectionRefused,
        "{prohibited}"
    );
    assert_eq!(kind("10.0.2.77:80").await, ErrorKind::HostUnreachable);
    let silent = world.program.tcp_connect("10.0.2.5:80");
    let silent = tokio::time::timeout(Duration::from_millis(500), silent);
    assert!(silent.await.is_err(), "the silent desk says nothing");
    let named = world.heard.wait(|happening| match happening {
        Happening::FlowRefused { flow, why, .. } if flow.to.port() == 81 => Some(why.clone()),
        _ => None,
    });
    assert_eq!(named.await, Refused::NobodyThere);
}

#[tokio::test]
async fn a_half_closed_upload_gets_its_reply() {
    let world = world().await;
    let (listener, address) = loopback().await;
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (len, _) = receive(&mut stream).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        stream
            .write_all(format!("got {len}").as_bytes())
            .await
            .unwrap();
    });
    let mut stream = world.program.tcp_connect(inside(address)).await.unwrap();
    stream.write_all(&[7; 100_000]).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut reply = String::new();
    within(SOON, stream.read_to_string(&mut reply))
        .await
        .unwrap();
    assert_eq!(reply, "got 100000");
    server.await.unwrap();
}

#[tokio::test]
async fn a_server_that_ends_first_still_hears() {
    let world = world().await;
    let (listener, address) = loopback().await;
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"go on").await.unwrap();
        stream.shutdown().await.unwrap();
        receive(stream).await.0
    });
    let mut stream = world.program.tcp_connect(inside(address)).await.unwrap();
    let mut greeting = String::new();
    within(SOON, stream.read_to_string(&mut greeting))
        .await
        .unwrap();
    assert_eq!(greeting, "go on");
    stream.write_all(&[1; 50_000]).await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(within(SOON, server).await.unwrap(), 50_000);
}

#[tokio::test]
async fn a_reset_of_the_server_is_a_reset_and_comes_after_what_it_sent() {
    let world = world().await;
    let (listener, address) = loopback().await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(&[3; 61_440]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        stream.set_zero_linger().unwrap();
    });
    let mut stream = world.program.tcp_connect(inside(address)).await.unwrap();
    let mut got = Vec::new();
    let error = within(SOON, stream.read_to_end(&mut got))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(got.len(), 61_440);
    let how = world.heard.wait(|happening| match happening {
        Happening::FlowEnded { how, received, .. } => Some((*how, *received)),
        _ => None,
    });
    assert_eq!(how.await, (Ending::ResetOutside, 61_440));
    let rows = world.gateway.registry().snapshot();
    let row = rows.iter().find(|row| row.peer == Some(inside(address)));
    assert_eq!(row.unwrap().state, SocketState::Reset);
}

#[tokio::test]
async fn a_reset_of_the_server_during_an_upload_is_a_reset() {
    let world = world().await;
    let (listener, address) = loopback().await;
    for _ in 0..20 {
        let mut stream = world.program.tcp_connect(inside(address)).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        tokio::spawn(async move {
            server.read_exact(&mut [0; 100_000]).await.unwrap();
            server.set_zero_linger().unwrap();
        });
        let (mut read, mut write) = stream.split();
        let octets = [5; 16_384];
        let mut got = [0; 8];
        let error = async {
            loop {
                let done = tokio::select! {
                    biased;
                    len = read.read(&mut got) => len.map(|len| panic!("{len} octets, or an end")),
                    written = write.write(&octets) => written,
                };
                if let Err(error) = done {
                    return error;
                }
            }
        };
        let error = within(SOON, error).await.kind();
        let is_reset = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe].contains(&error);
        assert!(is_reset, "{error}");
    }
}

#[tokio::test]
async fn a_reset_of_the_program_is_a_reset_for_the_server() {
    let world = world().await;
    let (listener, address) = loopback().await;
    for half_closed in [false, true] {
        let mut stream = world.program.tcp_connect(inside(address)).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        stream.write_all(b"hello").await.unwrap();
        let mut got = [0; 5];
        within(SOON, server.read_exact(&mut got)).await.unwrap();
        if half_closed {
            stream.shutdown().await.unwrap();
            assert_eq!(within(SOON, server.read(&mut got)).await.unwrap(), 0);
        }
        stream.abort();
        let error = async {
            loop {
                // A half-closed server learns of it when it sends.
                if let Err(error) = server.write_all(b"still there?").await {
                    break error;
                }
                if !half_closed && let Err(error) = server.read(&mut got).await {
                    break error;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let error = within(SOON, error).await.kind();
        let is_reset = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe].contains(&error);
        assert!(is_reset, "{error}");
    }
}

#[tokio::test]
async fn who_does_not_read_stops_who_writes() {
    let world = world().await;
    let (listener, address) = loopback().await;
    let stream = world.program.tcp_connect(inside(address)).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    // Each side writes until nothing has gone for a while; neither reads.
    let down = async {
        let mut total = 0;
        loop {
            let wait = tokio::time::timeout(Duration::from_millis(500), server.writable());
            if wait.await.is_err() {
                return total;
            }
            total += server.try_write(&[0; 65_536]).unwrap_or(0);
        }
    };
    let up = async {
        let mut total = 0;
        loop {
            let wait = tokio::time::timeout(Duration::from_millis(500), stream.writable());
            if wait.await.is_err() {
                return total;
            }
            total += stream.try_write(&[0; 65_536]).unwrap_or(0);
        }
    };
    let both = async { tokio::join!(down, up) };
    let (down, up) = within(Duration::from_secs(30), both).await;
    // Buffers of two kernels' and two stacks' sockets, and nothing besides.
    assert!(down < 24 << 20, "down {down}");
    assert!(up < 24 << 20, "up {up}");
    // What was sent arrives once somebody reads.
    drop(stream);
}

#[tokio::test]
async fn a_thousand_flows_at_once() {
    let world = world().await;
    let (listener, address) = loopback().await;
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    let mut flows = tokio::task::JoinSet::new();
    for n in 0..1000_u32 {
        let program = world.program.clone();
        flows.spawn(async move {
            let mut stream = program.tcp_connect(inside(address)).await.unwrap();
            let sent: Vec<u8> = (0..2000).flat_map(|m: u32| (n ^ m).to_be_bytes()).collect();
            stream.write_all(&sent).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut got = Vec::new();
            stream.read_to_end(&mut got).await.unwrap();
            assert_eq!(got, sent);
        });
    }
    let all = async {
        while let Some(flow) = flows.join_next().await {
            flow.unwrap()
        }
    };
    within(Duration::from_secs(60), all).await;
}

#[tokio::test]
async fn a_forwarded_port_reaches_the_program_and_its_refusals_come_out() {
    let world = world().await;
    let server = world.program.tcp_listen("0.0.0.0:80").await.unwrap();
    let forward = |port| Forward {
        protocol: Protocol::Tcp,
        listen: "127.0.0.1:0".parse().unwrap(),
        target: SocketAddr::new("10.0.2.100".parse().unwrap(), port),
    };
    let open = world.gateway.forward(forward(80)).await.unwrap();
    let shut = world.gateway.forward(forward(81)).await.unwrap();
    let mut caller = tokio::net::TcpStream::connect(open).await.unwrap();
    let (mut stream, from): (TcpStream, _) = within(SOON, server.accept()).await.unwrap();
    assert_eq!(
        from.ip().to_string(),
        "10.0.2.2",
        "a loopback caller is the gateway"
    );
    caller.write_all(b"hello").await.unwrap();
    caller.shutdown().await.unwrap();
    let mut got = String::new();
    within(SOON, stream.read_to_string(&mut got)).await.unwrap();
    assert_eq!(got, "hello");
    stream.write_all(b"bye").await.unwrap();
    drop(stream);
    let mut got = String::new();
    within(SOON, caller.read_to_string(&mut got)).await.unwrap();
    assert_eq!(got, "bye");
    let mut caller = tokio::net::TcpStream::connect(shut).await.unwrap();
    let error = within(SOON, caller.read(&mut [0; 8])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

/// What was sent as urgent is not lost on the way, in either direction of asking (RFC 6093: in line).
#[tokio::test]
async fn urgent_octets_come_in_line() {
    async fn say(mut stream: tokio::net::TcpStream) {
        stream.write_all(b"abc").await.unwrap();
        let urgent = socket2::SockRef::from(&stream).send_out_of_band(b"!");
        assert_eq!(urgent.unwrap(), 1);
        stream.write_all(b"def").await.unwrap();
        stream.shutdown().await.unwrap();
    }
    async fn hear(mut stream: TcpStream) {
        let mut got = String::new();
        within(SOON, stream.read_to_string(&mut got)).await.unwrap();
        assert_eq!(got, "abc!def");
    }
    let world = world().await;
    let (listener, address) = loopback().await;
    let server = tokio::spawn(async move { say(listener.accept().await.unwrap().0).await });
    hear(world.program.tcp_connect(inside(address)).await.unwrap()).await;
    server.await.unwrap();

    let server = world.program.tcp_listen("0.0.0.0:80").await.unwrap();
    let forward = Forward {
        protocol: Protocol::Tcp,
        listen: "127.0.0.1:0".parse().unwrap(),
        target: "10.0.2.100:80".parse().unwrap(),
    };
    let published = world.gateway.forward(forward).await.unwrap();
    let caller = tokio::net::TcpStream::connect(published).await.unwrap();
    let (stream, _): (TcpStream, _) = within(SOON, server.accept()).await.unwrap();
    tokio::join!(say(caller), hear(stream));
}

#[tokio::test]
async fn a_listener_inside_reaches_the_hosts_loopback() {
    let world = world().await;
    for loopback in loopbacks() {
        let (listener, address) = listener(loopback).await;
        // Here both are this machine's; under `run` the agent makes the first one inside.
        let inner = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let inner_address = inner.local_addr().unwrap();
        let port = address.port();
        world.gateway.serve_inside_listener(inner, port).unwrap();
        let mut stream = tokio::net::TcpStream::connect(inner_address).await.unwrap();
        let (mut server, _) = within(SOON, listener.accept()).await.unwrap();
        stream.write_all(b"select 1").await.unwrap();
        let mut got = [0; 8];
        within(SOON, server.read_exact(&mut got)).await.unwrap();
        assert_eq!(&got, b"select 1");
        // What went over counts even where the end is a reset.
        server.set_zero_linger().unwrap();
        drop(server);
        let ended = world.heard.wait(|happening| match happening {
            Happening::FlowEnded {
                flow, how, sent, ..
            } if flow.from == stream.local_addr().unwrap() => Some((*how, *sent)),
            _ => None,
        });
        assert_eq!(ended.await, (Ending::ResetOutside, 8), "{loopback}");
    }
}

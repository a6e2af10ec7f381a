//! Three lines give code with `switchboard::net` types the host's network, without any right.
//!
//! Moves 1 GiB from a server of this machine to a client, over a plain socket of the host and
//! then through a host network, and says how fast each was:
//!
//! ```sh
//! cargo run --release -p switchboard-gateway --example host_network
//! ```

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use switchboard_gateway::HostNetwork;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const OCTETS: usize = 1 << 30;

/// Serves every caller 1 GiB.
async fn serve(listener: TcpListener) -> io::Result<()> {
    let octets = vec![0x5a; 256 << 10];
    loop {
        let (mut stream, _) = listener.accept().await?;
        for _ in 0..OCTETS / octets.len() {
            stream.write_all(&octets).await?;
        }
    }
}

/// Reads to the end, and says how fast that was.
async fn take(mut stream: impl AsyncRead + Unpin, how: &str) -> io::Result<()> {
    let started = Instant::now();
    let mut buffer = vec![0; 256 << 10];
    let mut octets = 0;
    loop {
        match stream.read(&mut buffer).await? {
            0 => break,
            len => octets += len,
        }
    }
    assert_eq!(octets, OCTETS);
    let rate = octets as f64 * 8.0 / started.elapsed().as_secs_f64() / 1e9;
    println!("{how:<36} {rate:5.1} Gbit/s");
    Ok(())
}

#[tokio::main]
pub(crate) async fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let server: SocketAddr = listener.local_addr()?;
    tokio::spawn(serve(listener));

    let plain = tokio::net::TcpStream::connect(server).await?;
    take(plain, "a plain socket of the host").await?;

    let host = HostNetwork::builder().host_loopback(true).start().await?;
    let stream = host.net().tcp_connect(server).await?;
    take(stream, "through a host network").await?;

    for row in host.registry().snapshot() {
        if let Some(peer) = row.peer {
            println!("{} -> {peer}: {} octets down", row.endpoint, row.received);
        }
    }
    Ok(())
}

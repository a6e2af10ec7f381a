//! The `redis` crate talks to a real redis-server of this machine through our stack: its octets
//! cross two stacks of ours and leave by a host socket of the gateway, all in this process.
//!
//! `cargo run -p switchboard-examples --example redis` (needs redis-server)

use std::error::Error;
use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::process::Stdio;

use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use switchboard_gateway::HostNetwork;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// A server on a free port of the loopback; it ends with what is returned.
async fn server() -> io::Result<(Child, SocketAddr)> {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = free.local_addr()?;
    drop(free);
    let mut server = Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--port", &address.port().to_string()])
        .args(["--save", "", "--appendonly", "no"])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let said = server.stdout.take().ok_or(ErrorKind::BrokenPipe)?;
    let mut lines = BufReader::new(said).lines();
    while let Some(line) = lines.next_line().await? {
        if line.contains("Ready to accept connections") {
            // What it says later is nobody's.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Ok((server, address));
        }
    }
    Err(io::Error::other("redis-server ended before it was ready"))
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let (_server, address) = match server().await {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            writeln!(io::stderr(), "skipped: redis-server is not installed")?;
            return Ok(());
        }
        server => server?,
    };
    let host = HostNetwork::builder().host_loopback(true).start().await?;
    let stream = host.net().tcp_connect(address).await?;
    println!("connected from {}", stream.local_addr()?);

    let (info, config) = Default::default();
    let (mut redis, driver) = MultiplexedConnection::new_with_config(&info, stream, config).await?;
    tokio::spawn(driver);
    let () = redis.set("greeting", "hello through two stacks").await?;
    let greeting: String = redis.get("greeting").await?;
    println!("{greeting}");
    assert_eq!(greeting, "hello through two stacks");

    // Thousand commands in one pipeline, and a value of a megabyte.
    let mut pipeline = redis::pipe();
    for _ in 0..1000 {
        pipeline.cmd("INCR").arg("count").ignore();
    }
    let () = pipeline.query_async(&mut redis).await?;
    let count: u32 = redis.get("count").await?;
    let large = vec![0x5a_u8; 1 << 20];
    let () = redis.set("large", &large).await?;
    let came_back: Vec<u8> = redis.get("large").await?;
    println!("counted to {count}; {} octets came back", came_back.len());
    assert!(count == 1000 && came_back == large);
    Ok(())
}

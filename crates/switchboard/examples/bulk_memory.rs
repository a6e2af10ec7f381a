//! How fast one stream, and one question and answer, go over a pipe in memory.
//!
//! `cargo run --release -p switchboard --example bulk_memory -- [one|four] [plain|tso] [chunks|copies] [MEGABYTES]`

use std::error::Error;
use std::time::Instant;

use bytes::Bytes;
use switchboard::device::{Offloads, pipe};
use switchboard::net::TcpStream;
use switchboard::{Limits, Net};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn send(mut stream: TcpStream, octets: usize, is_chunks: bool) -> std::io::Result<()> {
    let data = Bytes::from(vec![7; 256 << 10]);
    for _ in 0..octets / data.len() {
        if is_chunks {
            stream.write_all_chunk(data.clone()).await?;
        } else {
            stream.write_all(&data).await?;
        }
    }
    stream.shutdown().await
}

async fn receive(stream: &mut TcpStream, is_chunks: bool) -> std::io::Result<usize> {
    let mut buffer = vec![0; 256 << 10];
    let mut got = 0;
    loop {
        let count = if is_chunks {
            stream.read_chunk(256 << 10).await?.len()
        } else {
            stream.read(&mut buffer).await?
        };
        got += count;
        if count == 0 {
            return Ok(got);
        }
    }
}

async fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    let mut buffer = [0; 64];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}

async fn measure(is_plain: bool, is_chunks: bool, octets: usize) -> Result<(), Box<dyn Error>> {
    let (near, far) = if is_plain {
        pipe::pair(1500, Offloads::default(), 512)
    } else {
        let offloads = Offloads {
            checksum: true,
            tso4: true,
            tso6: true,
            uso: true,
        };
        pipe::pair(65_520, offloads, 512)
    };
    let limits = Limits::default();
    let near = Net::builder()
        .address("10.0.0.1/24".parse()?)
        .limits(limits)
        .build(near)?;
    let far = Net::builder()
        .address("10.0.0.2/24".parse()?)
        .limits(limits)
        .build(far)?;

    let listener = far.tcp_listen("10.0.0.2:80").await?;
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        let got = receive(&mut stream, is_chunks).await?;
        let (stream, _) = listener.accept().await?;
        echo(stream).await?;
        Ok::<_, std::io::Error>(got)
    });
    let stream = near.tcp_connect("10.0.0.2:80").await?;
    let began = Instant::now();
    send(stream, octets, is_chunks).await?;
    let mut stream = near.tcp_connect("10.0.0.2:80").await?;
    stream.set_nodelay(true)?;
    stream.write_all(b"x").await?;
    stream.read_exact(&mut [0]).await?;
    let seconds = began.elapsed().as_secs_f64();
    println!("{:.2} Gbit/s", octets as f64 * 8e-9 / seconds);

    let turns: u32 = 100_000;
    let began = Instant::now();
    for _ in 0..turns {
        stream.write_all(b"ping").await?;
        stream.read_exact(&mut [0; 4]).await?;
    }
    println!(
        "{:.2} µs a turn",
        began.elapsed().as_secs_f64() * 1e6 / f64::from(turns)
    );
    drop(stream);
    let got = server.await??;
    println!("{got} octets; {:?}", near.stats());
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| words.iter().any(|given| given == word);
    let megabytes = words
        .iter()
        .find_map(|word| word.parse().ok())
        .unwrap_or(1000);
    let runtime = if has("four") {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(4)
            .enable_all()
            .build()?
    } else {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
    };
    runtime.block_on(measure(has("plain"), has("chunks"), megabytes << 20))
}

//! Two hosts joined by a pipe in memory: an echo server and its client.
//!
//! `cargo run -p switchboard --example echo_memory`

use std::error::Error;

use switchboard::Net;
use switchboard::device::pipe;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (near, far) = pipe::pair(1500, Default::default(), 256);
    let client = Net::builder().address("10.0.0.1/24".parse()?).build(near)?;
    let server = Net::builder().address("10.0.0.2/24".parse()?).build(far)?;

    let listener = server.tcp_listen("10.0.0.2:7").await?;
    tokio::spawn(async move {
        while let Ok((mut stream, caller)) = listener.accept().await {
            println!("server: {caller} calls");
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                tokio::io::copy(&mut read, &mut write).await
            });
        }
    });

    let mut stream = client.tcp_connect("10.0.0.2:7").await?;
    println!("client: {} is connected", stream.local_addr()?);
    stream.write_all(b"hello, socket").await?;
    stream.shutdown().await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    println!("client: got {answer:?} back");
    println!("client: round trip {:?}", stream.info()?.srtt);

    let error = client.tcp_connect("10.0.0.2:8").await.unwrap_err();
    println!("client: {error}");
    Ok(())
}

//! Two hosts joined by a pipe in memory: one echoes, the other calls. No kernel socket, no right.
//!
//! `cargo run -p switchboard-examples --example echo`

use std::error::Error;

use switchboard::Net;
use switchboard::device::pipe;
use switchboard::net::{TcpListener, TcpStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Code as for `tokio::net`: only its import differs.
async fn serve(listener: TcpListener) -> std::io::Result<()> {
    loop {
        let (mut stream, caller) = listener.accept().await?;
        println!("echo: {caller} calls");
        tokio::spawn(async move {
            let (mut from, mut to) = stream.split();
            tokio::io::copy(&mut from, &mut to).await
        });
    }
}

async fn call() -> std::io::Result<String> {
    let mut stream = TcpStream::connect("echo.test:7").await?;
    stream.write_all(b"Is anybody there?").await?;
    stream.shutdown().await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    println!("{} says: {answer}", stream.peer_addr()?);
    Ok(answer)
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let (near, far) = pipe::pair(1500, Default::default(), 256);
    let client = Net::builder()
        .address("10.0.0.1/24".parse()?)
        .host("echo.test", "10.0.0.2".parse()?)
        .build(near)?;
    let server = Net::builder().address("10.0.0.2/24".parse()?).build(far)?;

    // Which network a task means: here each has its own.
    let listener = server.scope(TcpListener::bind("0.0.0.0:7")).await?;
    let serving = tokio::spawn(serve(listener));
    let answer = client.scope(call()).await?;
    assert_eq!(answer, "Is anybody there?");
    serving.abort();
    Ok(())
}

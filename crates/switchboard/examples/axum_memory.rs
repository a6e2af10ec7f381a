//! axum serves a page on our sockets; hyper fetches it from another host, all in memory.
//!
//! `cargo run -p switchboard --example axum_memory`

use std::error::Error;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use switchboard::device::pipe;
use switchboard::net::{TcpListener, TcpStream};
use switchboard::{Caller, Net};

async fn page(ConnectInfo(Caller(caller)): ConnectInfo<Caller>) -> String {
    format!("You are {caller}, and no kernel knows.\n")
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (near, far) = pipe::pair(1500, Default::default(), 256);
    let client = Net::builder().address("10.0.0.1/24".parse()?).build(near)?;
    let server = Net::builder()
        .address("10.0.0.2/24".parse()?)
        .host("server.test", "10.0.0.2".parse()?)
        .build(far)?;

    // Code that names no network uses that of its task, its thread, its runtime or its process.
    let listener = server.scope(TcpListener::bind("server.test:80")).await?;
    let router = Router::new().route("/", get(page));
    let service = router.into_make_service_with_connect_info::<Caller>();
    tokio::spawn(async move { axum::serve(listener, service).await });

    let _entered = client.enter();
    let stream = TcpStream::connect("10.0.0.2:80").await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = hyper::Request::get("/")
        .header("host", "server.test")
        .body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    println!("{}", response.status());
    let body = response.into_body().collect().await?.to_bytes();
    print!("{}", String::from_utf8_lossy(&body));
    Ok(())
}

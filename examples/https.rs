//! A page over HTTPS: axum and rustls on one host of ours, hyper-util's client on another.
//!
//! `cargo run -p switchboard-examples --example https`

use std::error::Error;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use switchboard::Net;
use switchboard::adapters::hyper::Connector;
use switchboard::device::pipe;
use switchboard::net::TcpListener;
use tokio_rustls::TlsAcceptor;

async fn serve(listener: TcpListener, tls: ServerConfig) -> std::io::Result<()> {
    let page = get(|| async { "Nobody on the way can read this.\n" });
    let service = TowerToHyperService::new(Router::new().route("/", page));
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    loop {
        let (stream, _caller) = listener.accept().await?;
        let (acceptor, service) = (acceptor.clone(), service.clone());
        tokio::spawn(async move {
            let io = TokioIo::new(acceptor.accept(stream).await?);
            let server = auto::Builder::new(TokioExecutor::new());
            server.serve_connection(io, service).await
        });
    }
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let (near, far) = pipe::pair(1500, Default::default(), 256);
    let client = Net::builder()
        .address("10.0.0.1/24".parse()?)
        .host("page.test", "10.0.0.2".parse()?)
        .build(near)?;
    let server = Net::builder().address("10.0.0.2/24".parse()?).build(far)?;

    // A certificate for this run alone, which the client trusts.
    let made = rcgen::generate_simple_self_signed(["page.test".to_owned()])?;
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone())?;
    let key = made.signing_key.serialize_der().try_into()?;
    let mut tls = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.into()], key)?;
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let serving = tokio::spawn(serve(server.tcp_listen("10.0.0.2:443").await?, tls));

    let trusting = ClientConfig::builder().with_root_certificates(roots);
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(trusting.with_no_client_auth())
        .https_only()
        .enable_all_versions()
        .wrap_connector(Connector::new(&client));
    let browser = Client::builder(TokioExecutor::new()).build::<_, Empty<Bytes>>(connector);
    let response = browser.get("https://page.test/".parse()?).await?;
    println!("{:?} {}", response.version(), response.status());
    let body = response.into_body().collect().await?.to_bytes();
    print!("{}", String::from_utf8_lossy(&body));
    assert_eq!(&body[..], b"Nobody on the way can read this.\n");
    serving.abort();
    Ok(())
}

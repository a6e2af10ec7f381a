//! QUIC by quinn: 100 MB from one host of ours to another.
//!
//! `cargo run --release -p switchboard-examples --example quic`

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use quinn::{ClientConfig, Endpoint, EndpointConfig, ServerConfig};
use rustls::RootCertStore;
use switchboard::Net;
use switchboard::adapters::quinn::endpoint;
use switchboard::device::pipe;

const TOTAL: usize = 100_000_000;

/// The octet at each place follows from the place.
fn octet(place: usize) -> u8 {
    (place % 251) as u8
}

/// Takes one stream of the next connection, and waits until the caller has closed.
async fn take_one(server: Endpoint) -> Result<usize, Box<dyn Error + Send + Sync>> {
    let connection = server.accept().await.ok_or("closed")?.await?;
    let (mut answer, mut stream) = connection.accept_bi().await?;
    let mut taken = 0;
    while let Some(chunk) = stream.read_chunk(usize::MAX, true).await? {
        let mut places = (taken..).zip(&chunk.bytes);
        assert!(places.all(|(place, got)| octet(place) == *got));
        taken += chunk.bytes.len();
    }
    answer.write_all(b"got it").await?;
    answer.finish()?;
    connection.closed().await;
    Ok(taken)
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let (near, far) = pipe::pair(1500, Default::default(), 1024);
    let client = Net::builder().address("10.0.0.1/24".parse()?).build(near)?;
    let server = Net::builder().address("10.0.0.2/24".parse()?).build(far)?;

    // A certificate for this run alone, which the client trusts.
    let made = rcgen::generate_simple_self_signed(["quic.test".to_owned()])?;
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone())?;
    let key = made.signing_key.serialize_der().try_into()?;
    let serving = ServerConfig::with_single_cert(vec![made.cert.into()], key)?;
    let config = EndpointConfig::default();
    let serving = endpoint(&server, "10.0.0.2:443", config.clone(), Some(serving)).await?;
    let taken = tokio::spawn(take_one(serving));

    let calling = endpoint(&client, "10.0.0.1:0", config, None).await?;
    let trusting = ClientConfig::with_root_certificates(Arc::new(roots))?;
    let remote = "10.0.0.2:443".parse()?;
    let connection = calling.connect_with(trusting, remote, "quic.test")?.await?;

    let start = Instant::now();
    let (mut stream, mut answer) = connection.open_bi().await?;
    stream.write_chunk((0..TOTAL).map(octet).collect()).await?;
    stream.finish()?;
    assert_eq!(answer.read_to_end(64).await?, b"got it");
    let seconds = start.elapsed().as_secs_f64();
    println!("{TOTAL} octets in {seconds:.2} s");
    println!("{:?}", connection.stats().path);

    connection.close(0u32.into(), b"done");
    assert_eq!(taken.await??, TOTAL);
    Ok(())
}

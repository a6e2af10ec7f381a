//! hyper and axum, unmodified, on simulated hosts.

use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use switchboard::net::{TcpListener, TcpStream};
use switchboard::sim;

async fn web_server() -> sim::Result {
    let pages = Router::new()
        .route("/slow", get(|| tokio::time::sleep(Duration::from_secs(30))))
        .route(
            "/{name}",
            get(|Path(name): Path<String>| async move { name.repeat(10_000) }),
        );
    let listener = TcpListener::bind("0.0.0.0:80").await?;
    axum::serve(listener, pages).await?;
    Ok(())
}

/// Fetches a page by hyper's own client connection.
async fn fetch(path: &str) -> sim::Result<Bytes> {
    let stream = TcpStream::connect("web:80").await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = hyper::Request::get(path)
        .header("host", "web")
        .body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    assert_eq!(response.status(), 200);
    Ok(response.into_body().collect().await?.to_bytes())
}

#[test]
fn axum_and_hyper_speak_over_a_bad_line_the_same_way_twice() {
    let report = sim::twice(4, |sim| {
        sim.host("web", web_server);
        for name in ["alice", "bob"] {
            sim.client(name, move || async move {
                let page = fetch(&format!("/{name}")).await?;
                assert_eq!(page, name.repeat(10_000));
                let began = sim::elapsed();
                assert!(fetch("/slow").await?.is_empty());
                assert!((30..40).contains(&(sim::elapsed() - began).as_secs()));
                Ok(())
            });
        }
        sim.links().delay(Duration::from_millis(40)).loss(0.03);
    });
    let report = report.unwrap();
    println!("{report}");
    assert!(report.elapsed > Duration::from_secs(30));
}

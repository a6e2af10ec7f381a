//! axum serves on our sockets, hyper-util's client fetches over another host's.

#![cfg(feature = "axum")]

mod common;

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Bytes;
use axum::extract::{ConnectInfo, DefaultBodyLimit};
use axum::http::Uri;
use axum::routing::{get, post};
use axum::{Router, http::StatusCode};
use common::{A, B, run, run_threads, two_hosts};
use http_body_util::{BodyExt, Full};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo};
use switchboard::net::TcpStream;
use switchboard::{Caller, Net};

/// What hyper-util's client needs to connect over a network of ours.
#[derive(Clone)]
struct Connector(Net);

/// A stream that hyper-util's client may use.
struct Conversation(TokioIo<TcpStream>);

impl tower_service::Service<Uri> for Connector {
    type Response = Conversation;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Conversation>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let net = self.0.clone();
        Box::pin(async move {
            let host = uri.host().unwrap_or_default().to_owned();
            let port = uri.port_u16().unwrap_or(80);
            let stream = net.tcp_connect((host, port)).await?;
            Ok(Conversation(TokioIo::new(stream)))
        })
    }
}

impl Connection for Conversation {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Conversation {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl Write for Conversation {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

fn router() -> Router {
    Router::new()
        .route("/", get(|| async { "a page" }))
        .route(
            "/who",
            get(
                |ConnectInfo(Caller(caller)): ConnectInfo<Caller>| async move {
                    caller.ip().to_string()
                },
            ),
        )
        .route("/echo", post(|body: Bytes| async move { body }))
        .layer(DefaultBodyLimit::disable())
}

async fn serve(net: &Net) {
    let listener = net.tcp_listen((B, 80)).await.unwrap();
    let service = router().into_make_service_with_connect_info::<Caller>();
    tokio::spawn(async move { axum::serve(listener, service).await });
}

type Http = Client<Connector, Full<Bytes>>;

fn client(net: &Net) -> Http {
    Client::builder(TokioExecutor::new()).build(Connector(net.clone()))
}

async fn fetch(client: &Http, path: &str) -> (StatusCode, Bytes) {
    let uri = format!("http://{B}{path}").parse().unwrap();
    let response = client.get(uri).await.unwrap();
    let status = response.status();
    (
        status,
        response.into_body().collect().await.unwrap().to_bytes(),
    )
}

#[test]
fn a_page_is_fetched() {
    run(async {
        let (a, b) = two_hosts();
        serve(&b).await;
        let client = client(&a);
        let (status, page) = fetch(&client, "/").await;
        assert_eq!((status, &page[..]), (StatusCode::OK, &b"a page"[..]));
        assert_eq!(fetch(&client, "/who").await.1, A.as_bytes());
        assert_eq!(fetch(&client, "/none").await.0, StatusCode::NOT_FOUND);
    });
}

#[test]
fn a_large_body_goes_up_and_comes_back() {
    run_threads(async {
        let (a, b) = two_hosts();
        serve(&b).await;
        let client = client(&a);
        let mut body = vec![0; 10 << 20];
        common::fill(0, &mut body);
        let body = Bytes::from(body);
        let request = hyper::Request::post(format!("http://{B}/echo"))
            .body(Full::new(body.clone()))
            .unwrap();
        let response = client.request(request).await.unwrap();
        let echoed = response.into_body().collect().await.unwrap().to_bytes();
        assert!(echoed == body);
    });
}

#[test]
fn many_clients_at_once() {
    run_threads(async {
        let (a, b) = two_hosts();
        serve(&b).await;
        let clients: Vec<_> = (0..100)
            .map(|_| {
                let client = client(&a);
                tokio::spawn(async move {
                    for _ in 0..20 {
                        assert_eq!(fetch(&client, "/").await.1, &b"a page"[..]);
                    }
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
    });
}

//! The conversation itself: one HTTP/1.1 request and its answer (RFC 9112).

use std::io;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use switchboard::net::TcpStream;

use super::destination::Destination;

/// What the desk said.
pub(super) struct Page {
    pub(super) status: StatusCode,
    /// `text/html` and the like, without parameters.
    pub(super) content_type: String,
    pub(super) body: Bytes,
}

/// Asks for the page over a connection that stands. Comes back when everything has arrived
/// and the connection is ours to close.
pub(super) async fn fetch(stream: TcpStream, destination: &Destination) -> io::Result<Page> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let driver = tokio::spawn(connection);
    let request = Request::get(&destination.path)
        .header(header::HOST, destination.authority())
        .header(header::ACCEPT, "text/html")
        .header(
            header::USER_AGENT,
            concat!("switchboard/", env!("CARGO_PKG_VERSION")),
        )
        .body(Empty::<Bytes>::new())
        .map_err(io::Error::other)?;
    let response = sender.send_request(request).await.map_err(cause)?;
    let (head, body) = response.into_parts();
    let body = body.collect().await.map_err(cause)?.to_bytes();
    // Letting go of the sender hangs up.
    drop(sender);
    let _ = driver.await;
    let content_type = head
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .unwrap_or("something without a type");
    Ok(Page {
        status: head.status,
        content_type: content_type.trim().to_owned(),
        body,
    })
}

/// The socket's own error inside hyper's, if there is one.
fn cause(error: hyper::Error) -> io::Error {
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        if let Some(inner) = inner.downcast_ref::<io::Error>() {
            return io::Error::new(inner.kind(), inner.to_string());
        }
        source = inner.source();
    }
    io::Error::other(error)
}

//! Connections for hyper-util's client, and for what takes the same connectors: hyper-rustls
//! around it, tonic's `Endpoint::connect_with_connector`.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;

use crate::net::TcpStream;
use crate::network::Net;

/// Opens the connection that a URI asks for: `tower_service::Service<Uri>`.
///
/// The host is looked up and its addresses are tried as [`TcpStream::connect`] does with a name;
/// the port is the URI's, else 80 for `http` and 443 for `https`. TLS is for whoever wraps it.
///
/// ```
/// # fn look(net: switchboard::Net) {
/// use hyper_util::client::legacy::Client;
/// use hyper_util::rt::TokioExecutor;
/// use switchboard::adapters::hyper::Connector;
///
/// let connector = Connector::new(&net);
/// let client = Client::builder(TokioExecutor::new()).build::<_, String>(connector);
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Connector {
    net: Option<Net>,
    nodelay: bool,
}

impl Connector {
    /// Connections over `net`.
    pub fn new(net: &Net) -> Self {
        Self {
            net: Some(net.clone()),
            nodelay: true,
        }
    }

    /// Connections over the network that is ambient where the request is made
    /// ([`Net::try_current`]).
    pub fn ambient() -> Self {
        Self {
            net: None,
            nodelay: true,
        }
    }

    /// Whether small segments leave at once (`TCP_NODELAY`). Default: yes; a request is written
    /// in one piece, and the frames of HTTP/2 shall not wait for acknowledgements.
    pub fn nodelay(mut self, yes: bool) -> Self {
        self.nodelay = yes;
        self
    }
}

/// What the [`Connector`] has under way; dropping it gives the attempt up.
pub type Connecting = Pin<Box<dyn Future<Output = io::Result<TokioIo<TcpStream>>> + Send>>;

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = Connecting;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Connecting {
        // Here and not in the future: hyper-util may spawn that, away from what is ambient.
        let net = match &self.net {
            Some(net) => Ok(net.clone()),
            None => Net::try_current(),
        };
        let nodelay = self.nodelay;
        Box::pin(async move {
            let stream = TcpStream::connect_on(&net?, target(&uri)?).await?;
            stream.set_nodelay(nodelay)?;
            Ok(TokioIo::new(stream))
        })
    }
}

/// Host and port of a URI.
fn target(uri: &Uri) -> io::Result<(String, u16)> {
    let wrong = |what| io::Error::new(ErrorKind::InvalidInput, format!("{uri}: {what}"));
    let host = uri.host().ok_or_else(|| wrong("no host to connect to"))?;
    // RFC 3986 section 3.2.2: an IPv6 address stands in brackets.
    let plain = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    let port = match (uri.port_u16(), uri.scheme_str()) {
        (Some(port), _) => port,
        (None, Some("http")) => 80,
        (None, Some("https")) => 443,
        (None, _) => return Err(wrong("a port is needed where the scheme has none")),
    };
    Ok((plain.to_owned(), port))
}

impl Connection for TcpStream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

#[cfg(test)]
#[path = "hyper_tests.rs"]
mod tests;

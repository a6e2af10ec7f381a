//! The web server: `axum` on the stack's own listener, one page in three languages.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll};

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, State};
use axum::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, VARY,
};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::serve::{IncomingStream, Listener};
use switchboard::TcpInfo;
use switchboard::net::{TcpListener, TcpStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::page::Page;
use super::{html, listening, text};
use crate::context::Context;
use crate::observer::Flow;
use crate::registry::lock;
use crate::visit::Visit;

/// Serves until the network ends.
pub(super) async fn serve(context: Arc<Context>, listener: TcpListener) {
    let _row = listening(&context, &listener);
    let places = context.config.limits.builtin_connections;
    let listener = Desk {
        context: context.clone(),
        listener,
        places: Arc::new(Semaphore::new(places)),
    };
    let app = Router::new()
        .route("/", axum::routing::get(front_page))
        .fallback(nothing_here)
        .with_state(context);
    let app = app.into_make_service_with_connect_info::<Visitor>();
    if let Err(error) = axum::serve(listener, app).await {
        tracing::debug!(%error, "the built-in web server has closed");
    }
}

/// How the visitor likes to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    Text,
    Html,
    Json,
}

async fn front_page(
    State(context): State<Arc<Context>>,
    ConnectInfo(visitor): ConnectInfo<Visitor>,
    headers: HeaderMap,
) -> Response {
    let info = *lock(&visitor.info);
    let page = Page::new(&context, &visitor.flow, info).await;
    match language(&headers) {
        Language::Text => answer("text/plain; charset=utf-8", text::render(&page)),
        Language::Html => answer("text/html; charset=utf-8", html::render(&page)),
        Language::Json => match serde_json::to_string_pretty(&page) {
            Ok(json) => answer("application/json", json + "\n"),
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        },
    }
}

async fn nothing_here(uri: Uri) -> Response {
    let path = uri.path();
    let body = format!("This desk has one page: /\nThere is no {path} here.\n");
    (
        StatusCode::NOT_FOUND,
        answer("text/plain; charset=utf-8", body),
    )
        .into_response()
}

fn answer(kind: &'static str, body: String) -> Response {
    // The page is about this very moment, and carries all that it needs.
    let headers = [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, "no-store"),
        (VARY, "accept"),
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; img-src data:",
        ),
    ];
    (headers, body).into_response()
}

/// What `Accept` asks for (RFC 9110 section 12.5.1). Who takes anything gets text: curl.
fn language(headers: &HeaderMap) -> Language {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    let mut best = (0.0, Language::Text);
    for range in accept.unwrap_or_default().split(',') {
        let mut parts = range.split(';').map(str::trim);
        let language = match parts.next().map(str::to_ascii_lowercase).as_deref() {
            Some("text/html" | "application/xhtml+xml") => Language::Html,
            Some("application/json" | "application/*") => Language::Json,
            Some("text/plain" | "text/*" | "*/*") => Language::Text,
            _ => continue,
        };
        let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok());
        let quality: f32 = quality.unwrap_or(1.0);
        if quality > best.0 {
            best = (quality, language);
        }
    }
    best.1
}

/// The listener with what people want to see of its conversations.
struct Desk {
    context: Arc<Context>,
    listener: TcpListener,
    places: Arc<Semaphore>,
}

impl Listener for Desk {
    type Io = Conversation;
    type Addr = Visitor;

    async fn accept(&mut self) -> (Conversation, Visitor) {
        loop {
            let place = self.places.clone().acquire_owned().await;
            let accepted = self.listener.accept().await;
            let (Ok(place), Ok((stream, remote))) = (place, accepted) else {
                // The network has ended: nothing will ever come again.
                return std::future::pending().await;
            };
            let Ok(local) = stream.local_addr() else {
                continue;
            };
            // Small answers leave at once; the last part of a large one does not wait.
            let _ = stream.set_nodelay(true);
            let visit = Visit::begin(&self.context, remote, local);
            let visitor = Visitor {
                flow: visit.flow.clone(),
                info: Arc::default(),
            };
            let conversation = Conversation {
                stream,
                visit,
                info: visitor.info.clone(),
                _place: place,
            };
            return (conversation, visitor);
        }
    }

    fn local_addr(&self) -> io::Result<Visitor> {
        let local = self.listener.local_addr()?;
        let ends = crate::context::Ends {
            from: SocketAddr::from(([0; 4], 0)),
            to: local,
        };
        Ok(Visitor {
            flow: self
                .context
                .inward_flow(crate::observer::Transport::Tcp, ends),
            info: Arc::default(),
        })
    }
}

/// Who reads the page.
#[derive(Clone, Debug)]
struct Visitor {
    flow: Arc<Flow>,
    /// The connection as it was when the visitor's request had arrived.
    info: Arc<Mutex<Option<TcpInfo>>>,
}

impl Connected<IncomingStream<'_, Desk>> for Visitor {
    fn connect_info(stream: IncomingStream<'_, Desk>) -> Self {
        stream.remote_addr().clone()
    }
}

/// A visitor's connection; keeps its rows and its figures.
struct Conversation {
    stream: TcpStream,
    visit: Visit,
    info: Arc<Mutex<Option<TcpInfo>>>,
    _place: OwnedSemaphorePermit,
}

impl AsyncRead for Conversation {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if read.is_ready() {
            *lock(&self.info) = self.stream.info().ok();
            self.visit.look_at(&self.stream);
        }
        read
    }
}

impl AsyncWrite for Conversation {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        self.visit.look_at(&self.stream);
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_get_html_programs_json_and_curl_text() {
        let asks = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            language(&headers)
        };
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        assert_eq!(asks(browser), Language::Html);
        assert_eq!(asks("*/*"), Language::Text);
        assert_eq!(asks("application/json"), Language::Json);
        assert_eq!(asks("application/json;q=0.5, text/plain"), Language::Text);
        assert_eq!(asks("image/png"), Language::Text);
        assert_eq!(language(&HeaderMap::new()), Language::Text);
    }
}

//! The end of the control socket that other commands use.

use std::fmt;
use std::io;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::directory;

/// Why a run could not be asked.
#[derive(Debug)]
pub(crate) enum AskError {
    /// No such run, or its relay was killed.
    NoRun(u32),
    /// It did not answer as a run does.
    NoAnswer(u32, String),
    /// This process could not even ask.
    Host(io::Error),
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRun(pid) => write!(f, "no run with process id {pid}"),
            Self::NoAnswer(pid, why) => write!(f, "run {pid} does not answer: {why}"),
            Self::Host(error) => write!(f, "cannot ask: {error}"),
        }
    }
}

/// The body of `GET path` from the run `pid`.
///
/// # Errors
///
/// [`AskError`].
pub(crate) fn ask(pid: u32, path: &str) -> Result<Bytes, AskError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(AskError::Host)?;
    runtime.block_on(async {
        let file = directory::socket(pid).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => AskError::NoRun(pid),
            _ => AskError::Host(error),
        })?;
        let stream = UnixStream::connect(&file).await;
        let stream = stream.map_err(|error| match error.kind() {
            io::ErrorKind::ConnectionRefused => {
                // Nobody listens: left behind by a run that was killed, agent and all.
                let _ = std::fs::remove_file(&file);
                AskError::NoRun(pid)
            }
            io::ErrorKind::NotFound => AskError::NoRun(pid),
            _ => AskError::Host(error),
        })?;
        let answer = get(stream, path).await;
        answer.map_err(|error| AskError::NoAnswer(pid, error.to_string()))
    })
}

async fn get(stream: UnixStream, path: &str) -> Result<Bytes, hyper::Error> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = path.parse().unwrap_or_default();
    request.headers_mut().insert(
        hyper::header::HOST,
        hyper::header::HeaderValue::from_static("run"),
    );
    let response = sender.send_request(request).await?;
    Ok(response.into_body().collect().await?.to_bytes())
}

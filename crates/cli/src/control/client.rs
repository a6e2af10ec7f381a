//! The end of the control socket that other commands use.

use std::fmt;
use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::{Refusal, RunInfo, directory};
use crate::flags::Which;

/// Why a run could not be asked.
#[derive(Debug)]
pub(crate) enum AskError {
    /// No run at all.
    NoneUnderWay,
    /// More than one, and none was meant.
    Several(Vec<RunInfo>),
    /// No such run, or its relay was killed.
    NoRun(Which),
    /// It did not answer as a run does.
    NoAnswer(u32, String),
    /// It says that it cannot.
    Refused(String),
    /// This process could not even ask.
    Host(io::Error),
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoneUnderWay => {
                f.write_str("no run is under way: switchboard run -- CMD starts one")
            }
            Self::Several(runs) => {
                write!(f, "{} runs are under way; say which: ", runs.len())?;
                for (number, run) in runs.iter().enumerate() {
                    let comma = if number == 0 { "" } else { ", " };
                    let name = run.name.as_deref();
                    let name = name.map_or_else(String::new, |name| format!("{name}, "));
                    write!(f, "{comma}{} ({name}{})", run.pid, run.command)?;
                }
                Ok(())
            }
            Self::NoRun(which) => write!(f, "no run {which}"),
            Self::NoAnswer(pid, why) => write!(f, "run {pid} does not answer: {why}"),
            Self::Refused(why) => f.write_str(why),
            Self::Host(error) => write!(f, "cannot ask: {error}"),
        }
    }
}

/// A run that can be asked.
#[derive(Debug)]
pub(crate) struct Run {
    pid: u32,
    socket: PathBuf,
}

/// Runs what asks, in a runtime of its own.
///
/// # Errors
///
/// What `asking` says; or this process has no runtime.
pub(crate) fn wait_for<T>(
    asking: impl Future<Output = Result<T, AskError>>,
) -> Result<T, AskError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(AskError::Host)?;
    runtime.block_on(asking)
}

/// Finds the run that is meant; without a word of which, the only one.
///
/// # Errors
///
/// There is none, or more than one could be meant.
pub(crate) async fn find(which: Option<&Which>) -> Result<Run, AskError> {
    let pid = match which {
        None => only_one().await?,
        Some(Which::Pid(pid)) => *pid,
        Some(Which::Name(name)) => {
            let found = directory::named(name);
            found.map_err(|error| gone(error, Which::Name(name.clone())))?
        }
    };
    let wanted = || which.cloned().unwrap_or(Which::Pid(pid));
    let socket = directory::socket(pid).map_err(|error| gone(error, wanted()))?;
    // A run that was killed, agent and all, left its socket behind.
    match UnixStream::connect(&socket).await {
        Ok(_) => Ok(Run { pid, socket }),
        Err(error) => Err(gone(error, wanted())),
    }
}

async fn only_one() -> Result<u32, AskError> {
    let pids = directory::runs().map_err(AskError::Host)?;
    match pids[..] {
        [] => Err(AskError::NoneUnderWay),
        [pid] => Ok(pid),
        _ => {
            let mut runs = Vec::new();
            for pid in pids {
                let socket = directory::socket(pid).map_err(AskError::Host)?;
                // One may have ended meanwhile.
                runs.extend(Run { pid, socket }.get("/run").await.ok());
            }
            Err(AskError::Several(runs))
        }
    }
}

/// A control socket that is not there, or that nobody listens at.
fn gone(error: io::Error, which: Which) -> AskError {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => AskError::NoRun(which),
        _ => AskError::Host(error),
    }
}

impl Run {
    /// Asks for `path`.
    ///
    /// # Errors
    ///
    /// [`AskError`].
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, AskError> {
        self.read(&self.get_bytes(path).await?)
    }

    /// The same, as it came.
    ///
    /// # Errors
    ///
    /// [`AskError`].
    pub(crate) async fn get_bytes(&self, path: &str) -> Result<Bytes, AskError> {
        self.ask(Method::GET, path, Bytes::new()).await
    }

    /// Tells it `message` at `path`.
    ///
    /// # Errors
    ///
    /// [`AskError`].
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        message: &impl Serialize,
    ) -> Result<T, AskError> {
        let body = serde_json::to_vec(message).map_err(|error| AskError::Host(error.into()))?;
        self.read(&self.ask(Method::POST, path, body.into()).await?)
    }

    fn read<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, AskError> {
        serde_json::from_slice(body).map_err(|error| self.silent(error))
    }

    fn silent(&self, why: impl fmt::Display) -> AskError {
        AskError::NoAnswer(self.pid, why.to_string())
    }

    async fn ask(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, AskError> {
        let stream = UnixStream::connect(&self.socket).await;
        let stream = stream.map_err(|error| gone(error, Which::Pid(self.pid)))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.silent(error))?;
        tokio::spawn(connection);
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().unwrap_or_default();
        let headers = request.headers_mut();
        headers.insert(HOST, HeaderValue::from_static("run"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let response = sender.send_request(request).await;
        let response = response.map_err(|error| self.silent(error))?;
        let is_success = response.status().is_success();
        let body = response.into_body().collect().await;
        let body = body.map_err(|error| self.silent(error))?.to_bytes();
        if is_success {
            return Ok(body);
        }
        match serde_json::from_slice::<Refusal>(&body) {
            Ok(refusal) => Err(AskError::Refused(refusal.error)),
            Err(_) => Err(self.silent(String::from_utf8_lossy(&body))),
        }
    }
}

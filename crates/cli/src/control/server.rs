//! The run's end of the control socket.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use switchboard_gateway::{BoxFuture, HandshakeRecorder, Registry};
use tokio::net::UnixListener;

use super::{
    Change, Conversation, Joining, Published, Refusal, Row, RunInfo, RunReport, directory,
};
use crate::run::relay::InsideSocket;

/// How long the agent may take to say what it sees, before the rest is told without it.
const INSIDE_WAIT: Duration = Duration::from_secs(1);

/// What the control socket needs of the run beside its registry.
pub(crate) trait Inside: Send + Sync {
    /// A process in the run's namespaces.
    fn agent(&self) -> Option<u32>;
    /// Sockets that never reach the gateway: listeners, and those on loopback.
    fn sockets(&self) -> BoxFuture<'_, Vec<InsideSocket>>;
    /// A process outside the run's tree starts programs in its namespaces.
    fn joined(&self, pid: u32) -> BoxFuture<'_, io::Result<()>>;
    /// How long the directory took to find `address`, if it did of late.
    fn found_in(&self, address: IpAddr) -> Option<Duration>;
    /// Ports that are published.
    fn published(&self) -> Vec<Published>;
    /// Publishes a port, or takes one back; the text is for a person.
    fn change<'a>(&'a self, change: &'a str) -> BoxFuture<'a, Result<(), String>>;
}

/// What a run is served as.
pub(crate) struct Served {
    pub(crate) name: Option<String>,
    pub(crate) command: String,
    pub(crate) map_root: bool,
    /// Where packets are recorded.
    pub(crate) record: Option<PathBuf>,
    pub(crate) registry: Registry,
    pub(crate) recorder: HandshakeRecorder,
    pub(crate) inside: Arc<dyn Inside>,
}

/// Why there is no control socket.
#[derive(Debug)]
pub(crate) enum ServeError {
    /// Another run that is under way has that name.
    NameTaken(String),
    /// No directory for it, or the socket's own error.
    Host(io::Error),
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameTaken(name) => write!(f, "another run is named {name}: choose another name"),
            Self::Host(error) => error.fmt(f),
        }
    }
}

impl From<io::Error> for ServeError {
    fn from(error: io::Error) -> Self {
        Self::Host(error)
    }
}

#[derive(Clone)]
struct Server {
    served: Arc<Served>,
    since: Instant,
}

/// Listens and answers from now on, on the current runtime. Returns the files that this made,
/// which are somebody else's to remove.
///
/// # Errors
///
/// [`ServeError`]; nothing is left behind.
pub(crate) fn serve(served: Served) -> Result<Vec<PathBuf>, ServeError> {
    let pid = std::process::id();
    let path = directory::make()?.join(directory::socket_name(pid));
    // Left behind by a run of the same number that was killed, agent and all.
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path)?;
    let mut files = vec![path];
    if let Some(name) = &served.name {
        match directory::claim(name, pid) {
            Ok(file) => files.push(file),
            Err(error) => {
                let _ = std::fs::remove_file(&files[0]);
                return Err(match error.kind() {
                    io::ErrorKind::AlreadyExists => ServeError::NameTaken(name.clone()),
                    _ => ServeError::Host(error),
                });
            }
        }
    }
    let server = Server {
        served: Arc::new(served),
        since: Instant::now(),
    };
    let router = Router::new()
        .route("/run", get(run))
        .route("/sockets", get(sockets))
        .route("/sockets/{number}", get(conversation))
        .route("/set", post(set))
        .route("/join", post(join))
        .with_state(server);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(files)
}

impl Server {
    fn info(&self) -> RunInfo {
        RunInfo {
            pid: std::process::id(),
            name: self.served.name.clone(),
            command: self.served.command.clone(),
            age_ms: u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX),
            agent: self.served.inside.agent(),
            map_root: self.served.map_root,
            record: self
                .served
                .record
                .as_deref()
                .map(|path| path.display().to_string()),
        }
    }
}

/// An answer that is none.
struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(Refusal { error: self.1 })).into_response()
    }
}

async fn run(State(server): State<Server>) -> Json<RunInfo> {
    Json(server.info())
}

async fn sockets(State(server): State<Server>) -> Json<RunReport> {
    let inside = tokio::time::timeout(INSIDE_WAIT, server.served.inside.sockets()).await;
    let snapshot = server.served.registry.look().await;
    let rows = snapshot.iter().map(|row| {
        let peer = row.peer.filter(|_| row.peer_name.is_some());
        let found = peer.and_then(|peer| server.served.inside.found_in(peer.ip()));
        Row {
            found_us: found.and_then(|found| u64::try_from(found.as_micros()).ok()),
            ..Row::from(row)
        }
    });
    let inside = inside.unwrap_or_default();
    Json(RunReport {
        run: server.info(),
        published: server.served.inside.published(),
        sockets: rows.chain(inside.into_iter().map(Row::from)).collect(),
    })
}

async fn conversation(
    State(server): State<Server>,
    Path(number): Path<u64>,
) -> Result<Json<Conversation>, Refused> {
    let served = &server.served;
    let snapshot = served.registry.snapshot();
    let Some(row) = snapshot.iter().find(|row| row.number == number) else {
        let text = format!("no socket has the number {number}");
        return Err(Refused(StatusCode::NOT_FOUND, text));
    };
    let halves = served.registry.halves(number).unwrap_or_default();
    Ok(Json(Conversation::of(row, halves, &served.recorder)))
}

async fn set(
    State(server): State<Server>,
    Json(change): Json<Change>,
) -> Result<Json<Vec<Published>>, Refused> {
    for ports in &change.publish {
        let changed = server.served.inside.change(ports).await;
        changed.map_err(|why| Refused(StatusCode::CONFLICT, why))?;
    }
    Ok(Json(server.served.inside.published()))
}

async fn join(
    State(server): State<Server>,
    Json(joining): Json<Joining>,
) -> Result<Json<RunInfo>, Refused> {
    let joined = server.served.inside.joined(joining.pid).await;
    joined.map_err(|error| Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(Json(server.info()))
}

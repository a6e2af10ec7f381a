//! The run's end of the control socket.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use switchboard_gateway::{Registry, SocketRow};
use tokio::net::UnixListener;

use super::{RunReport, directory};

#[derive(Clone)]
struct Run {
    registry: Registry,
    command: Arc<str>,
    since: Instant,
}

/// Listens and answers from now on, on the current runtime. Returns the socket's file, which
/// is somebody else's to remove.
///
/// # Errors
///
/// No directory for it, or the socket's own.
pub(crate) fn serve(registry: Registry, command: &str) -> io::Result<PathBuf> {
    let pid = std::process::id();
    let path = directory::make()?.join(format!("{pid}.sock"));
    // Left behind by a run of the same number that was killed, agent and all.
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path)?;
    let run = Run {
        registry,
        command: command.into(),
        since: Instant::now(),
    };
    let router = Router::new()
        .route("/sockets", get(sockets))
        .with_state(run);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(path)
}

async fn sockets(State(run): State<Run>) -> Json<RunReport<SocketRow>> {
    Json(RunReport {
        pid: std::process::id(),
        command: run.command.to_string(),
        age_ms: u64::try_from(run.since.elapsed().as_millis()).unwrap_or(u64::MAX),
        sockets: run.registry.snapshot(),
    })
}

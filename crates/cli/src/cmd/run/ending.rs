//! After CMD: what it sent arrives before the network goes.
//!
//! A program may exit right after its last `write`: on a kernel's network the rest is delivered
//! behind its back. Here the rest waits first in the namespace's kernel, then with us.

use std::path::Path;
use std::time::Duration;

use switchboard_gateway::{SocketRow, SocketState};
use tokio::time::{Instant, sleep};

use super::world::World;
use crate::run::relay::Start;

/// How long a far side may take to accept what a program left behind.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long sockets are waited for whose program is not known.
const PATIENCE_UNKNOWN: Duration = Duration::from_secs(1);
/// Between looks.
const TICK: Duration = Duration::from_millis(2);

/// Waits until everything that ended programs sent is with the host's kernel.
pub(super) async fn let_it_arrive(start: &Start, world: &World) {
    if world.is_untouched() {
        return;
    }
    let begun = Instant::now();
    let mut received = world.packets_received();
    while begun.elapsed() < PATIENCE {
        sleep(TICK).await;
        let now = world.packets_received();
        let quiet = now == received;
        received = now;
        if !quiet {
            continue;
        }
        match start.unsent().await {
            Ok(0) => {}
            Ok(_) => continue,
            Err(_) => return,
        }
        let rows = world.registry().snapshot();
        if !rows.iter().any(|row| still_sends(row, begun.elapsed())) {
            return;
        }
    }
}

/// Whether a socket of a program that has ended still has its end to be told to the far side.
fn still_sends(row: &SocketRow, elapsed: Duration) -> bool {
    if !matches!(row.state, SocketState::Established | SocketState::CloseWait) {
        return false;
    }
    let ended = match row.pid {
        Some(pid) => !Path::new(&format!("/proc/{pid}")).exists(),
        None => elapsed < PATIENCE_UNKNOWN,
    };
    let ours = matches!(row.program, switchboard_gateway::Holder::BuiltIn);
    ended && !ours
}

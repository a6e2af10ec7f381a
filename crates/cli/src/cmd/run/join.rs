//! `run --join PID|NAME -- CMD`: a second command in the network of a run.
//!
//! An agent of its own enters that run's user, network and mount namespaces and is CMD's parent
//! there, so that signals, terminal and exit code are what they are under a plain `run`. The
//! network, its relay and its agent are the other run's, which is told whose children are its own.

use super::{Failed, exit_code, failed, let_go_of_stdio, refusal};
use crate::control::{self, Joining, RunInfo};
use crate::flags::{RunFlags, Which};
use crate::run::relay::{self, Ended, Setup};
use crate::run::{JoinedRun, Plan};
use crate::say;

/// Runs it; the exit code.
pub(super) fn main(flags: &RunFlags, which: &Which) -> u8 {
    let asked = control::wait_for(async {
        let run = control::find(Some(which)).await?;
        let info: RunInfo = run.get("/run").await?;
        Ok((run, info))
    });
    let (run, info) = match asked {
        Ok(asked) => asked,
        Err(error) => return failed(error),
    };
    let Some(agent) = info.agent else {
        return failed(format_args!(
            "run {} is only just starting: try again",
            info.pid
        ));
    };
    let joined = JoinedRun {
        agent,
        map_root: info.map_root,
    };
    let plan = match Plan::joining(flags, joined) {
        Ok(plan) => plan,
        Err(error) => return failed(error),
    };
    // No runtime is left by now, and so no second thread: this forks.
    let setup = match relay::begin(&plan) {
        Ok(setup) => setup,
        Err(error) => return failed(refusal(&error)),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(drive(flags, &run, setup)),
        Err(error) => Err(error.into()),
    };
    match ended {
        Ok(ended) => exit_code(ended, flags),
        Err(Failed::SetUp(error)) => failed(refusal(&error)),
        Err(Failed::Relay(error)) => failed(error),
    }
}

async fn drive(flags: &RunFlags, run: &control::Run, setup: Setup) -> Result<Ended, Failed> {
    for warning in setup.warnings() {
        say::notice(warning);
    }
    let start = setup.into_start()?;
    let pid = start.link().agent();
    let told: Result<RunInfo, _> = run.post("/join", &Joining { pid }).await;
    told.map_err(|error| std::io::Error::other(error.to_string()))?;
    let_go_of_stdio();
    let ended = start.run(flags.program.wait, |_| {}).await?;
    start.finish().await;
    Ok(ended)
}

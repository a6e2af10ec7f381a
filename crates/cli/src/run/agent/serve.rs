//! The agent's one loop, from the start of CMD to the end of the run.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{WaitOptions, wait};

use super::holder::Holders;
use super::loopback::RefusedCalls;
use super::program;
use crate::run::channel::Channel;
use crate::run::message::{Ending, FromAgent, ToAgent};
use crate::run::plan::Plan;
use crate::run::signals::Signals;

/// Starts CMD and serves until the relay is gone.
pub(super) fn run(channel: &Channel, plan: &Plan) {
    let Ok(children) = Signals::children() else {
        return;
    };
    // What CMD leaves behind becomes ours to reap, and `--wait` knows when the last one ends.
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    let started = program::start(plan);
    let program = match started {
        Ok(pid) => pid,
        Err(error) => {
            let errno = error.raw_os_error().unwrap_or(0);
            let _ = channel.send(&FromAgent::NotStarted { errno }, &[]);
            return;
        }
    };
    let mut agent = Agent {
        channel,
        program: Some(program),
        holders: Holders::new().ok(),
        // No packet sockets in this kernel: then such calls fail without a hint.
        refused_calls: RefusedCalls::watch().ok(),
    };
    while agent.turn(&children) {}
    agent.end();
}

struct Agent<'a> {
    channel: &'a Channel,
    /// CMD, until it has been reaped.
    program: Option<Pid>,
    holders: Option<Holders>,
    refused_calls: Option<RefusedCalls>,
}

impl Agent<'_> {
    /// Waits for something and does it. `false`: the relay is gone.
    fn turn(&mut self, children: &Signals) -> bool {
        let mut waiting = vec![
            PollFd::new(self.channel, PollFlags::IN),
            PollFd::new(children, PollFlags::IN),
        ];
        if let Some(calls) = &self.refused_calls {
            waiting.push(PollFd::new(calls, PollFlags::IN));
        }
        match poll(&mut waiting, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return false,
        }
        let happened: Vec<bool> = waiting.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(waiting);
        let is = |index: usize| happened.get(index).copied().unwrap_or(false);
        if is(0) && !self.obey() {
            return false;
        }
        // Before the end of CMD is told: it may be why CMD ended.
        if (is(1) || is(2)) && !self.report_refused_calls() {
            return false;
        }
        if is(1) {
            children.drain();
            return self.reap();
        }
        true
    }

    /// One order of the relay.
    fn obey(&mut self) -> bool {
        match self.channel.receive::<ToAgent>() {
            Ok(Some((ToAgent::Signal(number), _))) => {
                if let (Some(program), Ok(signal)) = (self.program, Signal::try_from(number)) {
                    let _ = kill(program, signal);
                }
                true
            }
            Ok(Some((
                ToAgent::Holder {
                    id,
                    tcp,
                    inner,
                    outer,
                },
                _,
            ))) => {
                let found = self.holders.as_mut();
                let program = found.and_then(|holders| holders.find(tcp, inner, outer));
                self.tell(&FromAgent::Holder { id, program })
            }
            Ok(Some((ToAgent::Unsent, _))) => {
                let asked = self.holders.as_mut().map(Holders::closed_unsent);
                let sockets = asked.and_then(Result::ok).unwrap_or(0);
                self.tell(&FromAgent::Unsent { sockets })
            }
            Ok(Some((ToAgent::MapsWritten | ToAgent::Start | ToAgent::RemoveAtEnd(_), _))) => true,
            Ok(None) | Err(_) => false,
        }
    }

    /// Everything that has ended or stopped.
    fn reap(&mut self) -> bool {
        loop {
            let (pid, status) = match wait(WaitOptions::NOHANG | WaitOptions::UNTRACED) {
                Ok(Some(changed)) => changed,
                Ok(None) => return true,
                Err(Errno::INTR) => continue,
                Err(_) => return self.tell(&FromAgent::AllEnded),
            };
            if self.program.map(Pid::as_raw) != Some(pid.as_raw_nonzero().get()) {
                continue;
            }
            let heard = if let Some(code) = status.exit_status() {
                self.ended(Ending::Exit(code))
            } else if let Some(signal) = status.terminating_signal() {
                self.ended(Ending::Signal(signal))
            } else {
                !status.stopped() || self.tell(&FromAgent::Stopped)
            };
            if !heard {
                return false;
            }
        }
    }

    fn ended(&mut self, ending: Ending) -> bool {
        self.program = None;
        self.tell(&FromAgent::Ended(ending))
    }

    fn report_refused_calls(&mut self) -> bool {
        while let Some(call) = self.refused_calls.as_ref().and_then(RefusedCalls::next) {
            let holders = self.holders.as_mut();
            let found = holders.and_then(|h| h.find(true, call.caller, call.called));
            let cmd = self.program.map(|pid| pid.as_raw().unsigned_abs());
            let program = found.or_else(|| Holders::only_one(cmd?));
            let port = call.called.port();
            if !self.tell(&FromAgent::LoopbackRefused { port, program }) {
                return false;
            }
        }
        true
    }

    fn tell(&self, message: &FromAgent) -> bool {
        self.channel.send(message, &[]).is_ok()
    }

    /// The relay is gone, and with it the network: CMD must not go on as if nothing happened.
    fn end(&mut self) {
        if let Some(program) = self.program {
            let _ = kill(program, Signal::SIGKILL);
        }
    }
}

//! The agent's one loop, from the start of CMD to the end of the run.

use std::os::fd::AsRawFd;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpgid, getppid};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{WaitOptions, wait};

use super::descriptors;
use super::holder::Holders;
use super::loopback::RefusedCalls;
use super::program;
use crate::run::channel::Channel;
use crate::run::link::LinkEnd;
use crate::run::message::{Ending, FromAgent, Passed, ToAgent, Wanted};
use crate::run::plan::Plan;
use crate::run::signals::{GroupSignals, Signals};

/// Sockets that fit into one message, with the longest names and addresses.
const SEEN_TOGETHER: usize = 48;

/// Starts CMD and serves until the relay says that the run is over, or is gone. Returns what is
/// slow to close.
pub(super) fn run(channel: &Channel, plan: &Plan, link: Option<&LinkEnd>) -> Option<RefusedCalls> {
    let (Ok(children), Ok(group_signals)) = (Signals::children(), GroupSignals::watch()) else {
        return None;
    };
    // What CMD leaves behind becomes ours to reap, and `--wait` knows when the last one ends.
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    let started = program::start(plan);
    let program = match started {
        Ok(pid) => pid,
        Err(error) => {
            let errno = error.raw_os_error().unwrap_or(0);
            let _ = channel.send(&FromAgent::NotStarted { errno }, &[]);
            return None;
        }
    };
    let mut kept: Vec<&dyn AsRawFd> = vec![channel, &children, &group_signals];
    let ends = link.into_iter().flat_map(|link| &link.fds);
    kept.extend(ends.map(|fd| fd as &dyn AsRawFd));
    descriptors::close_all_but(&kept);
    // In a run that was joined its own agent does both.
    let watches = plan.join.is_none();
    let mut agent = Agent {
        channel,
        program: Some(program),
        relay: getppid(),
        group_signals,
        holders: watches.then(Holders::new).and_then(Result::ok),
        // No packet sockets in this kernel: then such calls fail without a hint.
        refused_calls: watches.then(RefusedCalls::watch).and_then(Result::ok),
    };
    while agent.turn(&children) {}
    agent.end();
    agent.refused_calls
}

struct Agent<'a> {
    channel: &'a Channel,
    /// CMD, until it has been reaped.
    program: Option<Pid>,
    relay: Pid,
    group_signals: GroupSignals,
    holders: Option<Holders>,
    refused_calls: Option<RefusedCalls>,
}

impl Agent<'_> {
    /// Waits for something and does it. `false`: the relay is gone.
    fn turn(&mut self, children: &Signals) -> bool {
        let mut waiting = vec![
            PollFd::new(self.channel, PollFlags::IN),
            PollFd::new(children, PollFlags::IN),
            PollFd::new(&self.group_signals, PollFlags::IN),
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
        if is(2) {
            self.group_signals.note();
        }
        if is(0) && !self.obey() {
            return false;
        }
        // Before the end of CMD is told: it may be why CMD ended.
        if (is(1) || is(3)) && !self.report_refused_calls() {
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
            Ok(Some((ToAgent::Signal(passed), _))) => {
                self.pass_on(passed);
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
            Ok(Some((ToAgent::Sockets { id, wanted }, _))) => self.tell_sockets(id, wanted),
            Ok(Some((ToAgent::Joined { pid }, _))) => {
                if let Some(holders) = &mut self.holders {
                    holders.join(pid);
                }
                true
            }
            Ok(Some((ToAgent::MapsWritten | ToAgent::Start | ToAgent::RemoveAtEnd(_), _))) => true,
            Ok(Some((ToAgent::End, _)) | None) | Err(_) => false,
        }
    }

    fn tell_sockets(&mut self, id: u64, wanted: Wanted) -> bool {
        let seen = self.holders.as_mut().map(|holders| holders.local(wanted));
        let mut seen = seen.and_then(Result::ok).unwrap_or_default();
        loop {
            let rest = seen.split_off(seen.len().min(SEEN_TOGETHER));
            let more = !rest.is_empty();
            let sockets = std::mem::replace(&mut seen, rest);
            if !self.tell(&FromAgent::Sockets { id, sockets, more }) {
                return false;
            }
            if !more {
                return true;
            }
        }
    }

    /// CMD is to have the signal too, unless it had it already: as a member of the process group
    /// that all of us are in, and that the signal was sent to as a whole.
    fn pass_on(&mut self, passed: Passed) {
        let (Some(program), Ok(signal)) = (self.program, Signal::try_from(passed.number)) else {
            return;
        };
        let in_our_group = getpgid(Some(program)) == getpgid(None);
        if !(in_our_group && self.group_signals.had(passed)) {
            let _ = kill(program, signal);
        }
    }

    /// CMD stopped: the shell that waits for the relay has to see that its job did. CMD goes on:
    /// so does the relay, whoever continued CMD.
    fn tell_the_shell(&self, signal: Signal) {
        // Once the relay is gone its number may be another process's.
        if getppid() == self.relay {
            let _ = kill(self.relay, signal);
        }
    }

    /// Everything that has ended, stopped or gone on.
    fn reap(&mut self) -> bool {
        let changes = WaitOptions::NOHANG | WaitOptions::UNTRACED | WaitOptions::CONTINUED;
        loop {
            let (pid, status) = match wait(changes) {
                Ok(Some(changed)) => changed,
                Ok(None) => return true,
                Err(Errno::INTR) => continue,
                Err(_) => return self.tell(&FromAgent::AllEnded),
            };
            if self.program.map(Pid::as_raw) != Some(pid.as_raw_nonzero().get()) {
                continue;
            }
            if status.stopped() {
                self.tell_the_shell(Signal::SIGSTOP);
            } else if status.continued() {
                self.tell_the_shell(Signal::SIGCONT);
            }
            let exited = status.exit_status().map(Ending::Exit);
            let ending = exited.or(status.terminating_signal().map(Ending::Signal));
            if let Some(ending) = ending
                && !self.ended(ending)
            {
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
            let program = found.or_else(|| self.holders.as_ref()?.only_one(cmd?));
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

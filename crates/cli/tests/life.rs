//! A run lives and ends as under a shell: exit codes, signals, descriptors, rights.

#![cfg(target_os = "linux")]

mod common;

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{as_nobody, can_be_nobody, can_run, run_sh, stderr, stdout, switchboard};
use rustix::process::{Pid, Signal, kill_process};

/// Starts `run -- sh -c SCRIPT` and waits for its first line.
fn start(script: &str) -> (Child, BufReader<std::process::ChildStdout>) {
    start_by(switchboard(), script)
}

/// The same by a command that has something set already.
fn start_by(mut command: Command, script: &str) -> (Child, BufReader<std::process::ChildStdout>) {
    command
        .args(["run", "--", "sh", "-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().expect("the command starts");
    let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    output.read_line(&mut line).expect("a first line");
    assert_eq!(line, "ready\n");
    (child, output)
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().cast_signed()).expect("a process id")
}

#[test]
fn exit_codes_are_the_programs_own() {
    if !can_run() {
        return;
    }
    assert_eq!(run_sh(&[], "exit 0").status.code(), Some(0));
    assert_eq!(run_sh(&[], "exit 7").status.code(), Some(7));
    assert_eq!(run_sh(&[], "kill -9 $$").status.code(), Some(128 + 9));
}

#[test]
fn a_program_that_cannot_be_executed_is_told_apart() {
    if !can_run() {
        return;
    }
    for (program, code, said) in [
        (
            "no-such-program",
            127,
            "switchboard: no-such-program: no such program\n",
        ),
        (
            "/etc/passwd",
            126,
            "switchboard: /etc/passwd: Permission denied (os error 13)\n",
        ),
    ] {
        let output = switchboard().args(["run", "--", program]).output().unwrap();
        assert_eq!(output.status.code(), Some(code));
        assert_eq!(stderr(&output), said);
    }
}

#[test]
fn a_wrong_flag_is_125_and_the_programs_flags_are_its_own() {
    let output = switchboard()
        .args(["run", "--no-such", "--", "true"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(125));
    assert!(stderr(&output).starts_with("switchboard: "));
    assert_eq!(stderr(&output).lines().count(), 1);
    let output = switchboard().arg("--no-such").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    if can_run() {
        let output = switchboard()
            .args(["run", "echo", "--mtu", "-q"])
            .output()
            .unwrap();
        assert_eq!(stdout(&output), "--mtu -q\n");
    }
}

#[test]
fn stdout_and_stderr_belong_to_the_program() {
    if !can_run() {
        return;
    }
    let output = run_sh(&[], "echo out; echo err >&2");
    assert_eq!(stdout(&output), "out\n");
    assert_eq!(stderr(&output), "err\n");
}

#[test]
fn a_signal_to_the_relay_reaches_the_program() {
    if !can_run() {
        return;
    }
    let script = "trap 'echo asked; exit 5' TERM; echo ready; while :; do sleep 0.05; done";
    let (mut child, mut output) = start(script);
    kill_process(pid(&child), Signal::TERM).unwrap();
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "asked\n");
    assert_eq!(child.wait().unwrap().code(), Some(5));
}

/// A shell does it (`kill %1`), and so does `timeout`.
#[test]
fn a_signal_to_the_whole_group_reaches_the_program_once() {
    if !can_run() {
        return;
    }
    // Every signal ends a `wait` of its own, so that two of them are not taken for one.
    let script = "(trap '' USR1 TERM; exec sleep 60) >/dev/null 2>&1 & \
                  trap 'echo once' USR1; trap 'echo asked; kill -9 $!; exit 5' TERM; \
                  echo ready; while :; do wait; done";
    let mut command = switchboard();
    command.process_group(0);
    let (mut child, mut output) = start_by(command, script);
    rustix::process::kill_process_group(pid(&child), Signal::USR1).unwrap();
    // After the group's signal, so whatever the relay makes of that one comes first.
    kill_process(pid(&child), Signal::TERM).unwrap();
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "once\nasked\n");
    assert_eq!(child.wait().unwrap().code(), Some(5));
}

/// The state letter of `/proc/PID/stat`; `None` once it is reaped.
fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

/// Looks until `pid` is in a state that `wanted` likes.
fn wait_for_state(pid: u32, wanted: impl Fn(Option<char>) -> bool) {
    let begun = Instant::now();
    while !wanted(state(pid)) {
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "{:?}",
            state(pid)
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn the_run_stops_and_goes_on_with_its_program() {
    if !can_run() {
        return;
    }
    let (mut child, mut output) = start("echo ready; echo $$; read line; echo went on");
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    let program: u32 = line.trim().parse().unwrap();
    let program_pid = Pid::from_raw(program.cast_signed()).unwrap();
    kill_process(program_pid, Signal::STOP).unwrap();
    wait_for_state(child.id(), |state| state == Some('T'));
    kill_process(program_pid, Signal::CONT).unwrap();
    wait_for_state(child.id(), |state| state != Some('T'));
    wait_for_state(program, |state| state != Some('T'));
    drop(child.stdin.take());
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "went on\n");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// The kernel takes tens of milliseconds to take the link down; nobody waits for it, and
/// nothing stays.
#[test]
fn the_agent_goes_away_by_itself() {
    if !can_run() {
        return;
    }
    let agent: u32 = stdout(&run_sh(&[], "echo $PPID")).trim().parse().unwrap();
    // A zombie is for whoever inherited it to reap.
    wait_for_state(agent, |state| matches!(state, None | Some('Z' | 'X')));
}

#[test]
fn a_pipe_that_the_program_closes_has_no_other_end() {
    if !can_run() {
        return;
    }
    let (mut child, mut output) = start("echo ready; exec >&-; read line");
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
    assert_eq!(child.try_wait().unwrap(), None, "the program still waits");
    drop(child.stdin.take());
    assert!(child.wait().is_ok());
}

#[test]
fn when_the_relay_is_killed_the_program_is_too() {
    if !can_run() {
        return;
    }
    let (mut child, mut output) = start("echo ready; exec sleep 60");
    let begun = Instant::now();
    child.kill().unwrap();
    child.wait().unwrap();
    // The pipe's last writer is CMD.
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_run_ends_with_its_program_unless_it_waits() {
    if !can_run() {
        return;
    }
    let script = "(sleep 2; echo late) >/dev/null 2>&1 & exit 4";
    let begun = Instant::now();
    assert_eq!(run_sh(&[], script).status.code(), Some(4));
    assert!(begun.elapsed() < Duration::from_millis(1500));
    let begun = Instant::now();
    assert_eq!(run_sh(&["--wait"], script).status.code(), Some(4));
    assert!(begun.elapsed() >= Duration::from_secs(2));
}

/// Orphans are reaped, or `ps` would show them as defunct for the rest of the run.
#[test]
fn orphans_leave_no_zombies() {
    if !can_run() {
        return;
    }
    let script = "(sleep 0.1 & echo $!) > /dev/null; sleep 0.4; \
                  grep -l '^State:.Z' /proc/[0-9]*/status | while read f; do \
                  grep -q \"^PPid:.$PPID\\$\" $f && echo zombie; done; true";
    assert_eq!(stdout(&run_sh(&[], script)), "");
}

#[test]
fn the_program_has_the_callers_descriptors_limits_and_rights() {
    if !can_run() {
        return;
    }
    let script = "ls -l /proc/self/fd | grep -o '[0-9]* -> [a-z]*:' | grep -c socket; \
                  ulimit -n; ulimit -Hn; id -u; id -g; umask; \
                  grep -E '^(CapPrm|CapEff|CapBnd|NoNewPrivs|SigBlk):' /proc/self/status";
    let plain = std::process::Command::new("sh")
        .args(["-c", script])
        .output()
        .unwrap();
    assert_eq!(stdout(&run_sh(&[], script)), stdout(&plain));
}

#[test]
fn an_ordinary_user_needs_no_right_and_gains_none() {
    if !can_be_nobody() {
        return;
    }
    let script = "$SWITCHBOARD run -- sh -c 'id -u; id -g; grep -E ^Cap[PE] /proc/self/status; \
                  ip -o addr show tun0 | grep -o \"10.0.2.100/32\"; nc -l 127.0.0.1 80 & \
                  sleep 0.2; echo low port | nc -N 127.0.0.1 80'";
    let output = as_nobody(Some("0666"), script);
    let none = "0000000000000000";
    let expected =
        format!("65534\n65534\nCapPrm:\t{none}\nCapEff:\t{none}\n10.0.2.100/32\nlow port\n");
    assert_eq!(stdout(&output), expected, "{}", stderr(&output));
}

#[test]
fn what_is_missing_is_said_in_one_line_and_a_veth_pair_takes_its_place() {
    if !can_be_nobody() {
        return;
    }
    for mode in [None, Some("0600")] {
        let script = "$SWITCHBOARD run --link tun -- true; echo $?; \
                      $SWITCHBOARD doctor; echo $?; $SWITCHBOARD run -- true; echo $?";
        let output = as_nobody(mode, script);
        let (said, text) = (stderr(&output), stdout(&output));
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(
            said.starts_with("switchboard: ") && said.contains("/dev/net/tun"),
            "{said}"
        );
        assert!(
            text.starts_with("125\n") && text.ends_with("\n0\n0\n"),
            "{text}"
        );
        let fix = said.trim_end().rsplit(": ").next().unwrap();
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        assert!(words.join(" ").contains(fix), "{fix} in {text}");
        assert!(text.contains("works here, over a veth pair."), "{text}");
    }
}

/// The relay reads what strangers send; once everything stands it can do little else.
#[test]
fn the_relay_is_confined_and_the_program_is_not() {
    if !can_run() {
        return;
    }
    let script = "relay=$(awk '/^PPid:/ { print $2 }' /proc/$PPID/status); \
                  for pid in $relay $$; do \
                  grep -E '^(NoNewPrivs|Seccomp):' /proc/$pid/status; done; \
                  grep -h '^CapPrm:' /proc/$relay/task/*/status | sort -u";
    let expected = "NoNewPrivs:\t1\nSeccomp:\t2\nNoNewPrivs:\t0\nSeccomp:\t0\n\
                    CapPrm:\t0000000000000000\n";
    assert_eq!(stdout(&run_sh(&[], script)), expected);
    // The thread that writes the recording reads packets too.
    let recorded = run_sh(&["--record", "/dev/null"], script);
    assert_eq!(stdout(&recorded), expected, "{}", stderr(&recorded));
}

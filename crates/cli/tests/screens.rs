//! What a person sees of a run, word for word; times, ports and process ids redacted. Columns
//! are held by the unit tests: a process id has as many digits as it likes.

#![cfg(target_os = "linux")]

mod common;

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::{can_run, run_sh, stderr, stdout, switchboard};

/// Replaces what differs from run to run.
fn redact(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let line = numbers_before(line, " ms", "T");
        let line = numbers_before(&line, " s. The machine", "T");
        let line = numbers_after(&line, "10.0.2.100:", "PORT");
        let line = numbers_after(&line, "10.0.2.100 + port ", "PORT");
        let line = numbers_after(&line, "curl[", "PID");
        let mut line = numbers_after(&line, "mss=65480 wscale=", "N");
        while line.contains("   ") {
            line = line.replace("   ", "  ");
        }
        line.trim_end().to_owned() + "\n"
    });
    // Whether an acknowledgement waits for company is a matter of microseconds.
    lines.filter(|line| !line.contains("<-  ACK")).collect()
}

/// Replaces the number behind each `mark`.
fn numbers_after(line: &str, mark: &str, by: &str) -> String {
    let mut parts = line.split(mark);
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        result += mark;
        result += if rest.len() < part.len() { by } else { "" };
        result += rest;
    }
    result
}

/// Replaces the number before each `mark`.
fn numbers_before(line: &str, mark: &str, by: &str) -> String {
    let mut parts: Vec<String> = line.split(mark).map(str::to_owned).collect();
    let last = parts.pop().unwrap_or_default();
    for part in &mut parts {
        let number = |c: char| c.is_ascii_digit() || c == '.';
        let kept = part.trim_end_matches(number).len();
        if kept < part.len() {
            part.truncate(kept);
            *part += by;
        }
    }
    parts.push(last);
    parts.join(mark)
}

fn has_curl() -> bool {
    let found = std::process::Command::new("curl")
        .arg("-V")
        .output()
        .is_ok();
    if !found {
        // Past the capture of the test's output: a skip is to be seen.
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("skipped: needs curl\n"),
        );
    }
    found
}

#[test]
fn the_built_in_page_in_plain_text() {
    if !can_run() || !has_curl() {
        return;
    }
    let output = run_sh(&[], "exec curl -sS http://switchboard.internal/");
    assert_eq!(stderr(&output), "");
    insta::assert_snapshot!(redact(&stdout(&output)));
}

#[test]
fn explain_a_closed_desk() {
    if !can_run() || !has_curl() {
        return;
    }
    let flags = ["--explain"];
    let output = run_sh(&flags, "exec curl -s http://switchboard.internal:81/");
    assert_eq!(output.status.code(), Some(7));
    insta::assert_snapshot!(redact(&stderr(&output)));
}

/// Needs no network: nobody may call a link-local address through a gateway.
#[test]
fn open_words_a_refusal_as_explain_does() {
    let mut command = switchboard();
    let output = command.args(["open", "http://169.254.1.1/"]).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = "\n   UNREACHABLE. Nobody lives at 169.254.1.1. You were told: no route to host\n   \
                (EHOSTUNREACH).\n";
    assert!(stderr(&output).contains(said), "{}", stderr(&output));
}

#[test]
fn explain_a_silent_machine() {
    if !can_run() || !has_curl() {
        return;
    }
    let script = "exec curl -s -m 0.9 http://silent.switchboard.internal/";
    let output = run_sh(&["--explain"], script);
    assert_eq!(output.status.code(), Some(28));
    insta::assert_snapshot!(redact(&stderr(&output)));
}

/// `.invalid` never exists (RFC 6761 section 6.4). The directory asked is one of the test's
/// own, so no resolver of this machine is needed.
#[test]
fn explain_a_name_that_does_not_exist() {
    if !can_run() || !has_curl() {
        return;
    }
    let directory = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = directory.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let mut question = [0; 512];
        while let Ok((len, asker)) = directory.recv_from(&mut question) {
            let answer = &mut question[..len];
            // A response, recursion available, NXDOMAIN (RFC 1035 section 4.1.1); no EDNS.
            answer[2] |= 0x80;
            answer[3] = 0x83;
            let _ = directory.send_to(answer, asker);
        }
    });
    let script = "exec curl -s http://nosuch.example.invalid/";
    let output = run_sh(&["--explain", "--dns", &address], script);
    assert_eq!(output.status.code(), Some(6), "{}", stderr(&output));
    insta::assert_snapshot!(redact(&stderr(&output)));
}

#[test]
fn the_programs_localhost_is_the_hosts_when_asked_for() {
    if !can_run() || !has_curl() {
        return;
    }
    let host = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = host.local_addr().unwrap().port();
    let script = format!("exec curl -s http://localhost:{port}/");

    let output = run_sh(&["--explain"], &script);
    assert_eq!(output.status.code(), Some(7));
    let said = stderr(&output).replace(&port.to_string(), "5432");
    insta::assert_snapshot!(redact(&said));

    let output = run_sh(&[], &script);
    let hint = format!("your machine has someone there: add --localhost {port}\n");
    assert!(stderr(&output).ends_with(&hint), "{}", stderr(&output));
    assert_eq!(stderr(&output).lines().count(), 1);
    let output = run_sh(&["-q"], &script);
    assert_eq!(stderr(&output), "");

    let server = std::thread::spawn(move || {
        let (mut stream, _) = host.accept().unwrap();
        let mut request = [0; 1024];
        assert!(stream.read(&mut request).unwrap() > 0);
        stream
            .write_all(b"HTTP/1.0 200 OK\r\n\r\nthe host's\n")
            .unwrap();
    });
    let output = run_sh(&["--localhost", &port.to_string()], &script);
    assert_eq!(stdout(&output), "the host's\n", "{}", stderr(&output));
    server.join().unwrap();
}

#[test]
fn a_published_port_reaches_the_program_and_sockets_shows_it() {
    if !can_run() {
        return;
    }
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let mut command = switchboard();
    command.args([
        "run",
        "-p",
        &format!("{port}:80"),
        "--",
        "nc",
        "-l",
        "10.0.2.100",
        "80",
    ]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let begun = Instant::now();
    // `run` takes a moment to open the port, and CMD to listen.
    let mut stream = loop {
        std::thread::sleep(Duration::from_millis(100));
        assert!(begun.elapsed() < Duration::from_secs(20));
        let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else {
            continue;
        };
        stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        child.stdin.as_mut().unwrap().write_all(b"x").unwrap();
        if matches!(stream.read(&mut [0]), Ok(1)) {
            break stream;
        }
    };
    let pid = child.id().to_string();
    let table = switchboard().args(["sockets", &pid]).output().unwrap();
    let table = stdout(&table);
    assert!(
        table.starts_with(&format!("Sockets of run {pid}: nc -l")),
        "{table}"
    );
    assert!(table.contains("tcp://10.0.2.100:80 "), "{table}");
    let json = switchboard()
        .args(["sockets", &pid, "--json"])
        .output()
        .unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["pid"].to_string(), pid);
    assert!(json["sockets"].as_array().unwrap().len() > 1);
    stream.write_all(b"to the program").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    drop(child.stdin.take());
    let mut heard = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut heard)
        .unwrap();
    assert_eq!(heard, "to the program");
    child.wait().unwrap();
    let gone = switchboard().args(["sockets", &pid]).output().unwrap();
    assert_eq!(gone.status.code(), Some(1));
    assert_eq!(
        stderr(&gone),
        format!("switchboard: no run with process id {pid}\n")
    );
}

/// A program may exit right behind its last write; what it wrote arrives all the same.
#[test]
fn what_a_program_leaves_behind_arrives() {
    if !can_run() {
        return;
    }
    let host = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = host.local_addr().unwrap().port();
    let reader = std::thread::spawn(move || {
        let (mut stream, _) = host.accept().unwrap();
        // Slower than the program.
        std::thread::sleep(Duration::from_millis(300));
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).map(|_| bytes.len())
    });
    let script = format!("head -c 3000000 /dev/zero > /dev/tcp/10.0.2.2/{port}");
    let mut command = switchboard();
    command.args(["run", "--host-loopback", "--", "bash", "-c", &script]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(reader.join().unwrap().unwrap(), 3_000_000);
}

/// Each packet of a recording says whose it is.
#[test]
fn a_recording_names_the_program() {
    if !can_run() || !has_curl() {
        return;
    }
    let file = std::env::temp_dir().join(format!("switchboard-{}.pcapng", std::process::id()));
    let script = "exec curl -sS http://switchboard.internal/";
    let output = run_sh(&["--record", file.to_str().unwrap()], script);
    assert_eq!(stderr(&output), "");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    // Section header block, and comments with the program and the name.
    assert_eq!(bytes[..4], [0x0a, 0x0d, 0x0d, 0x0a]);
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("curl["), "no program in the comments");
    assert!(
        text.contains("] switchboard.internal"),
        "no name in the comments"
    );
}

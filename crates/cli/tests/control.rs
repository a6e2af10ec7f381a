//! A run that is under way is found by its name, changed, and joined.

#![cfg(target_os = "linux")]

mod common;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, ChildStdout, Output, Stdio};
use std::time::{Duration, Instant};

use common::{can_run, run_sh, stderr, stdout, switchboard};

/// A run whose program said "ready" and ends with its standard input.
struct Run {
    child: Child,
    output: BufReader<ChildStdout>,
    name: String,
}

impl Run {
    /// `run --name NAME FLAGS -- sh -c "SCRIPT; echo ready; read line"`. Names are the test's own:
    /// others run at the same time.
    fn start(what: &str, flags: &[&str], script: &str) -> Self {
        let name = format!("{what}-{}", std::process::id());
        let script = format!("{script} echo ready; read line");
        let mut command = switchboard();
        command.args(["run", "--name", &name]).args(flags);
        command.args(["--", "sh", "-c", &script]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(Stdio::inherit());
        let mut child = command.spawn().expect("the command starts");
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        output.read_line(&mut line).expect("a first line");
        assert_eq!(line, "ready\n");
        Self {
            child,
            output,
            name,
        }
    }

    fn ask(&self, words: &[&str]) -> Output {
        let (command, rest) = words.split_first().expect("a command");
        let mut asking = switchboard();
        asking.args([command, self.name.as_str()]).args(rest);
        asking.output().expect("the command starts")
    }

    fn end(mut self) -> String {
        drop(self.child.stdin.take());
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).expect("the rest");
        self.child.wait().expect("its end");
        rest
    }
}

/// A port that nobody has.
fn free_port() -> u16 {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    free.local_addr().expect("its address").port()
}

/// Tries until it works, for a while.
fn until<T>(what: &str, mut tried: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(done) = tried() {
            return done;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Listens inside at `$1` and answers each caller with its address.
const ANSWERS: &str = "import socket, sys\n\
    s = socket.create_server(('', int(sys.argv[1])))\n\
    print('ready', flush=True)\n\
    while True:\n\
    \x20   c, a = s.accept()\n\
    \x20   c.sendall(f'{a[0]} {a[1]}'.encode())\n\
    \x20   c.close()\n";

/// What a caller of this machine's `port` hears; `None`: nobody is there.
fn call(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    let mut heard = String::new();
    stream.read_to_string(&mut heard).ok()?;
    (!heard.is_empty()).then_some(heard)
}

#[test]
fn a_name_finds_one_run_and_is_free_again_afterwards() {
    if !can_run() {
        return;
    }
    let run = Run::start("name", &[], "");
    let name = run.name.clone();
    let table = run.ask(&["sockets"]);
    let head = format!("Sockets of run {} ({name}): sh -c", run.child.id());
    assert!(stdout(&table).starts_with(&head), "{}", stdout(&table));
    let second = run_sh(&["--name", &name], "echo never");
    assert_eq!(second.status.code(), Some(125));
    let said = format!("switchboard: another run is named {name}: choose another name\n");
    assert_eq!((stdout(&second), stderr(&second)), (String::new(), said));
    run.end();
    assert_eq!(stdout(&run_sh(&["--name", &name], "echo again")), "again\n");
    let gone = switchboard().args(["sockets", &name]).output().unwrap();
    assert_eq!(stderr(&gone), format!("switchboard: no run named {name}\n"));
}

#[test]
fn ports_are_published_and_taken_back_while_it_runs() {
    if !can_run() {
        return;
    }
    let script = format!("python3 -c \"{ANSWERS}\" 80 & trap \"kill $!\" EXIT; read r;");
    let run = Run::start("set", &[], &script);
    let port = free_port();
    let add = format!("+{port}:80");
    let published = format!("tcp://127.0.0.1:{port} is the program's port 80\n");
    assert_eq!(stdout(&run.ask(&["set", "-p", &add])), published);
    // Loopback means somebody else inside: the gateway calls.
    assert!(call(port).unwrap().starts_with("10."), "the gateway's");
    let again = run.ask(&["set", "-p", &add]);
    assert_eq!(again.status.code(), Some(1));
    let said = format!("switchboard: cannot publish 127.0.0.1:{port}: Address already in use");
    assert!(stderr(&again).starts_with(&said), "{}", stderr(&again));
    let remove = format!("-{port}:80");
    assert_eq!(stdout(&run.ask(&["set", "-p", &remove])), "");
    assert_eq!(call(port), None);
    let again = run.ask(&["set", "-p", &remove]);
    let said = format!("switchboard: 127.0.0.1:{port} is not published\n");
    assert_eq!(stderr(&again), said);
    run.end();
}

#[test]
fn auto_publishes_for_as_long_as_the_program_listens() {
    if !can_run() {
        return;
    }
    let port = free_port();
    let script = format!(
        "python3 -c \"{ANSWERS}\" {port} & trap \"kill $!\" EXIT; read line; kill $!; trap - EXIT; read line"
    );
    let mut command = switchboard();
    command.args(["run", "-q", "-p", "auto", "--", "sh", "-c", &script]);
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    until("published", || call(port));
    input.write_all(b"\n").unwrap();
    let gone = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err();
    until("taken back", || gone().then_some(()));
    drop(input);
    child.wait().unwrap();
}

#[test]
fn a_second_command_joins_the_network() {
    if !can_run() {
        return;
    }
    let run = Run::start("join", &[], "");
    let joined = |script: &str| {
        let mut command = switchboard();
        command.args(["run", "--join", &run.name, "--", "sh", "-c", script]);
        command.output().unwrap()
    };
    // The same namespaces, the same directory, the same rights as the run's own program.
    let script = "readlink /proc/self/ns/net /proc/self/ns/mnt /proc/self/ns/user; pwd; id -u; \
                  cat /etc/resolv.conf; grep -E '^(Cap|NoNew|SigBlk)' /proc/self/status";
    let inside = joined(script);
    let outside = std::process::Command::new("sh")
        .args(["-c", script])
        .output()
        .unwrap();
    let namespaces =
        |text: &str| -> Vec<String> { text.lines().take(3).map(str::to_owned).collect() };
    let (inside, outside) = (stdout(&inside), stdout(&outside));
    let both = namespaces(&inside).into_iter().zip(namespaces(&outside));
    assert!(both.into_iter().all(|(a, b)| a != b), "{inside}");
    let pwd = |text: &str| text.lines().nth(3).unwrap_or_default().to_owned();
    assert_eq!(pwd(&inside), pwd(&outside));
    assert!(inside.contains("\nnameserver 10."), "{inside}");
    let rights = |text: &str| text[text.find("CapInh").unwrap()..].to_owned();
    assert_eq!(rights(&inside), rights(&outside));
    // Exit codes and signals as under a plain run.
    assert_eq!(joined("exit 7").status.code(), Some(7));
    assert_eq!(joined("kill -9 $$").status.code(), Some(137));
    // Its sockets are shown with their program.
    let script = "exec python3 -c 'import socket, sys\n\
                  s = socket.create_connection((\"switchboard.internal\", 80))\n\
                  print(\"ready\", flush=True); sys.stdin.read()'";
    let mut command = switchboard();
    command.args(["run", "--join", &run.name, "--", "sh", "-c", script]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut second = command.spawn().unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(second.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    let shown = |table: &str| {
        let mut lines = table.lines();
        lines.any(|line| line.contains("python3[") && line.ends_with("   ESTABLISHED"))
    };
    until("its row", || {
        shown(&stdout(&run.ask(&["sockets"]))).then_some(())
    });
    drop(second.stdin.take());
    assert!(second.wait().unwrap().success());
    run.end();
}

#[test]
fn when_the_joining_process_is_killed_its_program_is_too() {
    if !can_run() {
        return;
    }
    let run = Run::start("killed", &[], "");
    let mut command = switchboard();
    command.args(["run", "--join", &run.name, "--", "sh", "-c"]);
    command.arg("echo ready; exec sleep 60");
    command.stdout(Stdio::piped());
    let mut second = command.spawn().unwrap();
    let mut output = BufReader::new(second.stdout.take().unwrap());
    output.read_line(&mut String::new()).unwrap();
    second.kill().unwrap();
    second.wait().unwrap();
    // The pipe's last writer is the program.
    assert_eq!(output.read_to_string(&mut String::new()).unwrap(), 0);
    run.end();
}

#[test]
fn what_is_no_run_cannot_be_joined() {
    let mut command = switchboard();
    let output = command.args(["run", "--join", "nobody-there", "--", "true"]);
    let output = output.output().unwrap();
    assert_eq!(output.status.code(), Some(125));
    assert_eq!(stderr(&output), "switchboard: no run named nobody-there\n");
}

#[test]
fn localhost_takes_datagrams_and_ranges() {
    if !can_run() {
        return;
    }
    let host = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = host.local_addr().unwrap().port();
    let answers = std::thread::spawn(move || {
        let mut room = [0; 100];
        for _ in 0..3 {
            let (len, from) = host.recv_from(&mut room).unwrap();
            room[..len].reverse();
            host.send_to(&room[..len], from).unwrap();
        }
    });
    let script = format!(
        "python3 -c 'import socket\n\
         for octets in (b\"abc\", b\"def\", bytes(60000)):\n\
         \x20   s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(10)\n\
         \x20   s.sendto(octets[:100], (\"127.0.0.1\", {port})); print(s.recv(100)[:3])'"
    );
    let output = run_sh(&["--localhost", &format!("{port}/udp")], &script);
    let expected = "b'cba'\nb'fed'\nb'\\x00\\x00\\x00'\n";
    assert_eq!(stdout(&output), expected, "{}", stderr(&output));
    answers.join().unwrap();
    // A range inside is the same range of the host's: a reset where nobody is there.
    let script = "python3 -c 'import socket\n\
                  for port in (18401, 18402):\n\
                  \x20   s = socket.create_connection((\"127.0.0.1\", port))\n\
                  \x20   try: print(s.recv(1))\n\
                  \x20   except OSError as e: print(e.errno)'";
    let output = run_sh(&["--localhost", "18401-18402"], script);
    assert_eq!(stdout(&output), "104\n104\n", "{}", stderr(&output));
}

#[test]
fn a_proxy_on_this_machines_loopback_is_told_once() {
    if !can_run() {
        return;
    }
    let run = |flags: &[&str]| {
        let mut command = switchboard();
        command.arg("run").args(flags).args(["--", "true"]);
        for name in [
            "https_proxy",
            "ALL_PROXY",
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "all_proxy",
        ] {
            command.env_remove(name);
        }
        command.env("http_proxy", "http://localhost:3128/");
        stderr(&command.output().unwrap())
    };
    assert_eq!(
        run(&[]),
        "switchboard: http_proxy names localhost:3128, which is the run itself in there, not \
         your machine: add --localhost 3128\n"
    );
    assert_eq!(run(&["--localhost", "3128"]), "");
    assert_eq!(run(&["-q"]), "");
}

#[test]
fn what_is_beyond_max_flows_is_refused_and_said_once() {
    if !can_run() {
        return;
    }
    let host = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = host.local_addr().unwrap().port();
    let script = format!(
        "python3 -c 'import socket\n\
         kept = [socket.create_connection((\"10.0.2.2\", {port})) for _ in range(2)]\n\
         for _ in range(3):\n\
         \x20   try: socket.create_connection((\"10.0.2.2\", {port}))\n\
         \x20   except OSError as e: print(e.errno)'"
    );
    let output = run_sh(&["--host-loopback", "--max-flows", "2"], &script);
    // EHOSTUNREACH.
    assert_eq!(stdout(&output), "113\n113\n113\n", "{}", stderr(&output));
    let said = stderr(&output);
    let refused = format!("10.0.2.2:{port}: too many connections at once (--max-flows 2)");
    let lines: Vec<&str> = said.lines().collect();
    assert!(
        lines[0].starts_with("switchboard: refused ") && lines[0].ends_with(&refused),
        "{said}"
    );
    assert_eq!(
        lines[1..],
        ["switchboard: 3 calls refused by a limit of this run"]
    );
}

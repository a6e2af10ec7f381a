//! `-p`, called from another network namespace that the test makes: the program sees who calls.

#![cfg(target_os = "linux")]

mod common;

use std::process::{Command, Stdio};

use common::{can_run, stderr, stdout};

/// In a namespace that stands for the host, with a veth pair to another that stands for the
/// network: 192.0.2.1 and 192.0.2.2, 2001:db8::1 and ::2 (RFC 5737, RFC 3849).
const WORLD: &str = r#"
set -e
ip link set lo up
unshare -n sleep 60 & there=$!
trap 'kill $there' EXIT
until [ "$(readlink /proc/$there/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
ip link add v0 type veth peer name v1
ip link set v1 netns $there
ip addr add 192.0.2.1/24 dev v0; ip addr add 2001:db8::1/64 dev v0 nodad; ip link set v0 up
away() { nsenter --net=/proc/$there/ns/net "$@"; }
away ip link set lo up
away ip addr add 192.0.2.2/24 dev v1; away ip addr add 2001:db8::2/64 dev v1 nodad; away ip link set v1 up
cat >"$TMP/server.py" <<'PY'
import socket, sys, threading
def tcp(family, host):
    s = socket.socket(family); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((host, 80)); s.listen()
    while True:
        c, a = s.accept(); c.sendall(f"{a[0]} {a[1]}".encode()); c.close()
def udp(family, host):
    s = socket.socket(family, socket.SOCK_DGRAM); s.bind((host, 80))
    while True:
        _, a = s.recvfrom(100); s.sendto(f"{a[0]} {a[1]}".encode(), a)
for serve in (tcp, udp):
    threading.Thread(target=serve, args=(socket.AF_INET, "10.0.2.100"), daemon=True).start()
    v6 = [l.split()[3].split("/")[0] for l in __import__("subprocess").run(["ip", "-o", "-6", "addr", "show", "tun0"], capture_output=True, text=True).stdout.splitlines()][0]
    threading.Thread(target=serve, args=(socket.AF_INET6, v6), daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
PY
cat >"$TMP/call.py" <<'PY'
import socket, sys
kind, host, port, local = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
family = socket.AF_INET6 if ":" in host else socket.AF_INET
s = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
s.settimeout(10)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("::" if ":" in host else "0.0.0.0", local))
try:
    s.connect((host, port))
    if kind == "udp": s.send(b"x")
    said = s.recv(100).decode()
    print(kind, said if local else said.split()[0])
    # Reset, so that the port is free for the next caller at once.
    if kind == "tcp": s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"); s.close()
except ConnectionError as e: print(kind, type(e).__name__)
PY
mkfifo "$TMP/in" "$TMP/out"
"$SWITCHBOARD" run -q -p 0.0.0.0:8080:80 -p '[::]:8080:80' \
  -p 0.0.0.0:8080:80/udp -p '[::]:8080:80/udp' -p 0.0.0.0:8081:81 \
  -- python3 "$TMP/server.py" <"$TMP/in" >"$TMP/out" &
exec 3>"$TMP/in" 4<"$TMP/out"
read -r line <&4; [ "$line" = ready ]
call() { echo "$1: $(shift; "$@")"; }
call stranger away python3 "$TMP/call.py" tcp 192.0.2.1 8080 40001
call again away python3 "$TMP/call.py" tcp 192.0.2.1 8080 40001
call stranger6 away python3 "$TMP/call.py" tcp 2001:db8::1 8080 40002
call datagram away python3 "$TMP/call.py" udp 192.0.2.1 8080 40003
call datagram6 away python3 "$TMP/call.py" udp 2001:db8::1 8080 40004
call loopback python3 "$TMP/call.py" tcp 127.0.0.1 8080 0
call loopback6 python3 "$TMP/call.py" tcp ::1 8080 0
call closed away python3 "$TMP/call.py" tcp 192.0.2.1 8081 0
exec 3>&-
wait %2
"#;

#[test]
fn the_program_sees_the_callers_true_address() {
    if !can_run() {
        return;
    }
    let folder = std::env::temp_dir().join(format!("switchboard-inbound-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    // As root in a user namespace of its own, where this user may not make the others.
    let mut command = Command::new("unshare");
    if !common::is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    let output = command
        .args(["--net", "bash", "-c", WORLD])
        .env("TMP", &folder)
        .env("SWITCHBOARD", env!("CARGO_BIN_EXE_switchboard"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let heard = stdout(&output);
    let of = |what: &str| {
        let line = heard
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{what}: ")));
        line.unwrap_or_else(|| panic!("no {what} in {heard}: {}", stderr(&output)))
    };
    assert_eq!(of("stranger"), "tcp 192.0.2.2 40001", "{}", stderr(&output));
    // The same four-tuple lingers inside, or not: the address is the caller's in any case.
    assert!(of("again").starts_with("tcp 192.0.2.2 "), "{heard}");
    assert_eq!(of("stranger6"), "tcp 2001:db8::2 40002");
    assert_eq!(of("datagram"), "udp 192.0.2.2 40003");
    assert_eq!(of("datagram6"), "udp 2001:db8::2 40004");
    assert_eq!(of("loopback"), "tcp 10.0.2.2");
    assert_eq!(of("loopback6"), "tcp fd5b:2::2");
    // Nobody listens at port 81 inside.
    assert_eq!(of("closed"), "tcp ConnectionResetError");
}

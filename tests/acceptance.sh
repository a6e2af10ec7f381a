#!/usr/bin/env bash
# Real programs through `switchboard run --host-loopback`, against real servers on this
# machine's loopback. Usage: tests/acceptance.sh PATH-TO-SWITCHBOARD [CASE...]
# Environment: MIB (size of a transfer, default 256; the release check uses 1024),
# REQUESTS (redis, default 50000), SECONDS_EACH (iperf3 and wrk, default 4), LINK (tun or veth;
# by default what `run` chooses, and then all of it once more, smaller, over veth).
set -uo pipefail

switchboard=$(realpath "${1:?path to switchboard}")
shift || true
mib=${MIB:-256} requests=${REQUESTS:-50000} seconds=${SECONDS_EACH:-4}
tmp=$(mktemp -d) && chmod 755 "$tmp"
pids=()
passed=0 failed=0 skipped=0
finish() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null; done
  wait 2>/dev/null
  rm -rf "$tmp"
}
trap finish EXIT

say() { printf '%-58s %s\n' "$1" "$2"; }
ok() { passed=$((passed + 1)); say "$1" "ok ${2:-}"; }
bad() { failed=$((failed + 1)); say "$1" "FAILED ${2:-}"; }
skip() { skipped=$((skipped + 1)); say "$1" "skipped: $2"; }
# expect NAME WANTED GOT
expect() { if [ "$2" = "$3" ]; then ok "$1"; else bad "$1" "wanted '$2', got '$3'"; fi; }

# These need no right at all.
"$switchboard" open http://switchboard.internal/ >"$tmp/open" 2>&1; expect "open: the page" 0 $?
"$switchboard" open http://switchboard.internal:81/ >"$tmp/open" 2>&1; expect "open: nobody at that desk" 1 $?
"$switchboard" open ftp://x/ >"$tmp/open" 2>&1; expect "open: wrong usage" 2 $?
"$switchboard" tour >"$tmp/tour" 2>&1; expect "tour: eight stops" "0 8" "$? $(grep -c '^[1-8] of 8 ' "$tmp/tour")"
expect "tour: no line over 80 columns" 0 "$(awk 'length($0) > 80' "$tmp/tour" | wc -l)"
"$switchboard" run --no-such-flag -- true 2>/dev/null; expect "a wrong flag of ours is 125" 125 $?

if ! "$switchboard" run -- true 2>"$tmp/why"; then
  # A machine that cannot is one thing; `run` failing where doctor says it works is another.
  if [ -n "${REQUIRE_RUN:-}" ] || "$switchboard" doctor >/dev/null 2>&1; then
    bad "run -- true" "$(head -n 1 "$tmp/why")"
  fi
  skip "everything that needs 'run'" "$(head -n 1 "$tmp/why")"
  printf 'acceptance: %d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
  [ "$failed" = 0 ]
  exit
fi

link=(${LINK:+--link "$LINK"})
run() { timeout 120 "$switchboard" run -q --host-loopback "${link[@]}" -- "$@"; }
gateway4=10.0.2.2
gateway6=$("$switchboard" run -q "${link[@]}" -- sh -c "ip -6 route show default; ip -6 addr" 2>/dev/null | sed -n 's/.*inet6 \(fd[0-9a-f:]*\)::64\/.*/\1::2/p;s/.*inet6 \(fd[0-9a-f:]*::\)[0-9a-f]*\/.*/\12/p' | head -n 1)

serve() { # start a server in the background, wait for its port
  local port=$1; shift
  "$@" >>"$tmp/servers.log" 2>&1 &
  pids+=($!)
  for _ in $(seq 100); do
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && return 0
    sleep 0.05
  done
  return 1
}

# --- files and web server: HTTP/1.1, HTTPS, HTTP/2, IPv4 and IPv6, down and up -------------
head -c $((mib << 20)) /dev/urandom >"$tmp/big"
sum=$(sha256sum <"$tmp/big")
nginx=$(command -v nginx || echo /usr/sbin/nginx)
if [ -x "$nginx" ]; then
  openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost \
    -keyout "$tmp/key.pem" -out "$tmp/cert.pem" 2>/dev/null
  mkdir -p "$tmp/up" "$tmp/body"
  chmod 777 "$tmp/up" "$tmp/body"
  user=""
  [ "$(id -u)" = 0 ] && user="user root;"
  cat >"$tmp/nginx.conf" <<CONF
daemon off; $user worker_processes 1; pid $tmp/nginx.pid; error_log $tmp/nginx.err;
events { worker_connections 4096; }
http {
  access_log off; client_max_body_size 0; sendfile on;
  client_body_temp_path $tmp/body; proxy_temp_path $tmp/body; fastcgi_temp_path $tmp/body;
  uwsgi_temp_path $tmp/body; scgi_temp_path $tmp/body;
  server {
    listen 127.0.0.1:18080 backlog=4096; listen [::1]:18080;
    listen 127.0.0.1:18443 ssl http2; listen [::1]:18443 ssl http2;
    ssl_certificate $tmp/cert.pem; ssl_certificate_key $tmp/key.pem;
    location / { root $tmp; }
    location /small { return 200 "small\n"; }
    location /up/ { root $tmp; dav_methods PUT; }
  }
}
CONF
  if ! serve 18080 "$nginx" -c "$tmp/nginx.conf"; then
    sed -i '/dav_methods/d' "$tmp/nginx.conf"
    serve 18080 "$nginx" -c "$tmp/nginx.conf"
  fi
  down() { run curl -sS -k --max-time 100 "$@" 2>&1 | sha256sum; }
  expect "curl: $mib MiB down, IPv4" "$sum" "$(down "http://$gateway4:18080/big")"
  expect "curl: $mib MiB down, HTTPS, HTTP/1.1" "$sum" "$(down --http1.1 "https://$gateway4:18443/big")"
  expect "curl: $mib MiB down, HTTPS, HTTP/2" "$sum" "$(down --http2 "https://$gateway4:18443/big")"
  if [ -n "$gateway6" ]; then
    expect "curl: $mib MiB down, IPv6" "$sum" "$(down "http://[$gateway6]:18080/big")"
  else
    skip "curl: $mib MiB down, IPv6" "no IPv6 gateway address seen"
  fi
  cat >"$tmp/put.py" <<'PY'
import hashlib, http.server, sys
class Put(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_PUT(self):
        digest, left = hashlib.sha256(), int(self.headers["Content-Length"])
        while left:
            part = self.rfile.read(min(left, 1 << 20))
            if not part:
                break
            digest.update(part)
            left -= len(part)
        body = (digest.hexdigest() + "  -\n").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", 18081), Put).serve_forever()
PY
  serve 18081 python3 "$tmp/put.py"
  up() { # curl's flags and the URL; says the sum of what the server got
    rm -f "$tmp/up/x"
    run curl -sS -k --max-time 100 -H 'Expect:' -o /dev/null -T "$tmp/big" "$@" 2>&1
    sha256sum <"$tmp/up/x"
  }
  if grep -q dav_methods "$tmp/nginx.conf"; then
    expect "curl: $mib MiB up, nginx, IPv4" "$sum" "$(up "http://$gateway4:18080/up/x")"
    expect "curl: $mib MiB up, nginx, HTTPS, HTTP/1.1" "$sum" "$(up --http1.1 "https://$gateway4:18443/up/x")"
    expect "curl: $mib MiB up, nginx, HTTPS, HTTP/2" "$sum" "$(up --http2 "https://$gateway4:18443/up/x")"
    [ -n "$gateway6" ] && expect "curl: $mib MiB up, nginx, IPv6" "$sum" "$(up "http://[$gateway6]:18080/up/x")"
  else
    skip "curl: uploads to nginx" "this nginx has no dav"
  fi
  expect "curl: $mib MiB up, Python, IPv4" "$sum" "$(run curl -sS --max-time 100 -H 'Expect:' -T "$tmp/big" "http://$gateway4:18081/x" 2>&1)"
else
  skip "web server cases" "no nginx"
fi

# --- refusals and failures are true ----------------------------------------------------------
before=$(date +%s%N)
run curl -sS --max-time 5 "http://$gateway4:18999/" >"$tmp/out" 2>&1
code=$?
took=$((($(date +%s%N) - before) / 1000000))
expect "closed port: curl says refused (7)" 7 "$code"
inner=$(run python3 - <<PY
import socket, time
s = socket.socket(); t = time.time()
try: s.connect(("$gateway4", 18999)); print("connected")
except OSError as e: print(type(e).__name__, "fast" if time.time() - t < 0.05 else "slow")
PY
)
expect "closed port: refused within 50 ms" "ConnectionRefusedError fast" "$inner"
run curl -sS --max-time 5 "http://nosuch.switchboard.internal/" >/dev/null 2>&1
expect "no such name: curl says so (6)" 6 $?
run curl -sS --connect-timeout 2 "http://silent.switchboard.internal/" >/dev/null 2>&1
expect "no answer: times out when curl says so (28)" 28 $?
cat >"$tmp/odd.py" <<'PY'
# 18090 resets in the middle of a transfer; 18091 answers only after the caller's FIN.
import socket, struct, threading
def resets(c):
    c.recv(1000)
    c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 61440)
    c.recv(1)
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.close()
def waits(c):
    total = 0
    while True:
        part = c.recv(65536)
        if not part:
            break
        total += len(part)
    c.sendall(str(total).encode())
    c.close()
def serve(port, what):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", port)); s.listen(16)
    while True:
        c, _ = s.accept()
        threading.Thread(target=what, args=(c,), daemon=True).start()
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("127.0.0.1", 18092))
def echo():
    while True:
        d, a = u.recvfrom(65535); u.sendto(d, a)
threading.Thread(target=echo, daemon=True).start()
threading.Thread(target=serve, args=(18090, resets), daemon=True).start()
serve(18091, waits)
PY
serve 18091 python3 "$tmp/odd.py"
expect "reset in mid-transfer is seen as a reset" "ConnectionResetError" "$(run python3 - <<PY
import socket
s = socket.create_connection(("$gateway4", 18090)); s.sendall(b"GET / HTTP/1.1\r\n\r\n")
got = 0
try:
    while got < 61440: got += len(s.recv(65536))
    s.sendall(b"x")
    while s.recv(65536): pass
    print("end")
except OSError as e: print(type(e).__name__)
PY
)"
expect "a half-closed upload gets its reply" "3000000" "$(run python3 - <<PY
import socket
s = socket.create_connection(("$gateway4", 18091)); s.sendall(b"x" * 3000000); s.shutdown(socket.SHUT_WR)
print(s.recv(100).decode())
PY
)"
expect "UDP: 60,000 bytes there and back" "60000 True" "$(run python3 - <<PY
import os, socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5)
d = os.urandom(60000); s.sendto(d, ("$gateway4", 18092)); r = s.recv(65535); print(len(r), r == d)
PY
)"

# --- ping, names -----------------------------------------------------------------------------
if run ping -c 2 -i 0.2 -W 2 "$gateway4" >"$tmp/ping" 2>&1; then ok "ping of the gateway"; else bad "ping of the gateway" "$(tail -n 2 "$tmp/ping" | tr '\n' ' ')"; fi
cat >"$tmp/dns.py" <<'PY'
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("127.0.0.1", 18053))
t = socket.socket(); t.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); t.bind(("127.0.0.1", 18053)); t.listen(4)
while True:
    q, a = s.recvfrom(4096)
    end = q.index(b"\0", 12) + 5
    kind = struct.unpack(">H", q[end - 4:end - 2])[0]
    known = b"known" in q[:end] and kind == 1
    flags = 0x8180 if b"known" in q[:end] else 0x8183
    r = q[:2] + struct.pack(">HHHHH", flags, 1, 1 if known else 0, 0, 0) + q[12:end]
    if known: r += b"\xc0\x0c" + struct.pack(">HHIH4B", 1, 1, 60, 4, 192, 0, 2, 7)
    s.sendto(r, a)
PY
if command -v dig >/dev/null; then
  serve 18053 python3 "$tmp/dns.py"
  answer=$(timeout 20 "$switchboard" run -q "${link[@]}" --dns 127.0.0.1:18053 -- dig +short known.example A 2>&1)
  expect "dig: our directory asks the server that it is told" "192.0.2.7" "$answer"
  answer=$(timeout 20 "$switchboard" run -q "${link[@]}" --dns 127.0.0.1:18053 -- dig nosuch.example A 2>&1 | grep -c NXDOMAIN)
  expect "dig: NXDOMAIN passes through" 1 "$answer"
else
  skip "dig" "not installed"
fi

# --- load ------------------------------------------------------------------------------------
if command -v iperf3 >/dev/null; then
  serve 18201 iperf3 -s -p 18201 -B 127.0.0.1
  for how in "" "-R" "-u -b 50M" "-u -b 50M -R"; do
    # shellcheck disable=SC2086 -- words on purpose
    if out=$(run iperf3 -c "$gateway4" -p 18201 -P 8 -t "$seconds" $how -J 2>&1); then
      rate=$(printf '%s' "$out" | python3 -c 'import json,sys; e=json.load(sys.stdin)["end"]; r=e.get("sum_received") or e["sum"]; print("%.0f Mbit/s" % (r["bits_per_second"]/1e6))' 2>/dev/null)
      ok "iperf3 -P 8 -t $seconds $how" "$rate"
    else
      bad "iperf3 -P 8 -t $seconds $how" "$(printf '%s' "$out" | tail -n 3 | tr '\n' ' ')"
    fi
    sleep 0.3
  done
else
  skip "iperf3" "not installed"
fi
if command -v redis-server >/dev/null; then
  serve 18379 redis-server --port 18379 --bind 127.0.0.1 --save "" --appendonly no --dir "$tmp"
  if out=$(run redis-benchmark -h "$gateway4" -p 18379 -c 100 -n "$requests" -t ping,set,get -q 2>&1); then
    ok "redis-benchmark -c 100 -n $requests" "$(printf '%s' "$out" | tr '\r' '\n' | grep -a 'SET:' | tail -n 1)"
  else
    bad "redis-benchmark" "$(printf '%s' "$out" | tail -n 2)"
  fi
else
  skip "redis-benchmark" "not installed"
fi
if command -v wrk >/dev/null && [ -x "$nginx" ]; then
  ulimit -n 8192 2>/dev/null
  out=$(run wrk -t 2 -c 1000 -d "${seconds}s" "http://$gateway4:18080/small" 2>&1)
  if printf '%s' "$out" | grep -q 'Requests/sec' && ! printf '%s' "$out" | grep -q 'Socket errors'; then
    ok "wrk with 1,000 connections, no socket error" "$(printf '%s' "$out" | grep Requests/sec)"
  else
    bad "wrk with 1,000 connections" "$(printf '%s' "$out" | grep -a errors)"
  fi
else
  skip "wrk" "not installed"
fi

# --- the built-in page, exit codes, life -------------------------------------------------------
page=$(timeout 20 "$switchboard" run "${link[@]}" -- curl -sS http://switchboard.internal/ 2>&1)
if printf '%s' "$page" | grep -q 'held by curl\['; then ok "the built-in page names curl as the holder"; else bad "the built-in page" "$(printf '%s' "$page" | head -n 3)"; fi
"$switchboard" run -q "${link[@]}" -- sh -c 'exit 42'; expect "exit code passes" 42 $?
"$switchboard" run -q -- sh -c 'kill -TERM $$'; expect "death by signal is 128 + n" 143 $?
"$switchboard" run -q -- /nonexistent/program 2>/dev/null; expect "not found is 127" 127 $?
"$switchboard" run -q -- /etc/passwd 2>/dev/null; expect "not executable is 126" 126 $?

# --- a run that is under way: named, changed, joined -------------------------------------------
mkfifo "$tmp/stop"
"$switchboard" run -q --name "acceptance-$$" -p auto -- sh -c \
  'python3 -m http.server 18500 >/dev/null 2>&1 & cat >/dev/null; kill $!' <"$tmp/stop" 2>/dev/null &
under_way=$!
exec 9>"$tmp/stop"
reached() { for _ in $(seq 100); do curl -sf -o /dev/null "http://127.0.0.1:$1/" && echo yes && return; sleep 0.1; done; echo no; }
expect "-p auto: the program's listener is reached" yes "$(reached 18500)"
"$switchboard" set "acceptance-$$" -p +18501:18500 >"$tmp/set" 2>&1; expect "set -p +18501:18500" 0 $?
expect "the new port is reached" yes "$(reached 18501)"
"$switchboard" set "acceptance-$$" -p -18501 >"$tmp/set" 2>&1; expect "set -p -18501" 0 $?
curl -s -o /dev/null --max-time 5 http://127.0.0.1:18501/; expect "and is gone" 7 $?
"$switchboard" run -q --join "acceptance-$$" -- sh -c 'curl -sf -o /dev/null http://127.0.0.1:18500/ && exit 42'
expect "--join: the same loopback, its own exit code" 42 $?
expect "sockets shows the listener with its program" 1 "$("$switchboard" sockets "acceptance-$$" | grep -c '^  python3\[.*0\.0\.0\.0:18500 .*LISTEN')"
exec 9>&-
wait "$under_way" 2>/dev/null

# --- many connections at once ----------------------------------------------------------------------
cat >"$tmp/many.py" <<'PY'
# Without arguments a server for a thousand; else: many connections to ADDRESS PORT, how many
# stood, how many were refused how, and whether all is well again once they are closed.
import collections, errno, os, select, socket, subprocess, sys, time
if len(sys.argv) == 2:
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=1024)
    poll, held = select.epoll(), {}
    poll.register(listener, select.EPOLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd == listener.fileno():
                connection, _ = listener.accept()
                held[connection.fileno()] = connection
                poll.register(connection, select.EPOLLIN)
            else:
                octets = held[fd].recv(1)
                if octets:
                    held[fd].sendall(octets)
                else:
                    held.pop(fd).close()
address, count = (sys.argv[1], int(sys.argv[2])), int(sys.argv[3])
held, said = [], collections.Counter()
for _ in range(count):
    one = socket.socket()
    one.settimeout(10)
    try:
        one.connect(address)
        held.append(one)
        said["stood"] += 1
    except OSError as error:
        said[errno.errorcode.get(error.errno, "timeout")] += 1
if len(sys.argv) > 4:
    run = open(f"/proc/{os.getppid()}/stat").read().rsplit(")", 1)[1].split()[1]
    told = subprocess.run([sys.argv[4], "sockets", run], capture_output=True, text=True).stdout
    said["named"] = sum(f"python3[{os.getpid()}]" in line for line in told.splitlines())
for one in held:
    one.close()
again = 0
for _ in range(1000):
    try:
        with socket.create_connection(address, 10) as one:
            one.sendall(b"x")
            again += one.recv(1) == b"x"
    except OSError:
        time.sleep(0.01)  # The last ones are still being closed.
    if again == 20:
        break
print(*(f"{key}={value}" for key, value in sorted(said.items())), f"again={again}")
PY
serve 28461 python3 "$tmp/many.py" 28461
expect "300 at once: sockets names the program of each" "named=300 stood=300 again=20" \
  "$(run python3 "$tmp/many.py" "$gateway4" 28461 300 "$switchboard")"
got=$(ulimit -n 100; timeout 60 "$switchboard" run --host-loopback "${link[@]}" -- python3 "$tmp/many.py" "$gateway4" 28461 95 2>"$tmp/shortage")
refused=$(printf '%s' "$got" | sed -n 's/^EHOSTUNREACH=\([0-9]*\) stood=[0-9]* again=20$/\1/p')
if [ "${refused:-0}" -gt 0 ]; then ok "no descriptors left: refused, and well again later" "($refused of 95)"; else bad "no descriptors left: refused, and well again later" "$got"; fi
expect "no descriptors left: said once" 1 "$(grep -c '^switchboard: refused .*too many open sockets at once (ulimit -n)$' "$tmp/shortage")"

# --- the same as a user without any right ---------------------------------------------------------
if [ "$(id -u)" = 0 ] && [ -c /dev/net/tun ] && [ -z "${LINK:-}" ]; then
  cp "$switchboard" "$tmp/switchboard" && chmod 755 "$tmp/switchboard"
  page=$(unshare -m sh -c '
    mount -t tmpfs none /dev/net && mknod -m 666 /dev/net/tun c 10 200 &&
    cd / && exec setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs \
      env HOME=/nonexistent XDG_RUNTIME_DIR= "$1" run -- curl -sS http://switchboard.internal/' - "$tmp/switchboard" 2>&1)
  if printf '%s' "$page" | grep -q 'held by curl\['; then ok "uid 65534: the built-in page"; else bad "uid 65534: the built-in page" "$(printf '%s' "$page" | head -n 3)"; fi
  # Without a device node: a veth pair takes its place, and says so only where it is asked.
  nobody='mount -t tmpfs none /dev/net && cd / && exec setpriv --reuid 65534 --regid 65534 --clear-groups \
    --no-new-privs env HOME=/nonexistent XDG_RUNTIME_DIR= "$@"'
  page=$(unshare -m sh -c "$nobody" - "$tmp/switchboard" run -- curl -sS http://switchboard.internal/ 2>&1)
  if printf '%s' "$page" | grep -q 'held by curl\['; then ok "uid 65534 without TUN: the built-in page"; else bad "uid 65534 without TUN: the built-in page" "$(printf '%s' "$page" | head -n 3)"; fi
  report=$(unshare -m sh -c "$nobody" - "$tmp/switchboard" doctor 2>&1)
  expect "doctor without TUN: MISS, and a veth pair in its place" "0 1 1 1" "$? $(printf '%s\n' "$report" | grep -c '^  MISS  TUN ') $(printf '%s\n' "$report" | grep -c '^  ok    veth pair              made one; takes the place of TUN$') $(printf '%s\n' "$report" | grep -c '^`switchboard run` works here, over a veth pair.$')"
  refusal=$(unshare -m sh -c "$nobody" - "$tmp/switchboard" run --link tun -- true 2>&1); code=$?
  expect "no TUN and --link tun: one line says so, 125" "125 1 1" "$code $(printf '%s\n' "$refusal" | wc -l) $(printf '%s\n' "$refusal" | grep -c '^switchboard: no /dev/net/tun: ')"
fi

# --- all of it once more over a veth pair --------------------------------------------------------
if [ -z "${LINK:-}" ]; then
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null; done
  wait 2>/dev/null
  pids=()
  echo "over a veth pair:"
  if LINK=veth MIB=$((mib / 8 + 1)) REQUESTS=$((requests / 10)) SECONDS_EACH=1 "$0" "$switchboard"; then
    ok "the same over a veth pair"
  else
    bad "the same over a veth pair"
  fi
fi

printf 'acceptance: %d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" = 0 ]

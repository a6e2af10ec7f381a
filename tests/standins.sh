#!/usr/bin/env bash
# The names by which other programs call Switchboard, as those programs call them, on namespaces
# that this script makes itself. Usage: tests/standins.sh PATH-TO-SWITCHBOARD
# As root it runs a second time as uid 65534.
set -uo pipefail

switchboard=$(realpath "${1:?path to switchboard}")
tmp=$(mktemp -d) && chmod 755 "$tmp"
pids=() target='' ours=''
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
result() {
  printf 'standins (uid %s): %d passed, %d failed, %d skipped\n' "$(id -u)" "$passed" "$failed" "$skipped"
  [ "$failed" = 0 ]
}

cp "$switchboard" "$tmp/switchboard" && chmod 755 "$tmp/switchboard" && mkdir "$tmp/bin"
"$tmp/switchboard" install-links "$tmp/bin" 2>/dev/null
expect "install-links makes slirp4netns" slirp4netns "$(ls "$tmp/bin")"
slirp=$tmp/bin/slirp4netns
for flag in --configure --exit-fd --ready-fd --mtu --enable-ipv6 --api-socket --cidr \
  --disable-host-loopback --netns-type --userns-path --enable-sandbox --enable-seccomp \
  --outbound-addr --outbound-addr6 --disable-dns --macaddress --target-type --version; do
  "$slirp" --help | grep -q -- "$flag" || bad "slirp4netns --help names $flag"
done
"$slirp" --version >/dev/null; expect "slirp4netns --version" 0 $?
"$slirp" --target-type=bess "$$" tap0 2>"$tmp/why"; expect "bess is refused, with words" "1 1" "$? $(grep -c bess "$tmp/why")"
"$slirp" --outbound-addr=192.0.2.1 "$$" tap0 2>"$tmp/why"; expect "--outbound-addr is refused, with words" "1 1" "$? $(grep -c outbound-addr "$tmp/why")"
"$slirp" -c "$$" tap0 2>"$tmp/why"; expect "our own network is not taken" "1 1" "$? $(grep -c 'this process itself' "$tmp/why")"

if ! unshare -Urn true 2>"$tmp/why" || [ ! -w /dev/net/tun ]; then
  skip "EVERYTHING THAT NEEDS A NAMESPACE" "$(head -n 1 "$tmp/why") or no access to /dev/net/tun"
  result
  exit
fi

inside() { timeout 20 nsenter -t "$target" -U -n --preserve-credentials -- "$@"; }
new_target() {
  unshare -Urn sleep 300 & target=$!; pids+=("$target")
  for _ in $(seq 100); do
    [ "$(readlink "/proc/$target/ns/net")" != "$(readlink /proc/self/ns/net)" ] && return
    sleep 0.02
  done
}
# Starts slirp4netns with these options on the target, and waits for its word.
start() {
  rm -f "$tmp/ready"; mkfifo "$tmp/ready"
  "$slirp" -r 3 "$@" "$target" tap0 3>"$tmp/ready" 9>&- 2>"$tmp/stderr" & ours=$!; pids+=("$ours")
  said=$(timeout 10 cat "$tmp/ready")
}
# Whether process $1 ends within a second.
ends() {
  for _ in $(seq 50); do kill -0 "$1" 2>/dev/null || { echo ended; return; }; sleep 0.02; done
  echo lives
}

cat >"$tmp/servers.py" <<'PY'
import socket, sys, threading
t = socket.socket(); t.bind(("127.0.0.1", 0)); t.listen(16)
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("127.0.0.1", t.getsockname()[1]))
def echo():
    while True:
        d, a = u.recvfrom(65535); u.sendto(d, a)
threading.Thread(target=echo, daemon=True).start()
print(t.getsockname()[1], flush=True)
while True:
    c, _ = t.accept(); c.recv(1000)
    c.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nhello\n"); c.close()
PY
python3 "$tmp/servers.py" >"$tmp/port" & pids+=($!)
for _ in $(seq 200); do [ -s "$tmp/port" ] && break; sleep 0.02; done
port=$(cat "$tmp/port")
cat >"$tmp/api.py" <<'PY'
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(sys.argv[2].encode()); s.shutdown(socket.SHUT_WR)
print(s.makefile().read())
PY
api() { python3 "$tmp/api.py" "$tmp/api.sock" "$1"; }
udp() { inside python3 -c 'import socket,sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(3)
s.sendto(b"x" * 1400, ("10.0.2.2", int(sys.argv[1]))); print(len(s.recv(2000)))' "$port" 2>&1; }
# The answer to a question for localhost at 10.0.2.3: our directory has it without a server.
dns() { inside python3 -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(3)
s.sendto(b"\0\7\1\0\0\1\0\0\0\0\0\0\x09localhost\0\0\1\0\1", ("10.0.2.3", 53)); print(socket.inet_ntoa(s.recv(512)[-4:]))' 2>&1 | tail -n 1; }

# --- configured, with everything ---------------------------------------------------------------
new_target
start -c -m 65520 --macaddress=52:54:00:12:34:56 --enable-sandbox --enable-seccomp -a "$tmp/api.sock"
expect "ready is said" 1 "$said"
expect "address, MTU, station" "10.0.2.100/24 65520 52:54:00:12:34:56" \
  "$(inside ip -o -4 addr show tap0 | awk '{print $4}') $(inside ip -o link show tap0 | sed -n 's/.* mtu \([0-9]*\) .*ether \([0-9a-f:]*\) .*/\1 \2/p')"
expect "curl by 10.0.2.2 reaches the host" hello "$(inside curl -sS --max-time 5 "http://10.0.2.2:$port/" 2>&1)"
expect "UDP there and back" 1400 "$(udp)"
expect "a name at 10.0.2.3" 127.0.0.1 "$(dns)"
if inside ping -c 1 -W 2 10.0.2.2 >/dev/null 2>&1; then ok "ping 10.0.2.2"; else bad "ping 10.0.2.2"; fi
expect "confined" "Seccomp: 2 NoNewPrivs: 1" "$(awk '/^Seccomp:/{s=$2}/^NoNewPrivs:/{n=$2}END{print "Seccomp: " s " NoNewPrivs: " n}' "/proc/$ours/status")"
caps=$(awk '/^CapEff:/{print $2}' "/proc/$ours/status")
case $caps in 0000000000000000 | 0000000000000400) ok "no capability but to bind" "$caps" ;; *) bad "capabilities" "$caps" ;; esac

# Not by `inside`: its end must be ours to bring about.
nsenter -t "$target" -U -n --preserve-credentials -- python3 -c 'import socket
s = socket.socket(); s.bind(("10.0.2.100", 8000)); s.listen(8); print("on", flush=True)
while True:
    c, _ = s.accept(); c.sendall(b"inner"); c.close()' >"$tmp/inner" & server=$!; pids+=("$server")
for _ in $(seq 200); do [ -s "$tmp/inner" ] && break; sleep 0.02; done
outer=$((20000 + RANDOM % 10000))
knock() { python3 -c 'import socket,sys
try: print(socket.create_connection(("127.0.0.1", int(sys.argv[1])), 3).recv(9).decode())
except OSError as e: print(type(e).__name__)' "$outer"; }
add="{\"execute\":\"add_hostfwd\",\"arguments\":{\"proto\":\"tcp\",\"host_addr\":\"127.0.0.1\",\"host_port\":$outer,\"guest_addr\":\"\",\"guest_port\":8000}}"
expect "add_hostfwd" '{"return":{"id":1}}' "$(api "$add")"
expect "the forward leads in" inner "$(knock)"
case $(api "$add") in '{"error":{"desc":'*) ok "a port that is taken is refused" ;; *) bad "a port that is taken" ;; esac
expect "list_hostfwd" "1 tcp 127.0.0.1 $outer 10.0.2.100 8000" "$(api '{"execute":"list_hostfwd"}' | python3 -c 'import json,sys
e, = json.load(sys.stdin)["return"]["entries"]
print(*(e[k] for k in ("id", "proto", "host_addr", "host_port", "guest_addr", "guest_port")))')"
expect "remove_hostfwd" '{"return":{}}' "$(api '{"execute":"remove_hostfwd","arguments":{"id":1}}')"
expect "the forward is gone" ConnectionRefusedError "$(knock)"
case $(api '{"execute":"nonsense"}') in '{"error":{"desc":'*) ok "nonsense is refused" ;; *) bad "nonsense" ;; esac
kill "$target"; sleep 1
expect "another program in the namespace keeps it" yes "$(kill -0 "$ours" && echo yes)"
kill "$server"
expect "the last program's end ends it within a second" ended "$(ends "$ours")"
wait "$ours" 2>/dev/null; expect "exit code" 0 $?

# --- a tap of the caller's, an exit descriptor, IPv6 -----------------------------------------------
new_target
inside sh -c 'ip tuntap add tap0 mode tap && ip link set tap0 mtu 65520 up && ip link set lo up &&
  ip addr add 10.0.2.100/24 dev tap0 && ip route add default via 10.0.2.2' 2>"$tmp/why" || bad "making a tap" "$(cat "$tmp/why")"
mkfifo "$tmp/exit"; exec 8<>"$tmp/exit" 9>"$tmp/exit" 4<"$tmp/exit" 8>&-
start -m 65520 -e 4 --disable-host-loopback
exec 4<&-
expect "a tap that is there is taken over" 1 "$said"
inside curl -sS --max-time 5 "http://10.0.2.2:$port/" >/dev/null 2>&1; expect "the host's loopback is closed" 7 $?
if inside ping -c 1 -W 2 10.0.2.2 >/dev/null 2>&1; then ok "ping 10.0.2.2"; else bad "ping 10.0.2.2"; fi
exec 9>&-
expect "the exit descriptor's hang-up ends it" ended "$(ends "$ours")"
kill "$target"

new_target
rm -f "$tmp/ready"; mkfifo "$tmp/ready"
"$slirp" -c -6 -r 3 --netns-type=path --userns-path="/proc/$target/ns/user" "/proc/$target/ns/net" tap0 3>"$tmp/ready" & ours=$!; pids+=("$ours")
expect "a path and a user namespace" 1 "$(timeout 10 cat "$tmp/ready")"
if [ -e /proc/sys/net/ipv6 ]; then
  if inside ping -6 -c 1 -W 2 fd00::2 >/dev/null 2>&1; then ok "ping fd00::2"; else bad "ping fd00::2"; fi
fi
kill -TERM "$ours"; expect "SIGTERM ends it" ended "$(ends "$ours")"
kill "$target"

# --- attach -------------------------------------------------------------------------------------
new_target
"$tmp/switchboard" attach "$target" 2>"$tmp/attach" & ours=$!; pids+=("$ours")
for _ in $(seq 200); do [ -s "$tmp/attach" ] && break; sleep 0.05; done
page=$(inside curl -sS --max-time 5 http://10.0.2.4/ 2>&1)
if printf '%s' "$page" | grep -q 'built-in web server'; then ok "attach: the built-in page"; else bad "attach" "$(cat "$tmp/attach") $page"; fi
kill "$target"; expect "attach: ends with its target" ended "$(ends "$ours")"

expect "no process is left" "" "$(jobs -rp | while read -r pid; do tr '\0' ' ' <"/proc/$pid/cmdline"; done | grep -o "$tmp/bin[^ ]*\|$tmp/switchboard[^ ]*")"

if [ "$(id -u)" = 0 ]; then
  setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=/nonexistent XDG_RUNTIME_DIR= \
    bash "$0" "$tmp/switchboard" || failed=$((failed + 1))
fi
result

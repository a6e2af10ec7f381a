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
expect "install-links makes the names" "passt pasta slirp4netns" "$(ls "$tmp/bin" | paste -sd ' ')"
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
  for _ in $(seq 50); do
    # Nobody may reap what was in the background.
    case $(cut -d ' ' -f 3 "/proc/$1/stat" 2>/dev/null) in '' | Z) echo ended; return ;; esac
    sleep 0.02
  done
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

# --- pasta: a command of its own ------------------------------------------------------------------
pasta=$tmp/bin/pasta
case $("$pasta" --version | head -n 1) in "pasta 20"[0-9][0-9]_*) ok "pasta --version" ;; *) bad "pasta --version" ;; esac
for option in debug quiet foreground stderr log-file log-size pcap pid mtu address netmask mac-addr gateway interface dns \
  dns-forward no-tcp no-udp no-icmp no-dhcp no-ndp no-dhcpv6 no-ra no-map-gw map-host-loopback map-guest-addr ipv4-only ipv6-only \
  tcp-ports udp-ports tcp-ns udp-ns userns netns netns-only no-netns-quit config-net ns-mac-addr ns-ifname host-lo-to-ns-lo; do
  "$pasta" --help | grep -q -- "--$option" || bad "pasta --help names --$option"
done
"$pasta" --no-such-option 2>"$tmp/why"; expect "an unknown option, in getopt's words" "1 1" \
  "$? $(grep -cx "pasta: unrecognized option '--no-such-option'" "$tmp/why")"
for refused in "--trace true" "--outbound 192.0.2.1 true" "--outbound-if4 eth0 true" "--runas 12345 true" "--search example.org true" \
  "--mtu 600 true" "-t all true" "-t none -t 22 true" "-U 53 true" "--socket /x true" "--netns /x 1"; do
  # shellcheck disable=SC2086 -- words on purpose
  "$pasta" $refused 2>"$tmp/why"; expect "pasta $refused: refused, with words" "1 1" "$? $(grep -c 'pasta: ' "$tmp/why")"
done
host=$(ip -4 route get 192.0.2.200 2>/dev/null | sed -n 's/.* src \([0-9.]*\).*/\1/p')
gw=$(ip -4 route show default 2>/dev/null | sed -n 's/^default via \([0-9.]*\).*/\1/p' | head -n 1)
if [ -z "$gw" ]; then
  skip "COPIED ADDRESSES" "this machine has no default route"
  gw=10.0.2.2
else
  expect "the program has this machine's own address" "$host" \
    "$("$pasta" --config-net -4 -- ip -4 -o addr show scope global | awk '{split($4,a,"/"); print a[1]; exit}')"
fi
closed=(-t none -u none -T none -U none)
expect "the gateway is this machine" hello "$(timeout 20 "$pasta" --config-net "${closed[@]}" -- curl -sS --max-time 5 "http://$gw:$port/" 2>&1)"
timeout 20 "$pasta" --config-net "${closed[@]}" -- curl -sS --max-time 5 "http://127.0.0.1:$port/" >/dev/null 2>&1
expect "-T none: loopback is the program's own" 7 $?
expect "-T auto: its loopback is this machine's" hello "$(timeout 20 "$pasta" --config-net -- curl -sS --max-time 5 "http://127.0.0.1:$port/" 2>&1)"
expect "-T PORT:PORT" hello "$(timeout 20 "$pasta" --config-net "${closed[@]:0:4}" -U none -T "7777:$port" -- curl -sS --max-time 5 http://127.0.0.1:7777/ 2>&1)"
timeout 20 "$pasta" --config-net "${closed[@]}" -- sh -c 'exit 7'; expect "its exit code is the command's" 7 $?
"$pasta" "${closed[@]}" -- /nowhere 2>"$tmp/why"; expect "a command that is not there" "1 1" "$? $(grep -c 'Failed to start command' "$tmp/why")"
expect "its own processes alone, as root" "0 1" "$(timeout 20 "$pasta" --config-net "${closed[@]}" -- sh -c 'echo $(id -u) $$')"
expect "--no-icmp" 1 "$(timeout 20 "$pasta" --config-net --no-icmp "${closed[@]}" -a 10.0.2.100 -n 24 -g 10.0.2.2 -- sh -c 'ping -c 1 -W 1 192.0.2.200 >/dev/null 2>&1; echo $?')"
echo 'pasta' >"$tmp/pcap"
timeout 20 "$pasta" --config-net -p "$tmp/pcap" "${closed[@]}" -- curl -sS --max-time 5 "http://$gw:$port/" >/dev/null 2>&1
expect "--pcap records" 0a0d0d0a "$(head -c 4 "$tmp/pcap" | od -An -tx1 | tr -d ' ')"

# --- pasta: a namespace that is there -------------------------------------------------------------
# RootlessKit's words, with a process.
new_target
"$pasta" --stderr --ns-ifname=tap0 --mtu=65520 --config-net --address=10.0.2.100 --netmask=24 --gateway=10.0.2.2 --dns-forward=10.0.2.3 \
  --ipv4-only --tcp-ports=none --udp-ports=none -P "$tmp/pid" "$target" >"$tmp/said" 2>&1
expect "it goes to the background when ready" 0 $?
ours=$(cat "$tmp/pid"); kill -0 "$ours" 2>/dev/null; expect "--pid names who is there" 0 $?
expect "address and MTU that were asked for" "10.0.2.100/24 65520" \
  "$(inside ip -o -4 addr show tap0 | awk '{print $4}') $(inside ip -o link show tap0 | sed -n 's/.* mtu \([0-9]*\) .*/\1/p')"
expect "curl by the gateway" hello "$(inside curl -sS --max-time 5 "http://10.0.2.2:$port/" 2>&1)"
expect "a name at --dns-forward" 127.0.0.1 "$(dns)"
expect "confined" "Seccomp: 2 NoNewPrivs: 1" "$(awk '/^Seccomp:/{s=$2}/^NoNewPrivs:/{n=$2}END{print "Seccomp: " s " NoNewPrivs: " n}' "/proc/$ours/status")"
kill "$target"; wait "$target" 2>/dev/null; expect "the process's end ends it" ended "$(ends "$ours")"

# The same, and what is listened to inside appears here.
new_target
"$pasta" -q -I tap0 --config-net -a 10.0.2.100 -n 24 -g 10.0.2.2 --no-map-gw -t auto -u none -T none -U none -P "$tmp/pid" "$target" 2>"$tmp/why"
expect "-t auto stands" 0 $?
ours=$(cat "$tmp/pid")
outer=$((20000 + RANDOM % 10000))
nsenter -t "$target" -U -n --preserve-credentials -- python3 -c 'import socket, sys
s = socket.socket(); s.bind(("0.0.0.0", int(sys.argv[1]))); s.listen(8)
while True:
    c, a = s.accept(); c.sendall(b"inner"); c.close()' "$outer" & server=$!; pids+=("$server")
for _ in $(seq 40); do [ "$(knock)" = inner ] && break; sleep 0.1; done
expect "-t auto: a program that listens is heard" inner "$(knock)"
kill "$server"
for _ in $(seq 40); do [ "$(knock)" = ConnectionRefusedError ] && break; sleep 0.1; done
expect "and no more when it is gone" ConnectionRefusedError "$(knock)"
inside curl -sS --max-time 3 "http://10.0.2.2:$port/" >/dev/null 2>&1; [ $? != 0 ]; expect "--no-map-gw: the gateway is not this machine" 0 $?
kill "$target"; wait "$target" 2>/dev/null; expect "it ends, although it looked inside" ended "$(ends "$ours")"

# --host-lo-to-ns-lo: what listens on the inside's loopback alone.
new_target
"$pasta" -q -I tap0 --config-net -a 10.0.2.100 -n 24 -g 10.0.2.2 --host-lo-to-ns-lo -t "127.0.0.1/$outer:8000" -u none -T none -U none -P "$tmp/pid" "$target"
ours=$(cat "$tmp/pid")
nsenter -t "$target" -U -n --preserve-credentials -- python3 -c 'import socket
s = socket.socket(); s.bind(("127.0.0.1", 8000)); s.listen(8); print("on", flush=True)
while True:
    c, a = s.accept(); c.sendall(a[0].encode()); c.close()' >"$tmp/inner" & server=$!; pids+=("$server")
for _ in $(seq 200); do [ -s "$tmp/inner" ] && break; sleep 0.02; done
expect "--host-lo-to-ns-lo: loopback to loopback" 127.0.0.1 "$(knock)"
"$pasta" -q -4 --config-net -t "$outer" -u none -T none -U none "$target" 2>"$tmp/why"
expect "a port that is taken, in pasta's words" "1 1" "$? $(grep -c "Failed to bind port $outer (Address already in use) for option '-t $outer'" "$tmp/why")"
kill "$server" "$target"; wait "$target" 2>/dev/null; expect "it ends" ended "$(ends "$ours")"

# podman 5's words, with a namespace that is bound to a file.
if [ "$(id -u)" = 0 ]; then
  new_target
  touch "$tmp/netns" && mount --bind "/proc/$target/ns/net" "$tmp/netns"
  nsenter --net="$tmp/netns" sysctl -qw net.ipv4.ping_group_range="0 0" 2>/dev/null
  "$pasta" --config-net -t "127.0.0.1/$outer-$outer:8000-8000" --dns-forward 169.254.1.1 -u none -T none -U none --no-map-gw --quiet \
    --userns "/proc/$target/ns/user" --netns "$tmp/netns" --map-guest-addr 169.254.1.2 -P "$tmp/pid" 2>"$tmp/why"
  expect "podman's words" 0 $?; cat "$tmp/why"
  ours=$(cat "$tmp/pid")
  if [ "$gw" != 10.0.2.2 ]; then
    python3 -u -c 'import socket, sys
s = socket.socket(); s.bind((sys.argv[1], 0)); s.listen(8); print(s.getsockname()[1])
while True:
    c, a = s.accept(); c.sendall(b"here"); c.close()' "$host" >"$tmp/here" & pids+=($!)
    for _ in $(seq 200); do [ -s "$tmp/here" ] && break; sleep 0.02; done
    expect "--map-guest-addr is this machine" here "$(inside python3 -c 'import socket,sys
print(socket.create_connection(("169.254.1.2", int(sys.argv[1])), 3).recv(9).decode())' "$(cat "$tmp/here")" 2>&1 | tail -n 1)"
  fi
  nsenter -t "$target" -U -n --preserve-credentials -- python3 -c 'import socket
s = socket.socket(); s.bind(("0.0.0.0", 8000)); s.listen(8); print("on", flush=True)
while True:
    c, _ = s.accept(); c.sendall(b"inner"); c.close()' >"$tmp/inner" & server=$!; pids+=("$server")
  for _ in $(seq 200); do [ -s "$tmp/inner" ] && break; sleep 0.02; done
  expect "its port leads in" inner "$(knock)"
  kill "$server" "$target"; wait "$target" 2>/dev/null
  expect "the bound namespace keeps it" yes "$(sleep 0.3; kill -0 "$ours" && echo yes)"
  umount "$tmp/netns" && rm "$tmp/netns"
  expect "the namespace's removal ends it" ended "$(ends "$ours")"
fi

expect "no process is left" "" "$(jobs -rp | while read -r pid; do tr '\0' ' ' <"/proc/$pid/cmdline"; done | grep -o "$tmp/bin[^ ]*\|$tmp/switchboard[^ ]*")"

if [ "$(id -u)" = 0 ]; then
  setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=/nonexistent XDG_RUNTIME_DIR= \
    bash "$0" "$tmp/switchboard" || failed=$((failed + 1))
fi
result

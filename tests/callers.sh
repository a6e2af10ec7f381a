#!/usr/bin/env bash
# Programs that call the stand-ins themselves: RootlessKit, podman as root and podman as an ordinary
# user. They are Debian's; their network is ours. Usage, as root: tests/callers.sh PATH-TO-SWITCHBOARD
#
# The user, its subordinate ids and the cgroups exist in a mount namespace of this script's alone.
set -uo pipefail

user=54321
if [ "${1:-}" = --inside ]; then
  # In the mount namespace: a user whom nobody else sees.
  shift
  tmp=$1
  mount --make-rslave / && mount --make-rshared / || exit
  for file in passwd group subuid subgid; do
    if [ -e "/etc/$file" ]; then cat "/etc/$file" >"$tmp/etc-$file"; else touch "/etc/$file" "$tmp/etc-$file"; fi
  done
  echo "sbtest:x:$user:$user::$tmp/home:/bin/sh" >>"$tmp/etc-passwd"
  echo "sbtest:x:$user:" >>"$tmp/etc-group"
  echo "sbtest:300000:65536" | tee -a "$tmp/etc-subuid" >>"$tmp/etc-subgid"
  for file in passwd group subuid subgid; do
    chmod 644 "$tmp/etc-$file" && mount --bind "$tmp/etc-$file" "/etc/$file" || exit
  done
  # crun refuses a machine that has both versions of cgroups.
  if [ ! -e /sys/fs/cgroup/cgroup.controllers ]; then
    umount -R /sys/fs/cgroup 2>/dev/null
    mount -t cgroup2 none /sys/fs/cgroup || exit
  fi
  exec bash "$0" --tests "$tmp"
fi

if [ "${1:-}" != --tests ]; then
  switchboard=$(realpath "${1:?path to switchboard}")
  if [ "$(id -u)" != 0 ] || ! unshare -m true 2>/dev/null || [ ! -w /dev/net/tun ]; then
    echo "CALLERS SKIPPED: they need root, a mount namespace and /dev/net/tun" >&2
    exit 0
  fi
  tmp=$(mktemp -d /tmp/callers.XXXXXX) && chmod 755 "$tmp"
  cp "$switchboard" "$tmp/switchboard" && chmod 755 "$tmp/switchboard" && mkdir "$tmp/bin" "$tmp/home" "$tmp/run" "$tmp/store"
  chown $user:$user "$tmp/home" "$tmp/run" "$tmp/store" && chmod 700 "$tmp/run"
  unshare -m bash "$0" --inside "$tmp"
  code=$?
  rm -rf "$tmp"
  exit "$code"
fi

tmp=$2
passed=0 failed=0 skipped=0 pids=()
say() { printf '%-66s %s\n' "$1" "$2"; }
ok() { passed=$((passed + 1)); say "$1" "ok ${2:-}"; }
bad() { failed=$((failed + 1)); say "$1" "FAILED ${2:-}"; }
skip() { skipped=$((skipped + 1)); say "$1" "SKIPPED: $2"; }
expect() { if [ "$2" = "$3" ]; then ok "$1"; else bad "$1" "wanted '$2', got '$3'"; fi; }
finish() {
  # What podman keeps for the user's next call.
  for file in "$tmp"/run/libpod/tmp/pause.pid; do [ -e "$file" ] && kill "$(cat "$file")"; done
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null; done
  wait 2>/dev/null
}
trap finish EXIT

"$tmp/switchboard" install-links "$tmp/bin" 2>/dev/null
as_user() {
  setpriv --reuid $user --regid $user --init-groups env -i USER=sbtest "HOME=$tmp/home" "XDG_RUNTIME_DIR=$tmp/run" \
    "PATH=$tmp/bin:/usr/sbin:/usr/bin:/sbin:/bin" "$@"
}
as_root() { env "PATH=$tmp/bin:$PATH" "$@"; }

# A server on the host's loopback, and ports that nobody has.
python3 -u - >"$tmp/ports" <<'PY' & pids+=($!)
import http.server, socket
class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "6"); self.end_headers(); self.wfile.write(b"hello\n")
    def log_message(self, *words): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hello)
free = socket.socket(); free.bind(("127.0.0.1", 0)); port = free.getsockname()[1]; free.close()
print(server.server_port, port, flush=True)
server.serve_forever()
PY
for _ in $(seq 200); do [ -s "$tmp/ports" ] && break; sleep 0.02; done
read -r port outer <"$tmp/ports"
# What the port of the host answers, when somebody does.
knock() {
  for _ in $(seq 100); do
    curl -fsS --max-time 3 "http://127.0.0.1:$outer/word" 2>/dev/null && return
    sleep 0.1
  done
  echo nobody
}
# Processes that run our file.
ours() {
  for exe in /proc/[0-9]*/exe; do
    [ "$(readlink "$exe")" = "$tmp/switchboard" ] && tr '\0' ' ' <"${exe%exe}cmdline" && echo
  done
}
gone() {
  for _ in $(seq 100); do [ -z "$(ours)" ] && break; sleep 0.05; done
  expect "$1: nothing of ours is left" "" "$(ours)"
}
mkdir "$tmp/web" && echo served >"$tmp/web/word"

# --- RootlessKit ----------------------------------------------------------------------------------
kit() { # NAME ROOTLESSKIT'S OPTIONS...
  local name=$1 page; shift
  page=$(as_user timeout 20 rootlesskit "$@" \
    curl -sS --max-time 5 "http://10.0.2.2:$port/" 2>"$tmp/why")
  expect "$name: curl through it" hello "$page"
  [ "$page" = hello ] || cat "$tmp/why"
  as_user timeout 30 rootlesskit "$@" -p "127.0.0.1:$outer:8000/tcp" busybox httpd -f -p 8000 -h "$tmp/web" 2>"$tmp/why" & pids+=($!)
  expect "$name: a published port" served "$(knock)"
  kill "$(ps -u $user -o pid=,args= | awk '$2 == "busybox" { print $1; exit }')" 2>/dev/null
  gone "$name"
}
if command -v rootlesskit >/dev/null && command -v newuidmap >/dev/null && command -v busybox >/dev/null; then
  for driver in builtin slirp4netns; do
    kit "RootlessKit, slirp4netns, port driver $driver" --net=slirp4netns --mtu=65520 --slirp4netns-sandbox=true \
      --slirp4netns-seccomp=true --copy-up=/etc --copy-up=/run --port-driver=$driver
  done
else
  skip "RootlessKit" "rootlesskit, uidmap or busybox-static is not installed"
fi

# --- podman ---------------------------------------------------------------------------------------
# As whom, then podman's words. An image of busybox and nothing else; no registry.
pod() {
  local as=$1; shift
  "$as" timeout 60 podman --root "$tmp/$as/root" --runroot "$tmp/$as/runroot" --storage-driver vfs --cgroup-manager cgroupfs \
    --events-backend file --log-level error "$@"
}
container() {
  local as=$1 network=$2; shift 2
  # This machine may not raise limits.
  pod "$as" run --network "$network" --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --cgroups=disabled "$@"
}
podman_test() {
  local as=$1 name=$2 handler page
  mkdir -p "$tmp/$as" && { [ "$as" = as_root ] || chown $user:$user "$tmp/$as"; }
  pod "$as" import -q - busy <"$tmp/image.tar" >/dev/null 2>"$tmp/why" || bad "$name: import" "$(cat "$tmp/why")"
  page=$(container "$as" slirp4netns:allow_host_loopback=true --rm busy /bin/wget -q -O - "http://10.0.2.2:$port/" 2>"$tmp/why")
  expect "$name: the host's server" hello "$page"
  [ "$page" = hello ] || cat "$tmp/why"
  for handler in rootlesskit slirp4netns; do
    container "$as" "slirp4netns:port_handler=$handler" -d --name web -p "127.0.0.1:$outer:80" busy /bin/httpd -f -p 80 -h /web \
      >/dev/null 2>"$tmp/why"
    expect "$name: -p, port handler $handler" served "$(knock)"
    expect "$name: the network is ours" 1 "$(ours | grep -c netns-type=path)"
    pod "$as" rm -f -t 0 web >/dev/null 2>&1
    gone "$name"
  done
}
if command -v podman >/dev/null && command -v newuidmap >/dev/null && [ -x /bin/busybox ] && ! ldd /bin/busybox >/dev/null 2>&1; then
  mkdir -p "$tmp/image/bin" "$tmp/image/web" "$tmp/image/etc" "$tmp/image/tmp"
  cp /bin/busybox "$tmp/image/bin/" && cp "$tmp/web/word" "$tmp/image/web/"
  for name in sh wget httpd; do ln -s busybox "$tmp/image/bin/$name"; done
  tar -C "$tmp/image" -c . >"$tmp/image.tar"
  podman_test as_root "podman as root"
  podman_test as_user "podman of an ordinary user"
else
  skip "podman" "podman, uidmap or busybox-static is not installed"
fi

printf 'callers: %d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" = 0 ]

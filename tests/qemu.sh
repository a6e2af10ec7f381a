#!/usr/bin/env bash
# A QEMU guest on the stand-in for passt: it gets its address by DHCP, pings, fetches 100 MB from a
# server on this machine's loopback, and serves a port. Software emulation; the kernel is Debian's,
# taken by apt into a temporary folder. Usage: tests/qemu.sh PATH-TO-SWITCHBOARD
set -uo pipefail

switchboard=$(realpath "${1:?path to switchboard}")
tmp=$(mktemp -d) && chmod 755 "$tmp"
passed=0 failed=0 pids=()
say() { printf '%-58s %s\n' "$1" "$2"; }
expect() { if [ "$2" = "$3" ]; then passed=$((passed + 1)); say "$1" ok; else failed=$((failed + 1)); say "$1" "FAILED wanted '$2', got '$3'"; fi; }
finish() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null; done
  wait 2>/dev/null
  rm -rf "$tmp"
}
trap finish EXIT
no() { echo "QEMU GUEST SKIPPED: $1" >&2; exit 0; }
command -v qemu-system-x86_64 >/dev/null || no "qemu-system-x86 is not installed"
[ -x /bin/busybox ] && ! ldd /bin/busybox >/dev/null 2>&1 || no "busybox-static is not installed"
command -v apt-get >/dev/null && command -v cpio >/dev/null || no "no apt-get or no cpio"

# --- the kernel, and a first program ------------------------------------------------------------
mkdir "$tmp/debs" "$tmp/kernel" && cd "$tmp/debs" || exit
apt-get download -q linux-image-cloud-amd64 >/dev/null 2>&1 || no "no kernel package to download"
image=$(dpkg-deb -f linux-image-cloud-amd64*.deb Depends | sed 's/[ ,].*//')
apt-get download -q "$image" >/dev/null 2>&1 || no "no $image to download"
dpkg-deb -x "$image"_*.deb "$tmp/kernel" || exit
root=$tmp/root && mkdir -p "$root/bin" "$root/lib" "$root/proc" "$root/sys" "$root/dev" "$root/etc"
cp /bin/busybox "$root/bin/"
for module in virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci failover net_failover virtio_net; do
  find "$tmp/kernel" -name "$module.ko" -exec cp {} "$root/lib/" \;
done
cat >"$root/lease" <<'SH'
#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add "$ip/$mask" dev "$interface"
ip link set "$interface" mtu "${mtu:-1500}"
ip route add default via "$router"
echo "$router" >/etc/router
for server in $dns; do echo "nameserver $server"; done >/etc/resolv.conf
echo "GUEST lease $ip by $router"
SH
cat >"$root/init" <<'SH'
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for module in virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci failover net_failover virtio_net; do
  [ -e /lib/$module.ko ] && insmod /lib/$module.ko
done
port=$(sed 's/.*sb.port=\([0-9]*\).*/\1/' /proc/cmdline)
ip link set lo up; ip link set eth0 up
udhcpc -i eth0 -n -q -t 5 -s /lease >/dev/console 2>&1
router=$(cat /etc/router)
ping -c 3 -W 3 "$router" >/dev/null && echo "GUEST pings"
echo "GUEST sum $(wget -q -O - "http://$router:$port/" | sha256sum | cut -d ' ' -f 1)"
echo "inside" | nc -l -p 8000 >/dev/null &
echo "GUEST listens"
wait
poweroff -f
SH
chmod 755 "$root/init" "$root/lease"
(cd "$root" && find . | cpio -o -H newc --quiet) | gzip -1 >"$tmp/initrd"

# --- this machine: a server of 100 MB, and a port that is free ----------------------------------------
cat >"$tmp/server.py" <<'PY'
import hashlib, http.server, random, socket
data = random.Random(1).randbytes(1 << 20) * 100
class Served(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", str(len(data))); self.end_headers(); self.wfile.write(data)
    def log_message(self, *words): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Served)
free = socket.socket(); free.bind(("127.0.0.1", 0)); port = free.getsockname()[1]; free.close()
print(server.server_port, port, hashlib.sha256(data).hexdigest(), flush=True)
server.serve_forever()
PY
python3 "$tmp/server.py" >"$tmp/ports" & pids+=($!)
for _ in $(seq 500); do [ -s "$tmp/ports" ] && break; sleep 0.02; done
read -r port outer sum <"$tmp/ports"

mkdir "$tmp/bin" && "$switchboard" install-links "$tmp/bin" 2>/dev/null
"$tmp/bin/passt" --socket "$tmp/guest.sock" --one-off -a 10.0.2.100 -n 24 -g 10.0.2.2 -t "127.0.0.1/$outer:8000" -P "$tmp/pid"
expect "passt goes to the background when its socket stands" 0 $?
pids+=("$(cat "$tmp/pid")")

timeout 100 qemu-system-x86_64 -accel tcg -m 256 -nodefaults -display none -no-reboot -serial stdio \
  -kernel "$tmp"/kernel/boot/vmlinuz-* -initrd "$tmp/initrd" -append "console=ttyS0 quiet panic=-1 sb.port=$port" \
  -netdev "stream,id=n,server=off,addr.type=unix,addr.path=$tmp/guest.sock" -device virtio-net-pci,netdev=n,romfile= \
  </dev/null >"$tmp/console" 2>&1 & qemu=$!; pids+=("$qemu")
for _ in $(seq 900); do
  grep -q "GUEST listens" "$tmp/console" || ! kill -0 "$qemu" 2>/dev/null && break
  sleep 0.1
done
said() { sed -n "s/^GUEST $1 *\([^\r]*\).*/\1/p" "$tmp/console" | head -n 1; }
expect "the guest has its address by DHCP" "10.0.2.100 by 10.0.2.2" "$(said lease)"
expect "it pings the gateway" 1 "$(grep -c 'GUEST pings' "$tmp/console")"
expect "100 MB arrive as they are" "$sum" "$(said sum)"
expect "a port of this machine is its" inside "$(for _ in $(seq 50); do
  timeout 5 python3 -c 'import socket,sys; print(socket.create_connection(("127.0.0.1", int(sys.argv[1])), 3).recv(9).decode().strip())' "$outer" 2>/dev/null && break
  sleep 0.1
done)"
wait "$qemu"; expect "the guest powers itself off" 0 $?
for _ in $(seq 100); do case $(cut -d ' ' -f 3 "/proc/$(cat "$tmp/pid")/stat" 2>/dev/null) in '' | Z) break ;; esac; sleep 0.05; done
expect "--one-off: passt ends with its guest" "" "$(grep -s -o '[RSD]' <<<"$(cut -d ' ' -f 3 "/proc/$(cat "$tmp/pid")/stat" 2>/dev/null)")"
[ "$failed" = 0 ] || tail -n 30 "$tmp/console"
printf 'qemu: %d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]

#!/usr/bin/env bash
# A real browser, headless Chromium, loads a page of 100 images from nginx through `switchboard
# run`, over HTTPS with HTTP/2, as an ordinary user; a screenshot shows them all.
# Usage: tests/browser.sh PATH-TO-SWITCHBOARD [SCREENSHOT.png]
# Skips itself, loudly, where there is no chromium, nginx or TUN.
set -uo pipefail

switchboard=$(realpath "${1:?path to switchboard}")
keep=${2:-}
tmp=$(mktemp -d) && chmod 755 "$tmp"
nginx_pid=
finish() {
  [ -n "$nginx_pid" ] && kill "$nginx_pid" 2>/dev/null
  wait 2>/dev/null
  rm -rf "$tmp"
}
trap finish EXIT
passed=0 failed=0
# expect NAME WANTED GOT
expect() {
  if [ "$2" = "$3" ]; then
    passed=$((passed + 1)); printf '%-58s ok\n' "$1"
  else
    failed=$((failed + 1)); printf '%-58s FAILED wanted %s, got %s\n' "$1" "$2" "$3"
  fi
}
skip() {
  printf 'SKIPPED: THE BROWSER: %s\n' "$1"
  printf 'browser: 0 passed, 0 failed, 1 skipped\n'
  exit 0
}

chromium=$(command -v chromium) || skip "chromium is not installed"
nginx=$(command -v nginx || command -v /usr/sbin/nginx) || skip "nginx is not installed"
command -v openssl >/dev/null || skip "openssl is not installed"
cp "$switchboard" "$tmp/switchboard" && chmod 755 "$tmp/switchboard"
mkdir -p "$tmp/site" "$tmp/body" "$tmp/home" && chmod 777 "$tmp/body" "$tmp/home"
as_user=(env)
# A browser is nothing for root: somebody else runs it, and `switchboard` with it.
[ "$(id -u)" = 0 ] && as_user=(setpriv --reuid 65534 --regid 65534 --clear-groups --)
"${as_user[@]}" "$tmp/switchboard" run -q -- true 2>"$tmp/why" || skip "$(head -n 1 "$tmp/why")"

# A hundred images, each of a colour of its own and of noise that does not compress; the page
# counts those that came, and says so in its title and in large letters.
python3 - "$tmp/site" <<'PY'
import os, struct, sys, zlib
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
for n in range(100):
    rows, seed = [], os.urandom(64 * 64)
    base = [40 + n % 10 * 20, 40 + n // 10 * 20, 240 - n * 2]
    for y in range(64):
        line = bytearray([0])
        for x in range(64):
            line += bytes(min(255, c + seed[y * 64 + x] % 16) for c in base)
        rows.append(bytes(line))
    with open(f"{sys.argv[1]}/{n}.png", "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0))
                + chunk(b"IDAT", zlib.compress(b"".join(rows))) + chunk(b"IEND", b""))
images = "".join(f'<img src="{n}.png" width="64" height="64">' for n in range(100))
with open(f"{sys.argv[1]}/index.html", "w") as f:
    f.write("""<!doctype html><title>loading</title><style>body{margin:16px;font:24px sans-serif;background:#fff}
#grid{display:grid;grid-template-columns:repeat(10,64px);gap:4px}</style><p id=says>loading</p><div id=grid>""" + images + """</div>
<script>addEventListener("load", () => {
  const whole = [...document.images].filter(i => i.complete && i.naturalWidth === 64).length;
  const how = performance.getEntriesByType("navigation")[0].nextHopProtocol;
  document.title = document.getElementById("says").textContent = whole + " images by " + how;
});</script>""")
PY
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=browser.example \
  -keyout "$tmp/key.pem" -out "$tmp/cert.pem" 2>/dev/null
user=""
[ "$(id -u)" = 0 ] && user="user root;"
port=$((20000 + RANDOM % 10000))
cat >"$tmp/nginx.conf" <<CONF
daemon off; $user worker_processes 1; pid $tmp/nginx.pid; error_log $tmp/nginx.err;
events { worker_connections 1024; }
http {
  types { text/html html; image/png png; }
  log_format seen '\$server_protocol \$status \$uri'; access_log $tmp/seen seen;
  client_body_temp_path $tmp/body; proxy_temp_path $tmp/body; fastcgi_temp_path $tmp/body;
  uwsgi_temp_path $tmp/body; scgi_temp_path $tmp/body;
  server {
    listen 127.0.0.1:$port ssl http2;
    ssl_certificate $tmp/cert.pem; ssl_certificate_key $tmp/key.pem;
    location / { root $tmp/site; index index.html; }
  }
}
CONF
"$nginx" -c "$tmp/nginx.conf" 2>"$tmp/nginx.out" & nginx_pid=$!
for _ in $(seq 200); do
  (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
  sleep 0.05
done

# Chromium's own sandbox needs namespaces within namespaces, which not every machine grants.
browse() {
  "${as_user[@]}" env HOME="$tmp/home" XDG_RUNTIME_DIR= timeout 120 \
    "$tmp/switchboard" run -q --host-loopback -- "$chromium" --headless=new --no-sandbox --disable-gpu \
    --disable-dev-shm-usage --no-first-run --disable-background-networking --disable-component-update \
    --disable-sync --disable-extensions --user-data-dir="$tmp/home/profile" --ignore-certificate-errors \
    --hide-scrollbars --window-size=760,860 --virtual-time-budget=20000 "$@" \
    "https://10.0.2.2:$port/" 2>"$tmp/chromium.err"
}
title=$(browse --dump-dom | sed -n 's/.*<title>\([^<]*\)<.*/\1/p')
expect "the page counts its images, and how they came" "100 images by h2" "$title"
browse --screenshot="$tmp/home/page.png" >/dev/null
expect "nginx served the page and 100 images, twice, over HTTP/2" 202 \
  "$(grep -cE '^HTTP/2.0 (200|304) /(index.html|[0-9]+.png)$' "$tmp/seen")"
expect "nothing but HTTP/2 was spoken" 0 "$(grep -cv '^HTTP/2.0 ' "$tmp/seen")"

# The screenshot: at the middle of each place in the grid, the image's own colour.
cat >"$tmp/look.py" <<'PY'
import struct, sys, zlib
data = open(sys.argv[1], "rb").read()
at, idat = 8, b""
while at < len(data):
    size, kind = struct.unpack(">I4s", data[at:at + 8])
    body = data[at + 8:at + 8 + size]
    if kind == b"IHDR": width, height, depth, colour = struct.unpack(">IIBB", body[:10])
    if kind == b"IDAT": idat += body
    at += 12 + size
channels = {2: 3, 6: 4}[colour]
raw, stride, rows = zlib.decompress(idat), width * channels, []
above = bytearray(stride)
for y in range(height):
    kind, line = raw[y * (stride + 1)], bytearray(raw[y * (stride + 1) + 1:(y + 1) * (stride + 1)])
    for x in range(stride):
        a = line[x - channels] if x >= channels else 0
        b, c = above[x], above[x - channels] if x >= channels else 0
        p = a + b - c
        near = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
        line[x] = (line[x] + (0, a, b, (a + b) // 2, near)[kind]) & 255
    rows.append(line); above = line
def pixel(x, y): return rows[y][x * channels:x * channels + 3]
def is_image(n, x, y):
    base = [40 + n % 10 * 20, 40 + n // 10 * 20, 240 - n * 2]
    return all(0 <= have - want < 20 for have, want in zip(pixel(x, y), base))
# Where the grid begins depends on the font above it.
top = next((y for y in range(height - 700) if is_image(0, 48, y)), None)
seen = 0 if top is None else sum(is_image(n, 48 + n % 10 * 68, top + 32 + n // 10 * 68) for n in range(100))
print(seen)
PY
expect "the screenshot shows 100 images" 100 "$(python3 "$tmp/look.py" "$tmp/home/page.png" 2>&1 | tail -n 1)"
[ -n "$keep" ] && cp "$tmp/home/page.png" "$keep"
[ "$failed" = 0 ] || tail -n 3 "$tmp/chromium.err" >&2
printf 'browser: %d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]

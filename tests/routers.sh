#!/usr/bin/env bash
# What programs under `switchboard run` see of a path with routers on it: hops, path MTU, who
# refuses, and what of their headers arrives. Beside it the bare kernel, on the same path.
#
#   tests/routers.sh target/debug/switchboard
#
# The path is made of network namespaces of this script's own, so that it takes no right where
# user namespaces are allowed:
#
#   here  10.1.0.1 -- 10.1.0.2  r1  10.2.0.1 -- 10.2.0.2  r2  10.3.0.1 -- 10.3.0.2  far
#         fd01::1      fd01::2      fd02::1      fd02::2      fd03::1      fd03::2
#
# with 1500 octets, but for 1400 between the routers.
set -u
here=$(cd "$(dirname "$0")" && pwd)
switchboard=$(realpath "${1:?usage: tests/routers.sh SWITCHBOARD}")

if [ -z "${ROUTERS_INSIDE:-}" ]; then
  if ! unshare -Urnm true 2>/dev/null; then
    echo "routers: skipped: no user namespaces"
    exit 0
  fi
  ROUTERS_INSIDE=1 exec unshare -Urnm "$here/routers.sh" "$switchboard"
fi

mount -t tmpfs none /run || exit 1
mkdir -p /run/netns
link() { # NAMESPACE DEVICE ADDRESS4 ADDRESS6 MTU
  ip -n "$1" address add "$3/24" dev "$2"
  ip -n "$1" address add "$4/64" dev "$2" nodad
  ip -n "$1" link set "$2" mtu "$5" up
}
for name in r1 r2 far; do
  ip netns add "$name" || { echo "routers: skipped: no namespaces in a namespace"; exit 0; }
  ip -n "$name" link set lo up
  ip netns exec "$name" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 \
    net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
done
ip link set lo up
ip link add here type veth peer name back netns r1
ip -n r1 link add on type veth peer name back netns r2
ip -n r2 link add on type veth peer name back netns far
ip address add 10.1.0.1/24 dev here
ip address add fd01::1/64 dev here nodad
ip link set here up
link r1 back 10.1.0.2 fd01::2 1500
link r1 on 10.2.0.1 fd02::1 1400
link r2 back 10.2.0.2 fd02::2 1400
link r2 on 10.3.0.1 fd03::1 1500
link far back 10.3.0.2 fd03::2 1500
ip route add default via 10.1.0.2
ip route add default via fd01::2
ip -n r1 route add default via 10.2.0.2
ip -n r1 route add default via fd02::2
ip -n r2 route add 10.1.0.0/24 via 10.2.0.1
ip -n r2 route add fd01::/64 via fd02::1
ip -n r2 route add prohibit 10.9.0.0/24
ip -n r2 route add prohibit fd09::/64
ip -n r2 route add unreachable 10.8.0.0/24
ip -n r2 route add unreachable fd08::/64
ip -n far route add default via 10.3.0.1
ip -n far route add default via fd03::1
sysctl -qw net.ipv4.ping_group_range="0 0"

exec python3 "$here/routers.py" "$switchboard"

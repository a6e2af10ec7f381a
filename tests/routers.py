"""The cases of routers.sh: each is done by the bare kernel and by a program under `run`."""

import json
import os
import socket
import struct
import subprocess
import sys
import time

SWITCHBOARD = sys.argv[1]
FAR = {4: "10.3.0.2", 6: "fd03::2"}
GATEWAY_ADDED = 1

# What a program does. It prints what it saw as JSON.
PROGRAM = r"""
import errno, json, select, socket, struct, sys, time
IP_MTU_DISCOVER, IP_MTU, IP_RECVERR = 10, 14, 11
IPV6_MTU_DISCOVER, IPV6_MTU, IPV6_RECVERR = 23, 24, 25
DO = 2

def datagram(version):
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    s = socket.socket(family, socket.SOCK_DGRAM)
    level = socket.IPPROTO_IP if version == 4 else socket.IPPROTO_IPV6
    s.setsockopt(level, IP_RECVERR if version == 4 else IPV6_RECVERR, 1)
    return s, level

def error(s):
    # The oldest ICMP error: error number, type, code, information, who said it.
    end = time.monotonic() + 5
    while time.monotonic() < end:
        try:
            _, control, _, _ = s.recvmsg(2048, 512, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)
        except BlockingIOError:
            time.sleep(0.005)
            continue
        for _, _, octets in control:
            number, origin, kind, code, _, info, _ = struct.unpack("=IBBBBII", octets[:16])
            rest = octets[16:]
            family = struct.unpack("=H", rest[:2])[0]
            by = None
            if origin > 1 and family == socket.AF_INET:
                by = socket.inet_ntop(family, rest[4:8])
            elif origin > 1 and family == socket.AF_INET6:
                by = socket.inet_ntop(family, rest[8:24])
            return [errno.errorcode[number], kind, code, info, by]
    return None

def hop(version, to, hops):
    s, level = datagram(version)
    s.setsockopt(level, socket.IP_TTL if version == 4 else socket.IPV6_UNICAST_HOPS, hops)
    s.sendto(b"x" * 32, (to, 33434 + hops))
    return error(s)

def ping_hop(version, to, hops):
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    proto = socket.IPPROTO_ICMP if version == 4 else socket.IPPROTO_ICMPV6
    s = socket.socket(family, socket.SOCK_DGRAM, proto)
    level = socket.IPPROTO_IP if version == 4 else socket.IPPROTO_IPV6
    s.setsockopt(level, IP_RECVERR if version == 4 else IPV6_RECVERR, 1)
    s.setsockopt(level, socket.IP_TTL if version == 4 else socket.IPV6_UNICAST_HOPS, hops)
    s.sendto(bytes([8 if version == 4 else 128, 0, 0, 0, 0, 0, 0, 7]) + b"x" * 24, (to, 0))
    end = time.monotonic() + 5
    while time.monotonic() < end:
        try:
            got, by = s.recvfrom(2048, socket.MSG_DONTWAIT)
            return ["reply", by[0], len(got)]
        except BlockingIOError:
            pass
        except OSError:
            pass
        s2 = error_once(s)
        if s2:
            return s2
        time.sleep(0.005)

def error_once(s):
    try:
        _, control, _, _ = s.recvmsg(2048, 512, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
    for level, _, octets in control:
        number, origin, kind, code, _, info, _ = struct.unpack("=IBBBBII", octets[:16])
        rest = octets[16:]
        family = struct.unpack("=H", rest[:2])[0]
        at = (4, 8) if family == socket.AF_INET else (8, 24)
        return [errno.errorcode[number], kind, code, info, socket.inet_ntop(family, rest[at[0]:at[1]])]

def path_mtu(version, to, octets):
    s, level = datagram(version)
    s.setsockopt(level, IP_MTU_DISCOVER if version == 4 else IPV6_MTU_DISCOVER, DO)
    s.connect((to, 9))
    told = None
    try:
        s.send(b"x" * octets)
        told = error(s)
    except OSError as e:
        told = [errno.errorcode[e.errno], None, None, None, None]
    mtu = s.getsockopt(level, IP_MTU if version == 4 else IPV6_MTU)
    again = None
    try:
        s.send(b"x" * octets)
    except OSError as e:
        again = errno.errorcode[e.errno]
    return [told and told[0], mtu, again]

def connect(version, to, hops=None, tclass=None, port=80):
    s = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6)
    level = socket.IPPROTO_IP if version == 4 else socket.IPPROTO_IPV6
    if hops:
        s.setsockopt(level, socket.IP_TTL if version == 4 else socket.IPV6_UNICAST_HOPS, hops)
    if tclass:
        s.setsockopt(level, socket.IP_TOS if version == 4 else socket.IPV6_TCLASS, tclass)
    s.settimeout(10)
    try:
        s.connect((to, port))
        return "connected"
    except OSError as e:
        return errno.errorcode.get(e.errno, str(e))

name, *arguments = json.loads(sys.argv[1])
print(json.dumps(globals()[name](*arguments)))
"""

failed = passed = 0


def run(under, *case):
    argv = [sys.executable, "-c", PROGRAM, json.dumps(case)]
    if under:
        argv = [SWITCHBOARD, "run", "-q", "--"] + argv
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    lines = done.stdout.strip().splitlines()
    return json.loads(lines[-1]) if lines else done.stderr[-300:]


def expect(what, wanted, got):
    global failed, passed
    if wanted == got:
        passed += 1
        print(f"{what:<58} ok")
    else:
        failed += 1
        print(f"{what:<58} FAILED wanted {wanted}, got {got}")


def hops():
    for version, to in FAR.items():
        gateway = None
        for name in ("hop", "ping_hop"):
            word = "UDP" if name == "hop" else "ping"
            first = run(True, name, version, to, 1)
            exceeded = ["EHOSTUNREACH", 11 if version == 4 else 3, 0, 0]
            expect(f"IPv{version} {word}, TTL 1: the gateway itself", exceeded, first and first[:4])
            for hop in (1, 2, 3):
                bare = run(False, name, version, to, hop)
                ours = run(True, name, version, to, hop + GATEWAY_ADDED)
                expect(f"IPv{version} {word}, hop {hop} of the path as bare, one later", bare, ours)


def forget_paths():
    for family in ("-4", "-6"):
        subprocess.run(["ip", family, "route", "flush", "cache"], check=True)


def mtus():
    for version, to in FAR.items():
        head = 28 if version == 4 else 48
        bare = run(False, "path_mtu", version, to, 1450 - head)
        if version == 4:
            ours = run(True, "path_mtu", version, to, 1450 - head)
            expect("IPv4 path MTU: one that the host knows already", bare, ours)
        forget_paths()
        ours = run(True, "path_mtu", version, to, 1450 - head)
        expect(f"IPv{version} path MTU: a router's, as bare", ["EMSGSIZE", 1400, "EMSGSIZE"], bare)
        expect(f"IPv{version} path MTU: a router's, under run", bare, ours)
        forget_paths()


def refusals():
    for what, prefix, wanted in (
        ("prohibited", 9, {4: "EHOSTUNREACH", 6: "EACCES"}),
        ("host unreachable", 8, {4: "EHOSTUNREACH", 6: "ENETUNREACH"}),
        ("no route", 7, {4: "ENETUNREACH", 6: "ENETUNREACH"}),
    ):
        for version in (4, 6):
            to = f"10.{prefix}.0.1" if version == 4 else f"fd0{prefix}::1"
            bare = run(False, "connect", version, to)
            ours = run(True, "connect", version, to)
            expect(f"IPv{version} TCP, {what} by a router, as bare", wanted[version], bare)
            expect(f"IPv{version} TCP, {what} by a router, under run", bare, ours)


def headers():
    """TTL and traffic class of a SYN as they arrive at the far end."""
    listen = r"""
import socket, struct, sys
servers = []
for family in (socket.AF_INET, socket.AF_INET6):
    s = socket.socket(family)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    s.bind(("", 80))
    s.listen()
    servers.append(s)
link = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
print("ready", flush=True)
while True:
    p, where = link.recvfrom(2048)
    if where[2] == socket.PACKET_OUTGOING:
        continue
    if p[0] >> 4 == 4 and p[9] == 6:
        tcp, ttl, tclass = p[(p[0] & 15) * 4:], p[8], p[1]
    elif p[0] >> 4 == 6 and p[6] == 6:
        tcp, ttl, tclass = p[40:], p[7], (p[0] & 15) << 4 | p[1] >> 4
    else:
        continue
    if tcp[13] & 0x12 == 2:
        print(ttl, tclass, flush=True)
"""
    far = subprocess.Popen(
        ["ip", "netns", "exec", "far", sys.executable, "-c", listen],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert far.stdout.readline() == "ready\n"
    try:
        for version, to in FAR.items():
            for hops, tclass in ((None, None), (40, None), (200, 0x88), (None, 0x28)):
                seen = []
                for under in (False, True):
                    run(under, "connect", version, to, hops, tclass)
                    seen.append([int(word) for word in far.stdout.readline().split()])
                bare, ours = seen
                if hops:
                    # The gateway is a router more.
                    bare[0] -= GATEWAY_ADDED
                expect(f"IPv{version} TCP, TTL {hops}, class {tclass}: as they arrive", bare, ours)
    finally:
        far.terminate()


def main():
    hops()
    mtus()
    refusals()
    headers()
    print(f"routers: {passed} passed, {failed} failed")
    sys.exit(failed != 0)


main()

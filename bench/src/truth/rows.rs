//! The rows of the table, by the keys of the probe.

/// One thing that is tried.
pub(crate) struct Row {
    pub(crate) key: &'static str,
    pub(crate) title: &'static str,
    /// What may stand in place of the bare kernel's answer, with the reason beside it.
    pub(crate) instead: Option<(&'static str, &'static str)>,
}

const fn row(key: &'static str, title: &'static str) -> Row {
    Row {
        key,
        title,
        instead: None,
    }
}

/// What one run of the probe tries, in this order.
#[rustfmt::skip]
pub(crate) const PROBED: &[Row] = &[
    row("half-close-client-v4", "half-close by the client"),
    row("half-close-server-v4", "half-close by the server"),
    row("half-close-client-v6", "half-close by the client, IPv6"),
    row("half-close-server-v6", "half-close by the server, IPv6"),
    row("closed-port-v4", "closed port"),
    row("closed-port-v6", "closed port, IPv6"),
    row("no-route-v4", "no route to the host"),
    row("no-route-v6", "no route to the host, IPv6"),
    Row {
        key: "prohibited-v4",
        title: "prohibited by the host's routes",
        // ip(7): no ICMPv4 message becomes EACCES inside.
        instead: Some(("EHOSTUNREACH", "all that ICMP can say")),
    },
    row("prohibited-v6", "prohibited by the host's routes, IPv6"),
    row("unreachable-v4", "host unreachable, says the path"),
    row("unreachable-v6", "host unreachable, says the path, IPv6"),
    row("filtered-v4", "prohibited, says the path"),
    row("filtered-v6", "prohibited, says the path, IPv6"),
    row("black-hole-v4", "black hole"),
    row("black-hole-v6", "black hole, IPv6"),
    row("ping-host-v4", "ping of the host"),
    row("ping-host-v6", "ping of the host, IPv6"),
    row("ping-beyond-v4", "ping beyond, 4000 bytes"),
    row("ping-beyond-v6", "ping beyond, 4000 bytes, IPv6"),
    row("traceroute-v4", "traceroute"),
    row("traceroute-v6", "traceroute, IPv6"),
    row("tcp-v6", "TCP over IPv6"),
    row("narrow-tcp-v4", "TCP by a path of MTU 1400"),
    row("narrow-tcp-v6", "TCP by a path of MTU 1400, IPv6"),
    row("narrow-udp-v4", "path MTU of a socket that does not fragment"),
    row("narrow-udp-v6", "path MTU, IPv6"),
    row("dns-udp", "DNS over UDP"),
    row("dns-tcp", "DNS over TCP, large"),
    row("dns-edns", "DNS over UDP with EDNS, large"),
    row("dns-truncated", "DNS over UDP without EDNS, large"),
    row("resolver", "a name by the C library"),
    row("resolver-search", "a name by the search list"),
    row("resolver-hosts", "a name of /etc/hosts"),
    row("resolver-localhost", "localhost"),
    row("resolver-none", "a name that is not"),
    row("udp-60000-v4", "UDP of 60,000 bytes"),
    row("udp-60000-v6", "UDP of 60,000 bytes, IPv6"),
    row("udp-65507-v4", "UDP of 65,507 bytes"),
    row("udp-65507-v6", "UDP of 65,507 bytes, IPv6"),
    row("udp-closed-v4", "UDP to a closed port"),
    row("udp-closed-v6", "UDP to a closed port, IPv6"),
    row("udp-unreachable-v4", "UDP to a host that is unreachable"),
    row("udp-flows-v4", "500 UDP flows"),
    row("urgent-out-v4", "out-of-band data out"),
    row("urgent-in-v4", "out-of-band data in"),
    row("reset-server-v4", "reset by the server"),
    row("reset-client-v4", "reset by the client"),
    row("reset-server-v6", "reset by the server, IPv6"),
    row("reset-client-v6", "reset by the client, IPv6"),
    row("bulk-v4", "48 MiB each way, every byte checked"),
    row("bulk-v6", "48 MiB each way, IPv6"),
];

/// What needs a run of its own.
#[rustfmt::skip]
pub(crate) const ALONE: &[Row] = &[
    row("stall", "a server that does not read"),
    row("inbound-v4", "inbound forward: the caller is seen as"),
    row("inbound-v6", "inbound forward, IPv6"),
    row("exit", "exit codes of 42, and of SIGKILL"),
];

impl Row {
    /// Whether `answer` is as good as the kernel's.
    pub(crate) fn holds(&self, kernel: &str, answer: &str) -> bool {
        answer == kernel || self.instead.is_some_and(|(instead, _)| answer == instead)
    }
}

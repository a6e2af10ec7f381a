//! Everything that is decided before the first process is forked.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt as _;

use super::caller::Caller;
use super::link::LinkKind;
use super::message::is_tcp;
use super::network::{HostRoutes, Network, NetworkError};
use crate::flags::RunFlags;
use crate::flags::ports::LocalPorts;
use crate::machine;

/// Packets that may wait in the TUN on their way out of the namespace. (What waits in a veth pair is
/// bounded in octets, by the device.)
///
/// The kernel drops what does not fit, and a drop inside the machine is a bug of ours: the queue
/// has to hold what all programs of the run may have in flight. With super-segments 4096 packets
/// are 64 windows of 4 MiB; without, at the link's own 65520 octets, they are as much.
const QUEUE_PACKETS: u32 = 4096;

/// What the agent needs to know.
#[derive(Debug)]
pub(crate) struct Plan {
    /// CMD and its arguments.
    pub(super) argv: Vec<CString>,
    pub(crate) network: Network,
    /// Whether the host has a way to the rest of the IPv6 world; then the program has it too.
    pub(crate) outside_v6: bool,
    pub(crate) mtu: u32,
    /// `--link`; a TUN where there is one otherwise.
    pub(super) link: Option<LinkKind>,
    pub(super) queue_packets: u32,
    pub(super) map_root: bool,
    /// Ports of the program's localhost that are the host's.
    pub(super) localhost: Vec<LocalPort>,
    /// The run whose namespaces are entered, instead of making any.
    pub(super) join: Option<JoinedRun>,
    pub(crate) caller: Caller,
}

impl Plan {
    /// Decides it from the flags and from what the host has.
    ///
    /// # Errors
    ///
    /// No free range of addresses.
    pub(crate) fn new(flags: &RunFlags) -> Result<Self, NetworkError> {
        let routes = HostRoutes::read();
        let argv = flags.program.command.iter().map(c_string).collect();
        Ok(Self {
            argv,
            network: routes.choose(flags.reach.net)?,
            outside_v6: machine::has_way_v6(),
            mtu: flags.reach.mtu,
            link: flags.reach.link,
            queue_packets: QUEUE_PACKETS,
            map_root: flags.program.map_root,
            localhost: local_ports(&flags.reach.localhost),
            join: None,
            caller: Caller::read(),
        })
    }

    /// Whether the program's localhost:`port` is the host's, over TCP.
    pub(crate) fn has_localhost(&self, port: u16) -> bool {
        self.localhost.contains(&LocalPort { tcp: true, port })
    }

    /// A plan that starts CMD in the namespaces of `run`.
    pub(crate) fn joining(flags: &RunFlags, run: JoinedRun) -> Result<Self, NetworkError> {
        Ok(Self {
            argv: flags.program.command.iter().map(c_string).collect(),
            map_root: run.map_root,
            join: Some(run),
            ..Self::trial()?
        })
    }

    /// A plan that only tries whether it can be done, for `doctor`.
    pub(crate) fn trial() -> Result<Self, NetworkError> {
        let routes = HostRoutes::read();
        Ok(Self {
            argv: Vec::new(),
            network: routes.choose(None)?,
            outside_v6: machine::has_way_v6(),
            mtu: 65_520,
            link: None,
            queue_packets: QUEUE_PACKETS,
            map_root: false,
            localhost: Vec::new(),
            join: None,
            caller: Caller::read(),
        })
    }
}

/// A run that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JoinedRun {
    /// Its agent, which is in its namespaces.
    pub(crate) agent: u32,
    pub(crate) map_root: bool,
}

/// A port of the program's localhost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LocalPort {
    pub(crate) tcp: bool,
    pub(crate) port: u16,
}

fn local_ports(flags: &[LocalPorts]) -> Vec<LocalPort> {
    let each = |ports: &LocalPorts| {
        let tcp = is_tcp(ports.protocol);
        ports.each().map(move |port| LocalPort { tcp, port })
    };
    let mut all: Vec<LocalPort> = Vec::new();
    for local in flags.iter().flat_map(each) {
        // Asked for twice is asked for.
        if !all.contains(&local) {
            all.push(local);
        }
    }
    all
}

/// Arguments come from `execve(2)`, so none of them has a NUL inside.
fn c_string(text: &OsString) -> CString {
    let mut bytes = text.clone().into_vec();
    bytes.retain(|octet| *octet != 0);
    CString::new(bytes).unwrap_or_default()
}

//! Which program holds a socket: one exact question to the kernel gives the inode, a table of
//! what `/proc/PID/fd` showed gives the process. On a miss the descriptors of the run's own
//! processes are read, never those of the whole machine, and never on a data path.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::sock_diag::{ANY_STATE, Dumped, LISTEN, SockDiag};
use crate::run::message::{Holder, Seen, Wanted};

/// Inodes remembered. Each costs some twenty octets; beyond it the table starts afresh.
const INODES_MAX: usize = 65_536;

/// Descriptor numbers tried behind the last one that was found in a process: a program that
/// opens many sockets in a row gets them in a row.
const NEXT_DESCRIPTORS: u32 = 8;

/// Sockets told at once of those that the relay does not see. Each costs some hundred octets
/// of a message.
const SEEN_MAX: usize = 1024;

/// Processes that joined the namespaces from outside, at once.
const JOINED_MAX: usize = 256;

/// Answers who holds what.
#[derive(Debug)]
pub(super) struct Holders {
    sock_diag: SockDiag,
    /// Process of an inode, and the descriptor's number there.
    processes: HashMap<u32, u32>,
    /// The process that was found last, and the descriptor's number there.
    last: Option<(u32, u32)>,
    /// Processes that are none of our descendants, and start programs of the run.
    joined: Vec<u32>,
}

impl Holders {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            sock_diag: SockDiag::open()?,
            processes: HashMap::new(),
            last: None,
            joined: Vec::new(),
        })
    }

    /// The children of `pid` belong to the run too.
    pub(super) fn join(&mut self, pid: u32) {
        self.joined
            .retain(|pid| children(*pid).is_some_and(|all| !all.is_empty()));
        if self.joined.len() < JOINED_MAX {
            self.joined.push(pid);
        }
    }

    /// The program whose socket at `inner` talks to `outer`.
    pub(super) fn find(
        &mut self,
        tcp: bool,
        inner: SocketAddr,
        outer: SocketAddr,
    ) -> Option<Holder> {
        let inode = self.inode(tcp, inner, outer)?;
        self.of_inode(inode)
    }

    /// The program that has the socket `inode` open.
    fn of_inode(&mut self, inode: u32) -> Option<Holder> {
        if let Some(holder) = self.remembered(inode) {
            return Some(holder);
        }
        let last = self.last;
        if let Some((pid, descriptor)) = last {
            if self.look_near(pid, descriptor, inode) {
                return self.remembered(inode);
            }
            self.read_process(pid);
            if let Some(holder) = self.remembered(inode) {
                return Some(holder);
            }
        }
        self.read_run(inode, last.map(|(pid, _)| pid));
        self.remembered(inode)
    }

    /// The inode of the socket itself; of one that waits to be accepted, its listener's.
    fn inode(&mut self, tcp: bool, inner: SocketAddr, outer: SocketAddr) -> Option<u32> {
        let inode = self.sock_diag.inode(tcp, inner, outer).ok()?;
        if inode.is_some() || !tcp {
            return inode;
        }
        let nobody = match inner {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        self.sock_diag.inode(tcp, inner, nobody).ok()?
    }

    /// Sockets that the relay does not see: listeners, and those on loopback.
    pub(super) fn local(&mut self, wanted: Wanted) -> io::Result<Vec<Seen>> {
        let mut all: Vec<(bool, Dumped)> = Vec::new();
        let states = match wanted {
            Wanted::Local => ANY_STATE,
            Wanted::Listeners | Wanted::HeldListeners => LISTEN,
        };
        let mut keep = |tcp, socket: Dumped| {
            let listens = tcp && 1 << socket.state == LISTEN;
            if (listens || socket.local.ip().is_loopback()) && all.len() < SEEN_MAX {
                all.push((tcp, socket));
            }
        };
        self.sock_diag
            .sockets(true, states, |socket| keep(true, socket))?;
        if wanted == Wanted::Local {
            self.sock_diag
                .sockets(false, states, |socket| keep(false, socket))?;
        }
        let told = all.into_iter().map(|(tcp, socket)| Seen {
            tcp,
            local: socket.local,
            peer: (socket.peer.port() != 0).then_some(socket.peer),
            state: socket.state,
            program: match wanted {
                Wanted::Listeners => None,
                // Nobody has a socket of inode 0: it is closed, and lingers.
                _ if socket.inode == 0 => None,
                _ => self.of_inode(socket.inode),
            },
        });
        Ok(told.collect())
    }

    /// The program of a socket that is closed already: known only while the run has but one,
    /// `cmd` without a child.
    pub(super) fn only_one(&self, cmd: u32) -> Option<Holder> {
        if !self.joined.is_empty() {
            return None;
        }
        let others = |pid: u32| fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let agent = others(std::process::id()).ok()?;
        let alone = agent.split_ascii_whitespace().eq([cmd.to_string()]);
        let childless = others(cmd).ok()?.trim().is_empty();
        let name = name_of(cmd)?;
        (alone && childless).then_some(Holder { pid: cmd, name })
    }

    /// See [`SockDiag::closed_unsent`].
    pub(super) fn closed_unsent(&mut self) -> io::Result<usize> {
        self.sock_diag.closed_unsent()
    }

    /// From the table, if that process still lives.
    fn remembered(&self, inode: u32) -> Option<Holder> {
        let pid = *self.processes.get(&inode)?;
        let name = name_of(pid)?;
        Some(Holder { pid, name })
    }

    /// The descriptors that a process most likely got next: the same number again where it
    /// closed the last socket, the next ones where it did not. Whether `wanted` is among them.
    fn look_near(&mut self, pid: u32, descriptor: u32, wanted: u32) -> bool {
        for next in descriptor..=descriptor + NEXT_DESCRIPTORS {
            let Some(inode) = socket_inode(&format!("/proc/{pid}/fd/{next}")) else {
                return false;
            };
            self.remember(inode, pid, next);
            if inode == wanted {
                return true;
            }
        }
        false
    }

    /// All descriptors of one process. Nothing where it is not ours to look at.
    fn read_process(&mut self, pid: u32) {
        for number in numbers_in(&format!("/proc/{pid}/fd")) {
            if let Some(inode) = socket_inode(&format!("/proc/{pid}/fd/{number}")) {
                self.remember(inode, pid, number);
            }
        }
    }

    /// Every process of the run but `read`, until `inode` turns up: those that descend from
    /// the agent, which inherits orphans.
    fn read_run(&mut self, inode: u32, read: Option<u32>) {
        let Some(ours) = children(std::process::id()) else {
            return self.read_all(inode);
        };
        let joined = self
            .joined
            .iter()
            .filter_map(|pid| children(*pid))
            .flatten();
        let mut pids: Vec<u32> = joined.chain(ours).collect();
        // The newest first.
        while let Some(pid) = pids.pop() {
            if read != Some(pid) {
                self.read_process(pid);
                if self.processes.contains_key(&inode) {
                    return;
                }
            }
            pids.extend(children(pid).into_iter().flatten());
        }
    }

    /// Every process that can be seen, the newest first, until `inode` turns up: for a kernel
    /// without `CONFIG_PROC_CHILDREN`.
    fn read_all(&mut self, inode: u32) {
        let mut pids: Vec<u32> = numbers_in("/proc").collect();
        pids.sort_unstable_by(|a, b| b.cmp(a));
        for pid in pids {
            self.read_process(pid);
            if self.processes.contains_key(&inode) {
                return;
            }
        }
    }

    fn remember(&mut self, inode: u32, pid: u32, descriptor: u32) {
        if self.processes.len() >= INODES_MAX {
            self.processes.clear();
        }
        self.processes.insert(inode, pid);
        self.last = Some((pid, descriptor));
    }
}

/// The names in a directory that are numbers; none where it is not ours to look at.
fn numbers_in(path: &str) -> impl Iterator<Item = u32> + use<> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The child processes of all threads of `pid`, the oldest first; `None` where the kernel does
/// not tell.
fn children(pid: u32) -> Option<Vec<u32>> {
    let mut all = Vec::new();
    for thread in numbers_in(&format!("/proc/{pid}/task")) {
        let path = format!("/proc/{pid}/task/{thread}/children");
        let text = fs::read_to_string(path).ok()?;
        all.extend(
            text.split_ascii_whitespace()
                .filter_map(|pid| pid.parse::<u32>().ok()),
        );
    }
    all.sort_unstable();
    Some(all)
}

/// The inode of the socket behind a link of `/proc/PID/fd`, if it is one.
fn socket_inode(path: &str) -> Option<u32> {
    let target = fs::read_link(path).ok()?;
    let text = target.to_str()?.strip_prefix("socket:[")?;
    text.strip_suffix(']')?.parse().ok()
}

/// The name of a process, as `comm` has it.
fn name_of(pid: u32) -> Option<String> {
    let name = fs::read(format!("/proc/{pid}/comm")).ok()?;
    Some(String::from_utf8_lossy(&name).trim_end().to_owned())
}

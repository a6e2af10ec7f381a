//! Which program holds a socket: one exact question to the kernel gives the inode, a table of
//! what `/proc/PID/fd` showed gives the process. The whole of `/proc` is read on a miss only,
//! and never on a data path.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::sock_diag::SockDiag;
use crate::run::message::Holder;

/// Inodes remembered. Each costs some twenty octets; beyond it the table starts afresh.
const INODES_MAX: usize = 65_536;

/// Descriptor numbers tried behind the last one that was found in a process: a program that
/// opens many sockets in a row gets them in a row.
const NEXT_DESCRIPTORS: u32 = 8;

/// Answers who holds what.
#[derive(Debug)]
pub(super) struct Holders {
    sock_diag: SockDiag,
    /// Process of an inode, and the descriptor's number there.
    processes: HashMap<u32, u32>,
    /// The process that was found last, and its highest descriptor that was seen.
    last: Option<(u32, u32)>,
}

impl Holders {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            sock_diag: SockDiag::open()?,
            processes: HashMap::new(),
            last: None,
        })
    }

    /// The program whose socket at `inner` talks to `outer`.
    pub(super) fn find(
        &mut self,
        tcp: bool,
        inner: SocketAddr,
        outer: SocketAddr,
    ) -> Option<Holder> {
        let inode = self.inode(tcp, inner, outer)?;
        if let Some(holder) = self.remembered(inode) {
            return Some(holder);
        }
        if let Some((pid, descriptor)) = self.last {
            self.look_behind(pid, descriptor);
            if let Some(holder) = self.remembered(inode) {
                return Some(holder);
            }
            self.read_process(pid);
            if let Some(holder) = self.remembered(inode) {
                return Some(holder);
            }
        }
        self.read_all(inode);
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

    /// The program of a socket that is closed already: known only while the run has but one,
    /// `cmd` without a child.
    pub(super) fn only_one(cmd: u32) -> Option<Holder> {
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

    /// The descriptors that a process most likely got next.
    fn look_behind(&mut self, pid: u32, descriptor: u32) {
        for next in descriptor + 1..=descriptor + NEXT_DESCRIPTORS {
            let Some(inode) = socket_inode(&format!("/proc/{pid}/fd/{next}")) else {
                return;
            };
            self.remember(inode, pid, next);
        }
    }

    /// All descriptors of one process. Nothing where it is not ours to look at.
    fn read_process(&mut self, pid: u32) {
        let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else {
            return;
        };
        for entry in entries.flatten() {
            let descriptor = entry.file_name();
            let number = descriptor.to_str().and_then(|text| text.parse().ok());
            let path = format!("/proc/{pid}/fd/{}", number.unwrap_or(0));
            if let (Some(number), Some(inode)) = (number, socket_inode(&path)) {
                self.remember(inode, pid, number);
            }
        }
    }

    /// Every process, the newest first, until `inode` turns up.
    fn read_all(&mut self, inode: u32) {
        let Ok(entries) = fs::read_dir("/proc") else {
            return;
        };
        let names = entries.flatten().map(|entry| entry.file_name());
        let mut pids: Vec<u32> = names
            .filter_map(|name| name.to_str().and_then(|text| text.parse().ok()))
            .collect();
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
        self.last = match self.last {
            Some((last, highest)) if last == pid => Some((pid, highest.max(descriptor))),
            _ => Some((pid, descriptor)),
        };
    }
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

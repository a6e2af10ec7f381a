//! What the processes of a launcher cost, read from /proc (proc(5)).

use std::collections::HashMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The processes of a launcher without the program that it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Helper(Vec<u32>);

impl Helper {
    /// `roots` and all their descendants, but for those that run `program`, and theirs.
    pub(crate) fn find(roots: &[u32], program: &Path) -> Self {
        let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        for pid in pids {
            if let Some(parent) = parent_of(pid) {
                children.entry(parent).or_default().push(pid);
            }
        }
        let mut found = Vec::new();
        let mut open = roots.to_vec();
        while let Some(pid) = open.pop() {
            if !runs(pid, program) {
                found.push(pid);
                open.extend(children.get(&pid).into_iter().flatten());
            }
        }
        Self(found)
    }

    /// CPU seconds so far.
    pub(crate) fn cpu(&self) -> f64 {
        self.0.iter().map(|pid| cpu_of(*pid)).sum()
    }

    /// Resident octets.
    pub(crate) fn resident(&self) -> u64 {
        self.0.iter().filter_map(|pid| resident_of(*pid)).sum()
    }

    /// Open descriptors, of those whose this user may see.
    pub(crate) fn descriptors(&self) -> usize {
        let open = |pid: &u32| fs::read_dir(format!("/proc/{pid}/fd")).ok();
        self.0.iter().filter_map(open).map(Iterator::count).sum()
    }
}

/// The fields of /proc/PID/stat behind the name, which may itself contain anything.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

fn parent_of(pid: u32) -> Option<u32> {
    stat(pid)?.get(1)?.parse().ok()
}

fn runs(pid: u32, program: &Path) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.split(|octet| *octet == 0).next() == Some(program.as_os_str().as_bytes())
}

/// To the nanosecond from /proc/PID/task/*/schedstat where the kernel has it, else to the
/// clock tick.
fn cpu_of(pid: u32) -> f64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"));
    let nanos: Option<u64> = tasks
        .into_iter()
        .flatten()
        .flatten()
        .try_fold(0, |sum, task| {
            let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
            Some(sum + text.split_whitespace().next()?.parse::<u64>().ok()?)
        });
    match nanos {
        Some(nanos) if nanos > 0 => nanos as f64 / 1e9,
        _ => ticks_of(pid).unwrap_or(0.0),
    }
}

fn ticks_of(pid: u32) -> Option<f64> {
    let fields = stat(pid)?;
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    // utime and stime, fields 14 and 15 of the whole line; USER_HZ is 100 everywhere.
    Some((ticks(11)? + ticks(12)?) / 100.0)
}

fn resident_of(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_children_but_not_the_program() {
        let mut shell = std::process::Command::new("/bin/sh")
            .args(["-c", "/bin/sleep 20 & wait"])
            .spawn()
            .expect("spawns");
        let root = shell.id();
        let mut helper = Helper::default();
        while helper.0.len() < 2 {
            helper = Helper::find(&[root], Path::new("/bin/none"));
        }
        let [first, sleep] = helper.0[..] else {
            panic!("two processes: {helper:?}");
        };
        assert_eq!(first, root);
        assert!(helper.resident() > 4096);
        while !runs(sleep, Path::new("/bin/sleep")) {}
        assert_eq!(Helper::find(&[root], Path::new("/bin/sleep")).0, [root]);
        shell.kill().expect("ends");
        shell.wait().expect("ends");
        let sleep = i32::try_from(sleep)
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        let signal = rustix::process::Signal::KILL;
        rustix::process::kill_process(sleep.expect("a process"), signal).expect("ends");
    }
}

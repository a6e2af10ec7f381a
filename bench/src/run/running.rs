//! A program that a launcher runs: what it says, and what its helper costs meanwhile.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::helper::Helper;

pub(crate) struct Running {
    child: Child,
    /// One that is not the child's descendant.
    pub(super) beside: Option<Child>,
    /// The child is the program itself.
    bare: bool,
    program: PathBuf,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    stderr: PathBuf,
}

impl Running {
    /// Starts `command`, which runs `program`; `bare` without a helper of its own.
    pub(super) fn spawn(
        command: &mut Command,
        program: &Path,
        bare: bool,
        directory: &Path,
    ) -> io::Result<Self> {
        let stderr = directory.join("stderr");
        // No pipe: a helper that outlives the program would hold it open.
        command.stderr(File::create(&stderr)?);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let (sender, lines) = channel();
        if let Some(stdout) = child.stdout.take() {
            thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        Ok(Self {
            stdin: child.stdin.take(),
            child,
            beside: None,
            bare,
            program: program.to_owned(),
            lines,
            stderr,
        })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line that the program says.
    pub(crate) fn line(&mut self, patience: Duration) -> Result<String, String> {
        self.lines.recv_timeout(patience).map_err(|_| {
            let why = match self.child.try_wait() {
                Ok(Some(status)) => status.to_string(),
                _ => format!("said nothing for {patience:?}"),
            };
            format!("{why}: {}", self.complaint())
        })
    }

    pub(crate) fn tell(&mut self, line: &str) -> Result<(), String> {
        // In one write: whoever reads it has a line or nothing.
        let line = format!("{line}\n");
        let told = self
            .stdin
            .as_mut()
            .map(|stdin| stdin.write_all(line.as_bytes()));
        told.unwrap_or(Ok(())).map_err(|error| error.to_string())
    }

    /// Its helper's processes as they are now.
    pub(crate) fn helper(&self) -> Helper {
        let mut roots: Vec<u32> = self.beside.iter().map(Child::id).collect();
        if !self.bare {
            roots.push(self.child.id());
        }
        Helper::find(&roots, &self.program)
    }

    /// Closes the program's standard input and waits for its end, at most `patience`.
    pub(crate) fn end(mut self, patience: Duration) -> Result<ExitStatus, String> {
        self.stdin = None;
        let deadline = Instant::now() + patience;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) if Instant::now() < deadline => {
                    thread::sleep(Duration::from_micros(200));
                }
                Ok(None) => return Err(format!("did not end within {patience:?}")),
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// What it or its launcher said last on standard error.
    pub(crate) fn complaint(&self) -> String {
        let said = std::fs::read(&self.stderr).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let last = said.lines().rev().find(|line| !line.trim().is_empty());
        last.unwrap_or("(no word)").to_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stdin = None;
        for child in self.beside.iter_mut().chain([&mut self.child]) {
            // One that has ended already is as good.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

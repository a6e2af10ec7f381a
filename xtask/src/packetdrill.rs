//! `cargo xtask packetdrill BINARY SCRIPTS [--times N] [--kernel]`: packetdrill's scripts against
//! our TCP.
//!
//! packetdrill and its scripts are somebody else's: fetched and built outside this repository, and
//! nothing of them is in it. Each script runs in a network namespace of its own, so that what it
//! sets by sysctl is its own matter (that takes root), in the variants that its name allows: IPv4,
//! IPv6, IPv4 on an IPv6 socket. With `--kernel` the kernel of this machine is judged too, as often
//! as thrice, since its time is real.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::cargo::{cargo, output, root};

/// A script and how it is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Variant {
    V4,
    V6,
    Mapped,
}

impl Variant {
    const ALL: [Self; 3] = [Self::V4, Self::V6, Self::Mapped];

    /// Scripts whose name ends so are for that family alone.
    fn suits(self, script: &Path) -> bool {
        let name = script.file_stem().unwrap_or_default().to_string_lossy();
        match self {
            Self::V4 | Self::Mapped => !name.ends_with("v6"),
            Self::V6 => !name.ends_with("v4"),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
            Self::Mapped => "mapped",
        }
    }

    /// The addresses that scripts are written for.
    fn flags(self) -> Vec<&'static str> {
        let v4 = [
            "--local_ip=192.168.0.1",
            "--gateway_ip=192.168.0.1",
            "--netmask_ip=255.255.0.0",
            "--remote_ip=192.0.2.1",
            "-DTFO_COOKIE=3021b9d889017eeb",
            "-DCODE=host_unreachable",
        ];
        let v6 = [
            "--mtu=1520",
            "--local_ip=fd3d:0a0b:17d6::1",
            "--gateway_ip=fd3d:0a0b:17d6:8888::1",
            "--remote_ip=fd3d:fa7b:d17d::1",
            "-DTFO_COOKIE=c1d1e9742a47a9bc",
        ];
        let messages_v4 = ["-DCMSG_LEVEL_IP=SOL_IP", "-DCMSG_TYPE_RECVERR=IP_RECVERR"];
        let messages_v6 = [
            "-DCMSG_LEVEL_IP=SOL_IPV6",
            "-DCMSG_TYPE_RECVERR=IPV6_RECVERR",
        ];
        match self {
            Self::V4 => [&["--ip_version=ipv4"], &v4[..], &messages_v4].concat(),
            Self::V6 => [&["--ip_version=ipv6"], &v6[..], &messages_v6].concat(),
            Self::Mapped => [&["--ip_version=ipv4-mapped-ipv6"], &v4[..], &messages_v6].concat(),
        }
    }
}

struct Wish {
    binary: PathBuf,
    scripts: PathBuf,
    times: usize,
    kernel: bool,
}

fn parse(arguments: &[String]) -> Result<Wish, String> {
    const USAGE: &str = "usage: cargo xtask packetdrill BINARY SCRIPTS [--times N] [--kernel]";
    let [binary, scripts, rest @ ..] = arguments else {
        return Err(USAGE.to_owned());
    };
    let path =
        |text: &String| std::fs::canonicalize(text).map_err(|error| format!("{text}: {error}"));
    let mut wish = Wish {
        binary: path(binary)?,
        scripts: path(scripts)?,
        times: 1,
        kernel: false,
    };
    let mut rest = rest.iter();
    while let Some(flag) = rest.next() {
        match flag.as_str() {
            "--kernel" => wish.kernel = true,
            "--times" => {
                let times = rest.next().and_then(|times| times.parse().ok());
                wish.times = times.filter(|times| *times > 0).ok_or(USAGE)?;
            }
            _ => return Err(USAGE.to_owned()),
        }
    }
    Ok(wish)
}

/// What became of one script in one variant.
struct Score {
    kernel: Option<bool>,
    /// Of `times` runs.
    passed: usize,
    /// All runs said the same.
    is_alike: bool,
    /// What the first failure said.
    why: String,
}

pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let wish = parse(arguments)?;
    output(cargo().args([
        "build",
        "-p",
        "switchboard-ffi",
        "--features",
        "packetdrill",
    ]))?;
    let library = root().join("target/debug/libswitchboard_c.so");
    let mut scripts = Vec::new();
    find(&wish.scripts, &mut scripts)?;
    scripts.sort();
    let mut areas: BTreeMap<String, Vec<Score>> = BTreeMap::new();
    for script in &scripts {
        for variant in Variant::ALL
            .into_iter()
            .filter(|variant| variant.suits(script))
        {
            let score = judge(&wish, &library, script, variant)?;
            let shown = script.strip_prefix(&wish.scripts).unwrap_or(script);
            if score.passed < wish.times || !score.is_alike {
                let kernel = score.kernel.map_or("", |passes| {
                    if passes {
                        " (the kernel passes)"
                    } else {
                        " (the kernel fails too)"
                    }
                });
                let (passed, times) = (score.passed, wish.times);
                let alike = if score.is_alike { "" } else { ", runs differ" };
                println!(
                    "{} {}: {passed} of {times}{alike}{kernel}\n    {}",
                    shown.display(),
                    variant.name(),
                    score.why.replace('\n', "\n    ")
                );
            }
            areas
                .entry(area(&wish.scripts, script))
                .or_default()
                .push(score);
        }
    }
    table(&wish, &areas)
}

fn table(wish: &Wish, areas: &BTreeMap<String, Vec<Score>>) -> Result<(), String> {
    println!(
        "\narea                 runs   pass{}",
        if wish.kernel { "   kernel   both" } else { "" }
    );
    let mut wanting = 0;
    for (area, scores) in areas {
        let is_good = |score: &Score| score.passed == wish.times && score.is_alike;
        let good = scores.iter().filter(|score| is_good(score)).count();
        print!("{area:20} {:4}   {good:4}", scores.len());
        if wish.kernel {
            let by_kernel = || scores.iter().filter(|score| score.kernel == Some(true));
            let both = by_kernel().filter(|score| is_good(score)).count();
            wanting += by_kernel().count() - both;
            print!("   {:6}   {both:4}", by_kernel().count());
        } else {
            wanting += scores.len() - good;
        }
        println!();
    }
    if wanting == 0 {
        Ok(())
    } else {
        Err(format!("{wanting} to do"))
    }
}

/// The folder below the scripts' own.
fn area(scripts: &Path, script: &Path) -> String {
    let below = script.strip_prefix(scripts).unwrap_or(script);
    let folder = below
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.map_or(scripts.file_name().map(Path::new), Some);
    folder.unwrap_or(below).display().to_string()
}

fn find(directory: &Path, scripts: &mut Vec<PathBuf>) -> Result<(), String> {
    let entries = std::fs::read_dir(directory);
    let entries = entries.map_err(|error| format!("{}: {error}", directory.display()))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            find(&path, scripts)?;
        } else if path.extension().is_some_and(|extension| extension == "pkt") {
            scripts.push(path);
        }
    }
    Ok(())
}

fn judge(wish: &Wish, library: &Path, script: &Path, variant: Variant) -> Result<Score, String> {
    let kernel = if wish.kernel {
        let mut passes = false;
        for _ in 0..3 {
            passes = passes || play(wish, None, script, variant)?.status.success();
        }
        Some(passes)
    } else {
        None
    };
    let mut score = Score {
        kernel,
        passed: 0,
        is_alike: true,
        why: String::new(),
    };
    let mut first = None;
    for _ in 0..wish.times {
        let output = play(wish, Some(library), script, variant)?;
        let is_good = output.status.success();
        score.passed += usize::from(is_good);
        let said = said(&output);
        if !is_good && score.why.is_empty() {
            score.why.clone_from(&said);
        }
        // What a failure says holds times to the microsecond: equal only if the runs are.
        let seen = (is_good, if is_good { String::new() } else { said });
        score.is_alike &= *first.get_or_insert_with(|| seen.clone()) == seen;
    }
    Ok(score)
}

/// What packetdrill said, without the noise of settings that this kernel does not have and of
/// names of temporary files.
fn said(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let is_noise = |line: &str| line.starts_with("sysctl:") || line.contains("/tmp/code_");
    let lines = text.lines().filter(|line| !is_noise(line));
    lines.take(6).collect::<Vec<_>>().join("\n")
}

/// Plays a script once: with our library, or on the kernel.
fn play(
    wish: &Wish,
    library: Option<&Path>,
    script: &Path,
    variant: Variant,
) -> Result<Output, String> {
    let mut set_up = "ip link set lo up".to_owned();
    if library.is_some() {
        // Scripts set its queue, wherever their packets go.
        set_up += "; ip tuntap add tun0 mode tun";
    }
    let mut command = Command::new("timeout");
    command
        .args(["100", "unshare", "--net", "sh", "-c"])
        .arg(format!("{set_up}; exec \"$@\""))
        .arg("sh")
        .arg("env");
    if let Some(library) = library {
        // Code blocks ask for TCP_INFO by the C library's own function.
        command.arg(format!("LD_PRELOAD={}", library.display()));
    }
    command.arg(&wish.binary).args(variant.flags());
    match library {
        Some(library) => {
            command.arg(format!("--so_filename={}", library.display()));
            if variant == Variant::V6 {
                command.arg("--so_flags=mtu=1520");
            }
        }
        // As its own runner has it: a machine that does other things too is not exact.
        None => {
            command.arg("--tolerance_usecs=14000");
        }
    }
    command.arg(script.file_name().unwrap_or_default());
    command
        .current_dir(script.parent().unwrap_or(Path::new(".")))
        .stdin(Stdio::null());
    command
        .output()
        .map_err(|error| format!("cannot run {command:?}: {error}"))
}

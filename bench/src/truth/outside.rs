//! The network around the launchers, made of namespaces: this process's own is the host, one
//! is a router, one a server. Nothing of it leaves the machine.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::addresses::{
    HOST4, HOST6, NARROW_MTU, NARROW4, NARROW6, Nowhere, ROUTER4, ROUTER6, SERVER4, SERVER6,
};

/// What keeps the namespaces; they go with it.
pub(crate) struct Outside {
    router: Child,
    server: Child,
}

impl Drop for Outside {
    fn drop(&mut self) {
        for child in [&mut self.server, &mut self.router] {
            // One that has ended already is as good.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Resolver files that the host has; the launchers see them as this machine's.
const RESOLV_CONF: &str =
    "nameserver 198.51.100.10\nsearch example\noptions timeout:2 attempts:1\n";
const HOSTS: &str = "127.0.0.1 localhost\n::1 localhost\n198.51.100.77 inhosts.example inhosts\n";

/// Makes it all. To be called as root of a user namespace whose network and mounts are its own.
pub(crate) fn make(directory: &Path) -> Result<Outside, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut router = in_new_network(&["sh", "-c", "echo there; read end"])?;
    let own = own.to_string_lossy();
    let mut server = in_new_network(&[&own, "outside"])?;
    wait_for_line(&mut router)?;
    wait_for_line(&mut server)?;
    let outside = Outside { router, server };
    let (router, server) = (outside.router.id(), outside.server.id());

    ip(&format!(
        "link add up0 type veth peer name down0 netns {router}"
    ))?;
    at(
        router,
        &format!("link add wide type veth peer name wide netns {server}"),
    )?;
    at(
        router,
        &format!("link add narrow type veth peer name narrow netns {server}"),
    )?;
    for narrow in [router, server] {
        at(narrow, &format!("link set narrow mtu {NARROW_MTU}"))?;
    }
    addresses(None, "up0", &format!("{HOST4}/24"), &format!("{HOST6}/64"))?;
    addresses(
        Some(router),
        "down0",
        &format!("{ROUTER4}/24"),
        &format!("{ROUTER6}/64"),
    )?;
    addresses(Some(router), "wide", "198.51.100.1/24", "2001:db8:2::1/64")?;
    addresses(Some(router), "narrow", "203.0.113.1/28", "2001:db8:3::1/64")?;
    addresses(
        Some(server),
        "wide",
        &format!("{SERVER4}/24"),
        &format!("{SERVER6}/64"),
    )?;
    addresses(
        Some(server),
        "narrow",
        &format!("{NARROW4}/28"),
        &format!("{NARROW6}/64"),
    )?;
    for namespace in [None, Some(router), Some(server)] {
        run(namespace, &["ip", "link", "set", "lo", "up"])?;
    }
    routes(router, server)?;
    settings(router, server)?;
    mount(directory)?;
    let mut outside = outside;
    if let Some(stdin) = &mut outside.server.stdin {
        writeln!(stdin, "go").map_err(|error| error.to_string())?;
    }
    wait_for_line(&mut outside.server)?;
    Ok(outside)
}

fn routes(router: u32, server: u32) -> Result<(), String> {
    ip(&format!("route add default via {ROUTER4}"))?;
    ip(&format!("-6 route add default via {ROUTER6}"))?;
    at(server, "route add default via 198.51.100.1")?;
    at(server, "-6 route add default via 2001:db8:2::1")?;
    // Whoever is answered from the narrow path's address is answered by that path.
    at(server, "rule add from 203.0.113.10 table 100")?;
    at(server, "route add default via 203.0.113.1 table 100")?;
    at(server, "-6 rule add from 2001:db8:3::10 table 100")?;
    at(server, "-6 route add default via 2001:db8:3::1 table 100")?;
    for nowhere in Nowhere::ALL {
        let namespace = (!nowhere.is_at_host()).then_some(router);
        let [four, six] = nowhere.networks();
        let route = nowhere.route();
        run(namespace, &["ip", "route", "add", route, &four])?;
        run(namespace, &["ip", "-6", "route", "add", route, &six])?;
    }
    Ok(())
}

fn settings(router: u32, server: u32) -> Result<(), String> {
    // Ordinary users of the host may ping; group 0 here is theirs.
    set(None, "net/ipv4/ping_group_range", "0 0")?;
    set(Some(router), "net/ipv4/ip_forward", "1")?;
    set(Some(router), "net/ipv6/conf/all/forwarding", "1")?;
    for namespace in [None, Some(router), Some(server)] {
        // What is asked quickly is answered all the same.
        set(namespace, "net/ipv4/icmp_ratelimit", "0")?;
        set(namespace, "net/ipv6/icmp/ratelimit", "0")?;
    }
    Ok(())
}

fn mount(directory: &Path) -> Result<(), String> {
    for (text, over) in [(RESOLV_CONF, "/etc/resolv.conf"), (HOSTS, "/etc/hosts")] {
        let name = over.rsplit('/').next().unwrap_or(over);
        let file = directory.join(name);
        std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
        let file = file.to_string_lossy();
        run(None, &["mount", "--bind", &file, over])?;
    }
    Ok(())
}

fn addresses(namespace: Option<u32>, link: &str, four: &str, six: &str) -> Result<(), String> {
    run(namespace, &["ip", "address", "add", four, "dev", link])?;
    run(
        namespace,
        &["ip", "address", "add", six, "dev", link, "nodad"],
    )?;
    run(namespace, &["ip", "link", "set", link, "up"])
}

fn set(namespace: Option<u32>, name: &str, value: &str) -> Result<(), String> {
    let script = format!("echo '{value}' >/proc/sys/{name}");
    run(namespace, &["sh", "-c", &script])
}

fn ip(words: &str) -> Result<(), String> {
    let words: Vec<&str> = std::iter::once("ip").chain(words.split(' ')).collect();
    run(None, &words)
}

fn at(namespace: u32, words: &str) -> Result<(), String> {
    let words: Vec<&str> = std::iter::once("ip").chain(words.split(' ')).collect();
    run(Some(namespace), &words)
}

/// Runs a command here, or in the network of a process.
fn run(namespace: Option<u32>, words: &[&str]) -> Result<(), String> {
    let mut command = match namespace {
        None => Command::new(words[0]),
        Some(pid) => {
            let mut command = Command::new("nsenter");
            command.args(["--net", "--target", &pid.to_string(), words[0]]);
            command
        }
    };
    let output = command.args(&words[1..]).output();
    let output = output.map_err(|error| format!("{}: {error}", words[0]))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "{}: {}",
            words.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        )),
    }
}

fn in_new_network(words: &[&str]) -> Result<Child, String> {
    let mut command = Command::new("unshare");
    command.args(["--net", "--"]).args(words);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command.spawn().map_err(|error| format!("unshare: {error}"))
}

/// One line; the rest stays unread.
fn wait_for_line(child: &mut Child) -> Result<(), String> {
    let stdout = child.stdout.as_mut().ok_or("no standard output")?;
    let mut line = String::new();
    // Says one line and then waits for us: nothing is lost with the reader.
    let read = BufReader::new(stdout).read_line(&mut line);
    match read {
        Ok(1..) => Ok(()),
        _ => Err("what was started in a namespace of its own has ended".into()),
    }
}

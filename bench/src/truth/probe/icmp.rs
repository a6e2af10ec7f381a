//! ping(8) and traceroute(8), the programs.

use std::io;
use std::net::IpAddr;
use std::process::{Command, Output};

use super::super::addresses::{ROUTER4, ROUTER6, server};

fn run(program: &str, words: &[String]) -> io::Result<Output> {
    Command::new(program).args(words).output()
}

pub(super) fn ping(to: Option<IpAddr>, size: usize) -> io::Result<String> {
    let Some(to) = to else {
        return Ok("no such address".into());
    };
    let words = format!("-n -c 2 -i 0.3 -W 2 -s {size} {to}");
    let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
    let output = run("ping", &words)?;
    let said = String::from_utf8_lossy(&output.stdout);
    // `N packets transmitted, M received, ...`
    let received = said.lines().find_map(|line| line.split(", ").nth(1));
    let answered = received.is_some_and(|received| !received.starts_with('0'));
    match (output.status.success() && answered, received) {
        (true, _) => Ok(format!("{size} octets answered")),
        (false, Some(_)) => Ok("silent".into()),
        (false, None) => {
            let said = String::from_utf8_lossy(&output.stderr);
            Ok(said.lines().last().unwrap_or("nothing said").to_owned())
        }
    }
}

/// The hops but for the launcher's own.
pub(super) fn traceroute(v6: bool, own: [Option<IpAddr>; 2]) -> io::Result<String> {
    let to = server(v6).ip();
    let words = format!("-n -q 1 -w 1 -m 5 {to}");
    let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
    let output = run("traceroute", &words)?;
    let said = String::from_utf8_lossy(&output.stdout);
    let routers: [IpAddr; 2] = [ROUTER4.into(), ROUTER6.into()];
    let hops = said.lines().skip(1).filter_map(|line| {
        let hop = line.split_whitespace().nth(1)?;
        match hop.parse::<IpAddr>() {
            // pasta's gateway is the router itself.
            Ok(address) if routers.contains(&address) => Some(hop.to_owned()),
            Ok(address) if own.contains(&Some(address)) => None,
            _ => Some(hop.to_owned()),
        }
    });
    let mut hops: Vec<String> = hops.collect();
    // Silence to the end says nothing more than silence.
    while hops.last().is_some_and(|hop| hop == "*") {
        hops.pop();
    }
    Ok(match hops.is_empty() {
        true => "silent".into(),
        false => hops.join(" "),
    })
}

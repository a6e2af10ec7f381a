//! What of pasta's and passt's options we cannot do is said, not ignored.

use super::Mode;
use crate::flags::pasta::PastaFlags;

/// # Errors
///
/// The first option that cannot be honoured, and why.
pub(super) fn refuse(flags: &PastaFlags, mode: Mode) -> Result<(), String> {
    outside(flags)?;
    told(flags)?;
    let wrong_mode = match mode {
        Mode::Pasta => of_passt(flags),
        Mode::Passt => of_pasta(flags),
    };
    match wrong_mode {
        Some(option) => Err(format!("{option} is not an option of {}", mode.name())),
        None => Ok(()),
    }
}

/// How the outside is reached.
fn outside(flags: &PastaFlags) -> Result<(), String> {
    let why = "is not supported: this machine's routes choose";
    if let Some(address) = flags.outbound.first() {
        return Err(format!("--outbound {address} {why} the address"));
    }
    let interfaces = [
        ("--outbound-if4", &flags.outbound_if4),
        ("--outbound-if6", &flags.outbound_if6),
    ];
    for (option, name) in interfaces {
        if let Some(name) = name {
            return Err(format!("{option} {name} {why} the interface"));
        }
    }
    match &flags.runas {
        Some(who) if !is_us(who) => Err(format!(
            "--runas {who} is not supported: it runs as the caller, without capabilities"
        )),
        _ => Ok(()),
    }
}

/// `UID` or `UID:GID` of this process.
fn is_us(who: &str) -> bool {
    let (uid, gid) = who.split_once(':').unwrap_or((who, ""));
    let ours = |text: &str, number: u32| text.parse() == Ok(number);
    ours(uid, rustix::process::geteuid().as_raw())
        && (gid.is_empty() || ours(gid, rustix::process::getegid().as_raw()))
}

/// What is told, to people and to the inside.
fn told(flags: &PastaFlags) -> Result<(), String> {
    if flags.trace {
        return Err("--trace is not supported: --pcap records packets".to_owned());
    }
    if flags.dhcp_search {
        return Err("--dhcp-search is not supported: DHCP tells no search domains".to_owned());
    }
    if let Some(list) = flags
        .search
        .iter()
        .find(|list| !matches!(list.as_str(), "" | "none"))
    {
        return Err(format!(
            "--search {list} is not supported: DHCP tells no search domains"
        ));
    }
    if flags.debug && !flags.foreground && flags.log_file.is_none() && flags.words.is_empty() {
        // Nobody would see it.
        return Err("--debug in the background needs --log-file; or add --foreground".to_owned());
    }
    if let Some(spec) = flags.namespace.udp_ns.iter().find(|spec| *spec != "none") {
        return Err(format!(
            "--udp-ns {spec} is not supported: of loopback TCP alone reaches out"
        ));
    }
    match flags.mtu {
        0 | 1280..=65_521 => Ok(()),
        mtu => Err(format!(
            "--mtu {mtu} is not supported: write 1280 to 65521, or 0"
        )),
    }
}

fn of_passt(flags: &PastaFlags) -> Option<&'static str> {
    let guest = &flags.guest;
    let options = [
        ("--socket", guest.socket.is_some()),
        ("--fd", guest.fd.is_some()),
        ("--one-off", guest.one_off),
    ];
    first_given(&options)
}

fn of_pasta(flags: &PastaFlags) -> Option<&'static str> {
    let namespace = &flags.namespace;
    let options = [
        ("a command", !flags.words.is_empty()),
        ("--ns-ifname", namespace.ns_ifname.is_some()),
        ("--tcp-ns", !namespace.tcp_ns.is_empty()),
        ("--udp-ns", !namespace.udp_ns.is_empty()),
        ("--userns", namespace.userns.is_some()),
        ("--netns", namespace.netns.is_some()),
        ("--netns-only", namespace.netns_only),
        ("--no-netns-quit", namespace.no_netns_quit),
        ("--config-net", namespace.config_net),
        ("--no-copy-routes", namespace.no_copy_routes),
        ("--no-copy-addrs", namespace.no_copy_addrs),
        ("--ns-mac-addr", namespace.ns_mac_addr.is_some()),
        ("--host-lo-to-ns-lo", namespace.host_lo_to_ns_lo),
    ];
    first_given(&options)
}

fn first_given(options: &[(&'static str, bool)]) -> Option<&'static str> {
    let given = options.iter().find(|(_, given)| *given);
    given.map(|(option, _)| *option)
}

//! One wording for each way in which a conversation can fail to begin or end badly: `open`,
//! `run --explain` and `top` say the same.

use std::net::IpAddr;
use std::time::Duration;

use switchboard_gateway::{Refused, Resolution};

/// What a failing program was told, in the C library's words and by name.
type Told = (&'static str, &'static str);

/// The directory found no address.
pub(crate) fn no_address(name: &str, resolution: &Resolution) -> Option<String> {
    Some(match resolution {
        Resolution::Addresses(_) | Resolution::Records(_) => return None,
        Resolution::NoSuchName => {
            format!("NO SUCH NAME. The directory has no {name} (NXDOMAIN).")
        }
        Resolution::NoData => {
            format!("NO ADDRESS. The directory has {name}, but no address of it.")
        }
        Resolution::Policy(why) => format!("NOT LOOKED UP. {name}: {why}."),
        Resolution::ServerError(code) => {
            format!("NO ANSWER ABOUT {name}. The directory failed ({code}).")
        }
        Resolution::NoAnswer => {
            format!("NO ANSWER ABOUT {name}. No directory of this machine answers.")
        }
        Resolution::NoServer => {
            format!("NO ANSWER ABOUT {name}. This machine has no way to a directory.")
        }
    })
}

/// A call that was turned away. `who` called, at `port` of `ip`.
pub(crate) fn refused(why: &Refused, ip: IpAddr, port: u16, who: &str) -> String {
    let what = match why {
        Refused::NobodyThere => {
            format!("REFUSED. The building {ip} is there, but nobody answers at desk {port}.")
        }
        Refused::NetworkUnreachable { by }
        | Refused::HostUnreachable { by }
        | Refused::OtherUnreachable { by } => {
            format!(
                "UNREACHABLE. No way to the building {ip}: {} so.",
                says(*by)
            )
        }
        Refused::Prohibited { by } => {
            format!(
                "PROHIBITED. A firewall before {ip} forbids it: {} so.",
                says(*by)
            )
        }
        Refused::Policy { why, .. } => format!("REFUSED. {why}."),
        Refused::HostLoopbackClosed => format!(
            "REFUSED. {ip} would be your machine's own loopback, which is closed to this run."
        ),
        Refused::ClosedAddress => format!("UNREACHABLE. Nobody lives at {ip}."),
        Refused::TimedOut => return no_answer(ip, None, who),
        Refused::LimitReached(what) => format!("REFUSED. Too many {what} at once."),
        Refused::HostFailed(_, text) => format!("FAILED. This machine could not try: {text}."),
    };
    match why.told(ip.is_ipv6()) {
        Some(told) => format!("{what} {}", was_told(who, told)),
        None => what,
    }
}

/// Nobody answered.
pub(crate) fn no_answer(ip: IpAddr, waited: Option<Duration>, who: &str) -> String {
    let waited = match waited {
        Some(waited) => format!(" in {:.1} s", waited.as_secs_f64()),
        None => String::new(),
    };
    format!(
        "NO ANSWER from {ip}{waited}. The machine is off, or drops us silently. \
         {who} stopped waiting."
    )
}

/// The far side cut a conversation off.
pub(crate) fn cut_off(received: u64, who: &str) -> String {
    let told = was_told(who, ("connection reset by peer", "ECONNRESET"));
    format!("CUT OFF by the desk after {received} bytes received. {told}")
}

/// A call on the program's own localhost that nobody answered, while somebody on the host would.
pub(crate) fn localhost_refused(port: u16, host_has: bool) -> String {
    let nobody = format!("REFUSED. Nobody in this run answers at localhost:{port}.");
    if host_has {
        format!("{nobody} Your machine has someone there: add  --localhost {port}")
    } else {
        nobody
    }
}

fn says(by: Option<IpAddr>) -> String {
    match by {
        Some(by) => format!("{by} on the way says"),
        None => "this machine itself says".to_owned(),
    }
}

fn was_told(who: &str, (words, name): Told) -> String {
    let was = if who == "You" { "were" } else { "was" };
    format!("{who} {was} told: {words} ({name}).")
}

//! A call to the program's own localhost never reaches the device; when nobody answers it, and
//! somebody on the host would, the person is told of `--localhost`.

use std::collections::BTreeSet;
use std::fs;

use switchboard_gateway::Program;

use crate::say;

/// TCP_LISTEN, as `/proc/net/tcp` prints states.
const LISTEN: &str = "0A";

/// Says each hint once.
#[derive(Debug, Default)]
pub(super) struct Hints {
    said: BTreeSet<u16>,
}

impl Hints {
    /// `program` called its localhost:`port`, where nobody listens.
    pub(super) fn refused(&mut self, port: u16, program: Option<&Program>) {
        if !host_listens(port) || !self.said.insert(port) {
            return;
        }
        let who = program.map_or_else(String::new, |program| format!(" ({program} called)"));
        say::notice(format_args!(
            "nobody in this run answers at localhost:{port}{who}; your machine has someone \
             there: add --localhost {port}"
        ));
    }
}

/// Whether somebody listens on the host's loopback at `port`. Looks only, calls nobody.
pub(super) fn host_listens(port: u16) -> bool {
    ["/proc/net/tcp", "/proc/net/tcp6"].iter().any(|table| {
        let text = fs::read_to_string(table).unwrap_or_default();
        text.lines().skip(1).any(|line| listens(line, port))
    })
}

/// `sl local_address rem_address st ...`, in hexadecimal.
fn listens(line: &str, port: u16) -> bool {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let local = fields.next().unwrap_or_default();
    let state = fields.nth(1).unwrap_or_default();
    let Some((address, local_port)) = local.rsplit_once(':') else {
        return false;
    };
    // 127.0.0.1 and ::1 in the host's byte order, and the wildcards.
    let loopback = ["0100007F", "7F000001"].contains(&address)
        || address.ends_with("01000000") && address.starts_with("000000000000")
        || address.bytes().all(|digit| digit == b'0');
    state == LISTEN && loopback && u16::from_str_radix(local_port, 16) == Ok(port)
}

#[cfg(test)]
mod tests {
    use super::listens;

    #[test]
    fn a_listener_on_loopback_or_everywhere_counts() {
        let line = |local: &str, state: &str| {
            format!("   0: {local} 00000000:0000 {state} 00000000:00000000 00:00000000")
        };
        assert!(listens(&line("0100007F:1538", "0A"), 5432));
        assert!(listens(&line("00000000:1538", "0A"), 5432));
        assert!(listens(
            &line("00000000000000000000000001000000:1538", "0A"),
            5432
        ));
        assert!(!listens(&line("0100007F:1538", "01"), 5432));
        assert!(!listens(&line("0100007F:1539", "0A"), 5432));
        assert!(!listens(&line("020011AC:1538", "0A"), 5432));
    }
}

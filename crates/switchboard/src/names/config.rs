//! What resolv.conf says, as options.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

/// The port of name servers (RFC 1035 section 4.2).
const PORT: u16 = 53;

/// Which name servers a network asks, and how: what resolv.conf(5) has, with its defaults.
///
/// It can be made of such a file's text too; what this crate does not have is passed over, as
/// the C library does:
///
/// ```
/// use switchboard::net::DnsConfig;
///
/// let text = "nameserver 10.0.2.3\nsearch corp.example\noptions ndots:2 timeout:1\n";
/// let config: DnsConfig = text.parse()?;
/// assert_eq!(config.servers, ["10.0.2.3:53".parse()?]);
/// assert_eq!(config.ndots, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsConfig {
    /// Whom to ask, in this order; the next one where one is silent or cannot help. Default: none.
    pub servers: Vec<SocketAddr>,
    /// Domains that names may be short for, in this order. Default: none.
    pub search: Vec<String>,
    /// A name with fewer dots is tried in the domains of `search` first, else last; 0 to 15.
    /// Default 1.
    pub ndots: u8,
    /// How long to wait for one server, 1 ms to 30 s. Default 5 s.
    pub timeout: Duration,
    /// How often each server is asked before the lookup fails, 1 to 5. Default 2.
    pub attempts: u8,
    /// How many answers are kept, of one name and family each; 0 keeps none. Default 1024.
    pub cache: usize,
    /// How long an answer is kept at most, whatever it says itself. Default 1 day.
    pub ttl_max: Duration,
    /// How long is kept at most that a name does not exist (RFC 2308 section 5). Default 1 h.
    pub negative_ttl_max: Duration,
}

impl Default for DnsConfig {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
            cache: 1024,
            ttl_max: Duration::from_secs(24 * 3600),
            negative_ttl_max: Duration::from_secs(3600),
        }
    }
}

/// A line of a resolv.conf that cannot be meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsConfigError {
    /// The line, from 1.
    pub line: usize,
    /// What it says.
    pub text: String,
}

impl fmt::Display for DnsConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: what is this? {}", self.line, self.text)
    }
}

impl std::error::Error for DnsConfigError {}

impl FromStr for DnsConfig {
    type Err = DnsConfigError;

    fn from_str(text: &str) -> Result<Self, DnsConfigError> {
        let mut config = Self::default();
        for (place, line) in text.lines().enumerate() {
            config.take(line).ok_or_else(|| DnsConfigError {
                line: place + 1,
                text: line.to_owned(),
            })?;
        }
        Ok(config)
    }
}

impl DnsConfig {
    /// One line; `None` if it says something that cannot be.
    fn take(&mut self, line: &str) -> Option<()> {
        let line = line.split(['#', ';']).next()?;
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            Some("nameserver") => {
                // An IPv6 address may have a zone; our networks have one link.
                let address = words.next()?.split('%').next()?;
                let address: IpAddr = address.parse().ok()?;
                self.servers.push((address, PORT).into());
            }
            // The last of these lines counts.
            Some("search" | "domain") => self.search = words.map(str::to_owned).collect(),
            Some("options") => {
                for option in words {
                    self.take_option(option)?;
                }
            }
            // Other keywords, and empty lines.
            _ => {}
        }
        Some(())
    }

    fn take_option(&mut self, option: &str) -> Option<()> {
        let number = |text: &str| text.parse::<u32>().ok();
        let octet = |text: &str| number(text).map(|n| u8::try_from(n).unwrap_or(u8::MAX));
        match option.split_once(':') {
            Some(("ndots", dots)) => self.ndots = octet(dots)?,
            Some(("timeout", seconds)) => {
                self.timeout = Duration::from_secs(number(seconds)?.into());
            }
            Some(("attempts", times)) => self.attempts = octet(times)?,
            _ => {}
        }
        Some(())
    }

    /// With everything in the range that its documentation names.
    pub(crate) fn within_bounds(mut self) -> Self {
        self.ndots = self.ndots.min(15);
        let longest = Duration::from_secs(30);
        self.timeout = self.timeout.clamp(Duration::from_millis(1), longest);
        self.attempts = self.attempts.clamp(1, 5);
        self
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;

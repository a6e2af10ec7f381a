//! What was asked for: a name or an address, a port, a path.

use std::fmt;
use std::net::IpAddr;

use hyper::Uri;

/// The port of `http://` without a number (RFC 9110 section 4.2.1).
const HTTP_PORT: u16 = 80;

/// Whom a URL names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// A name that the directory has to resolve.
    Name(String),
    /// An address, as it stands.
    Address(IpAddr),
    /// `localhost` or a loopback address: this very machine, which is reached through the
    /// gateway's address.
    ThisMachine,
}

/// A URL that `open` can open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Destination {
    /// The URL as it was typed.
    pub(super) url: String,
    /// The host as it was typed, without brackets.
    pub(super) host_text: String,
    /// The same, understood.
    pub(super) host: Host,
    /// The port.
    pub(super) port: u16,
    /// Whether the port was written.
    pub(super) port_is_written: bool,
    /// Path and query.
    pub(super) path: String,
}

/// Why a text is no URL that `open` can open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DestinationError {
    /// No URL at all.
    NotAUrl(String),
    /// A rulebook that `open` cannot narrate.
    OtherScheme(String),
    /// `https://`: the story would be of ciphertext.
    Https(String),
}

impl fmt::Display for DestinationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAUrl(text) => write!(f, "{text} is no URL: write http://HOST[:PORT]/PATH"),
            Self::OtherScheme(scheme) => write!(f, "open speaks http://, not {scheme}://"),
            Self::Https(url) => write!(
                f,
                "open speaks http:// only; for https: switchboard run --explain -- curl {url}"
            ),
        }
    }
}

impl Destination {
    /// Understands what was typed. `HOST[:PORT][/PATH]` without a scheme means `http://`.
    pub(super) fn parse(text: &str) -> Result<Self, DestinationError> {
        let wrong = || DestinationError::NotAUrl(text.to_owned());
        let url = if text.contains("://") {
            text.to_owned()
        } else {
            format!("http://{text}")
        };
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(DestinationError::Https(url)),
            Some(other) => return Err(DestinationError::OtherScheme(other.to_owned())),
            None => return Err(wrong()),
        }
        let host = uri
            .host()
            .filter(|host| !host.is_empty())
            .ok_or_else(wrong)?;
        let host_text = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        // The parser takes a port that is no number for none at all.
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let port = match (authority.ends_with(host), uri.port_u16()) {
            (true, _) => None,
            (false, Some(port)) if port != 0 => Some(port),
            (false, _) => return Err(wrong()),
        };
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Ok(Self {
            host: host_of(&host_text),
            host_text,
            port: port.unwrap_or(HTTP_PORT),
            port_is_written: port.is_some(),
            path: path.to_owned(),
            url,
        })
    }

    /// `Host` header and the like: the host, and the port where it is not the usual one.
    pub(super) fn authority(&self) -> String {
        let host = match self.host_text.parse::<IpAddr>() {
            Ok(IpAddr::V6(address)) => format!("[{address}]"),
            _ => self.host_text.clone(),
        };
        if self.port == HTTP_PORT {
            host
        } else {
            format!("{host}:{}", self.port)
        }
    }

    /// Whether it is one of the built-in desks.
    pub(super) fn is_built_in(&self) -> bool {
        let name = self.host_text.trim_end_matches('.');
        name == "switchboard.internal" || name.ends_with(".switchboard.internal")
    }
}

/// Understands a host.
fn host_of(text: &str) -> Host {
    match text.parse::<IpAddr>() {
        Ok(address) if address.is_loopback() => Host::ThisMachine,
        Ok(address) => Host::Address(address),
        Err(_) if text.trim_end_matches('.').eq_ignore_ascii_case("localhost") => Host::ThisMachine,
        Err(_) => Host::Name(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_without_a_number_means_port_80() {
        let destination = Destination::parse("http://switchboard.internal/").unwrap();
        assert_eq!(destination.port, 80);
        assert!(!destination.port_is_written);
        assert!(destination.is_built_in());
        assert_eq!(destination.authority(), "switchboard.internal");
    }

    #[test]
    fn a_bare_host_with_a_port_is_a_url_too() {
        let destination = Destination::parse("[::1]:8000/x?y=1").unwrap();
        assert_eq!(destination.host, Host::ThisMachine);
        assert_eq!(
            (destination.port, destination.path.as_str()),
            (8000, "/x?y=1")
        );
        assert_eq!(destination.authority(), "[::1]:8000");
    }

    #[test]
    fn what_cannot_be_opened_says_why() {
        for (text, word) in [
            ("https://example.org/", "run --explain"),
            ("ftp://example.org/", "not ftp://"),
            ("http://", "is no URL"),
            ("http://a:0/", "is no URL"),
            ("http://a:99999/", "is no URL"),
        ] {
            let error = Destination::parse(text).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}

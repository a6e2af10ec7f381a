//! From what people write to addresses: `ToSocketAddrs` and names.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use crate::names::{Families, Family};
use crate::network::Net;

/// What names an endpoint: the types of [`tokio::net::ToSocketAddrs`].
///
/// Names (`"server.example:80"`, `("server.example", 80)`) are found in the network's own table
/// ([`NetBuilder::host`](crate::NetBuilder::host)), else by its
/// [`resolver`](crate::NetBuilder::resolver).
pub trait ToSocketAddrs: sealed::ToTargets {}

impl<T: sealed::ToTargets + ?Sized> ToSocketAddrs for T {}

/// What is to be looked up, or needs no looking up.
#[derive(Debug)]
pub enum Targets {
    /// One address.
    One(SocketAddr),
    /// Several.
    Many(Vec<SocketAddr>),
    /// A name.
    Name(String, u16),
    /// Not of the form `HOST:PORT`.
    Malformed,
}

mod sealed {
    use super::Targets;

    /// Not to be implemented outside, so that it can grow.
    pub trait ToTargets {
        /// Taken at once, so that no future holds the caller's type.
        fn to_targets(&self) -> Targets;
    }
}

use sealed::ToTargets;

impl<T: ToTargets + ?Sized> ToTargets for &T {
    fn to_targets(&self) -> Targets {
        (**self).to_targets()
    }
}

impl ToTargets for SocketAddr {
    fn to_targets(&self) -> Targets {
        Targets::One(*self)
    }
}

impl ToTargets for SocketAddrV4 {
    fn to_targets(&self) -> Targets {
        Targets::One((*self).into())
    }
}

impl ToTargets for SocketAddrV6 {
    fn to_targets(&self) -> Targets {
        Targets::One((*self).into())
    }
}

impl ToTargets for (IpAddr, u16) {
    fn to_targets(&self) -> Targets {
        Targets::One((*self).into())
    }
}

impl ToTargets for (Ipv4Addr, u16) {
    fn to_targets(&self) -> Targets {
        Targets::One((*self).into())
    }
}

impl ToTargets for (Ipv6Addr, u16) {
    fn to_targets(&self) -> Targets {
        Targets::One((*self).into())
    }
}

impl ToTargets for [SocketAddr] {
    fn to_targets(&self) -> Targets {
        Targets::Many(self.to_vec())
    }
}

impl ToTargets for str {
    fn to_targets(&self) -> Targets {
        if let Ok(address) = self.parse() {
            return Targets::One(address);
        }
        match self.rsplit_once(':') {
            Some((host, port)) => match port.parse() {
                Ok(port) => (host, port).to_targets(),
                Err(_) => Targets::Malformed,
            },
            None => Targets::Malformed,
        }
    }
}

impl ToTargets for (&str, u16) {
    fn to_targets(&self) -> Targets {
        match self.0.parse::<IpAddr>() {
            Ok(address) => Targets::One((address, self.1).into()),
            Err(_) => Targets::Name(self.0.to_owned(), self.1),
        }
    }
}

impl ToTargets for String {
    fn to_targets(&self) -> Targets {
        self.as_str().to_targets()
    }
}

impl ToTargets for (String, u16) {
    fn to_targets(&self) -> Targets {
        (self.0.as_str(), self.1).to_targets()
    }
}

/// The addresses that `host` stands for, on `net`.
pub(crate) async fn resolve(net: &Net, targets: Targets) -> io::Result<Vec<SocketAddr>> {
    match targets {
        Targets::One(address) => Ok(vec![address]),
        Targets::Many(addresses) => Ok(addresses),
        Targets::Name(name, port) => {
            // RFC 6724 section 6, as far as one link goes: first what we can reach at all.
            let first = if net.families().v6 {
                Family::V6
            } else {
                Family::V4
            };
            let lookup = net.names().lookup(net, &name, Families::BOTH);
            let addresses = lookup.all(first).await?;
            Ok(addresses.into_iter().map(|ip| (ip, port).into()).collect())
        }
        Targets::Malformed => Err(io::Error::new(
            ErrorKind::InvalidInput,
            "an endpoint is written ADDRESS:PORT or NAME:PORT, IPv6 in brackets",
        )),
    }
}

/// Where what is sent to `remote` goes: the unspecified address means this host, as on Linux,
/// so that what a listener on all addresses says of itself can be connected to.
pub(crate) fn destination(remote: SocketAddr) -> SocketAddr {
    let ip = match remote.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        _ => return remote,
    };
    SocketAddr::new(ip, remote.port())
}

/// What is to be looked up: taken from the caller's value at once.
pub(crate) fn targets(of: &(impl ToSocketAddrs + ?Sized)) -> Targets {
    of.to_targets()
}

/// Tries one address after the other; the last error is the answer.
pub(crate) async fn try_each<T, F>(
    net: &Net,
    targets: Targets,
    mut attempt: impl FnMut(SocketAddr) -> F,
) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    let mut last = None;
    for address in resolve(net, targets).await? {
        match attempt(address).await {
            Ok(done) => return Ok(done),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| {
        io::Error::new(ErrorKind::InvalidInput, "the name has no address to try")
    }))
}

/// Looks up a name or an address: [`tokio::net::lookup_host`] on the ambient network.
///
/// # Errors
///
/// There is no ambient network, the name is not known, or whoever resolves names failed.
pub async fn lookup_host<T: ToSocketAddrs>(
    host: T,
) -> io::Result<impl Iterator<Item = SocketAddr> + use<T>> {
    let net = Net::try_current()?;
    Ok(resolve(&net, targets(&host)).await?.into_iter())
}

/// As [`lookup_host`], with the network named.
///
/// # Errors
///
/// As [`lookup_host`].
pub async fn lookup_host_on<T: ToSocketAddrs>(
    net: &Net,
    host: T,
) -> io::Result<impl Iterator<Item = SocketAddr> + use<T>> {
    Ok(resolve(net, targets(&host)).await?.into_iter())
}

//! What names mean: the network's own table, `localhost`, and whom to ask for the rest.
//!
//! A lookup gives addresses as they become known, family by family, so that a connection can be
//! under way before everything is ([`net::tcp::eyeballs`](crate::net)).

#[cfg(feature = "dns")]
mod ask;
#[cfg(feature = "dns")]
mod cache;
#[cfg(feature = "dns")]
mod config;
mod error;
mod host;
mod lookup;
#[cfg(feature = "dns")]
mod message;
#[cfg(feature = "dns")]
mod search;
#[cfg(feature = "dns")]
mod stub;

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::Pin;
use std::sync::Arc;

#[cfg(feature = "dns")]
pub use config::{DnsConfig, DnsConfigError};
pub use error::{NameError, ServerFailure};
pub(crate) use host::HostResolver;
#[cfg(test)]
pub(crate) use lookup::Part;
pub(crate) use lookup::{Failure, Families, Family, Lookup};
#[cfg(feature = "dns")]
pub(crate) use stub::Stub;

use crate::errors::SocketError;
use crate::network::Net;

/// What [`Resolve::resolve`] returns.
pub type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Finds the addresses of a name, in the order in which to try them.
///
/// Implemented for functions: `|name: &str| -> Resolving { .. }`.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of `name`.
    fn resolve(&self, name: &str) -> Resolving;
}

impl<F> Resolve for F
where
    F: Fn(&str) -> Resolving + Send + Sync + 'static,
{
    fn resolve(&self, name: &str) -> Resolving {
        self(name)
    }
}

/// Whom to ask for a name that the table does not have.
pub(crate) enum Source {
    /// Nobody.
    None,
    /// Code of the application, or the host's resolver.
    Custom(Arc<dyn Resolve>),
    /// Name servers, over the network's own sockets.
    #[cfg(feature = "dns")]
    Servers(Box<Stub>),
}

/// The names that a network knows, and whom it asks for others.
pub(crate) struct Names {
    hosts: HashMap<String, Vec<IpAddr>>,
    source: Source,
}

impl Names {
    pub(crate) fn new(hosts: HashMap<String, Vec<IpAddr>>, source: Source) -> Self {
        Self { hosts, source }
    }

    /// The resolver that asks name servers, if there is one.
    #[cfg(feature = "dns")]
    fn stub(&self) -> Option<&Stub> {
        match &self.source {
            Source::Servers(stub) => Some(stub),
            Source::None | Source::Custom(_) => None,
        }
    }

    /// Looks `name` up, of `families` alone where somebody has to be asked.
    #[cfg_attr(
        not(feature = "dns"),
        expect(unused_variables, reason = "name servers alone need to know")
    )]
    pub(crate) fn lookup<'a>(
        &'a self,
        net: &'a Net,
        name: &'a str,
        families: Families,
    ) -> Lookup<'a> {
        let plain = plain(name);
        if let Some(addresses) = self.hosts.get(&plain) {
            return Lookup::known(name, addresses.clone());
        }
        if is_or_is_under(&plain, "localhost") {
            // RFC 6761 section 6.3: never asked of a name server.
            let loopback = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
            return Lookup::known(name, loopback);
        }
        match &self.source {
            Source::None => Lookup::failed(name, NameError::NobodyToAsk),
            Source::Custom(resolver) => {
                let resolving = resolver.resolve(name);
                Lookup::whole(name, async move { resolving.await.map_err(Failure::Other) })
            }
            #[cfg(feature = "dns")]
            // RFC 6761 section 6.4 and RFC 7686 section 2: no name server has these.
            Source::Servers(_)
                if is_or_is_under(&plain, "invalid") || is_or_is_under(&plain, "onion") =>
            {
                Lookup::failed(name, NameError::NoSuchName { server: None })
            }
            #[cfg(feature = "dns")]
            Source::Servers(stub) => stub.lookup(net, name, families),
        }
    }
}

/// As the table has it: no dot at the end, small letters.
pub(crate) fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// `zone` and everything in it.
fn is_or_is_under(name: &str, zone: &str) -> bool {
    name.strip_suffix(zone)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// An error about `name`.
fn about(name: &str, why: NameError) -> io::Error {
    SocketError::Name {
        name: name.to_owned(),
        why,
    }
    .into()
}

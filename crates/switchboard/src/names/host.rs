//! The host's own resolver.

use super::{Resolve, Resolving};

/// Asks `getaddrinfo` of the system, as programs on the host's sockets do: its hosts file, its
/// name servers, its search list. tokio runs it on a thread for calls that block.
pub(crate) struct HostResolver;

impl Resolve for HostResolver {
    fn resolve(&self, name: &str) -> Resolving {
        let name = name.to_owned();
        Box::pin(async move {
            let mut found = Vec::new();
            for address in tokio::net::lookup_host((name, 0)).await? {
                // One for each kind of socket, from some systems.
                if !found.contains(&address.ip()) {
                    found.push(address.ip());
                }
            }
            Ok(found)
        })
    }
}

//! Names, as the host's own programs find them.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use switchboard::net::{Resolve, Resolving};
use switchboard_wire::{Endpoint, Protocol};

use crate::context::Context;
use crate::dns;
use crate::observer::{Happening, Resolution};
use crate::policy::Verdict;

/// Asks the policy, then names of ours, then the caller's resolver or else the host's
/// (getaddrinfo(3)), and remembers what was found for labels.
pub(super) struct HostNames {
    pub(super) context: Arc<Context>,
    pub(super) resolver: Option<Box<dyn Resolve>>,
}

impl Resolve for HostNames {
    fn resolve(&self, name: &str) -> Resolving {
        let context = self.context.clone();
        let asked = match &self.resolver {
            Some(resolver) => resolver.resolve(name),
            None => ask_host(name),
        };
        let name: Arc<str> = Arc::from(name);
        Box::pin(async move {
            let started = Instant::now();
            let (found, resolution) = look_up(&context, &name, asked).await;
            if let Ok(addresses) = &found {
                for address in addresses {
                    // The host does not say for how long; names are kept a while at least.
                    context.names.learn(*address, &name, Duration::ZERO);
                }
            }
            context.tell(&Happening::Resolved {
                client: asking(&context),
                directory: asking(&context),
                name,
                record_type: Arc::from("any"),
                resolution,
                server: None,
                elapsed: started.elapsed(),
                holder: None,
            });
            found
        })
    }
}

/// Who asks, and whom: a call inside this process, so the network itself, without a port.
fn asking(context: &Context) -> Endpoint {
    let mut own = context.config.program.addresses();
    let own = own.next().unwrap_or(IpAddr::from([0; 4]));
    Endpoint {
        protocol: Protocol::Udp,
        address: SocketAddr::new(own, 0),
    }
}

fn ask_host(name: &str) -> Resolving {
    let name = name.to_owned();
    Box::pin(async move {
        let found = tokio::net::lookup_host((name, 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    })
}

/// `asked` is not polled before the policy has said yes.
async fn look_up(
    context: &Context,
    name: &str,
    asked: Resolving,
) -> (io::Result<Vec<IpAddr>>, Resolution) {
    let client = asking(context).address;
    if let Verdict::Refuse { why, .. } = context.policy.name(name, client, None) {
        let error = io::Error::new(ErrorKind::PermissionDenied, format!("{name}: {why}"));
        return (Err(error), Resolution::Policy(why));
    }
    if let Some(own) = dns::own_addresses(&context.config, name) {
        if own.is_empty() {
            let text = format!("{name}: no such name");
            let error = io::Error::new(ErrorKind::NotFound, text);
            return (Err(error), Resolution::NoSuchName);
        }
        return (Ok(own.clone()), Resolution::Addresses(own));
    }
    match asked.await {
        Ok(addresses) => (Ok(addresses.clone()), Resolution::Addresses(addresses)),
        // getaddrinfo tells "no such name" and "no server" by text alone.
        Err(error) => {
            let said = Resolution::ServerError(Arc::from(error.to_string()));
            (Err(error), said)
        }
    }
}

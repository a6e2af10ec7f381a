//! The one place where it is asked whether a flow or a name may pass.

use std::net::SocketAddr;

use switchboard::{Refusal, Unreachable};

use crate::observer::{Flow, Program};

/// What a policy says of a flow or a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may pass.
    Pass,
    /// It may not.
    Refuse {
        /// What the caller is told. A name is always told that it does not exist.
        how: Refusal,
        /// Why, for the person who reads the refusal.
        why: String,
    },
}

impl Verdict {
    /// It may not pass, and the caller hears "connection refused" (for datagrams "port
    /// unreachable"), as if nobody listened there.
    pub fn reset(why: impl Into<String>) -> Self {
        Self::refuse(Refusal::Reset, why)
    }

    /// It may not pass, and the caller hears that somebody's rule forbids it: "no route to
    /// host" over IPv4, "permission denied" over IPv6, as Linux words the ICMP error.
    pub fn prohibited(why: impl Into<String>) -> Self {
        Self::unreachable(Unreachable::Prohibited, why)
    }

    /// It may not pass, and the caller hears this ICMP error.
    pub fn unreachable(what: Unreachable, why: impl Into<String>) -> Self {
        let how = Refusal::Unreachable {
            why: what,
            offender: None,
        };
        Self::refuse(how, why)
    }

    /// It may not pass, and the caller hears nothing until it gives up by itself.
    pub fn silent(why: impl Into<String>) -> Self {
        Self::refuse(Refusal::Silent, why)
    }

    fn refuse(how: Refusal, why: impl Into<String>) -> Self {
        Self::Refuse {
            how,
            why: why.into(),
        }
    }
}

/// Decides what may leave. Asked once for each flow, before anything happens outside, for each
/// further destination of a datagram socket, and once for each name before it is looked up.
///
/// Implemented for functions of a flow, which let every name pass:
///
/// ```
/// # async fn page() -> std::io::Result<()> {
/// use switchboard_gateway::{Flow, HostNetwork, Verdict};
///
/// let host = HostNetwork::builder()
///     .policy(|flow: &Flow| match flow.to.port() {
///         443 => Verdict::Pass,
///         port => Verdict::reset(format!("only 443 may be called, not {port}")),
///     })
///     .start()
///     .await?;
/// # drop(host); Ok(()) }
/// ```
pub trait Policy: Send + Sync {
    /// May this flow go out? It has its endpoints, and the name that led to the far one, if a
    /// name did. Called on the gateway's tasks: it must not block.
    fn flow(&self, flow: &Flow) -> Verdict;

    /// May this name be looked up? `client` asks, held by `holder` if that is known.
    fn name(&self, name: &str, client: SocketAddr, holder: Option<&Program>) -> Verdict {
        let _ = (name, client, holder);
        Verdict::Pass
    }
}

impl<F: Fn(&Flow) -> Verdict + Send + Sync> Policy for F {
    fn flow(&self, flow: &Flow) -> Verdict {
        self(flow)
    }
}

/// Everything may pass.
#[derive(Clone, Copy, Debug, Default)]
pub struct AllowAll;

impl Policy for AllowAll {
    fn flow(&self, _flow: &Flow) -> Verdict {
        Verdict::Pass
    }
}

//! The one place where it is asked whether a flow or a name may pass.

use std::net::SocketAddr;

use crate::observer::{Flow, Program};

/// What a policy says of a flow or a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may pass.
    Pass,
    /// It may not; the text says why, for the person who reads the refusal.
    Refuse(String),
}

/// Decides what may leave. Asked once for each flow, before anything happens outside, and once
/// for each name, before it is looked up.
pub trait Policy: Send + Sync {
    /// May this flow go out?
    fn flow(&self, flow: &Flow) -> Verdict;

    /// May this name be looked up? `client` asks, held by `holder` if that is known.
    fn name(&self, name: &str, client: SocketAddr, holder: Option<&Program>) -> Verdict;
}

/// Everything may pass.
#[derive(Clone, Copy, Debug, Default)]
pub struct AllowAll;

impl Policy for AllowAll {
    fn flow(&self, _flow: &Flow) -> Verdict {
        Verdict::Pass
    }

    fn name(&self, _name: &str, _client: SocketAddr, _holder: Option<&Program>) -> Verdict {
        Verdict::Pass
    }
}

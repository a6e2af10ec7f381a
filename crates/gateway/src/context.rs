//! What every part of a gateway shares.

use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Notify;

use crate::config::GatewayConfig;
use crate::dns::Names;
use crate::forward::Forwards;
use crate::holders::Holders;
use crate::observer::{Ending, Flow, FlowNumber, Happening, Observers, Refused, Transport};
use crate::policy::{Policy, Verdict};
use crate::recorder::HandshakeRecorder;
use crate::registry::Registry;

/// How long an answer waits for the holder of the asking socket, so that it is found before
/// the socket is gone. Long beside a look-up (tenths of a millisecond), short beside what a
/// person notices.
const HOLDER_GRACE: Duration = Duration::from_millis(50);

/// What every part of a gateway shares.
pub(crate) struct Context {
    pub(crate) config: GatewayConfig,
    pub(crate) observers: Observers,
    pub(crate) holders: Arc<Holders>,
    pub(crate) policy: Arc<dyn Policy>,
    pub(crate) registry: Registry,
    pub(crate) recorder: HandshakeRecorder,
    pub(crate) names: Names,
    pub(crate) flows: AtomicU64,
    pub(crate) forwards: Forwards,
}

/// Whom a new flow is between.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
}

impl Context {
    pub(crate) fn tell(&self, happening: &Happening) {
        self.observers.tell(happening);
    }

    /// A flow of the program, whose holder is being found out from here on.
    pub(crate) fn flow(&self, transport: Transport, ends: Ends) -> Arc<Flow> {
        let name = self.names.get(ends.to.ip());
        let flow = self.new_flow(transport, ends, name, false);
        self.holders.look_up(&flow);
        flow
    }

    /// A flow from outside into the program.
    pub(crate) fn inward_flow(&self, transport: Transport, ends: Ends) -> Arc<Flow> {
        let name = self.names.get(ends.from.ip());
        self.new_flow(transport, ends, name, true)
    }

    fn new_flow(
        &self,
        transport: Transport,
        ends: Ends,
        name: Option<Arc<str>>,
        inward: bool,
    ) -> Arc<Flow> {
        let number = self.flows.fetch_add(1, Ordering::Relaxed) + 1;
        Arc::new(Flow {
            number: FlowNumber(number),
            inward,
            ..bare_flow(transport, ends, name)
        })
    }

    /// Whether `flow`'s socket may also talk to `to`: datagram sockets have many peers.
    pub(crate) fn permits(&self, flow: &Flow, to: SocketAddr) -> Verdict {
        let ends = Ends {
            from: flow.from,
            to,
        };
        let name = self.names.get(to.ip());
        let other = Flow {
            number: flow.number,
            holder: flow.holder.clone(),
            ..bare_flow(flow.transport, ends, name)
        };
        self.policy.flow(&other)
    }

    /// Waits a moment for the holder, if that is being asked for: its socket may be gone once
    /// the flow is answered.
    pub(crate) async fn holder_grace(&self, flow: &Flow) {
        if !flow.is_holder_known() && !flow.is_put_off() {
            let _ = tokio::time::timeout(HOLDER_GRACE, flow.holder_known()).await;
        }
    }

    /// Nobody says a word to the caller; those who were told of the flow are told of its end.
    pub(crate) fn tell_unanswered(&self, flow: Arc<Flow>, elapsed: Duration) {
        self.tell(&Happening::FlowEnded {
            flow,
            how: Ending::Finished,
            received: 0,
            sent: 0,
            elapsed,
        });
    }

    pub(crate) fn tell_refused(&self, flow: &Arc<Flow>, why: Refused, elapsed: Duration) {
        tracing::debug!(from = %flow.from, to = %flow.to, %why, "flow refused");
        self.tell(&Happening::FlowRefused {
            flow: flow.clone(),
            why,
            elapsed,
        });
    }
}

fn bare_flow(transport: Transport, ends: Ends, name: Option<Arc<str>>) -> Flow {
    Flow {
        number: FlowNumber(0),
        transport,
        from: ends.from,
        to: ends.to,
        name,
        inward: false,
        holder: OnceLock::new(),
        holder_found: Notify::new(),
        holder_put_off: AtomicBool::new(false),
    }
}

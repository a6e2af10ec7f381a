//! TCP: the outside connection first, then the inside one, then octets both ways.

mod connect;
mod pump;
mod turns;

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use switchboard::net::TcpStream as InsideStream;
use switchboard::{IncomingTcp, TcpOptions};
use switchboard_wire::Protocol;
use tokio::net::TcpStream as HostStream;

use crate::context::{Context, Ends};
use crate::destination::{self, Destination};
use crate::figures::FlowSockets;
use crate::observer::{Ending, Flow, Happening, Refused, Transport};
use crate::outside::chunk::ChunkPool;
use crate::policy::Verdict;
use crate::registry::{LiveRow, SocketState};

pub(crate) use connect::connect;
use connect::connect_watched;
use pump::{Pump, Stop};

/// Octets that a flow's inside leg may keep of what the outside sent. The link is short:
/// tens of microseconds and a few Gbit/s need well under this.
const SEND_BUFFER: usize = 1 << 20;

/// Octets that it may keep of what the program sent: the window that the program sees.
const RECEIVE_BUFFER: usize = 1 << 20;

/// Options of the inside leg: without Nagle, and acknowledging the end of each turn of the
/// program (until [`turns`] knows better), whose kernel may hold back the next one until then.
pub(crate) fn inside_options() -> TcpOptions {
    TcpOptions {
        nodelay: true,
        quick_ack: true,
        send_buffer: SEND_BUFFER,
        receive_buffer: RECEIVE_BUFFER,
        ..TcpOptions::default()
    }
}

/// Takes one flow of the program from its first packet to its end.
pub(crate) async fn relay(context: Arc<Context>, pool: ChunkPool, incoming: IncomingTcp) {
    // What answering takes is given back before the flow settles down: thousands may idle.
    let stands = Box::pin(answer(&context, pool, incoming)).await;
    if let Some(relayed) = stands {
        relayed.run(&context).await;
    }
}

/// Answers the caller as the outside does; something to relay only if it said yes.
async fn answer(
    context: &Arc<Context>,
    pool: ChunkPool,
    incoming: IncomingTcp,
) -> Option<Box<Relayed>> {
    let started = Instant::now();
    let ends = Ends {
        from: incoming.remote(),
        to: incoming.local(),
    };
    let flow = context.flow(Transport::Tcp, ends);
    let opening = Happening::FlowOpening { flow: flow.clone() };
    context.tell(&opening);
    let mut row = context
        .registry
        .add_flow(&flow, Protocol::Tcp, SocketState::SynSent);

    let outside = tokio::select! {
        biased;
        outside = reach(context, &flow, &row) => outside,
        () = incoming.expired() => {
            row.end_as(SocketState::NoAnswer);
            let elapsed = started.elapsed();
            context.tell(&Happening::FlowAbandoned { flow, elapsed });
            return None;
        }
    };
    let outside = match outside {
        Ok(outside) => outside,
        Err(why) => {
            context.holder_grace(&flow).await;
            row.refuse(ended_state(&why), &why);
            let refusal = destination::refusal(&why);
            let is_silence = why.is_silence_by_rule();
            context.tell_refused(&flow, why, started.elapsed());
            if is_silence {
                // Held until the caller gives up, so that its repeated SYNs are no new flows.
                incoming.expired().await;
            }
            incoming.refuse(refusal);
            return None;
        }
    };
    let inside = match incoming.accept_with(inside_options()) {
        Ok(inside) => inside,
        Err(error) => {
            // The caller went away in this very moment: so does the far half.
            tracing::debug!(from = %flow.from, %error, "flow gone before it was accepted");
            row.end_as(SocketState::NoAnswer);
            let elapsed = started.elapsed();
            context.tell(&Happening::FlowAbandoned { flow, elapsed });
            return None;
        }
    };
    let told = (flow, row, started.elapsed());
    Some(Relayed::begin(
        context,
        pool,
        Legs { inside, outside },
        told,
    ))
}

/// The outside connection of a flow, or why there is none.
async fn reach(context: &Context, flow: &Flow, row: &LiveRow) -> Result<Arc<HostStream>, Refused> {
    if let Verdict::Refuse { how, why } = context.policy.flow(flow) {
        return Err(Refused::Policy { how, why });
    }
    match destination::destination(&context.config, flow.transport, flow.to) {
        Destination::Outside(to) => {
            let watch = |host: &Arc<HostStream>| {
                let (host, inside) = (Arc::downgrade(host), Weak::new());
                row.set_far(Arc::new(FlowSockets { host, inside }));
            };
            connect_watched(to, context.config.limits.connect_wait, watch).await
        }
        Destination::Refused(why) => Err(why),
        // Until the caller gives up, as with a machine that drops what it receives.
        Destination::Silent => std::future::pending().await,
    }
}

/// Both legs of a flow that stands.
pub(crate) struct Legs {
    pub(crate) inside: InsideStream,
    pub(crate) outside: Arc<HostStream>,
}

/// A flow that stands: in a box, because whoever waits for it holds it in a task that idles.
pub(crate) struct Relayed {
    pump: Pump,
    flow: Arc<Flow>,
    row: LiveRow,
    stood: Instant,
}

impl Relayed {
    /// Both ends know that it stands; `elapsed` is what that took.
    pub(crate) fn begin(
        context: &Context,
        pool: ChunkPool,
        legs: Legs,
        (flow, row, elapsed): (Arc<Flow>, LiveRow, Duration),
    ) -> Box<Self> {
        let (inside, outside) = (Arc::new(legs.inside), legs.outside);
        context.tell(&Happening::FlowConnected {
            flow: flow.clone(),
            outside: outside.local_addr().ok(),
            elapsed,
        });
        row.set_state(SocketState::Established);
        row.set_far(Arc::new(FlowSockets {
            host: Arc::downgrade(&outside),
            inside: Arc::downgrade(&inside),
        }));
        let limits = context.config.limits;
        Box::new(Self {
            pump: Pump::new(inside, outside, pool, &limits),
            flow,
            row,
            stood: Instant::now(),
        })
    }

    /// Moves octets until the conversation is over.
    pub(crate) async fn run(mut self: Box<Self>, context: &Context) {
        let how = match self.pump.run(&self.row).await {
            Stop::Finished => Ending::Finished,
            // Rare, and may take its time.
            stop => Box::pin(self.pump.finish(stop)).await,
        };
        self.end(context, how);
    }

    fn end(self, context: &Context, how: Ending) {
        let Self {
            pump,
            flow,
            mut row,
            stood,
        } = self;
        row.set_figures(pump.figures());
        let (received, sent) = row.octets();
        row.end_as(match how {
            Ending::Finished => SocketState::TimeWait,
            Ending::ResetOutside | Ending::ResetInside => SocketState::Reset,
            Ending::TimedOut => SocketState::NoAnswer,
            Ending::HostFailed(_) => SocketState::Done,
        });
        drop(pump);
        context.tell(&Happening::FlowEnded {
            flow,
            how,
            received,
            sent,
            elapsed: stood.elapsed(),
        });
    }
}

/// What a row shows of a flow that was turned away.
pub(crate) fn ended_state(why: &Refused) -> SocketState {
    match why {
        Refused::TimedOut => SocketState::NoAnswer,
        Refused::NetworkUnreachable { .. }
        | Refused::HostUnreachable { .. }
        | Refused::OtherUnreachable { .. } => SocketState::Unreachable,
        _ => SocketState::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Octets of the future that `make` makes.
    fn size<A, B, C, F>(_make: fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_flow_that_idles_is_a_small_task() {
        let (task, relayed) = (size(relay), size_of::<Relayed>());
        println!("task {task}, relayed {relayed}");
        assert!(task + relayed <= 1_024, "{task} + {relayed} octets");
    }
}

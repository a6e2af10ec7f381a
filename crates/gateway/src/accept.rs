//! Takes the network's flows: one task for each.

use std::sync::Arc;
use std::time::Duration;

use switchboard::{IncomingFlow, IncomingFlows, IncomingTcp, IncomingUdp};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use crate::context::{Context, Ends};
use crate::destination;
use crate::echo::EchoRelay;
use crate::observer::{Refused, Transport};
use crate::outside::chunk::ChunkPool;
use crate::{tcp_relay, udp_relay};

/// Starts a task for each flow that comes.
pub(crate) struct Acceptor {
    context: Arc<Context>,
    pool: ChunkPool,
    tcp: Arc<Semaphore>,
    udp: Arc<Semaphore>,
    echo: EchoRelay,
}

impl Acceptor {
    pub(crate) fn new(context: Arc<Context>, pool: ChunkPool) -> Self {
        let limits = &context.config.limits;
        let places = |count| Arc::new(Semaphore::new(count));
        let (tcp, udp) = match limits.flows {
            // One bound for both: they take each other's places.
            Some(flows) => {
                let both = places(flows.min(Semaphore::MAX_PERMITS));
                (both.clone(), both)
            }
            None => (places(limits.tcp_flows), places(limits.udp_mappings)),
        };
        Self {
            tcp,
            udp,
            echo: EchoRelay::new(context.clone()),
            context,
            pool,
        }
    }

    /// Takes flows until the network ends.
    pub(crate) async fn run(mut self, mut incoming: IncomingFlows, tasks: &mut JoinSet<()>) {
        loop {
            tokio::select! {
                flow = incoming.next() => match flow {
                    Some(IncomingFlow::Tcp(flow)) => self.tcp(flow, tasks),
                    Some(IncomingFlow::Udp(flow)) => self.udp(flow, tasks),
                    Some(IncomingFlow::Echo(request)) => self.echo.take(request, tasks),
                    None => return,
                },
                Some(ended) = tasks.join_next(), if !tasks.is_empty() => {
                    if let Err(error) = ended
                        && error.is_panic()
                    {
                        tracing::error!(%error, "a relay task panicked");
                    }
                }
            }
        }
    }

    fn tcp(&self, incoming: IncomingTcp, tasks: &mut JoinSet<()>) {
        let (context, pool) = (self.context.clone(), self.pool.clone());
        let permit = self.tcp.clone().try_acquire_owned();
        let Ok(permit) = permit else {
            let ends = Ends {
                from: incoming.remote(),
                to: incoming.local(),
            };
            let why = self.over_limit(Transport::Tcp, ends);
            return incoming.refuse(destination::refusal(&why));
        };
        tasks.spawn(held(permit, tcp_relay::relay(context, pool, incoming)));
    }

    fn udp(&self, incoming: IncomingUdp, tasks: &mut JoinSet<()>) {
        let (context, pool) = (self.context.clone(), self.pool.clone());
        let permit = self.udp.clone().try_acquire_owned();
        let Ok(permit) = permit else {
            let ends = Ends {
                from: incoming.remote(),
                to: incoming.local(),
            };
            let why = self.over_limit(Transport::Udp, ends);
            return incoming.refuse(destination::refusal(&why));
        };
        tasks.spawn(held(permit, udp_relay::relay(context, pool, incoming)));
    }

    fn over_limit(&self, transport: Transport, ends: Ends) -> Refused {
        let what = match transport {
            Transport::Tcp => "connections",
            Transport::Udp => "UDP sockets",
            Transport::Echo => "pings",
        };
        let why = Refused::LimitReached(what);
        let flow = self.context.flow(transport, ends);
        self.context
            .tell_refused(&flow, why.clone(), Duration::ZERO);
        why
    }
}

/// A task that gives its place back when it ends.
async fn held(permit: OwnedSemaphorePermit, task: impl Future<Output = ()>) {
    task.await;
    drop(permit);
}

//! A conversation with one of our own stream services, as people see it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use switchboard::net::TcpStream;
use switchboard_wire::{Endpoint, Protocol};

use crate::context::{Context, Ends};
use crate::figures::FarFigures;
use crate::observer::{Ending, Flow, Happening, Transport};
use crate::registry::{LiveRow, SocketState};

/// Tells of the conversation and keeps its two rows for as long as it lives.
pub(crate) struct Visit {
    context: Arc<Context>,
    pub(crate) flow: Arc<Flow>,
    program: LiveRow,
    /// Our own end's row; it goes when the visit does.
    own: LiveRow,
    stood: Instant,
}

impl Visit {
    /// `remote` has called us at `local`.
    pub(crate) fn begin(context: &Arc<Context>, remote: SocketAddr, local: SocketAddr) -> Self {
        let ends = Ends {
            from: remote,
            to: local,
        };
        let flow = context.flow(Transport::Tcp, ends);
        context.tell(&Happening::FlowOpening { flow: flow.clone() });
        context.tell(&Happening::FlowConnected {
            flow: flow.clone(),
            outside: None,
            elapsed: Duration::ZERO,
        });
        let state = SocketState::Established;
        Self {
            program: context.registry.add_flow(&flow, Protocol::Tcp, state),
            own: context
                .registry
                .add_builtin(Endpoint::tcp(local), Some(remote), state),
            context: context.clone(),
            flow,
            stood: Instant::now(),
        }
    }

    /// Takes the connection's own figures.
    pub(crate) fn look_at(&self, stream: &TcpStream) {
        if let Ok(info) = stream.info() {
            let figures = FarFigures {
                rtt: info.srtt,
                resent: Some(info.retransmits),
            };
            self.program.set_figures(figures);
            self.own.set_figures(figures);
            self.program
                .set_octets(info.octets_sent, info.octets_received);
            self.own.set_octets(info.octets_received, info.octets_sent);
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.program.end_as(SocketState::TimeWait);
        let (received, sent) = self.program.octets();
        self.context.tell(&Happening::FlowEnded {
            flow: self.flow.clone(),
            how: Ending::Finished,
            received,
            sent,
            elapsed: self.stood.elapsed(),
        });
    }
}

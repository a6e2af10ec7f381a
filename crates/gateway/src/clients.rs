//! Rows for those who talk to our own datagram services: a row each, open while they ask,
//! done when they have fallen silent.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use switchboard_wire::Protocol;

use crate::context::{Context, Ends};
use crate::observer::{Flow, Transport};
use crate::registry::{LiveRow, SocketState, lock};

/// A client that asks nothing for this long has gone.
const GONE_AFTER: Duration = Duration::from_secs(10);

/// Clients that are remembered at once.
const CLIENTS_MAX: usize = 4096;

/// The clients of one datagram service.
pub(crate) struct Clients {
    context: Arc<Context>,
    service: SocketAddr,
    table: Mutex<HashMap<SocketAddr, Client>>,
}

struct Client {
    flow: Arc<Flow>,
    row: LiveRow,
    last: Instant,
}

impl Clients {
    pub(crate) fn new(context: Arc<Context>, service: SocketAddr) -> Self {
        Self {
            context,
            service,
            table: Mutex::default(),
        }
    }

    /// A client asks something of `octets`; its conversation with us.
    pub(crate) fn asks(&self, client: SocketAddr, octets: usize) -> Arc<Flow> {
        let now = Instant::now();
        let mut table = lock(&self.table);
        if let Some(known) = table.get_mut(&client)
            && known.last + GONE_AFTER > now
        {
            known.last = now;
            known.row.set_state(SocketState::Open);
            known.row.add_sent(octets);
            return known.flow.clone();
        }
        table.retain(|_, client| client.last + GONE_AFTER > now);
        let ends = Ends {
            from: client,
            to: self.service,
        };
        let flow = self.context.flow(Transport::Udp, ends);
        let row = self
            .context
            .registry
            .add_flow(&flow, Protocol::Udp, SocketState::Open);
        row.add_sent(octets);
        if table.len() < CLIENTS_MAX {
            let flow = flow.clone();
            let last = now;
            table.insert(client, Client { flow, row, last });
        }
        flow
    }

    /// It was answered with `octets`.
    pub(crate) fn answered(&self, client: SocketAddr, octets: usize) {
        if let Some(known) = lock(&self.table).get(&client) {
            known.row.add_received(octets);
            known.row.set_state(SocketState::Done);
        }
    }
}

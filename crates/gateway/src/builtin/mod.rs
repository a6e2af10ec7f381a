//! The built-in desks at `.4`: a web server that shows the sockets of this run, and echo.
//!
//! All of it stands on our own sockets: `axum` on the stack's listener.

mod echo;
mod html;
mod page;
mod text;
mod web;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use switchboard::Net;
use switchboard::net::{TcpListener, UdpSocket};
use switchboard_wire::Endpoint;
use tokio::task::JoinSet;

use crate::context::Context;
use crate::registry::{LiveRow, SocketState};

/// The port of the web server.
const WEB: u16 = 80;

/// The port of the echo service (RFC 862).
const ECHO: u16 = 7;

/// The built-in services with their ports open.
pub(crate) struct BuiltIn {
    context: Arc<Context>,
    web: Vec<TcpListener>,
    echo_tcp: Vec<TcpListener>,
    echo_udp: Vec<UdpSocket>,
}

impl BuiltIn {
    pub(crate) async fn bind(net: &Net, context: &Arc<Context>) -> io::Result<Self> {
        let mut services = Self {
            context: context.clone(),
            web: Vec::new(),
            echo_tcp: Vec::new(),
            echo_udp: Vec::new(),
        };
        for address in context.config.builtin.addresses() {
            let web = SocketAddr::new(address, WEB);
            let echo = SocketAddr::new(address, ECHO);
            services.web.push(net.tcp_listen(web).await?);
            services.echo_tcp.push(net.tcp_listen(echo).await?);
            services.echo_udp.push(net.udp_bind(echo).await?);
        }
        Ok(services)
    }

    pub(crate) fn start(self, tasks: &mut JoinSet<()>) {
        for listener in self.web {
            tasks.spawn(web::serve(self.context.clone(), listener));
        }
        for listener in self.echo_tcp {
            tasks.spawn(echo::serve_tcp(self.context.clone(), listener));
        }
        for socket in self.echo_udp {
            tasks.spawn(echo::serve_udp(self.context.clone(), socket));
        }
    }
}

/// The row of a listener of ours.
fn listening(context: &Context, listener: &TcpListener) -> Option<LiveRow> {
    let local = listener.local_addr().ok()?;
    let endpoint = Endpoint::tcp(local);
    let registry = &context.registry;
    Some(registry.add_builtin(endpoint, None, SocketState::Listen))
}

//! Two of our stacks joined in memory: the program, and a gateway with the built-in desks.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use switchboard::device::Offloads;
use switchboard::device::pipe;
use switchboard::device::tee::{Direction, PacketSink, PacketView, Tee};
use switchboard::{Cidr, Clock, Net};
use switchboard_gateway::{Gateway, GatewayConfig, Happening, HostLoopback, Observer, Refused};
use switchboard_wire::Instant;
use switchboard_wire::line::Side;

use super::packets::PacketLog;

/// What Ethernet has; so the packets look as they do in a book.
const MTU: usize = 1500;
/// Packets that may wait on the line in each direction.
const LINE: usize = 1024;

/// The network of one conversation.
pub(super) struct Network {
    net: Net,
    /// The gateway's network; it ends when this is dropped.
    _far: Net,
    config: GatewayConfig,
    log: PacketLog,
    beyond: Arc<Beyond>,
}

impl Network {
    /// Puts it up.
    pub(super) async fn start() -> io::Result<Self> {
        let config = GatewayConfig {
            host_loopback: HostLoopback::AtGateway,
            ..GatewayConfig::default()
        };
        let (near, far) = pipe::pair(MTU, Offloads::default(), LINE);
        let log = PacketLog::default();
        let clock = Clock::start();
        let near = Tee::new(near, log.clone(), move || clock.now());
        let program = config
            .program
            .addresses()
            .map(|address| Cidr::from(address).to_string());
        let mut net = Net::builder().clock(clock);
        for address in program {
            net = net.address(address.parse().map_err(io::Error::other)?);
        }
        let net = net.build(near)?;
        let far = config.network().build(far)?;
        let beyond = Arc::new(Beyond::default());
        let gateway = Gateway::builder(far.clone())
            .config(config.clone())
            .observer(beyond.clone())
            .build()
            .await?;
        tokio::spawn(async move { gateway.run().await });
        Ok(Self {
            net,
            _far: far,
            config,
            log,
            beyond,
        })
    }

    /// The program's network.
    pub(super) const fn net(&self) -> &Net {
        &self.net
    }

    /// Every packet at the program's end of the line.
    pub(super) const fn log(&self) -> &PacketLog {
        &self.log
    }

    /// The program's address.
    pub(super) fn program(&self) -> IpAddr {
        first(self.config.program.addresses())
    }

    /// The gateway's address, which stands for this machine.
    pub(super) fn gateway(&self) -> IpAddr {
        first(self.config.gateway.addresses())
    }

    /// Where questions about names go.
    pub(super) fn directory(&self) -> SocketAddr {
        SocketAddr::new(first(self.config.dns.addresses()), 53)
    }

    /// Whether the built-in desks are in that building.
    pub(super) fn is_built_in(&self, building: IpAddr) -> bool {
        self.config.builtin.is(building)
    }

    /// How long this machine took to connect to `far` outside, if that is where it is.
    pub(super) fn beyond(&self, far: SocketAddr) -> Option<Duration> {
        match self.beyond.lock().get(&far) {
            Some(Ok(took)) => Some(*took),
            _ => None,
        }
    }

    /// Why the call to `far` was turned away, as the gateway knows it.
    pub(super) fn refused(&self, far: SocketAddr) -> Option<Refused> {
        match self.beyond.lock().get(&far) {
            Some(Err(why)) => Some(why.clone()),
            _ => None,
        }
    }
}

fn first(mut addresses: impl Iterator<Item = IpAddr>) -> IpAddr {
    addresses
        .next()
        .unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED))
}

/// What became of a call to the outside: how long it took to connect, or why it did not.
type Outcome = Result<Duration, Refused>;

/// The far halves: whom this machine called.
#[derive(Default)]
struct Beyond(Mutex<HashMap<SocketAddr, Outcome>>);

impl Beyond {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<SocketAddr, Outcome>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Beyond {
    fn observe(&self, happening: &Happening) {
        match happening {
            Happening::FlowConnected {
                flow,
                outside: Some(_),
                elapsed,
            } => self.lock().insert(flow.to, Ok(*elapsed)),
            Happening::FlowRefused { flow, why, .. } => {
                self.lock().insert(flow.to, Err(why.clone()))
            }
            _ => None,
        };
    }
}

impl PacketSink for PacketLog {
    fn packet(&mut self, at: Instant, direction: Direction, packet: PacketView<'_>) {
        let from = match direction {
            Direction::Outbound => Side::Near,
            Direction::Inbound => Side::Far,
        };
        packet.for_each_plain(|packet| self.push(at, from, packet));
    }
}

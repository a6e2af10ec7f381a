//! `-p`: ports of this machine that are the program's, from the start, on the way (`set`), or for
//! as long as the program listens (`auto`).

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use switchboard_gateway::{Forward, Gateway};
use switchboard_wire::Protocol;

use crate::control;
use crate::flags::ports::{PortMap, Publish, PublishChange, parse_change};

/// All of them.
#[derive(Clone)]
pub(super) struct Published {
    gateway: Arc<Gateway>,
    open: Arc<Mutex<Vec<Open>>>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    publish: Publish,
    /// Where it listens: other than asked for where the host picked the port.
    bound: SocketAddr,
}

/// Why a port is not published.
#[derive(Debug)]
pub(super) struct PublishError {
    listen: SocketAddr,
    error: io::Error,
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot publish {}: {}", self.listen, self.error)?;
        let denied = self.error.kind() == io::ErrorKind::PermissionDenied;
        if denied && self.listen.port() < 1024 {
            f.write_str("; ports below 1024 need root, and a run that is started with them")?;
        }
        Ok(())
    }
}

impl From<PublishError> for io::Error {
    fn from(error: PublishError) -> Self {
        Self::new(error.error.kind(), error.to_string())
    }
}

impl Published {
    pub(super) fn new(gateway: Arc<Gateway>) -> Self {
        Self {
            gateway,
            open: Arc::default(),
        }
    }

    fn open(&self) -> MutexGuard<'_, Vec<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes one port; says where it listens.
    pub(super) async fn publish(&self, publish: Publish) -> Result<SocketAddr, PublishError> {
        let config = self.gateway.config();
        let any_v4 = IpAddr::from([0; 4]);
        // A network without IPv6 is reached over IPv4, whoever calls.
        let inside = config.program.of_family(publish.listen.ip());
        let inside = inside.or(config.program.of_family(any_v4));
        let forward = Forward {
            protocol: publish.protocol,
            listen: publish.listen,
            target: SocketAddr::new(inside.unwrap_or(any_v4), publish.port),
        };
        let bound = self.gateway.forward(forward).await;
        let bound = bound.map_err(|error| PublishError {
            listen: publish.listen,
            error,
        })?;
        self.open().push(Open { publish, bound });
        Ok(bound)
    }

    /// Publishes all ports of a map, or none.
    pub(super) async fn publish_all(&self, ports: &PortMap) -> Result<(), PublishError> {
        let mut done = Vec::new();
        for publish in ports.each() {
            match self.publish(publish).await {
                Ok(bound) => done.push((publish.protocol, bound)),
                Err(error) => {
                    for (protocol, bound) in done {
                        self.take_back(protocol, bound).await;
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Takes one port back. Whether it was published.
    pub(super) async fn take_back(&self, protocol: Protocol, bound: SocketAddr) -> bool {
        let is_it = |open: &Open| open.publish.protocol == protocol && open.bound == bound;
        self.open().retain(|open| !is_it(open));
        self.gateway.close_forward(protocol, bound).await
    }

    /// Takes all ports of a map back.
    async fn take_all_back(&self, ports: &PortMap) -> Result<(), String> {
        for wanted in ports.each() {
            let found = self.open().iter().copied().find(|open| {
                let asked = open.publish.listen == wanted.listen || open.bound == wanted.listen;
                asked && open.publish.protocol == wanted.protocol
            });
            let Some(open) = found else {
                return Err(format!("{} is not published", wanted.listen));
            };
            self.take_back(wanted.protocol, open.bound).await;
        }
        Ok(())
    }

    /// A change as `set -p` has it.
    pub(super) async fn change(&self, text: &str) -> Result<(), String> {
        match parse_change(text)? {
            PublishChange::Add(ports) => {
                let published = self.publish_all(&ports).await;
                published.map_err(|error| error.to_string())
            }
            PublishChange::Remove(ports) => self.take_all_back(&ports).await,
        }
    }

    /// Whether the program's TCP port is published by somebody's wish.
    pub(super) fn has(&self, port: u16) -> bool {
        let mut open = self.open().clone().into_iter();
        open.any(|open| open.publish.protocol == Protocol::Tcp && open.publish.port == port)
    }

    /// As other commands are told.
    pub(super) fn list(&self) -> Vec<control::Published> {
        let told = |open: &Open| control::Published {
            listen: format!("{}://{}", open.publish.protocol, open.bound),
            port: open.publish.port,
        };
        self.open().iter().map(told).collect()
    }
}

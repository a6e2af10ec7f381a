//! Forwarding between devices: a router in this process.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use switchboard_core::limits::Limits;
use switchboard_core::{
    Cidr, Entropy, Offloads, PortConfig, PortId, Router as Core, RouterStats, RxPacket, Transmit,
};
use switchboard_device::Device;
use switchboard_device::pipe::{self, Pipe};
use tokio::runtime::Handle;

use crate::builder::random_seed;
use crate::clock::Clock;

/// Packets taken from a port at once, under the lock.
const BATCH: usize = 64;

/// Batches of one turn, before other tasks of the runtime get theirs.
const BATCHES_PER_TURN: usize = 4;

/// Packets that wait for a port whose device is busy: as many as a Linux TUN's queue has by
/// half. What comes beyond is dropped and counted, as on any router.
const QUEUE: usize = 256;

/// Packets that the pipe of an attached network holds in each direction.
const PIPE: usize = 256;

/// Octets of the longest packet of an attached network's pipe.
const PIPE_MTU: usize = 1500;

/// A router: several [`Device`]s, and packets forwarded between them by their destination.
///
/// Each port has the router's own addresses there, whose networks are reached by it; further
/// routes are added. The longest prefix counts. Hop limits are spent, ICMP errors are sent and
/// limited as RFC 1812 and RFC 4443 have them, IPv4 without DF is fragmented where the next
/// link is shorter, and super-segments go on whole where both devices take them.
///
/// One task for each port, on the runtime that is current when the port is added. Cloning gives
/// another handle; when the last one is dropped the router ends and its devices are dropped.
///
/// ```
/// use switchboard::{Net, Router};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let router = Router::new()?;
/// // A network of this process on each side; any other device is added with `add_port`.
/// let (_, west) = router.attach(["10.1.0.1/24".parse()?])?;
/// let (_, east) = router.attach(["10.2.0.1/24".parse()?])?;
/// let west = Net::builder().address("10.1.0.2/24".parse()?).build(west)?;
/// let east = Net::builder().address("10.2.0.2/24".parse()?).build(east)?;
///
/// let listener = east.tcp_listen("10.2.0.2:80").await?;
/// let (accepted, connected) = tokio::join!(listener.accept(), west.tcp_connect("10.2.0.2:80"));
/// assert_eq!(accepted?.1, connected?.local_addr()?);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Router {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
}

/// What the handles and the tasks of the ports share.
struct Shared {
    state: Mutex<State>,
    clock: Clock,
}

struct State {
    core: Core,
    ports: BTreeMap<PortId, Port>,
}

struct Port {
    device: Box<dyn Device>,
    /// What the device has refused so far, in order.
    queue: VecDeque<Transmit>,
    /// The port's task, to be woken when its queue begins or the port is taken away.
    waker: Option<Waker>,
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router").finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Dropped after the lock is given back: a device may wake whoever is at its other end.
        let ports = std::mem::take(&mut self.shared.lock().ports);
        for port in ports.into_values() {
            wake(port.waker);
        }
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl Router {
    /// A router without ports.
    ///
    /// # Errors
    ///
    /// The system has no random numbers.
    pub fn new() -> io::Result<Self> {
        Ok(Self::with_seed(random_seed()?))
    }

    /// The same with what is random in it (identifications of packets that it makes, keys)
    /// following from `seed`, for tests.
    #[must_use]
    pub fn with_seed(seed: [u8; 32]) -> Self {
        let core = Core::new(&Limits::default(), Entropy::from_seed(seed));
        let state = State {
            core,
            ports: BTreeMap::new(),
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            clock: Clock::start(),
        });
        Self {
            inner: Arc::new(Inner { shared }),
        }
    }

    /// Adds a port: `device`, and the router's own `addresses` there, the networks of which are
    /// reached by it. Its task runs on the current runtime.
    ///
    /// # Errors
    ///
    /// There is no current tokio runtime.
    pub fn add_port(
        &self,
        device: impl Device,
        addresses: impl IntoIterator<Item = Cidr>,
    ) -> io::Result<PortId> {
        self.add(device, addresses, false)
    }

    /// The same for a device with several machines behind it that may reach each other through
    /// the router: packets may leave by the port that they came from. Elsewhere such a packet is
    /// answered with "unreachable", because it would go to and fro.
    ///
    /// # Errors
    ///
    /// As [`add_port`](Self::add_port).
    pub fn add_shared_port(
        &self,
        device: impl Device,
        addresses: impl IntoIterator<Item = Cidr>,
    ) -> io::Result<PortId> {
        self.add(device, addresses, true)
    }

    /// Adds a port that is a pipe in memory with an MTU of 1500 octets, and hands out its other
    /// end: for a [`Net`](crate::Net) of this process. Super-segments cross it whole.
    ///
    /// # Errors
    ///
    /// As [`add_port`](Self::add_port).
    pub fn attach(&self, addresses: impl IntoIterator<Item = Cidr>) -> io::Result<(PortId, Pipe)> {
        let offloads = switchboard_device::Offloads {
            checksum: true,
            tso4: true,
            tso6: true,
            uso: true,
        };
        let (own, other) = pipe::pair(PIPE_MTU, offloads, PIPE);
        Ok((self.add_port(own, addresses)?, other))
    }

    fn add(
        &self,
        device: impl Device,
        addresses: impl IntoIterator<Item = Cidr>,
        hairpin: bool,
    ) -> io::Result<PortId> {
        let runtime = Handle::try_current().map_err(io::Error::other)?;
        let offloads = device.offloads();
        let config = PortConfig {
            addresses: addresses.into_iter().collect(),
            mtu: device.mtu(),
            offloads: Offloads {
                checksum: offloads.checksum,
                tso4: offloads.tso4,
                tso6: offloads.tso6,
                uso: offloads.uso,
            },
            hairpin,
        };
        let port = Port {
            device: Box::new(device),
            queue: VecDeque::new(),
            waker: None,
        };
        let mut state = self.inner.shared.lock();
        let id = state.core.add_port(config);
        state.ports.insert(id, port);
        drop(state);
        let task = PortTask {
            shared: Arc::clone(&self.inner.shared),
            id,
            batch: Vec::with_capacity(BATCH),
            woken: Vec::new(),
        };
        // Its turns are bounded by a budget of their own.
        runtime.spawn(tokio::task::coop::unconstrained(task));
        Ok(id)
    }

    /// Takes a port away, with its addresses and the routes by it; its device is dropped.
    pub fn remove_port(&self, port: PortId) {
        let removed = self.inner.shared.lock().remove(port);
        if let Some(removed) = removed {
            wake(removed.waker);
        }
    }

    /// What goes to `network` leaves by `port`; the longest prefix counts. A route to the same
    /// network is replaced.
    pub fn add_route(&self, network: Cidr, port: PortId) {
        self.inner.shared.lock().core.add_route(network, port);
    }

    /// Forgets the route to `network`. Says whether there was one.
    pub fn remove_route(&self, network: Cidr) -> bool {
        self.inner.shared.lock().core.remove_route(network)
    }

    /// Counters since it began.
    #[must_use]
    pub fn stats(&self) -> RouterStats {
        self.inner.shared.lock().core.stats().clone()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The router's logic does not panic; if a device did, the tables are whole all the same.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remove(&mut self, port: PortId) -> Option<Port> {
        self.core.remove_port(port);
        self.ports.remove(&port)
    }
}

/// What became of a transmit.
enum Offered {
    /// The device or the queue has it.
    Taken,
    /// It is the first of its queue: somebody must wait for the device.
    Queued,
    /// There is no room.
    Full,
    /// The device takes nothing any more.
    Gone,
}

impl Port {
    fn offer(&mut self, transmit: Transmit) -> Offered {
        if !self.queue.is_empty() {
            if self.queue.len() >= QUEUE {
                return Offered::Full;
            }
            self.queue.push_back(transmit);
            return Offered::Taken;
        }
        match self.device.try_send(&transmit) {
            Ok(()) => Offered::Taken,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.queue.push_back(transmit);
                Offered::Queued
            }
            Err(_) => Offered::Gone,
        }
    }

    /// Gives the device what waits for it. False: it takes nothing any more.
    fn drain(&mut self, cx: &mut Context<'_>) -> bool {
        while let Some(transmit) = self.queue.front() {
            match self.device.try_send(transmit) {
                Ok(()) => {
                    self.queue.pop_front();
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return false,
            }
            match self.device.poll_send_ready(cx) {
                Poll::Pending => return true,
                // It refused a moment ago: ask again on a turn of its own, not in a loop under
                // the lock.
                Poll::Ready(Ok(())) => {
                    cx.waker().wake_by_ref();
                    return true;
                }
                Poll::Ready(Err(_)) => return false,
            }
        }
        true
    }
}

/// Runs one port: what its device receives goes on, and what waits for its device goes out.
struct PortTask {
    shared: Arc<Shared>,
    id: PortId,
    batch: Vec<RxPacket>,
    woken: Vec<Waker>,
}

impl PortTask {
    /// One time under the lock. `Ready`: the port is gone, or there may be more (`true`).
    fn one_batch(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        let State { core, ports } = &mut *state;
        let Some(port) = ports.get_mut(&self.id) else {
            return Poll::Ready(false);
        };
        match &mut port.waker {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            place => *place = Some(cx.waker().clone()),
        }
        let now = shared.clock.now();
        let takes = port.drain(cx);
        let received = port.device.poll_recv(cx, &|| now, BATCH, &mut self.batch);
        let is_gone = match &received {
            // What it sent before its far end went is still to be forwarded.
            Poll::Pending => !takes,
            Poll::Ready(Ok(count)) => *count == 0,
            Poll::Ready(Err(error)) => {
                tracing::debug!(%error, "a router's device failed");
                true
            }
        };
        if is_gone {
            let removed = state.remove(self.id);
            drop(state);
            drop(removed);
            return Poll::Ready(false);
        }
        let (mut full, mut gone) = (0, 0);
        for packet in self.batch.drain(..) {
            core.handle_packet(now, self.id, &packet, &mut |by, transmit| {
                let port = ports.get_mut(&by);
                match port.map(|port| (port.offer(transmit), port)) {
                    Some((Offered::Taken, _)) => {}
                    Some((Offered::Queued, port)) => self.woken.extend(port.waker.take()),
                    Some((Offered::Full, _)) => full += 1,
                    Some((Offered::Gone, _)) | None => gone += 1,
                }
            });
        }
        (0..full).for_each(|_| core.on_port_full());
        (0..gone).for_each(|_| core.on_port_gone());
        drop(state);
        self.woken.drain(..).for_each(Waker::wake);
        match received {
            Poll::Pending => Poll::Pending,
            Poll::Ready(_) => Poll::Ready(true),
        }
    }
}

impl Future for PortTask {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..BATCHES_PER_TURN {
            match self.one_batch(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(true) => {}
                Poll::Ready(false) => return Poll::Ready(()),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

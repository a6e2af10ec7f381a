//! A network: one stack, or two with a link between them, behind one lock, with a clock.
//!
//! Every call goes through [`Network::with`]: lock, tell the stacks the time, do it, carry the
//! packets that came of it, tell whoever waits. What has to be done without a call (packets that
//! arrive, timers) the driver thread does (`driver`), or, in virtual time, whoever moves the
//! clock (`clock`).

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use slab::Slab;
use switchboard_core::{
    Config, Entropy, Event, Instant, ListenerId, RxPacket, Stack, TcpId, UdpId,
};

use crate::clock::{Clock, Members, Virtual};
use crate::errno::Errno;
use crate::kernel;
use crate::link::Link;
use crate::signal::{Signal, lock};
use crate::socket::Socket;

/// Key of a socket in `State::sockets`.
pub(crate) type SocketKey = usize;

/// See above.
pub(crate) struct Network {
    state: Mutex<State>,
    pub(crate) clock: Clock,
    /// Virtual time: sleepers wait here, by the lock of `state`.
    pub(crate) moved: Condvar,
    /// Wakes the driver thread; there is none in virtual time.
    pub(crate) bell: Option<OwnedFd>,
}

/// What the lock protects.
pub(crate) struct State {
    pub(crate) hosts: Vec<Host>,
    pub(crate) sockets: Slab<Socket>,
    /// Descriptors of stacks that the application holds.
    pub(crate) handles: usize,
    /// When the driver thread looks again by itself.
    pub(crate) driver_until: Option<Instant>,
    pub(crate) virtual_time: Virtual,
}

/// One stack and its way out.
pub(crate) struct Host {
    pub(crate) stack: Stack,
    pub(crate) link: Link,
    tcp: HashMap<TcpId, SocketKey>,
    listeners: HashMap<ListenerId, SocketKey>,
    udp: HashMap<UdpId, SocketKey>,
}

impl Host {
    pub(crate) fn new(config: Config, seed: [u8; 32], link: Link) -> Self {
        Self {
            stack: Stack::new(config, Entropy::from_seed(seed)),
            link,
            tcp: HashMap::new(),
            listeners: HashMap::new(),
            udp: HashMap::new(),
        }
    }

    pub(crate) fn own_tcp(&mut self, id: TcpId, key: SocketKey) {
        self.tcp.insert(id, key);
    }

    pub(crate) fn own_listener(&mut self, id: ListenerId, key: SocketKey) {
        self.listeners.insert(id, key);
    }

    pub(crate) fn own_udp(&mut self, id: UdpId, key: SocketKey) {
        self.udp.insert(id, key);
    }

    pub(crate) fn disown_tcp(&mut self, id: TcpId) {
        self.tcp.remove(&id);
    }

    pub(crate) fn disown_listener(&mut self, id: ListenerId) {
        self.listeners.remove(&id);
    }

    pub(crate) fn disown_udp(&mut self, id: UdpId) {
        self.udp.remove(&id);
    }

    fn owner(&self, event: Event) -> Option<SocketKey> {
        match event {
            Event::Tcp(id, _) => self.tcp.get(&id),
            Event::Acceptable(id) => self.listeners.get(&id),
            Event::Udp(id, _) => self.udp.get(&id),
            // Only stacks that take any address, or are asked for echoes, say these.
            Event::Incoming(_) | Event::FlowGone(_) | Event::EchoRequested => None,
            // No descriptor of ours is one of these.
            Event::Ping(..) | Event::Raw(..) => None,
        }
        .copied()
    }
}

impl State {
    /// A socket and the host that it is on.
    pub(crate) fn socket(&mut self, key: SocketKey) -> Result<(&mut Socket, &mut Host), Errno> {
        let socket = self.sockets.get_mut(key).ok_or(Errno::EBADF)?;
        let host = self.hosts.get_mut(socket.host).ok_or(Errno::EBADF)?;
        Ok((socket, host))
    }

    /// When something is due without a call.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let deadlines = self
            .hosts
            .iter()
            .filter_map(|host| host.stack.poll_timeout());
        deadlines.min()
    }

    /// Does what is due.
    pub(crate) fn handle_timeouts(&mut self, now: Instant) {
        for host in &mut self.hosts {
            if host.stack.poll_timeout().is_some_and(|due| due <= now) {
                host.stack.handle_timeout(now);
            }
        }
    }

    /// A packet arrived at a host.
    pub(crate) fn receive(&mut self, host: usize, now: Instant, packet: Bytes) {
        if let Some(host) = self.hosts.get_mut(host) {
            host.stack.handle_packet(now, RxPacket::new(packet, now));
        }
    }

    /// Links that wait for their descriptors to be writable.
    fn backed_up(&self) -> usize {
        let links = self.hosts.iter().map(|host| &host.link);
        links.filter(|link| link.is_backed_up()).count()
    }

    /// Carries packets until there are none, then tells sockets of their news.
    pub(crate) fn pump(&mut self, now: Instant) {
        while (0..self.hosts.len()).any(|host| self.transmit(host, now)) {}
        for index in 0..self.hosts.len() {
            while let Some(host) = self.hosts.get_mut(index)
                && let Some(event) = host.stack.poll_event()
            {
                let socket = host.owner(event).and_then(|key| self.sockets.get_mut(key));
                if let Some(socket) = socket {
                    socket.watchers.tell();
                }
            }
        }
    }

    /// Carries what one host has to send; whether there was anything.
    fn transmit(&mut self, index: usize, now: Instant) -> bool {
        let mut any = false;
        while let Some(host) = self.hosts.get_mut(index)
            && host.link.is_ready()
            && let Some(transmit) = host.stack.poll_transmit(now)
        {
            any = true;
            let packet = transmit.to_bytes();
            if let Link::Peer(peer) = host.link {
                self.receive(peer, now, packet);
            } else {
                host.link.send(now, packet);
            }
        }
        any
    }

    /// Whether nobody needs it any more: no descriptor, and nothing left that has to be sent.
    pub(crate) fn is_over(&self) -> bool {
        let mut stacks = self.hosts.iter().map(|host| &host.stack);
        self.handles == 0
            && self.sockets.is_empty()
            && stacks.all(|stack| {
                stack
                    .sockets()
                    .all(|entry| entry.state == Some(switchboard_core::State::TimeWait))
            })
    }
}

impl Network {
    /// A network of these hosts. In real time it needs a thread that drives it: `start`.
    pub(crate) fn new(hosts: Vec<Host>, clock: Clock) -> Result<Arc<Self>, Errno> {
        let is_real = matches!(clock, Clock::Real(_));
        let bell = is_real.then(kernel::eventfd).transpose()?;
        Ok(Arc::new(Self {
            state: Mutex::new(State {
                hosts,
                sockets: Slab::new(),
                handles: 0,
                driver_until: Some(Instant::ZERO),
                virtual_time: Virtual::default(),
            }),
            clock,
            moved: Condvar::new(),
            bell,
        }))
    }

    /// Starts the thread that drives it in real time until nobody needs it any more. Somebody has
    /// to hold it by then.
    pub(crate) fn start(self: &Arc<Self>) -> Result<(), Errno> {
        match self.clock {
            Clock::Real(_) => crate::driver::spawn(self),
            Clock::Virtual | Clock::Driven => Ok(()),
        }
    }

    /// The lock; in virtual time the thread takes part from now on.
    pub(crate) fn lock(self: &Arc<Self>) -> MutexGuard<'_, State> {
        let mut state = lock(&self.state);
        if matches!(self.clock, Clock::Virtual) {
            Members::join(self, &mut state.virtual_time);
        }
        state
    }

    /// The lock, for one who does not take part.
    pub(crate) fn lock_apart(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The time.
    pub(crate) fn now(&self, state: &State) -> Instant {
        match self.clock {
            Clock::Real(began) => {
                let nanos = began.elapsed().as_nanos();
                Instant::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
            }
            Clock::Virtual | Clock::Driven => state.virtual_time.now,
        }
    }

    /// Does something to the stacks, and whatever follows from it.
    pub(crate) fn with<T>(self: &Arc<Self>, act: impl FnOnce(&mut State, Instant) -> T) -> T {
        let mut state = self.lock();
        let now = self.now(&state);
        let result = act(&mut state, now);
        self.settle(&mut state, now);
        result
    }

    /// After any input: packets, news, and an earlier end of the driver's sleep where it is due.
    pub(crate) fn settle(&self, state: &mut State, now: Instant) {
        let backed_up = state.backed_up();
        state.pump(now);
        let Some(bell) = &self.bell else {
            self.moved.notify_all();
            return;
        };
        let next = state.next_deadline();
        let is_early = match (next, state.driver_until) {
            (Some(next), Some(until)) => next < until,
            (next, None) => next.is_some(),
            (None, Some(_)) => false,
        };
        // A link that was backed up before, the driver waits for already.
        if is_early || state.backed_up() > backed_up {
            kernel::ring(bell.as_fd());
        }
    }

    /// Tries until `attempt` has something (`Some`), an error, or until `deadline` (`EAGAIN`),
    /// sleeping between while nothing happens to the socket.
    pub(crate) fn wait_for<T>(
        self: &Arc<Self>,
        key: SocketKey,
        deadline: Option<Instant>,
        mut attempt: impl FnMut(&mut State, Instant) -> Result<Option<T>, Errno>,
    ) -> Result<T, Errno> {
        let signal = Arc::new(Signal::default());
        let mut is_watched = false;
        let result = loop {
            let outcome = self.with(|state, now| {
                let outcome = attempt(state, now);
                if matches!(outcome, Ok(None)) {
                    if deadline.is_some_and(|deadline| deadline <= now) {
                        return Err(Errno::EAGAIN);
                    }
                    if !std::mem::replace(&mut is_watched, true) {
                        state.socket(key)?.0.watchers.add(&signal);
                    }
                }
                outcome
            });
            match outcome {
                Ok(Some(value)) => break Ok(value),
                Err(errno) => break Err(errno),
                Ok(None) => self.sleep(&signal, deadline),
            }
            signal.clear();
        };
        if is_watched && let Ok((socket, _)) = self.lock().socket(key) {
            socket.watchers.remove(&signal);
        }
        result
    }

    /// Sleeps until `signal` is fired, or until `deadline` on the network's clock.
    pub(crate) fn sleep(self: &Arc<Self>, signal: &Arc<Signal>, deadline: Option<Instant>) {
        match self.clock {
            Clock::Real(began) => {
                let nanos = deadline.map(Instant::as_nanos);
                signal.wait(nanos.map(|nanos| began + Duration::from_nanos(nanos)));
            }
            Clock::Virtual | Clock::Driven => self.sleep_virtual(signal, deadline),
        }
    }

    /// One more descriptor names a stack of this network.
    pub(crate) fn hold(self: &Arc<Self>) {
        self.lock_apart().handles += 1;
    }

    /// One less.
    pub(crate) fn release(&self) {
        self.lock_apart().handles -= 1;
        self.nudge();
    }

    /// The driver thread looks whether there is anything left to do.
    pub(crate) fn nudge(&self) {
        if let Some(bell) = &self.bell {
            kernel::ring(bell.as_fd());
        }
    }
}

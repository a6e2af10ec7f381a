//! TCP: what an application asks (RFC 9293 section 3.10.1 to 3.10.6).

use core::net::{IpAddr, SocketAddr};

use bytes::{Buf, Bytes};
use switchboard_wire::Instant;

use super::tcp_sockets::PINNED_MIN;
use super::{Owner, Stack};
use crate::config::TcpOptions;
use crate::demux::backlog::Backlog;
use crate::demux::listeners::Listener;
use crate::demux::ports::{self, EPHEMERAL_COUNT, EPHEMERAL_FIRST, PortUse};
use crate::demux::table::Holder;
use crate::demux::{FourTuple, four_tuple, plain};
use crate::error::{ConnectError, ListenError, Lost, NoSuchSocket, ReceiveError, SendError};
use crate::event::Readiness;
use crate::slab::Key;
use crate::socket::{Accepted, ListenerId, Shutdown, TcpId};
use crate::stats::TcpInfo;
use crate::tcp::{Connection, SeqNum};

/// OPEN, active.
impl Stack {
    /// Opens a connection: SYN leaves with the next `poll_transmit`. `CONNECTED` or `ERROR`
    /// readiness follows. `local` may leave address and port open; a gateway (`any_address`)
    /// may use any local address.
    ///
    /// # Errors
    ///
    /// [`ConnectError`], of which only what can be said at once.
    pub fn call_tcp_connect(
        &mut self,
        now: Instant,
        local: Option<SocketAddr>,
        remote: SocketAddr,
        options: &TcpOptions,
    ) -> Result<TcpId, ConnectError> {
        self.open(now, local, remote, options, None)
    }

    /// Where there is `data`, with Fast Open.
    pub(super) fn open(
        &mut self,
        now: Instant,
        local: Option<SocketAddr>,
        remote: SocketAddr,
        options: &TcpOptions,
        data: Option<&mut Bytes>,
    ) -> Result<TcpId, ConnectError> {
        let remote = plain(remote);
        if remote.port() == 0
            || !self.addresses.is_unicast(remote.ip())
            || !self.has_route(remote.ip())
        {
            return Err(ConnectError::NoRoute);
        }
        if self.tcp.len() >= self.config.limits.connections {
            return Err(ConnectError::NoBuffers);
        }
        let address = self.local_address(local, remote.ip())?;
        let asked_port = local.map_or(0, |local| local.port());
        let port = if asked_port == 0 {
            self.ephemeral_port(now, address, remote)?
        } else {
            asked_port
        };
        let tuple = four_tuple(SocketAddr::new(address, port), remote);
        let hash = self.tcp_table.hash(&tuple);
        let iss_min = self.take_over(now, hash, &tuple)?;
        let params = self.open_params(now, tuple, options, iss_min);
        let syn_text = data.and_then(|data| self.syn_text(now, &params, data));
        let connection = Connection::open(now, params, syn_text);
        self.stats.connections_opened += 1;
        let key = self.enter_connection(now, connection, hash, Owner::Application);
        Ok(self.tcp_id(key))
    }

    pub(super) fn local_address(
        &self,
        local: Option<SocketAddr>,
        remote: IpAddr,
    ) -> Result<IpAddr, ConnectError> {
        let asked = local.map(|local| local.ip());
        let Some(address) = asked.filter(|asked| !asked.is_unspecified()) else {
            return self
                .addresses
                .source_for(remote)
                .ok_or(ConnectError::NoRoute);
        };
        let may = self.config.any_address || self.addresses.is_ours(address);
        if !may || address.is_ipv4() != remote.is_ipv4() {
            return Err(ConnectError::AddressNotAvailable);
        }
        Ok(address)
    }

    fn ephemeral_port(
        &mut self,
        now: Instant,
        local: IpAddr,
        remote: SocketAddr,
    ) -> Result<u16, ConnectError> {
        let mut hash = self.ports.clone();
        let picked = ports::pick(&mut hash, local, &remote, |port| {
            if self.bound.has_port(port) {
                return PortUse::Taken;
            }
            let tuple = four_tuple(SocketAddr::new(local, port), remote);
            match self.find_tcp(self.tcp_table.hash(&tuple), &tuple) {
                None => PortUse::Free,
                Some(Holder::TimeWait(key)) => {
                    let record = self.time_waits.get(key);
                    let may = record.and_then(|record| record.time_wait.may_reopen(now));
                    may.map_or(PortUse::Taken, |_| PortUse::Reusable)
                }
                Some(_) => PortUse::Taken,
            }
        });
        self.ports = hash;
        picked.ok_or(ConnectError::NoPortLeft { remote })
    }

    /// Makes sure that nobody holds `tuple`; a record of TIME-WAIT may let go of it, and then
    /// says what our sequence numbers must start at (RFC 6191).
    fn take_over(
        &mut self,
        now: Instant,
        hash: u64,
        tuple: &FourTuple,
    ) -> Result<Option<SeqNum>, ConnectError> {
        match self.find_tcp(hash, tuple) {
            None => Ok(None),
            Some(Holder::TimeWait(key)) => {
                let record = self.time_waits.get(key);
                let iss_min = record.and_then(|record| record.time_wait.may_reopen(now));
                let iss_min = iss_min.ok_or(ConnectError::AddressInUse)?;
                self.remove_time_wait(key);
                Ok(Some(iss_min))
            }
            Some(_) => Err(ConnectError::AddressInUse),
        }
    }
}

/// OPEN, passive.
impl Stack {
    /// Listens on `local`; port 0 picks one. An unspecified address takes all of ours.
    ///
    /// # Errors
    ///
    /// [`ListenError`].
    pub fn call_tcp_listen(
        &mut self,
        local: SocketAddr,
        backlog: usize,
        options: &TcpOptions,
    ) -> Result<ListenerId, ListenError> {
        let mut local = plain(local);
        if !local.ip().is_unspecified() && !self.addresses.is_ours(local.ip()) {
            return Err(ListenError::AddressNotAvailable);
        }
        if local.port() == 0 {
            local.set_port(self.free_listening_port(local, options)?);
        } else if !self.may_listen(local, options) {
            return Err(ListenError::AddressInUse);
        }
        let key = self.listeners.insert(Listener {
            local,
            options: *options,
            backlog: Backlog::new(self.config.limits.syn_backlog, backlog),
            is_announced: false,
        });
        Ok(self.listener_id(key))
    }

    pub(super) fn may_listen(&self, local: SocketAddr, options: &TcpOptions) -> bool {
        !self.listeners.conflicts(local, options)
            && !self.bound.conflicts(local, options)
            && (options.reuse_address || !self.is_port_busy(local))
    }

    /// Whether a connection or a record of TIME-WAIT has this local port. Only asked for
    /// listeners without `SO_REUSEADDR`, which are rare: a walk is fine here.
    fn is_port_busy(&self, local: SocketAddr) -> bool {
        let is_it = |tuple: &FourTuple| {
            tuple.local.port() == local.port()
                && (local.ip().is_unspecified() || tuple.local.ip() == local.ip())
        };
        self.tcp
            .iter()
            .any(|(_, socket)| is_it(socket.connection.tuple()))
            || self.time_waits.iter().any(|record| is_it(&record.tuple))
    }

    pub(super) fn free_listening_port(
        &mut self,
        local: SocketAddr,
        options: &TcpOptions,
    ) -> Result<u16, ListenError> {
        let exclusive = TcpOptions {
            reuse_port: false,
            ..*options
        };
        let range = u64::from(EPHEMERAL_COUNT);
        let start = self.entropy.secret_u64() % range;
        (0..range)
            .find_map(|tries| {
                let port = EPHEMERAL_FIRST + u16::try_from((start + tries) % range).ok()?;
                let local = SocketAddr::new(local.ip(), port);
                let is_free = !self.bound.has_port(port) && self.may_listen(local, &exclusive);
                is_free.then_some(port)
            })
            .ok_or(ListenError::AddressInUse)
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// [`NoSuchSocket`].
    pub fn listener_local(&self, id: ListenerId) -> Result<SocketAddr, NoSuchSocket> {
        let key = self.listener_key(id)?;
        let listener = self.listeners.get(key).ok_or(NoSuchSocket)?;
        Ok(listener.local)
    }

    /// `READABLE` while a connection waits to be accepted (events are edges).
    ///
    /// # Errors
    ///
    /// [`NoSuchSocket`].
    pub fn listener_readiness(&self, id: ListenerId) -> Result<Readiness, NoSuchSocket> {
        let key = self.listener_key(id)?;
        let listener = self.listeners.get(key).ok_or(NoSuchSocket)?;
        let has_ready = listener.backlog.has_ready();
        Ok(if has_ready {
            Readiness::READABLE
        } else {
            Readiness::NONE
        })
    }

    /// The oldest connection of the backlog that stands.
    ///
    /// # Errors
    ///
    /// [`NoSuchSocket`].
    pub fn call_tcp_accept(
        &mut self,
        now: Instant,
        id: ListenerId,
    ) -> Result<Option<Accepted>, NoSuchSocket> {
        self.now = self.now.max(now);
        let listener_key = self.listener_key(id)?;
        let Some(listener) = self.listeners.get_mut(listener_key) else {
            return Err(NoSuchSocket);
        };
        while let Some(key) = listener.backlog.pop_ready() {
            let Some(socket) = self.tcp.get_mut(key) else {
                continue;
            };
            if socket.owner != Owner::Ready(listener_key) {
                continue;
            }
            socket.owner = Owner::Application;
            let FourTuple { local, remote } = *socket.connection.tuple();
            let readiness = socket.connection.readiness();
            self.tell_tcp(key, readiness);
            self.refresh(key);
            let id = self.tcp_id(key);
            return Ok(Some(Accepted { id, local, remote }));
        }
        Ok(None)
    }

    /// Stops listening; connections not accepted yet are reset.
    ///
    /// # Errors
    ///
    /// [`NoSuchSocket`].
    pub fn call_tcp_unlisten(&mut self, now: Instant, id: ListenerId) -> Result<(), NoSuchSocket> {
        let listener_key = self.listener_key(id)?;
        let mut listener = self.listeners.remove(listener_key).ok_or(NoSuchSocket)?;
        for key in listener.backlog.drain() {
            let Some(socket) = self.tcp.get_mut(key) else {
                continue;
            };
            let is_mine = matches!(
                socket.owner,
                Owner::HalfOpen(owner) | Owner::Ready(owner) if owner == listener_key
            );
            if is_mine {
                socket.owner = Owner::Nobody;
                let step = socket.connection.abort(now);
                self.after_step(key, step);
                self.forget(key);
            }
        }
        Ok(())
    }

    pub(super) fn listener_key(&self, id: ListenerId) -> Result<Key, NoSuchSocket> {
        let key = self
            .key_of(id.shard, id.index, id.generation)
            .ok_or(NoSuchSocket)?;
        self.listeners.get(key).map(|_| key).ok_or(NoSuchSocket)
    }
}

/// SEND and RECEIVE.
impl Stack {
    /// Takes from the front of `data` what there is room for, without a copy.
    ///
    /// # Errors
    ///
    /// [`SendError`]. After `WouldBlock`, `WRITABLE` follows.
    pub fn call_tcp_send(
        &mut self,
        now: Instant,
        id: TcpId,
        data: &mut Bytes,
    ) -> Result<usize, SendError> {
        let (key, allowed) = self.may_send(id)?;
        let socket = self.tcp.get_mut(key).ok_or(SendError::NoSuchSocket)?;
        let sent = if data.len() <= allowed {
            socket.connection.send(now, data)
        } else {
            let mut front = data.slice(..allowed);
            let sent = socket.connection.send(now, &mut front);
            data.advance(allowed - front.len());
            sent
        };
        self.refresh(key);
        sent
    }

    /// Copies from `data` what there is room for.
    ///
    /// # Errors
    ///
    /// [`SendError`]. After `WouldBlock`, `WRITABLE` follows.
    pub fn call_tcp_send_slice(
        &mut self,
        now: Instant,
        id: TcpId,
        data: &[u8],
    ) -> Result<usize, SendError> {
        self.send_slice(now, id, data, false)
    }

    /// As `call_tcp_send_slice`, and more follows soon (`MSG_MORE`): less than a full segment
    /// waits for it, until the next acknowledgement or a retransmission timeout long.
    ///
    /// # Errors
    ///
    /// As `call_tcp_send_slice`.
    pub fn call_tcp_send_more(
        &mut self,
        now: Instant,
        id: TcpId,
        data: &[u8],
    ) -> Result<usize, SendError> {
        self.send_slice(now, id, data, true)
    }

    fn send_slice(
        &mut self,
        now: Instant,
        id: TcpId,
        data: &[u8],
        more: bool,
    ) -> Result<usize, SendError> {
        let (key, allowed) = self.may_send(id)?;
        let socket = self.tcp.get_mut(key).ok_or(SendError::NoSuchSocket)?;
        let front = data.get(..allowed).unwrap_or(data);
        let sent = socket.connection.send_slice(now, front, more);
        self.refresh(key);
        sent
    }

    /// Sends what `TcpOptions::cork` or `call_tcp_send_more` holds back, once; the cork stays.
    ///
    /// # Errors
    ///
    /// [`NoSuchSocket`].
    pub fn call_tcp_push(&mut self, now: Instant, id: TcpId) -> Result<(), NoSuchSocket> {
        let (key, socket) = self.owned_mut(id).ok_or(NoSuchSocket)?;
        socket.connection.push(now);
        self.refresh(key);
        Ok(())
    }

    /// How many octets all buffers together leave for connection `id` to send. A little is
    /// always left to each, so that everybody can go on.
    fn may_send(&mut self, id: TcpId) -> Result<(Key, usize), SendError> {
        let (key, socket) = self.owned(id).ok_or(SendError::NoSuchSocket)?;
        let allowed = self.allowance(socket.charged);
        if allowed > 0 {
            return Ok((key, allowed));
        }
        if let Some(socket) = self.tcp.get_mut(key) {
            socket.was_refused_memory = true;
            if !core::mem::replace(&mut socket.is_waiting, true) {
                self.waiters.push_back(key);
                self.prune_waiters();
            }
        }
        Err(SendError::WouldBlock)
    }

    /// Whoever finds connection `id` not `WRITABLE` and waits, without having been refused by a
    /// send, says so here: `WRITABLE` follows once buffers are free.
    ///
    /// # Errors
    ///
    /// [`NoSuchSocket`].
    pub fn call_tcp_await_room(&mut self, id: TcpId) -> Result<(), NoSuchSocket> {
        match self.may_send(id) {
            Err(SendError::NoSuchSocket) => Err(NoSuchSocket),
            _ => Ok(()),
        }
    }

    fn allowance(&self, charged: usize) -> usize {
        let limit = self.config.limits.buffers;
        let left = limit.saturating_sub(self.stats.pinned_octets);
        left.max(PINNED_MIN.saturating_sub(charged))
    }

    /// Octets that `call_tcp_send` would take now.
    ///
    /// # Errors
    ///
    /// [`NoSuchSocket`].
    pub fn tcp_send_room(&self, id: TcpId) -> Result<usize, NoSuchSocket> {
        let (_, socket) = self.owned(id).ok_or(NoSuchSocket)?;
        let allowed = self.allowance(socket.charged);
        Ok(socket.connection.room().min(allowed))
    }

    /// The next chunk that arrived, at most `max` octets, without a copy. Empty: the peer has
    /// sent its FIN and everything before it has been read.
    ///
    /// # Errors
    ///
    /// [`ReceiveError`]. After `WouldBlock`, `READABLE` follows.
    pub fn call_tcp_receive(
        &mut self,
        now: Instant,
        id: TcpId,
        max: usize,
    ) -> Result<Bytes, ReceiveError> {
        let (key, socket) = self.owned_mut(id).ok_or(ReceiveError::NoSuchSocket)?;
        let received = socket.connection.receive(now, max);
        self.refresh(key);
        received
    }

    /// Copies what arrived into `buffer`. 0: end of stream (or an empty buffer).
    ///
    /// # Errors
    ///
    /// As `call_tcp_receive`.
    pub fn call_tcp_receive_slice(
        &mut self,
        now: Instant,
        id: TcpId,
        buffer: &mut [u8],
    ) -> Result<usize, ReceiveError> {
        let (key, socket) = self.owned_mut(id).ok_or(ReceiveError::NoSuchSocket)?;
        let received = socket.connection.receive_slice(now, buffer);
        self.refresh(key);
        received
    }

    /// As `call_tcp_receive_slice`, but the octets stay.
    ///
    /// # Errors
    ///
    /// As `call_tcp_receive`.
    pub fn call_tcp_peek(&mut self, id: TcpId, buffer: &mut [u8]) -> Result<usize, ReceiveError> {
        let (_, socket) = self.owned(id).ok_or(ReceiveError::NoSuchSocket)?;
        socket.connection.peek(buffer)
    }
}

/// CLOSE and ABORT.
impl Stack {
    /// Closes one half or both; the handle stays good.
    ///
    /// # Errors
    ///
    /// [`SendError`].
    pub fn call_tcp_shutdown(
        &mut self,
        now: Instant,
        id: TcpId,
        how: Shutdown,
    ) -> Result<(), SendError> {
        let (key, socket) = self.owned_mut(id).ok_or(SendError::NoSuchSocket)?;
        let step = socket.connection.shutdown(now, how)?;
        self.after_step(key, step);
        Ok(())
    }

    /// The application lets go: orderly close by the linger option, RST if unread data is lost
    /// (RFC 9293 section 3.6.1, MUST-12 reasoning; RFC 2525 section 2.17). The handle is stale
    /// afterwards.
    ///
    /// # Errors
    ///
    /// [`NoSuchSocket`].
    pub fn call_tcp_close(&mut self, now: Instant, id: TcpId) -> Result<(), NoSuchSocket> {
        let (key, socket) = self.owned_mut(id).ok_or(NoSuchSocket)?;
        socket.owner = Owner::Nobody;
        let step = socket.connection.close(now);
        self.after_step(key, step);
        Ok(())
    }

    /// RST, now. The handle is stale afterwards.
    ///
    /// # Errors
    ///
    /// [`NoSuchSocket`].
    pub fn call_tcp_abort(&mut self, now: Instant, id: TcpId) -> Result<(), NoSuchSocket> {
        let (key, socket) = self.owned_mut(id).ok_or(NoSuchSocket)?;
        socket.owner = Owner::Nobody;
        let step = socket.connection.abort(now);
        self.after_step(key, step);
        self.forget(key);
        Ok(())
    }
}

/// STATUS.
impl Stack {
    /// Its options.
    ///
    /// # Errors
    ///
    /// [`NoSuchSocket`].
    pub fn tcp_options(&self, id: TcpId) -> Result<TcpOptions, NoSuchSocket> {
        let (_, socket) = self.owned(id).ok_or(NoSuchSocket)?;
        Ok(socket.connection.options())
    }

    /// Changes its options.
    ///
    /// # Errors
    ///
    /// [`NoSuchSocket`].
    pub fn set_tcp_options(
        &mut self,
        now: Instant,
        id: TcpId,
        options: &TcpOptions,
    ) -> Result<(), NoSuchSocket> {
        let (key, socket) = self.owned_mut(id).ok_or(NoSuchSocket)?;
        socket.connection.set_options(now, options);
        self.refresh(key);
        Ok(())
    }

    /// State, endpoints, RTT, window, resends: what `ss -i` shows.
    ///
    /// # Errors
    ///
    /// [`NoSuchSocket`].
    pub fn tcp_info(&self, id: TcpId) -> Result<TcpInfo, NoSuchSocket> {
        let (_, socket) = self.owned(id).ok_or(NoSuchSocket)?;
        Ok(socket.connection.info(self.now))
    }

    /// What is true now (events are edges).
    ///
    /// # Errors
    ///
    /// [`NoSuchSocket`].
    pub fn tcp_readiness(&self, id: TcpId) -> Result<Readiness, NoSuchSocket> {
        let (_, socket) = self.owned(id).ok_or(NoSuchSocket)?;
        let ready = socket.connection.readiness();
        let has_room = socket.connection.room() > 0;
        if has_room && self.allowance(socket.charged) == 0 {
            // Its own queue has room, all buffers together have none.
            return Ok(ready.without(Readiness::WRITABLE));
        }
        Ok(ready)
    }

    /// Whether the peer has finished: its FIN has arrived and everything before it, read or not.
    /// A reset afterwards does not change that.
    ///
    /// # Errors
    ///
    /// [`NoSuchSocket`].
    pub fn tcp_peer_finished(&self, id: TcpId) -> Result<bool, NoSuchSocket> {
        let (_, socket) = self.owned(id).ok_or(NoSuchSocket)?;
        Ok(socket.connection.peer_finished())
    }

    /// Our endpoint and the peer's.
    ///
    /// # Errors
    ///
    /// [`NoSuchSocket`].
    pub fn tcp_endpoints(&self, id: TcpId) -> Result<(SocketAddr, SocketAddr), NoSuchSocket> {
        let (_, socket) = self.owned(id).ok_or(NoSuchSocket)?;
        let FourTuple { local, remote } = *socket.connection.tuple();
        Ok((local, remote))
    }

    /// Takes the pending error, once (`SO_ERROR`).
    ///
    /// # Errors
    ///
    /// [`NoSuchSocket`].
    pub fn take_tcp_error(&mut self, id: TcpId) -> Result<Option<Lost>, NoSuchSocket> {
        let (_, socket) = self.owned_mut(id).ok_or(NoSuchSocket)?;
        Ok(socket.connection.take_error())
    }
}

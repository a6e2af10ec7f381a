//! What becomes of connections: entered, changed by a step, let go.

use switchboard_wire::{Instant, Transmit};

use super::{Owner, Stack, TcpSocket, Way};
use crate::config::TcpOptions;
use crate::demux::FourTuple;
use crate::demux::table::Holder;
use crate::demux::time_waits::Record;
use crate::drop_reason::DropReason;
use crate::event::Readiness;
use crate::ip::egress::ip_header_len;
use crate::ready::Who;
use crate::slab::Key;
use crate::socket::{FlowId, ListenerId, PingId, RawId, State, TcpId, UdpId};
use crate::tcp::{Connection, LinkLimits, Next, OpenParams, SeqNum, Step, TimeWait};

/// Octets of a TCP header without options.
const TCP_HEADER_LEN: usize = 20;
/// The smallest segment size that we use, whatever the link: Linux's `TCP_MIN_MSS`.
const MSS_MIN: usize = 48;
/// Memory that each connection may pin although all together pin too much: enough to go on.
pub(super) const PINNED_MIN: usize = 16 << 10;

/// Names.
impl Stack {
    pub(super) fn tcp_id(&self, key: Key) -> TcpId {
        TcpId {
            shard: self.config.shard,
            index: key.index,
            generation: key.generation,
        }
    }

    pub(super) fn udp_id(&self, key: Key) -> UdpId {
        UdpId {
            shard: self.config.shard,
            index: key.index,
            generation: key.generation,
        }
    }

    pub(super) fn ping_id(&self, key: Key) -> PingId {
        PingId {
            shard: self.config.shard,
            index: key.index,
            generation: key.generation,
        }
    }

    pub(super) fn raw_id(&self, key: Key) -> RawId {
        RawId {
            shard: self.config.shard,
            index: key.index,
            generation: key.generation,
        }
    }

    pub(super) fn listener_id(&self, key: Key) -> ListenerId {
        ListenerId {
            shard: self.config.shard,
            index: key.index,
            generation: key.generation,
        }
    }

    pub(super) fn flow_id(&self, key: Key) -> FlowId {
        FlowId {
            shard: self.config.shard,
            index: key.index,
            generation: key.generation,
        }
    }

    /// The connection that the application calls `id`.
    pub(super) fn owned(&self, id: TcpId) -> Option<(Key, &TcpSocket)> {
        let key = self.key_of(id.shard, id.index, id.generation)?;
        let socket = self.tcp.get(key)?;
        (socket.owner == Owner::Application).then_some((key, socket))
    }

    /// The connection that the application calls `id`.
    pub(super) fn owned_mut(&mut self, id: TcpId) -> Option<(Key, &mut TcpSocket)> {
        let key = self.key_of(id.shard, id.index, id.generation)?;
        let socket = self.tcp.get_mut(key)?;
        (socket.owner == Owner::Application).then_some((key, socket))
    }

    /// The place that a handle names, if it is a handle of this shard.
    pub(super) fn key_of(&self, shard: u8, index: u32, generation: u32) -> Option<Key> {
        (shard == self.config.shard).then_some(Key { index, generation })
    }
}

/// Whether anybody holds a four-tuple.
impl Stack {
    pub(super) fn find_tcp(&self, hash: u64, tuple: &FourTuple) -> Option<Holder> {
        self.tcp_table.find(hash, |holder| match holder {
            Holder::Connection(key) => {
                let socket = self.tcp.get(key);
                socket.is_some_and(|socket| socket.connection.tuple() == tuple)
            }
            Holder::TimeWait(key) => {
                let record = self.time_waits.get(key);
                record.is_some_and(|record| record.tuple == *tuple)
            }
            Holder::Flow(key) => self.is_flow_of(key, tuple),
        })
    }
}

/// How they begin.
impl Stack {
    /// What the link and the path to `tuple`'s remote allow.
    pub(super) fn link_limits(&self, now: Instant, tuple: &FourTuple) -> LinkLimits {
        let ipv6 = tuple.remote.is_ipv6();
        let is_back = self.addresses.is_ours(tuple.remote.ip());
        let path = self.mtu_to(tuple.remote.ip(), now);
        let link = if is_back { path } else { self.config.mtu };
        let offloads = &self.config.offloads;
        let cuts = !is_back && if ipv6 { offloads.tso6 } else { offloads.tso4 };
        let longest = switchboard_wire::packet::IP_PACKET_MAX - ip_header_len(ipv6);
        LinkLimits {
            receive_mss: mss_of(link, ipv6),
            path_mss: mss_of(path, ipv6),
            super_segment: cuts.then(|| u16::try_from(longest).unwrap_or(u16::MAX)),
        }
    }

    /// What a connection begins with. `iss_min`: a record of TIME-WAIT asks for at least this.
    pub(super) fn open_params(
        &self,
        now: Instant,
        tuple: FourTuple,
        options: &TcpOptions,
        iss_min: Option<SeqNum>,
    ) -> OpenParams {
        let iss = self.isn.isn(now, &tuple);
        OpenParams {
            iss: iss_min.map_or(iss, |least| iss.later(least)),
            timestamp_offset: self.isn.timestamp_offset(&tuple),
            options: *options,
            link: self.link_limits(now, &tuple),
            shared: self.shared.clone(),
            tuple,
        }
    }

    /// Enters a connection; its first segment waits for its turn.
    pub(super) fn enter_connection(
        &mut self,
        now: Instant,
        connection: Connection,
        hash: u64,
        owner: Owner,
    ) -> Key {
        let path_mtu = self.mtu_to(connection.tuple().remote.ip(), now);
        let key = self.tcp.insert(TcpSocket {
            connection,
            hash,
            owner,
            holds_tuple: true,
            news: Readiness::NONE,
            is_in_line: false,
            is_waiting: false,
            was_refused_memory: false,
            charged: 0,
            path_mtu,
        });
        self.tcp_table.insert(hash, Holder::Connection(key));
        self.refresh(key);
        key
    }
}

/// What happens to them.
impl Stack {
    /// Does what a step of connection `key` says.
    pub(super) fn after_step(&mut self, key: Key, step: Step) {
        let Step {
            signal,
            reply,
            next,
            learned,
        } = step;
        let Some(socket) = self.tcp.get(key) else {
            return;
        };
        let (tuple, hash) = (*socket.connection.tuple(), socket.hash);
        if let Some(learned) = learned {
            let (local, remote) = (tuple.local.ip(), tuple.remote.ip());
            self.cookies.learn(local, remote, learned, self.now);
        }
        if let Some(reply) = reply {
            self.reply(&tuple, reply.header);
        }
        let is_over = !matches!(next, Next::Stay);
        if is_over {
            self.release_tuple(key);
        }
        if let Next::TimeWait(record) = next {
            self.enter_time_wait(tuple, hash, *record);
        }
        self.advance_backlog(key, is_over);
        let Some(socket) = self.tcp.get(key) else {
            return;
        };
        match socket.owner {
            Owner::Application => self.tell_tcp(key, signal),
            Owner::Nobody if !socket.holds_tuple => return self.forget(key),
            _ => {}
        }
        self.refresh(key);
    }

    /// Notes what connection `key` now pins, wants sent, and waits for.
    pub(super) fn refresh(&mut self, key: Key) {
        let Some(socket) = self.tcp.get_mut(key) else {
            return;
        };
        let pinned = socket.connection.pinned();
        let before = core::mem::replace(&mut socket.charged, pinned);
        if socket.holds_tuple {
            self.deadlines.set(key.index, socket.connection.deadline());
            if !socket.is_in_line && socket.connection.may_transmit() {
                self.line.enter(Who::Tcp(key), &mut socket.is_in_line);
            }
        }
        let has_its_share = socket.was_refused_memory && pinned < PINNED_MIN;
        if has_its_share {
            socket.was_refused_memory = false;
        }
        self.recharge(before, pinned);
        self.wake_waiters();
        if has_its_share {
            self.tell_tcp(key, Readiness::WRITABLE);
        }
    }

    /// Connection `key`'s turn to send: one segment or super-segment, written into `transmit`,
    /// then to the back.
    pub(super) fn tcp_turn(
        &mut self,
        now: Instant,
        key: Key,
        transmit: &mut Transmit,
    ) -> Option<Way> {
        self.follow_path_mtu(now, key);
        let socket = self.tcp.get_mut(key)?;
        socket.is_in_line = false;
        if !socket.holds_tuple {
            return None;
        }
        let hash = socket.hash;
        let has_segment = socket.connection.next_segment(now, &mut self.outgoing);
        let tuple = *socket.connection.tuple();
        self.deadlines.set(key.index, socket.connection.deadline());
        if has_segment && socket.connection.may_transmit() {
            self.line.enter(Who::Tcp(key), &mut socket.is_in_line);
        }
        has_segment.then(|| self.emit_segment(&tuple, hash, transmit))
    }

    /// Tells connection `key` if the path to its peer changed since it last sent: routers
    /// spoke, to it or to another, or what they said has aged.
    fn follow_path_mtu(&mut self, now: Instant, key: Key) {
        let Some(socket) = self.tcp.get(key) else {
            return;
        };
        if self.path_mtus.is_empty() && socket.path_mtu == self.config.mtu {
            return;
        }
        let remote = socket.connection.tuple().remote;
        let path_mtu = self.mtu_to(remote.ip(), now);
        if let Some(socket) = self.tcp.get_mut(key)
            && socket.path_mtu != path_mtu
        {
            socket.path_mtu = path_mtu;
            let mss = mss_of(path_mtu, remote.is_ipv6());
            socket.connection.on_path_mtu(now, mss);
        }
    }

    /// A half-open connection may stand now, or be gone.
    fn advance_backlog(&mut self, key: Key, is_over: bool) {
        let Some(socket) = self.tcp.get_mut(key) else {
            return;
        };
        let Owner::HalfOpen(listener_key) = socket.owner else {
            return;
        };
        let stands = !is_over && socket.connection.state() != State::SynReceived;
        if !stands && !is_over {
            return;
        }
        socket.owner = if stands {
            Owner::Ready(listener_key)
        } else {
            Owner::Nobody
        };
        let Some(listener) = self.listeners.get_mut(listener_key) else {
            return;
        };
        listener.backlog.end_half_open();
        if stands {
            listener.backlog.push_ready(key);
            let who = Who::Listener(listener_key);
            self.events.enter(who, &mut listener.is_announced);
        }
    }
}

/// How they end.
impl Stack {
    /// The network side of connection `key` is over.
    fn release_tuple(&mut self, key: Key) {
        let Some(socket) = self.tcp.get_mut(key) else {
            return;
        };
        if core::mem::replace(&mut socket.holds_tuple, false) {
            let hash = socket.hash;
            self.tcp_table.remove(hash, Holder::Connection(key));
            self.deadlines.remove(key.index);
        }
    }

    /// Nobody needs connection `key` any more.
    pub(super) fn forget(&mut self, key: Key) {
        self.release_tuple(key);
        if let Some(socket) = self.tcp.remove(key) {
            self.recharge(socket.charged, 0);
            self.wake_waiters();
        }
    }

    fn enter_time_wait(&mut self, tuple: FourTuple, hash: u64, time_wait: TimeWait) {
        if self.config.limits.time_wait == 0 {
            return self.drop_packet(DropReason::TimeWaitFull);
        }
        if self.time_waits.len() >= self.config.limits.time_wait
            && let Some(oldest) = self.time_waits.oldest()
        {
            self.drop_packet(DropReason::TimeWaitFull);
            self.remove_time_wait(oldest);
        }
        let key = self.time_waits.insert(Record {
            tuple,
            hash,
            time_wait,
        });
        self.tcp_table.insert(hash, Holder::TimeWait(key));
    }

    pub(super) fn remove_time_wait(&mut self, key: Key) {
        if let Some(record) = self.time_waits.remove(key) {
            self.tcp_table.remove(record.hash, Holder::TimeWait(key));
        }
    }

    /// Connections that ended while they waited leave the line, before they outnumber those
    /// that live.
    pub(super) fn prune_waiters(&mut self) {
        if self.waiters.len() > 2 * self.tcp.len() + 64 {
            let tcp = &self.tcp;
            self.waiters.retain(|key| tcp.get(*key).is_some());
        }
    }

    /// Memory is free again: whoever was refused some may ask again.
    pub(super) fn wake_waiters(&mut self) {
        while !self.waiters.is_empty() && !self.is_out_of_memory() {
            let Some(key) = self.waiters.pop_front() else {
                return;
            };
            if let Some(socket) = self.tcp.get_mut(key) {
                socket.is_waiting = false;
                socket.was_refused_memory = false;
                self.tell_tcp(key, Readiness::WRITABLE);
            }
        }
    }
}

/// Segment size on a path of `mtu` octets, options not counted (RFC 9293 section 3.7.1).
pub(super) fn mss_of(mtu: usize, ipv6: bool) -> u16 {
    let mss = mtu.saturating_sub(ip_header_len(ipv6) + TCP_HEADER_LEN);
    u16::try_from(mss.max(MSS_MIN)).unwrap_or(u16::MAX)
}

//! Flows to any address: accepted, refused, expired.

use core::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use switchboard_wire::Instant;

use super::emit::Limited;
use super::{Owner, Stack};
use crate::config::{TcpOptions, UdpOptions};
use crate::demux::FourTuple;
use crate::demux::pending::Pending;
use crate::demux::table::Holder;
use crate::demux::udp_table::Source;
use crate::drop_reason::DropReason;
use crate::error::{AcceptError, Unreachable};
use crate::event::Readiness;
use crate::ip::icmp::{self, Say};
use crate::ready::Who;
use crate::slab::Key;
use crate::socket::{FlowId, Refusal, TcpId, UdpId};
use crate::tcp::{Connection, PendingSyn};
use crate::udp::socket::UdpSocket;

/// Hop limit in the header that an error quotes, where it was not kept: it tells nothing.
const HOP_LIMIT_QUOTED: u8 = 64;

/// Flows to any address.
impl Stack {
    /// Completes the handshake of a pending TCP flow; the connection is readable and writable
    /// at once after `CONNECTED`.
    ///
    /// # Errors
    ///
    /// [`AcceptError`]; after `NoBuffers` the flow still waits.
    pub fn accept_tcp(
        &mut self,
        now: Instant,
        flow: FlowId,
        options: &TcpOptions,
    ) -> Result<TcpId, AcceptError> {
        let key = self.flow_key(flow)?;
        let Some(&Pending::Tcp {
            tuple,
            syn,
            hash,
            iss_min,
            ..
        }) = self.pending.get(key)
        else {
            return Err(AcceptError::NoSuchFlow);
        };
        if self.tcp.len() >= self.config.limits.connections {
            return Err(AcceptError::NoBuffers);
        }
        self.remove_pending(key);
        let params = self.open_params(now, tuple, options, iss_min);
        let connection = Connection::answer(now, &syn, params);
        self.stats.connections_answered += 1;
        let key = self.enter_connection(now, connection, hash, Owner::Application);
        Ok(self.tcp_id(key))
    }

    /// Makes a socket of a pending UDP flow; its first datagrams (kept, bounded) are readable.
    ///
    /// # Errors
    ///
    /// [`AcceptError`]; after `NoBuffers` the flow still waits.
    pub fn accept_udp(
        &mut self,
        now: Instant,
        flow: FlowId,
        options: &UdpOptions,
    ) -> Result<UdpId, AcceptError> {
        let _ = now;
        let key = self.flow_key(flow)?;
        let Some(&Pending::Udp { remote, local, .. }) = self.pending.get(key) else {
            return Err(AcceptError::NoSuchFlow);
        };
        if self.udp.len() >= self.config.limits.udp_sockets {
            return Err(AcceptError::NoBuffers);
        }
        let Some(Pending::Udp { kept, .. }) = self.remove_pending(key) else {
            return Err(AcceptError::NoSuchFlow);
        };
        let mut socket = UdpSocket::new(local, options);
        socket.source = Some(remote);
        let has_datagrams = !kept.is_empty();
        for datagram in kept {
            match socket
                .received
                .push(datagram, socket.options.receive_buffer, &mut self.spare)
            {
                Ok(charge) => self.recharge(0, charge),
                Err(_) => self.drop_packet(DropReason::ReceiveBufferFull),
            }
        }
        let key = self.udp.insert(socket);
        self.udp_table.set_source(remote, Source::Socket(key));
        if has_datagrams {
            self.tell_udp(key, Readiness::READABLE);
        }
        Ok(self.udp_id(key))
    }

    /// Turns a flow away.
    ///
    /// # Errors
    ///
    /// [`AcceptError::NoSuchFlow`].
    pub fn refuse(&mut self, now: Instant, flow: FlowId, how: Refusal) -> Result<(), AcceptError> {
        let key = self.flow_key(flow)?;
        self.refuse_pending(now, key, how, Limited::OnPurpose);
        Ok(())
    }

    /// Whether a flow still waits for a verdict.
    #[must_use]
    pub fn is_pending(&self, flow: FlowId) -> bool {
        self.flow_key(flow).is_ok()
    }

    fn flow_key(&self, flow: FlowId) -> Result<Key, AcceptError> {
        self.key_of(flow.shard, flow.index, flow.generation)
            .filter(|key| self.pending.get(*key).is_some())
            .ok_or(AcceptError::NoSuchFlow)
    }

    /// Takes a pending flow out of all tables.
    fn remove_pending(&mut self, key: Key) -> Option<Pending> {
        let pending = self.pending.remove(key)?;
        match &pending {
            Pending::Tcp { hash, .. } => self.tcp_table.remove(*hash, Holder::Flow(key)),
            Pending::Udp { remote, kept, .. } => {
                self.udp_table.clear_source(*remote, Source::Flow(key));
                let charged = kept.iter().map(|datagram| datagram.charge).sum();
                self.recharge(charged, 0);
            }
        }
        Some(pending)
    }

    fn refuse_pending(&mut self, now: Instant, key: Key, how: Refusal, limited: Limited) {
        match self.remove_pending(key) {
            Some(Pending::Tcp {
                tuple,
                syn,
                hop_limit,
                ..
            }) => self.refuse_tcp(now, &tuple, &syn, hop_limit, how, limited),
            Some(Pending::Udp {
                remote,
                local,
                kept,
            }) => {
                let first = kept.front();
                let payload = first.map(|datagram| datagram.payload.clone());
                let hop_limit = first.and_then(|datagram| datagram.meta.hop_limit);
                let quote = icmp::quote_udp(
                    remote,
                    local,
                    hop_limit.unwrap_or(HOP_LIMIT_QUOTED),
                    &payload.unwrap_or_default(),
                );
                self.refuse_udp(now, remote, local, how, quote, limited);
            }
            None => {}
        }
    }

    fn refuse_tcp(
        &mut self,
        now: Instant,
        tuple: &FourTuple,
        syn: &PendingSyn,
        hop_limit: u8,
        how: Refusal,
        limited: Limited,
    ) {
        match how {
            Refusal::Silent => {}
            Refusal::Reset => self.reply(tuple, syn.refuse().header),
            Refusal::Unreachable { why, offender } => {
                let quote = icmp::quote_syn(tuple, syn, hop_limit);
                let offender = self.offender(offender, tuple.local.ip());
                let (to, say) = (tuple.remote.ip(), Say::Unreachable(why));
                self.emit_icmp_error(now, offender, to, say, quote, limited);
            }
        }
    }

    /// Answers a datagram from `remote` to `local` with an error that quotes `quote`.
    pub(super) fn refuse_udp(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        local: SocketAddr,
        how: Refusal,
        quote: Bytes,
        limited: Limited,
    ) {
        let (why, offender): (Unreachable, IpAddr) = match how {
            Refusal::Silent => return,
            // Nobody at that port: the machine that has it says so itself.
            Refusal::Reset => (Unreachable::Port, local.ip()),
            Refusal::Unreachable { why, offender } => (why, self.offender(offender, local.ip())),
        };
        let say = Say::Unreachable(why);
        self.emit_icmp_error(now, offender, remote.ip(), say, quote, limited);
    }

    /// The caller of a pending flow gave up.
    pub(super) fn cancel_pending(&mut self, key: Key) {
        self.remove_pending(key);
        self.events.push(Who::Expired(key));
    }

    /// Nobody decided in time: the caller must not hang.
    pub(super) fn expire_pending(&mut self, now: Instant, key: Key) {
        self.drop_packet(DropReason::PendingExpired);
        self.refuse_pending(now, key, Refusal::Reset, Limited::Yes);
        self.events.push(Who::Expired(key));
    }
}

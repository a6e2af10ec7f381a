//! A TCP segment arrived: which connection, which listener, or nobody.

use bytes::Bytes;
use switchboard_wire::checksum::verifies;
use switchboard_wire::tcp::TcpHeader;
use switchboard_wire::{Checksum, Instant, Malformed, RxPacket};

use core::net::SocketAddr;

use super::inputs::Admitted;
use super::{Owner, Stack};
use crate::demux::addresses::Destination;
use crate::demux::pending::Pending;
use crate::demux::table::Holder;
use crate::demux::{FourTuple, four_tuple};
use crate::drop_reason::DropReason;
use crate::ready::Who;
use crate::slab::Key;
use crate::tcp::{
    self, Connection, Flags, Listened, Options, PendingStep, PendingSyn, SackBlock, Segment,
    SeqNum, Text, TimeWaitStep, Timestamps,
};

/// A segment, and whose it is.
struct Arrived {
    tuple: FourTuple,
    /// Hash of `tuple`.
    hash: u64,
    segment: Segment,
    text: Text,
    hop_limit: u8,
    traffic_class: u8,
    /// It is for an address of ours.
    is_ours: bool,
    /// And a port of ours that nobody holds refuses by itself.
    is_ours_alone: bool,
}

/// Who takes a call.
#[derive(Clone, Copy, Debug)]
enum Callee {
    /// Whoever listens there.
    Listener(Key),
    /// The application of a gateway, after a verdict.
    Anybody,
}

impl Stack {
    pub(super) fn tcp_arrives(&mut self, now: Instant, admitted: &Admitted<'_>) {
        if !matches!(
            admitted.destination,
            Destination::Ours | Destination::Foreign
        ) {
            // RFC 9293 section 3.9.2.3, MUST-57: no TCP to many.
            return self.drop_packet(DropReason::NotUnicast);
        }
        let (header, text) = match read(admitted) {
            Ok(read) => read,
            Err(rule) => return self.stats.drop_malformed(rule),
        };
        self.stats.segments_received += 1;
        let packet = &admitted.packet;
        let local = SocketAddr::new(packet.destination, header.destination_port);
        let remote = SocketAddr::new(packet.source, header.source_port);
        let tuple = four_tuple(local, remote);
        let segment = segment(&header, &text, admitted);
        let arrived = Arrived {
            hash: self.tcp_table.hash(&tuple),
            tuple,
            segment,
            text,
            hop_limit: packet.hop_limit,
            traffic_class: packet.traffic_class,
            is_ours: admitted.is_ours(),
            is_ours_alone: self.is_ours_alone(admitted),
        };
        match self.find_tcp(arrived.hash, &tuple) {
            Some(Holder::Connection(key)) => self.segment_to_connection(now, key, arrived),
            Some(Holder::TimeWait(key)) => self.segment_to_time_wait(now, key, arrived),
            Some(Holder::Flow(key)) => self.segment_to_flow(key, &arrived),
            None => self.segment_to_nobody(now, &arrived),
        }
    }

    fn segment_to_connection(&mut self, now: Instant, key: Key, mut arrived: Arrived) {
        if self.is_out_of_memory() && arrived.segment.text_len > 0 {
            self.strip_text(key, &mut arrived);
        }
        let Some(socket) = self.tcp.get_mut(key) else {
            return;
        };
        let step = socket
            .connection
            .on_segment(now, &arrived.segment, arrived.text);
        self.after_step(key, step);
    }

    /// There is no memory for text, but what the segment acknowledges frees some: it is taken
    /// as one without text, and the peer sends the text again.
    fn strip_text(&mut self, key: Key, arrived: &mut Arrived) {
        let socket = self.tcp.get(key);
        if socket.is_some_and(|socket| socket.charged < super::tcp_sockets::PINNED_MIN) {
            return;
        }
        self.drop_packet(DropReason::OutOfMemory);
        arrived.text = Text::default();
        arrived.segment.text_len = 0;
        arrived.segment.segment_size = None;
        arrived.segment.flags = Flags::from_bits(arrived.segment.flags.bits() & !Flags::FIN.bits());
    }

    fn segment_to_time_wait(&mut self, now: Instant, key: Key, arrived: Arrived) {
        let Some(record) = self.time_waits.get_mut(key) else {
            return;
        };
        match record.time_wait.on_segment(now, &arrived.segment) {
            TimeWaitStep::Stay(None) => {}
            TimeWaitStep::Stay(Some(reply)) => self.reply(&arrived.tuple, reply.header),
            TimeWaitStep::Reopen(syn, iss_min) => {
                self.remove_time_wait(key);
                if let Some(callee) = self.callee(&arrived) {
                    self.call(now, callee, &arrived, syn, Some(iss_min));
                }
            }
        }
    }

    fn segment_to_flow(&mut self, key: Key, arrived: &Arrived) {
        let Some(Pending::Tcp { syn, .. }) = self.pending.get_mut(key) else {
            return;
        };
        match syn.on_segment(&arrived.segment) {
            PendingStep::Absorb => {}
            PendingStep::Replace(newer) => *syn = newer,
            PendingStep::Cancelled => self.cancel_pending(key),
            PendingStep::Reply(reply) => self.reply(&arrived.tuple, reply.header),
        }
    }

    /// Nobody has the four-tuple: a listener may, a gateway may, else CLOSED answers.
    fn segment_to_nobody(&mut self, now: Instant, arrived: &Arrived) {
        let Some(callee) = self.callee(arrived) else {
            return;
        };
        match tcp::listen(&arrived.segment) {
            Listened::Ignore => self.drop_packet(DropReason::ListenerIgnored),
            Listened::Reset(reply) => self.reply(&arrived.tuple, reply.header),
            Listened::Syn(syn) => self.call(now, callee, arrived, syn, None),
        }
    }

    /// Who takes calls to this address and port. If nobody does, CLOSED has answered (RFC
    /// 9293 section 3.10.7.1).
    fn callee(&mut self, arrived: &Arrived) -> Option<Callee> {
        let (local, is_ours) = (arrived.tuple.local, arrived.is_ours);
        if let Some(listener) = self.listeners.find(local, arrived.hash, is_ours) {
            return Some(Callee::Listener(listener));
        }
        if !arrived.is_ours_alone {
            return Some(Callee::Anybody);
        }
        self.drop_packet(DropReason::NoSocket);
        if let Some(reply) = tcp::reset_for(&arrived.segment) {
            self.reply(&arrived.tuple, reply.header);
        }
        None
    }

    /// A SYN for `callee`. `iss_min`: a connection of the same four-tuple has just ended.
    fn call(
        &mut self,
        now: Instant,
        callee: Callee,
        arrived: &Arrived,
        syn: PendingSyn,
        iss_min: Option<SeqNum>,
    ) {
        match callee {
            Callee::Listener(key) => self.call_to_listener(now, key, arrived, &syn, iss_min),
            Callee::Anybody => self.call_to_anybody(now, arrived, syn, iss_min),
        }
    }

    /// A SYN to a listener: answered at once, within its bounds.
    fn call_to_listener(
        &mut self,
        now: Instant,
        listener_key: Key,
        arrived: &Arrived,
        syn: &PendingSyn,
        iss_min: Option<SeqNum>,
    ) {
        let tcp = &self.tcp;
        let is_half_open = |key: Key| {
            let owner = tcp.get(key).map(|socket| socket.owner);
            owner == Some(Owner::HalfOpen(listener_key))
        };
        let Some(listener) = self.listeners.get_mut(listener_key) else {
            return;
        };
        if listener.backlog.is_full() {
            return self.drop_packet(DropReason::BacklogFull);
        }
        let oldest = if listener.backlog.is_half_open_full() {
            listener.backlog.pop_oldest(is_half_open)
        } else {
            None
        };
        let options = listener.options;
        if let Some(oldest) = oldest {
            listener.backlog.end_half_open();
            self.drop_packet(DropReason::SynBacklogFull);
            self.forget(oldest);
        }
        if self.tcp.len() >= self.config.limits.connections {
            return self.drop_packet(DropReason::ConnectionsFull);
        }
        let params = self.open_params(now, arrived.tuple, &options, iss_min);
        let connection = Connection::answer(now, syn, params);
        self.stats.connections_answered += 1;
        let owner = Owner::HalfOpen(listener_key);
        let key = self.enter_connection(now, connection, arrived.hash, owner);
        let tcp = &self.tcp;
        let is_half_open = |key: Key| {
            let owner = tcp.get(key).map(|socket| socket.owner);
            owner == Some(Owner::HalfOpen(listener_key))
        };
        if let Some(listener) = self.listeners.get_mut(listener_key) {
            listener.backlog.push_half_open(key, is_half_open);
        }
    }

    /// A SYN to an address that is not ours: it waits for a verdict.
    fn call_to_anybody(
        &mut self,
        now: Instant,
        arrived: &Arrived,
        syn: PendingSyn,
        iss_min: Option<SeqNum>,
    ) {
        if self.pending.len() >= self.config.limits.pending_flows {
            self.drop_packet(DropReason::PendingFull);
            self.reply(&arrived.tuple, syn.refuse().header);
            return;
        }
        let expires = now + self.config.limits.pending_flow_age;
        let pending = Pending::Tcp {
            tuple: arrived.tuple,
            syn,
            hop_limit: arrived.hop_limit,
            traffic_class: arrived.traffic_class,
            hash: arrived.hash,
            iss_min,
        };
        let key = self.pending.insert(pending, expires);
        self.tcp_table.insert(arrived.hash, Holder::Flow(key));
        self.events.push(Who::Incoming(key));
    }

    /// Whether pending flow `key` is that of `tuple`.
    pub(super) fn is_flow_of(&self, key: Key, tuple: &FourTuple) -> bool {
        match self.pending.get(key) {
            Some(Pending::Tcp { tuple: held, .. }) => held == tuple,
            _ => false,
        }
    }
}

/// Reads the segment, its sum verified by somebody.
fn read(admitted: &Admitted<'_>) -> Result<(TcpHeader, Text), Malformed> {
    let Admitted { rx, packet, .. } = admitted;
    let (header, len) = TcpHeader::parse(packet.body())?;
    if rx.checksum == Checksum::Unknown && !verifies(packet.pseudo_header(), packet.body()) {
        return Err(Malformed::TcpChecksum);
    }
    Ok((
        header,
        text(rx, packet.header_len + len, packet.total_len()),
    ))
}

/// Octets `start..end` of a packet, as text that knows what it pins.
fn text(rx: &RxPacket, start: usize, end: usize) -> Text {
    let end = end.min(rx.bytes.len());
    Text {
        bytes: if start < end {
            rx.bytes.slice(start..end)
        } else {
            Bytes::new()
        },
        slot_size: rx.slot_size,
    }
}

/// A header in protocol terms.
fn segment(header: &TcpHeader, text: &Text, admitted: &Admitted<'_>) -> Segment {
    let options = &header.options;
    Segment {
        seq: SeqNum::new(header.seq),
        ack: header.flags.ack().then(|| SeqNum::new(header.ack)),
        window: header.window,
        flags: Flags::from_bits(header.flags.bits() as u8),
        options: Options {
            mss: options.mss,
            window_scale: options.window_scale,
            sack_permitted: options.sack_permitted,
            fast_open: options.fast_open,
            timestamps: options.timestamps.map(|timestamps| Timestamps {
                value: timestamps.value,
                echo: timestamps.echo,
            }),
            sack: options
                .sack
                .iter()
                .map(|&(left, right)| SackBlock {
                    left: SeqNum::new(left),
                    right: SeqNum::new(right),
                })
                .collect(),
        },
        text_len: u32::try_from(text.bytes.len()).unwrap_or(0),
        segment_size: admitted.rx.segment_size,
        arrived: admitted.rx.arrived,
        ce: admitted.packet.traffic_class & 0b11 == 0b11,
    }
}

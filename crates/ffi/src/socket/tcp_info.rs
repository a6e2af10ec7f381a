//! `TCP_INFO`, laid out as Linux's `struct tcp_info`.
//!
//! Programs pass the length of the struct that they were compiled with and get that much of it, so
//! fields keep their places for ever and new ones come at the end. What the stack does not know is
//! zero.

use switchboard_core::{State, TcpInfo};

use super::{Kind, Socket, Tcp};
use crate::errno::Errno;
use crate::network::Host;

/// Octets of the struct, up to `tcpi_total_rto_time` and the Accurate ECN counters after it.
const LEN: usize = 280;

/// Bits of `tcpi_options`.
const TIMESTAMPS: u8 = 1;
const SACK: u8 = 2;
const WINDOW_SCALE: u8 = 4;
const SYN_DATA: u8 = 32;

/// The number that Linux shows for a state (`include/net/tcp_states.h`).
fn number(state: State) -> u8 {
    match state {
        State::Established => 1,
        State::SynSent => 2,
        State::SynReceived => 3,
        State::FinWait1 => 4,
        State::FinWait2 => 5,
        State::TimeWait => 6,
        State::Closed => 7,
        State::CloseWait => 8,
        State::LastAck => 9,
        State::Listen => 10,
        State::Closing => 11,
    }
}

/// Writes fields one after the other, each where its size wants it.
struct Layout(Vec<u8>);

impl Layout {
    fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    fn u32(&mut self, value: impl TryInto<u32>) {
        let value = value.try_into().unwrap_or(u32::MAX);
        self.0.extend_from_slice(&value.to_ne_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.0.resize(self.0.len().next_multiple_of(8), 0);
        self.0.extend_from_slice(&value.to_ne_bytes());
    }
}

impl Socket {
    pub(super) fn tcp_info(&self, host: &Host) -> Result<Vec<u8>, Errno> {
        let mut state = State::Closed;
        match &self.kind {
            Kind::Tcp(Tcp::Connection { id, .. }) => {
                return Ok(layout(&host.stack.tcp_info(*id)?));
            }
            Kind::Tcp(Tcp::Listening { .. }) => state = State::Listen,
            Kind::Tcp(Tcp::PutOff { .. }) => state = State::SynSent,
            Kind::Tcp(Tcp::Idle { .. }) | Kind::Udp(_) => {}
        }
        let mut nothing = vec![0; LEN];
        if let Some(first) = nothing.first_mut() {
            *first = number(state);
        }
        Ok(nothing)
    }
}

fn layout(info: &TcpInfo) -> Vec<u8> {
    let mss = info.send_mss.max(1);
    // Linux counts in segments.
    let segments = |octets: usize| octets.div_ceil(mss);
    let micros = |time: std::time::Duration| time.as_micros();
    let mut out = Layout(Vec::with_capacity(LEN));
    let flags = [
        (info.timestamps, TIMESTAMPS),
        (info.sack, SACK),
        (info.window_scale.is_some(), WINDOW_SCALE),
        (info.syn_text_acked, SYN_DATA),
    ];
    let options = flags
        .iter()
        .filter(|(on, _)| *on)
        .fold(0, |all, (_, bit)| all | bit);
    let (receive_scale, send_scale) = info.window_scale.unwrap_or((0, 0));
    out.u8(number(info.state));
    out.u8(0); // ca_state
    out.u8(u8::try_from(info.backoffs).unwrap_or(u8::MAX)); // retransmits
    out.u8(0); // probes
    out.u8(u8::try_from(info.backoffs).unwrap_or(u8::MAX)); // backoff
    out.u8(options);
    out.u8(send_scale & 0xF | receive_scale << 4);
    out.u8(0); // delivery_rate_app_limited, fastopen_client_fail
    out.u32(micros(info.rto));
    out.u32(0_u32); // ato
    out.u32(info.send_mss);
    out.u32(0_u32); // rcv_mss
    out.u32(segments(info.in_flight)); // unacked
    out.u32(0_u32); // sacked
    out.u32(0_u32); // lost
    out.u32(0_u32); // retrans
    out.u32(0_u32); // fackets
    out.u32(0_u32); // last_data_sent
    out.u32(0_u32); // last_ack_sent
    out.u32(0_u32); // last_data_recv
    out.u32(0_u32); // last_ack_recv
    out.u32(info.path_mtu);
    out.u32(info.receive_window); // rcv_ssthresh
    out.u32(micros(info.srtt.unwrap_or_default()));
    out.u32(micros(info.rttvar));
    out.u32(ssthresh(info.ssthresh, mss));
    out.u32(info.cwnd / mss);
    out.u32(info.announced_mss);
    out.u32(3_u32); // reordering
    out.u32(0_u32); // rcv_rtt
    out.u32(info.receive_window); // rcv_space
    out.u32(info.retransmits); // total_retrans
    out.u64(0); // pacing_rate
    out.u64(u64::MAX); // max_pacing_rate
    out.u64(info.octets_acked);
    out.u64(info.octets_received);
    out.u32(0_u32); // segs_out
    out.u32(0_u32); // segs_in
    out.u32(info.unsent);
    out.u32(micros(info.min_rtt.unwrap_or_default()));
    out.u32(0_u32); // data_segs_in
    out.u32(0_u32); // data_segs_out
    out.u64(0); // delivery_rate
    out.u64(0); // busy_time
    out.u64(0); // rwnd_limited
    out.u64(0); // sndbuf_limited
    out.u32(0_u32); // delivered
    out.u32(0_u32); // delivered_ce
    out.u64(info.octets_sent); // bytes_sent
    out.u64(0); // bytes_retrans
    out.u32(0_u32); // dsack_dups
    out.u32(0_u32); // reord_seen
    out.u32(0_u32); // rcv_ooopack
    out.u32(info.send_window);
    out.u32(info.receive_window);
    out.0.resize(LEN, 0);
    out.0
}

/// Linux's number for "none yet" stays what it is.
fn ssthresh(octets: usize, mss: usize) -> usize {
    if octets >= 0x7FFF_FFFF {
        0x7FFF_FFFF
    } else {
        octets / mss
    }
}

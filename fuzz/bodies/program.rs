//! Octets as a program: what arrives, what the application calls, how time passes.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use switchboard_core::error::Unreachable;
use switchboard_core::socket::{Refusal, Shutdown};
use switchboard_core::{TcpOptions, UdpOptions};
use switchboard_wire::packet::Checksum;
use switchboard_wire::{Instant, RxPacket};

use super::craft;
use super::host::{Flow, Host, OWN_V4, OWN_V6};
use super::input::Input;
use super::pattern;

/// Steps of one program.
const STEPS_MAX: usize = 400;

/// Random packets.
pub fn random(octets: &[u8]) {
    let mut input = Input::new(octets);
    let mut host = Host::new(&mut input);
    host.checks_text = false;
    for _ in 0..STEPS_MAX {
        if input.is_empty() {
            break;
        }
        match input.u8() % 8 {
            0 => pass_time(&mut input, &mut host),
            1 => call(&mut input, &mut host),
            kind => {
                let len = usize::from(input.u8());
                let mut octets = input.take(len).to_vec();
                if kind > 4 {
                    make_plausible(&mut octets);
                }
                let mut packet = RxPacket::new(octets.into(), Instant::ZERO);
                if kind > 5 {
                    packet.checksum = Checksum::Verified;
                }
                host.receive(packet);
            }
        }
    }
    host.finish();
}

/// Gives random octets the beginning of an IP packet, so that they come further.
fn make_plausible(octets: &mut [u8]) {
    let len = octets.len();
    if len >= 40 && octets[0] & 1 == 1 {
        octets[0] = 0x60;
        octets[4..6].copy_from_slice(&((len - 40) as u16).to_be_bytes());
        octets[6] = [6, 17, 58, 0, 43, 44, 60, octets[6]][usize::from(octets[6] % 8)];
        octets[7] |= 1;
        octets[24..40].copy_from_slice(&OWN_V6.octets());
    } else if len >= 20 {
        octets[0] = 0x45;
        octets[2..4].copy_from_slice(&(len as u16).to_be_bytes());
        octets[9] = [6, 17, 1, octets[9]][usize::from(octets[9] % 4)];
        octets[8] |= 1;
        octets[16..20].copy_from_slice(&OWN_V4.octets());
        craft::repair_ipv4(octets);
    }
}

/// Valid packets and mutations of them.
pub fn mutated(octets: &[u8]) {
    let mut input = Input::new(octets);
    let mut host = Host::new(&mut input);
    for _ in 0..STEPS_MAX {
        if input.is_empty() {
            break;
        }
        step(&mut input, &mut host);
    }
    host.finish();
}

fn step(input: &mut Input<'_>, host: &mut Host) {
    let packet = match input.u8() % 32 {
        0..=12 => craft::segment(input, host),
        13 | 14 => craft::datagram(input),
        15 => craft::echo(input),
        16 => craft::icmp_error(input, host),
        17 => craft::fragment(input),
        18 => craft::extensions(input),
        19..=22 => {
            let packet = match input.u8() % 8 {
                0 => craft::datagram(input),
                1 => craft::icmp_error(input, host),
                2 => craft::fragment(input),
                3 => craft::extensions(input),
                _ => craft::segment(input, host),
            };
            craft::mutate(input, packet)
        }
        23..=25 => return pass_time(input, host),
        _ => return call(input, host),
    };
    host.receive(packet);
}

fn pass_time(input: &mut Input<'_>, host: &mut Host) {
    match input.u8() % 8 {
        0..=3 => {
            host.advance_to_deadline();
        }
        4 => host.advance(Duration::ZERO),
        5 => host.advance(Duration::from_micros(u64::from(input.u16()))),
        6 => host.advance(Duration::from_millis(u64::from(input.u16()))),
        _ => host.advance(Duration::from_secs(u64::from(input.u16()))),
    }
}

fn call(input: &mut Input<'_>, host: &mut Host) {
    match input.u8() % 4 {
        0 | 1 => call_tcp(input, host),
        2 => call_flow(input, host),
        _ => call_udp(input, host),
    }
    host.settle();
}

fn somebody(input: &mut Input<'_>) -> SocketAddr {
    let peers: [IpAddr; 4] = [
        [10, 0, 2, 100].into(),
        [203, 0, 113, 9].into(),
        OWN_V4.into(),
        [0xfd00, 0, 0, 0, 0, 0, 0, 0x64].into(),
    ];
    SocketAddr::new(input.pick(&peers), input.pick(&[40_000, 80, 53]))
}

/// The next octets of a stream, of which `sent` are sent.
fn text(input: &mut Input<'_>, sent: u32) -> Bytes {
    let len = input.pick(&[1, 100, 1448, 10_000, 100_000, 0, pattern::LEN_MAX]);
    pattern::text(sent, len)
}

fn tcp_options(input: &mut Input<'_>) -> TcpOptions {
    TcpOptions {
        nodelay: input.is_set(),
        cork: input.one_in(8),
        quick_ack: input.is_set(),
        user_timeout: input.pick(&[None, Some(Duration::from_secs(5))]),
        receive_buffer: input.pick(&[1 << 20, 1 << 16, 1000, 0]),
        send_buffer: input.pick(&[1 << 20, 1 << 16, 1000]),
        mss: input.pick(&[None, Some(536), Some(1), Some(0), Some(65_535)]),
        ..TcpOptions::default()
    }
}

fn call_tcp(input: &mut Input<'_>, host: &mut Host) {
    let now = host.now;
    let kind = input.u8() % 16;
    if kind < 2 && host.tcp.len() < 32 {
        let remote = somebody(input);
        let options = tcp_options(input);
        let opened = host.stack.call_tcp_connect(now, None, remote, &options);
        host.tcp.extend(opened);
        return;
    }
    let Some(at) = input.index(host.tcp.len()) else {
        return;
    };
    let id = host.tcp[at];
    host.tell(|| format!("app call {kind} of {:?}", host.stack.tcp_endpoints(id)));
    match kind {
        0..=6 => {
            let stream = host.streams.entry(id).or_default();
            let mut text = text(input, stream.sent);
            let before = text.len();
            if let Ok(taken) = host.stack.call_tcp_send(now, id, &mut text) {
                assert_eq!(taken + text.len(), before);
                stream.sent = stream.sent.wrapping_add(taken as u32);
            }
        }
        7..=9 => {
            let max = input.pick(&[1, 1000, 1 << 20]);
            let stream = host.streams.entry(id).or_default();
            for _ in 0..input.u8() % 16 {
                match host.stack.call_tcp_receive(now, id, max) {
                    Ok(chunk) if !chunk.is_empty() => {
                        assert!(chunk.len() <= max);
                        if host.checks_text {
                            stream.reader.read(&chunk);
                        }
                    }
                    _ => break,
                }
            }
        }
        10 => {
            let how = input.pick(&[Shutdown::Write, Shutdown::Read, Shutdown::Both]);
            let _ = host.stack.call_tcp_shutdown(now, id, how);
        }
        11 => {
            let _ = host.stack.call_tcp_close(now, id);
            host.tcp.swap_remove(at);
        }
        12 => {
            let _ = host.stack.call_tcp_abort(now, id);
            host.tcp.swap_remove(at);
        }
        13 => {
            let options = tcp_options(input);
            let _ = host.stack.set_tcp_options(now, id, &options);
        }
        _ => {
            let mut buffer = [0; 100];
            let _ = host.stack.call_tcp_peek(id, &mut buffer);
            let stream = host.streams.entry(id).or_default();
            let text = pattern::text(stream.sent, 700);
            if let Ok(taken) = host.stack.call_tcp_send_slice(now, id, &text) {
                stream.sent = stream.sent.wrapping_add(taken as u32);
            }
            let _ = host.stack.take_tcp_error(id);
            let _ = host.stack.tcp_info(id);
            let _ = host.stack.tcp_send_room(id);
        }
    }
}

fn call_flow(input: &mut Input<'_>, host: &mut Host) {
    let now = host.now;
    if let Some(request) = host.stack.receive_echo() {
        if input.is_set() {
            let payload = request.payload.clone();
            host.stack.reply_echo(now, &request, payload);
        } else {
            let why = Unreachable::Host;
            host.stack.refuse_echo(now, &request, why, None);
        }
    }
    let Some(at) = input.index(host.flows.len()) else {
        return;
    };
    let how = match input.u8() % 8 {
        0..=4 => None,
        5 => Some(Refusal::Reset),
        6 => Some(Refusal::Silent),
        _ => Some(Refusal::Unreachable {
            why: Unreachable::Prohibited,
            offender: None,
        }),
    };
    match (host.flows.swap_remove(at), how) {
        (Flow::Tcp(id) | Flow::Udp(id), Some(how)) => {
            let _ = host.stack.refuse(now, id, how);
        }
        (Flow::Tcp(id), None) => {
            let options = tcp_options(input);
            let accepted = host.stack.accept_tcp(now, id, &options);
            host.tcp.extend(accepted);
        }
        (Flow::Udp(id), None) => {
            let options = UdpOptions::default();
            let accepted = host.stack.accept_udp(now, id, &options);
            host.udp.extend(accepted);
        }
    }
}

fn call_udp(input: &mut Input<'_>, host: &mut Host) {
    let now = host.now;
    let kind = input.u8() % 8;
    if kind == 0 && host.udp.len() < 8 {
        let local = SocketAddr::new(OWN_V4.into(), input.pick(&[0, 54]));
        let bound = host.stack.call_udp_bind(local, &UdpOptions::default());
        host.udp.extend(bound);
        return;
    }
    let Some(at) = input.index(host.udp.len()) else {
        return;
    };
    let id = host.udp[at];
    match kind {
        0..=2 => {
            while let Ok((payload, meta)) = host.stack.call_udp_receive(id) {
                if input.one_in(4) {
                    let why = Unreachable::Port;
                    let _ = host.stack.call_udp_refuse(now, id, &meta, why, None);
                } else if input.is_set() {
                    let _ = host.stack.call_udp_send(now, id, payload, Some(meta));
                }
                if input.is_empty() {
                    break;
                }
            }
        }
        3 => {
            let remote = somebody(input);
            let _ = host.stack.call_udp_connect(id, remote);
        }
        4 | 5 => {
            let payload = text(input, 0);
            let _ = host.stack.call_udp_send(now, id, payload, None);
        }
        6 => {
            let _ = host.stack.take_udp_error(id);
        }
        _ => {
            let _ = host.stack.call_udp_close(id);
            host.udp.swap_remove(at);
        }
    }
}

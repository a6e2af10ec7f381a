//! getsockopt and setsockopt.
//!
//! Numbers and effects are Linux's. What an option changes reaches the stack at once; a listener's
//! go to the connections that it accepts from then on.

use std::ffi::c_int;
use std::time::Duration;

use switchboard_core::config::{CongestionControl, KeepAlive, Linger};
use switchboard_core::{TcpOptions, UdpOptions};

use super::{Kind, Settings, Socket, SocketHandle, Tcp};
use crate::address::Domain;
use crate::errno::Errno;
use crate::network::Host;

/// The segment size before anything is known (RFC 9293 section 3.7.1).
const MSS_DEFAULT: u16 = 536;
/// Linux's bounds of `TCP_MAXSEG`.
const MSS_RANGE: std::ops::RangeInclusive<c_int> = 88..=32_767;
/// Linux's smallest buffers, as shown.
const SEND_BUFFER_MIN: usize = 4608;
const RECEIVE_BUFFER_MIN: usize = 2304;
/// The largest, as shown: both directions together stay under the stack's own bound.
const BUFFER_MAX: usize = 64 << 20;

impl Settings {
    pub(super) fn new(defaults: &TcpOptions) -> Self {
        let udp = UdpOptions::default();
        Self {
            is_nonblocking: false,
            tcp: TcpOptions {
                reuse_address: false,
                ..*defaults
            },
            udp,
            receive_timeout: None,
            send_timeout: None,
            linger: None,
            keep_alive: defaults.keep_alive.is_some(),
            fast_open_connect: false,
            keep_alive_times: defaults.keep_alive.unwrap_or(KeepAlive {
                idle: Duration::from_secs(7200),
                interval: Duration::from_secs(75),
                count: 9,
            }),
            send_buffer: defaults.send_buffer,
            receive_buffer: defaults.receive_buffer,
            reuse_address: false,
            reuse_port: false,
            error: None,
        }
    }
}

/// `linux/tcp.h`; the `libc` crate has no name for it.
const TCP_CC_INFO: c_int = 26;

/// What `getsockopt` answers.
pub(crate) enum Value {
    Int(c_int),
    Octets(Vec<u8>),
}

/// setsockopt(2).
impl SocketHandle {
    /// An option that is a number.
    pub(crate) fn set_int(&self, level: c_int, name: c_int, value: c_int) -> Result<(), Errno> {
        self.with(|socket, host, now| {
            match level {
                libc::SOL_SOCKET => socket.set_socket_int(host, name, value)?,
                libc::IPPROTO_TCP => {
                    if matches!(socket.kind, Kind::Udp(_)) {
                        return Err(Errno::ENOPROTOOPT);
                    }
                    socket.set_tcp_int(host, name, value, now)?;
                }
                libc::IPPROTO_IP => socket.set_ip_int(name, value)?,
                libc::IPPROTO_IPV6 if socket.domain == Domain::V6 => {
                    socket.set_ipv6_int(name, value)?;
                }
                _ => return Err(Errno::ENOPROTOOPT),
            }
            socket.apply(host, now)
        })
    }

    /// `SO_RCVTIMEO` and `SO_SNDTIMEO`; zero is no timeout.
    pub(crate) fn set_timeout(&self, name: c_int, time: Duration) -> Result<(), Errno> {
        let time = Some(time).filter(|time| !time.is_zero());
        self.with(|socket, _, _| {
            if name == libc::SO_RCVTIMEO {
                socket.settings.receive_timeout = time;
            } else {
                socket.settings.send_timeout = time;
            }
            Ok(())
        })
    }

    /// `SO_LINGER`.
    pub(crate) fn set_linger(&self, time: Option<Duration>) -> Result<(), Errno> {
        self.with(|socket, host, now| {
            socket.settings.linger = time;
            let resets = time.is_some_and(|time| time.is_zero());
            socket.settings.tcp.linger = if resets {
                Linger::Reset
            } else {
                Linger::Background
            };
            socket.apply(host, now)
        })
    }

    /// `TCP_CONGESTION`.
    pub(crate) fn set_congestion(&self, name: &str) -> Result<(), Errno> {
        let congestion = match name {
            "cubic" => CongestionControl::Cubic,
            "reno" => CongestionControl::Reno,
            _ => return Err(Errno::ENOENT),
        };
        self.with(|socket, host, now| {
            if matches!(socket.kind, Kind::Udp(_)) {
                return Err(Errno::ENOPROTOOPT);
            }
            socket.settings.tcp.congestion = congestion;
            socket.apply(host, now)
        })
    }
}

impl Socket {
    /// The stack hears of what was set.
    fn apply(&mut self, host: &mut Host, now: switchboard_core::Instant) -> Result<(), Errno> {
        let settings = &mut self.settings;
        let times = settings.keep_alive_times;
        settings.tcp.keep_alive = settings.keep_alive.then_some(times);
        settings.tcp.reuse_address = settings.reuse_address;
        settings.tcp.reuse_port = settings.reuse_port;
        settings.udp.reuse_address = settings.reuse_address || settings.reuse_port;
        match &self.kind {
            Kind::Tcp(Tcp::Idle { .. } | Tcp::PutOff { .. }) | Kind::Udp(None) => Ok(()),
            Kind::Tcp(Tcp::Listening { id, .. }) => {
                Ok(host.stack.set_listener_options(*id, &settings.tcp)?)
            }
            Kind::Tcp(Tcp::Connection { id, .. }) => {
                Ok(host.stack.set_tcp_options(now, *id, &settings.tcp)?)
            }
            Kind::Udp(Some(id)) => Ok(host.stack.set_udp_options(*id, &settings.udp)?),
        }
    }

    fn set_socket_int(&mut self, host: &Host, name: c_int, value: c_int) -> Result<(), Errno> {
        let settings = &mut self.settings;
        let on = value != 0;
        match name {
            libc::SO_REUSEADDR => settings.reuse_address = on,
            libc::SO_REUSEPORT => settings.reuse_port = on,
            libc::SO_KEEPALIVE => settings.keep_alive = on,
            libc::SO_BROADCAST => settings.udp.broadcast = on,
            // As Linux: twice what was asked for, as bookkeeping takes its part.
            libc::SO_SNDBUF | libc::SO_SNDBUFFORCE => {
                settings.send_buffer = doubled(value, SEND_BUFFER_MIN);
                settings.tcp.send_buffer = settings.send_buffer;
                settings.udp.send_buffer = settings.send_buffer;
            }
            libc::SO_RCVBUF | libc::SO_RCVBUFFORCE => {
                settings.receive_buffer = doubled(value, RECEIVE_BUFFER_MIN);
                // Half of it is the window (`tcp_adv_win_scale` 1).
                settings.tcp.receive_buffer = (settings.receive_buffer / 2).max(RECEIVE_BUFFER_MIN);
                settings.udp.receive_buffer = settings.receive_buffer;
            }
            libc::SO_ERROR
            | libc::SO_TYPE
            | libc::SO_PROTOCOL
            | libc::SO_DOMAIN
            | libc::SO_ACCEPTCONN => return Err(Errno::ENOPROTOOPT),
            // Accepted and without effect: nothing is bypassed, marked, inlined or timed here.
            libc::SO_OOBINLINE
            | libc::SO_PRIORITY
            | libc::SO_DONTROUTE
            | libc::SO_ZEROCOPY
            | libc::SO_INCOMING_CPU => {}
            libc::SO_RCVLOWAT if value <= 1 => {}
            _ => return Err(Errno::ENOPROTOOPT),
        }
        let _ = host;
        Ok(())
    }

    fn set_tcp_int(
        &mut self,
        host: &mut Host,
        name: c_int,
        value: c_int,
        now: switchboard_core::Instant,
    ) -> Result<(), Errno> {
        let settings = &mut self.settings;
        let on = value != 0;
        match name {
            libc::TCP_NODELAY => {
                settings.tcp.nodelay = on;
                if on {
                    self.push(host, now)?;
                }
            }
            libc::TCP_CORK => {
                settings.tcp.cork = on;
            }
            libc::TCP_QUICKACK => settings.tcp.quick_ack = on,
            libc::TCP_FASTOPEN_CONNECT => self.set_fast_open_connect(value)?,
            libc::TCP_MAXSEG => {
                if !MSS_RANGE.contains(&value) {
                    return Err(Errno::EINVAL);
                }
                settings.tcp.mss = u16::try_from(value).ok();
            }
            libc::TCP_KEEPIDLE => settings.keep_alive_times.idle = seconds(value, 32_767)?,
            libc::TCP_KEEPINTVL => settings.keep_alive_times.interval = seconds(value, 32_767)?,
            libc::TCP_KEEPCNT => {
                let count = u8::try_from(value)
                    .ok()
                    .filter(|count| (1..=127).contains(count));
                settings.keep_alive_times.count = count.ok_or(Errno::EINVAL)?;
            }
            libc::TCP_USER_TIMEOUT => {
                let time = u64::try_from(value).map_err(|_| Errno::EINVAL)?;
                settings.tcp.user_timeout = on.then_some(Duration::from_millis(time));
            }
            // Accepted and without effect: they are hints.
            libc::TCP_SYNCNT
            | libc::TCP_LINGER2
            | libc::TCP_DEFER_ACCEPT
            | libc::TCP_WINDOW_CLAMP => {}
            _ => return Err(Errno::ENOPROTOOPT),
        }
        Ok(())
    }

    /// Linux: `TCP_NODELAY` sends what a cork holds back, once.
    fn push(&mut self, host: &mut Host, now: switchboard_core::Instant) -> Result<(), Errno> {
        match &self.kind {
            Kind::Tcp(Tcp::Connection { id, .. }) => Ok(host.stack.call_tcp_push(now, *id)?),
            _ => Ok(()),
        }
    }

    fn set_ip_int(&mut self, name: c_int, value: c_int) -> Result<(), Errno> {
        let settings = &mut self.settings;
        match name {
            libc::IP_TTL => {
                let ttl = match value {
                    -1 => None,
                    1..=255 => u8::try_from(value).ok(),
                    _ => return Err(Errno::EINVAL),
                };
                settings.tcp.hop_limit = ttl;
                settings.udp.hop_limit = ttl;
            }
            libc::IP_TOS => {
                let class = (value & 0xFF) as u8;
                settings.tcp.traffic_class = class;
                settings.udp.traffic_class = class;
            }
            libc::IP_MTU_DISCOVER
            | libc::IP_BIND_ADDRESS_NO_PORT
            | libc::IP_RECVERR
            | libc::IP_FREEBIND => {}
            _ => return Err(Errno::ENOPROTOOPT),
        }
        Ok(())
    }

    fn set_ipv6_int(&mut self, name: c_int, value: c_int) -> Result<(), Errno> {
        match name {
            libc::IPV6_UNICAST_HOPS => self.set_ip_int(libc::IP_TTL, value),
            libc::IPV6_TCLASS => match value {
                -1 => self.set_ip_int(libc::IP_TOS, 0),
                0..=255 => self.set_ip_int(libc::IP_TOS, value),
                _ => Err(Errno::EINVAL),
            },
            libc::IPV6_V6ONLY => {
                let is_bound = match &self.kind {
                    Kind::Tcp(Tcp::Idle { local }) => local.is_some(),
                    Kind::Udp(id) => id.is_some(),
                    Kind::Tcp(_) => true,
                };
                if is_bound {
                    return Err(Errno::EINVAL);
                }
                self.settings.tcp.only_v6 = value != 0;
                self.settings.udp.only_v6 = value != 0;
                Ok(())
            }
            libc::IPV6_MTU_DISCOVER | libc::IPV6_RECVERR => Ok(()),
            _ => Err(Errno::ENOPROTOOPT),
        }
    }
}

/// What Linux makes of a buffer size that was asked for.
fn doubled(asked: c_int, least: usize) -> usize {
    let asked = usize::try_from(asked).unwrap_or(0);
    asked.saturating_mul(2).clamp(least, BUFFER_MAX)
}

fn seconds(value: c_int, most: c_int) -> Result<Duration, Errno> {
    if (1..=most).contains(&value) {
        Ok(Duration::from_secs(value.unsigned_abs().into()))
    } else {
        Err(Errno::EINVAL)
    }
}

/// getsockopt(2).
impl SocketHandle {
    pub(crate) fn option(&self, level: c_int, name: c_int) -> Result<Value, Errno> {
        self.with(|socket, host, _| match level {
            libc::SOL_SOCKET => socket.socket_option(host, name),
            libc::IPPROTO_TCP if matches!(socket.kind, Kind::Tcp(_)) => {
                socket.tcp_option(host, name)
            }
            libc::IPPROTO_IP => socket.ip_option(host, name),
            libc::IPPROTO_IPV6 if socket.domain == Domain::V6 => socket.ipv6_option(host, name),
            _ => Err(Errno::ENOPROTOOPT),
        })
    }
}

impl Socket {
    fn socket_option(&mut self, host: &mut Host, name: c_int) -> Result<Value, Errno> {
        let is_udp = matches!(self.kind, Kind::Udp(_));
        let settings = &self.settings;
        Ok(Value::Int(match name {
            libc::SO_ERROR => {
                let error = self.take_error(host);
                return Ok(Value::Int(error.map_or(0, |Errno(errno)| errno)));
            }
            libc::SO_TYPE if is_udp => libc::SOCK_DGRAM,
            libc::SO_TYPE => libc::SOCK_STREAM,
            libc::SO_PROTOCOL if is_udp => libc::IPPROTO_UDP,
            libc::SO_PROTOCOL => libc::IPPROTO_TCP,
            libc::SO_DOMAIN => self.domain.to_c(),
            libc::SO_ACCEPTCONN => matches!(self.kind, Kind::Tcp(Tcp::Listening { .. })).into(),
            libc::SO_REUSEADDR => settings.reuse_address.into(),
            libc::SO_REUSEPORT => settings.reuse_port.into(),
            libc::SO_KEEPALIVE => settings.keep_alive.into(),
            libc::SO_BROADCAST => settings.udp.broadcast.into(),
            libc::SO_SNDBUF => int(settings.send_buffer),
            libc::SO_RCVBUF => int(settings.receive_buffer),
            libc::SO_RCVLOWAT | libc::SO_SNDLOWAT => 1,
            libc::SO_OOBINLINE => 1,
            libc::SO_PRIORITY | libc::SO_DONTROUTE | libc::SO_ZEROCOPY => 0,
            libc::SO_RCVTIMEO => return Ok(timeval(settings.receive_timeout)),
            libc::SO_SNDTIMEO => return Ok(timeval(settings.send_timeout)),
            libc::SO_MEMINFO => return Ok(self.memory(host)),
            libc::SO_LINGER => {
                let on = c_int::from(settings.linger.is_some());
                let time = settings.linger.unwrap_or_default().as_secs();
                let time = c_int::try_from(time).unwrap_or(c_int::MAX);
                let octets = [on.to_ne_bytes(), time.to_ne_bytes()].concat();
                return Ok(Value::Octets(octets));
            }
            _ => return Err(Errno::ENOPROTOOPT),
        }))
    }

    /// `SO_MEMINFO` (`linux/sock_diag.h`): what is allocated, and may be, in each direction.
    fn memory(&self, host: &Host) -> Value {
        let (mut unread, mut unsent) = (0, 0);
        if let Kind::Tcp(Tcp::Connection { id, .. }) = &self.kind
            && let Ok(info) = host.stack.tcp_info(*id)
        {
            unread = info.unread;
            unsent = info.unsent + info.in_flight;
        }
        let Settings {
            receive_buffer,
            send_buffer,
            ..
        } = self.settings;
        let all = [
            unread,
            receive_buffer,
            unsent,
            send_buffer,
            0,
            unsent,
            0,
            0,
            0,
        ];
        let octets = all.iter().flat_map(|number| int(*number).to_ne_bytes());
        Value::Octets(octets.collect())
    }

    fn tcp_option(&mut self, host: &mut Host, name: c_int) -> Result<Value, Errno> {
        let settings = &self.settings;
        let times = &settings.keep_alive_times;
        let seconds = |time: Duration| c_int::try_from(time.as_secs()).unwrap_or(c_int::MAX);
        Ok(Value::Int(match name {
            libc::TCP_NODELAY => settings.tcp.nodelay.into(),
            libc::TCP_CORK => settings.tcp.cork.into(),
            libc::TCP_QUICKACK => settings.tcp.quick_ack.into(),
            libc::TCP_FASTOPEN_CONNECT => settings.fast_open_connect.into(),
            libc::TCP_MAXSEG => match &self.kind {
                Kind::Tcp(Tcp::Connection { id, .. }) => int(host.stack.tcp_info(*id)?.send_mss),
                _ => settings.tcp.mss.unwrap_or(MSS_DEFAULT).into(),
            },
            libc::TCP_KEEPIDLE => seconds(times.idle),
            libc::TCP_KEEPINTVL => seconds(times.interval),
            libc::TCP_KEEPCNT => times.count.into(),
            libc::TCP_USER_TIMEOUT => settings.tcp.user_timeout.map_or(0, |time| {
                c_int::try_from(time.as_millis()).unwrap_or(c_int::MAX)
            }),
            libc::TCP_CONGESTION => {
                let name: &[u8] = match settings.tcp.congestion {
                    CongestionControl::Cubic => b"cubic",
                    CongestionControl::Reno => b"reno",
                };
                // `TCP_CA_NAME_MAX`, filled up with zeros.
                let mut octets = name.to_vec();
                octets.resize(16, 0);
                return Ok(Value::Octets(octets));
            }
            // None of ours has figures of its own.
            TCP_CC_INFO => return Ok(Value::Octets(Vec::new())),
            libc::TCP_INFO => return Ok(Value::Octets(self.tcp_info(host)?)),
            _ => return Err(Errno::ENOPROTOOPT),
        }))
    }

    fn ip_option(&mut self, host: &Host, name: c_int) -> Result<Value, Errno> {
        let default = host.stack.config().hop_limit;
        Ok(Value::Int(match name {
            libc::IP_TTL => self.settings.tcp.hop_limit.unwrap_or(default).into(),
            libc::IP_TOS => self.settings.tcp.traffic_class.into(),
            libc::IP_MTU => int(host.stack.config().mtu),
            _ => return Err(Errno::ENOPROTOOPT),
        }))
    }

    fn ipv6_option(&mut self, host: &Host, name: c_int) -> Result<Value, Errno> {
        match name {
            libc::IPV6_UNICAST_HOPS => self.ip_option(host, libc::IP_TTL),
            libc::IPV6_TCLASS => self.ip_option(host, libc::IP_TOS),
            libc::IPV6_MTU => self.ip_option(host, libc::IP_MTU),
            libc::IPV6_V6ONLY => Ok(Value::Int(self.settings.tcp.only_v6.into())),
            _ => Err(Errno::ENOPROTOOPT),
        }
    }
}

fn int(number: usize) -> c_int {
    c_int::try_from(number).unwrap_or(c_int::MAX)
}

fn timeval(time: Option<Duration>) -> Value {
    let time = time.unwrap_or_default();
    let seconds = libc::time_t::try_from(time.as_secs()).unwrap_or(libc::time_t::MAX);
    let micros = libc::suseconds_t::from(time.subsec_micros());
    Value::Octets([seconds.to_ne_bytes(), micros.to_ne_bytes()].concat())
}

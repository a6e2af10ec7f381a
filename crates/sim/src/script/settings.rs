//! The `set` lines: what the stack under test is configured with.

use std::time::Duration;

use switchboard_core::config::{CongestionControl, KeepAlive, Linger};
use switchboard_core::{Config, TcpOptions};

use crate::host;
use crate::notation::parse_duration;

/// What a script sets before it starts.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) config: Config,
    pub(super) options: TcpOptions,
    pub(super) is_v6: bool,
    /// Where the peer's numbers begin.
    pub(super) peer_iss: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            config: host::config(&["10.0.0.1/24", "fd00::1/64"]),
            options: TcpOptions::default(),
            is_v6: false,
            peer_iss: 1_000_000,
        }
    }
}

impl Settings {
    /// Takes one `NAME=VALUE`.
    pub(super) fn set(&mut self, word: &str) -> Result<(), String> {
        let (name, value) = word.split_once('=').unwrap_or((word, "on"));
        let tcp = &mut self.config.tcp;
        match name {
            "v6" => self.is_v6 = flag(value)?,
            "mtu" => self.config.mtu = number(value)?,
            "peer_iss" => self.peer_iss = number(value)?,
            "timestamps" => tcp.timestamps = flag(value)?,
            "window_scaling" => tcp.window_scaling = flag(value)?,
            "sack" => tcp.sack = flag(value)?,
            "rto_min" => tcp.rto_min = parse_duration(value)?,
            "rto_max" => tcp.rto_max = parse_duration(value)?,
            "rto_initial" => tcp.rto_initial = parse_duration(value)?,
            "syn_retries" => tcp.syn_retries = number(value)?,
            "syn_ack_retries" => tcp.syn_ack_retries = number(value)?,
            "delayed_ack" => tcp.delayed_ack = parse_duration(value)?,
            "time_wait" => tcp.time_wait = parse_duration(value)?,
            "fin_wait_2" => tcp.fin_wait_2 = parse_duration(value)?,
            "icmp_burst" => self.config.limits.icmp_burst = number(value)?,
            "icmp_errors_per_second" => {
                self.config.limits.icmp_errors_per_second = number(value)?;
            }
            "challenge_acks_per_second" => {
                self.config.limits.challenge_acks_per_second = number(value)?;
            }
            "syn_backlog" => self.config.limits.syn_backlog = number(value)?,
            "out_of_order_ranges" => self.config.limits.out_of_order_ranges = number(value)?,
            _ => set_option(&mut self.options, word)?,
        }
        Ok(())
    }
}

/// Takes one `NAME=VALUE` that a connection may change while it lives.
pub(super) fn set_option(options: &mut TcpOptions, word: &str) -> Result<(), String> {
    let (name, value) = word.split_once('=').unwrap_or((word, "on"));
    match name {
        "nodelay" => options.nodelay = flag(value)?,
        "cork" => options.cork = flag(value)?,
        "quick_ack" => options.quick_ack = flag(value)?,
        "keep_alive" => options.keep_alive = keep_alive(value)?,
        "user_timeout" => options.user_timeout = optional(value)?,
        "linger" => {
            options.linger = match value {
                "reset" => Linger::Reset,
                "background" => Linger::Background,
                _ => return Err(format!("linger is reset or background, not {value:?}")),
            }
        }
        "send_buffer" => options.send_buffer = number(value)?,
        "receive_buffer" => options.receive_buffer = number(value)?,
        "congestion" => {
            options.congestion = match value {
                "cubic" => CongestionControl::Cubic,
                "reno" => CongestionControl::Reno,
                _ => return Err(format!("congestion is cubic or reno, not {value:?}")),
            }
        }
        "mss" => options.mss = Some(number(value)?),
        _ => return Err(format!("nothing is called {name:?}")),
    }
    Ok(())
}

fn flag(value: &str) -> Result<bool, String> {
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(format!("on or off, not {value:?}")),
    }
}

fn number<T: std::str::FromStr>(value: &str) -> Result<T, String> {
    value
        .parse()
        .map_err(|_| format!("{value:?} is no number that fits"))
}

fn optional(value: &str) -> Result<Option<Duration>, String> {
    match value {
        "off" => Ok(None),
        _ => parse_duration(value).map(Some),
    }
}

fn keep_alive(value: &str) -> Result<Option<KeepAlive>, String> {
    if value == "off" {
        return Ok(None);
    }
    let parts: Vec<&str> = value.split('/').collect();
    let [idle, interval, count] = parts[..] else {
        return Err("keep_alive is off or IDLE/INTERVAL/COUNT".to_owned());
    };
    Ok(Some(KeepAlive {
        idle: parse_duration(idle)?,
        interval: parse_duration(interval)?,
        count: number(count)?,
    }))
}

//! What scripts set by sysctl.

use std::time::Duration;

use switchboard_core::TcpConfig;
use switchboard_core::config::CongestionControl;

/// `base` with what the network namespace of this process says (`/proc/sys/net/ipv4`). What is not
/// there stays.
pub(super) fn read(base: &TcpConfig) -> TcpConfig {
    let mut config = base.clone();
    let on = |name: &str, to: &mut bool| {
        if let Some(value) = number(name) {
            *to = value != 0;
        }
    };
    on("tcp_timestamps", &mut config.timestamps);
    on("tcp_sack", &mut config.sack);
    on("tcp_window_scaling", &mut config.window_scaling);
    on(
        "tcp_slow_start_after_idle",
        &mut config.slow_start_after_idle,
    );
    let count = |name: &str, to: &mut u8| {
        if let Some(value) = number(name) {
            *to = u8::try_from(value).unwrap_or(u8::MAX);
        }
    };
    count("tcp_syn_retries", &mut config.syn_retries);
    count("tcp_synack_retries", &mut config.syn_ack_retries);
    if let Some(seconds) = number("tcp_fin_timeout") {
        config.fin_wait_2 = Duration::from_secs(seconds);
    }
    // Smallest, default, largest.
    if let Some([_, _, largest]) = triple("tcp_rmem") {
        config.defaults.receive_buffer = largest;
    }
    if let Some([_, usual, _]) = triple("tcp_wmem") {
        config.defaults.send_buffer = usual;
    }
    match text("tcp_congestion_control").as_deref() {
        Some("reno") => config.defaults.congestion = CongestionControl::Reno,
        Some("cubic") => config.defaults.congestion = CongestionControl::Cubic,
        _ => {}
    }
    config
}

fn text(name: &str) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).ok()?;
    Some(text.trim().to_owned())
}

fn number(name: &str) -> Option<u64> {
    text(name)?.parse().ok()
}

fn triple(name: &str) -> Option<[usize; 3]> {
    let text = text(name)?;
    let numbers: Vec<usize> = text
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    numbers.try_into().ok()
}

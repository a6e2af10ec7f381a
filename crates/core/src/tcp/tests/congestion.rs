//! Congestion control: RFC 5681, RFC 6928, RFC 7661, RFC 9438.

use core::time::Duration;

use proptest::prelude::*;
use switchboard_wire::Instant;

use crate::config::CongestionControl;
use crate::tcp::congestion::cubic::cube_root;
use crate::tcp::congestion::{
    AckSample, CWND_MAX, CongestionController, Controller, initial_window,
};

const SMSS: u32 = 1_000;

fn ack(at_ms: u64, acked: u32, flight: u32) -> AckSample {
    AckSample {
        arrived: Instant::from_millis(at_ms),
        acked,
        delivered: acked,
        lost: 0,
        delivered_total: 0,
        delivered_before: 0,
        interval: None,
        rtt: None,
        srtt: Some(Duration::from_millis(100)),
        flight_before: flight,
        ece: false,
        app_limited: false,
        smss: SMSS,
    }
}

/// One round trip with the whole window in use.
fn round(controller: &mut Controller, at_ms: u64) {
    let cwnd = controller.cwnd();
    for _ in 0..cwnd / SMSS {
        controller.on_ack(&ack(at_ms, SMSS, controller.cwnd()));
    }
}

#[test]
fn the_initial_window_is_ten_segments_within_bounds() {
    assert_eq!(initial_window(1_460, false), 14_600);
    assert_eq!(initial_window(536, false), 5_360);
    assert_eq!(initial_window(65_495, false), 2 * 65_495);
    assert_eq!(initial_window(1_460, true), 1_460);
}

#[test]
fn slow_start_doubles_and_reno_then_adds_a_segment() {
    let mut reno = Controller::new(CongestionControl::Reno, 10 * SMSS);
    round(&mut reno, 100);
    assert_eq!(reno.cwnd(), 20 * SMSS);
    reno.on_congestion(Instant::ZERO, 20 * SMSS, SMSS);
    assert_eq!((reno.cwnd(), reno.ssthresh()), (10 * SMSS, 10 * SMSS));
    round(&mut reno, 200);
    assert_eq!(reno.cwnd(), 11 * SMSS);
    reno.on_timeout(Instant::ZERO, 11 * SMSS, SMSS, false);
    assert_eq!((reno.cwnd(), reno.ssthresh()), (SMSS, 11 * SMSS / 2));
    reno.on_timeout(Instant::ZERO, SMSS, SMSS, true);
    assert_eq!(reno.ssthresh(), 11 * SMSS / 2, "the same octets again");
}

/// RFC 9438 section 4: 0.7 at a loss; back at the old window after K; then beyond.
#[test]
fn cubic_returns_to_where_it_was_and_then_goes_beyond() {
    let mut cubic = Controller::new(CongestionControl::Cubic, 1_000 * SMSS);
    cubic.on_congestion(Instant::ZERO, 1_000 * SMSS, SMSS);
    assert_eq!(cubic.cwnd(), 700 * SMSS);
    // K = cbrt(300 / 0.4) = 9.086 s.
    let mut at_ms = 0;
    let mut at_plateau = 0;
    while at_ms < 20_000 {
        round(&mut cubic, at_ms);
        if at_ms == 9_000 {
            at_plateau = cubic.cwnd();
        }
        at_ms += 100;
    }
    let near = 990 * SMSS..=1_010 * SMSS;
    assert!(near.contains(&at_plateau), "{at_plateau}");
    assert!(cubic.cwnd() > 1_300 * SMSS, "{}", cubic.cwnd());
}

/// RFC 9438 section 4.3: on short paths it is at least as fast as Reno.
#[test]
fn cubic_is_not_slower_than_reno_on_short_paths() {
    let mut cubic = Controller::new(CongestionControl::Cubic, 20 * SMSS);
    cubic.on_congestion(Instant::ZERO, 20 * SMSS, SMSS);
    for trip in 0..40 {
        round(&mut cubic, trip);
    }
    // Reno with factor 0.7 grows 9/17 of a segment a round trip, a whole one beyond 20.
    assert!(cubic.cwnd() >= 30 * SMSS, "{}", cubic.cwnd());
}

/// RFC 7661: a window that is not used does not grow.
#[test]
fn an_unused_window_does_not_grow() {
    for which in [CongestionControl::Reno, CongestionControl::Cubic] {
        let mut controller = Controller::new(which, 10 * SMSS);
        for at in 0..1_000 {
            controller.on_ack(&ack(at, SMSS, SMSS));
        }
        assert_eq!(controller.cwnd(), 10 * SMSS);
    }
}

#[test]
fn switching_keeps_the_window() {
    let mut controller = Controller::new(CongestionControl::Reno, 10 * SMSS);
    controller.switch(CongestionControl::Cubic);
    assert!(matches!(controller, Controller::Cubic(_)));
    assert_eq!(controller.cwnd(), 10 * SMSS);
}

proptest! {
    #[test]
    fn the_cube_root_is_exact(value: u64) {
        let root = u128::from(cube_root(value));
        prop_assert!(root.pow(3) <= u128::from(value));
        prop_assert!((root + 1).pow(3) > u128::from(value));
    }

    /// Bug 7: whatever happens, the window stays within its bounds and nothing overflows.
    #[test]
    fn no_history_breaks_a_controller(
        cubic: bool,
        smss in 8u32..65_500,
        events in prop::collection::vec((0u8..5, 0u64..4_000_000_000, 0u32..CWND_MAX), 1..200),
    ) {
        let which = if cubic { CongestionControl::Cubic } else { CongestionControl::Reno };
        let mut controller = Controller::new(which, initial_window(smss, false));
        for (event, at, octets) in events {
            let now = Instant::from_millis(at);
            match event {
                0 | 1 => {
                    let mut sample = ack(at, octets, octets.max(controller.cwnd()));
                    sample.smss = smss;
                    controller.on_ack(&sample);
                }
                2 => controller.on_congestion(now, octets, smss),
                3 => controller.on_timeout(now, octets, smss, octets % 2 == 0),
                _ => controller.on_idle(initial_window(smss, false)),
            }
            prop_assert!(controller.cwnd() >= 8 && controller.cwnd() <= CWND_MAX);
            prop_assert!(controller.ssthresh() >= 2 * smss || controller.ssthresh() == CWND_MAX);
        }
    }
}

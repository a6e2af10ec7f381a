//! CUBIC (RFC 9438), in integers: the same on every machine, and no `libm`.

use core::time::Duration;

use switchboard_wire::Instant;

use super::{AckSample, CWND_MAX, CongestionController, slow_start, was_limiting};

/// Grows along a cubic whose plateau is where the last loss was.
///
/// Time is in milliseconds. With C = 0.4 segments per second cubed (RFC 9438 section 5.1) the
/// curve in octets is `smss * 2/5 * (t - K)^3 / 10^9`.
#[derive(Clone, Debug)]
pub(crate) struct Cubic {
    cwnd: u32,
    ssthresh: u32,
    /// The window before the last reduction, less by fast convergence (section 4.7).
    w_max: u32,
    /// The window right before the last reduction.
    cwnd_prior: u32,
    /// What Reno would have by now (section 4.3).
    w_est: u32,
    /// Octets' worth of growth below one octet, times cwnd: kept so that nothing is lost.
    w_est_rest: u64,
    /// K, the time to the plateau, in ms.
    k_ms: u32,
    /// When congestion avoidance began; `None` before its first ACK.
    epoch: Option<Instant>,
    /// When the last ACK came: time in which the application sent little is no time for the
    /// curve (section 5.8).
    last_ack: Instant,
}

impl Cubic {
    pub(crate) const fn new(initial_window: u32) -> Self {
        Self::resume(initial_window, CWND_MAX)
    }

    pub(super) const fn resume(cwnd: u32, ssthresh: u32) -> Self {
        Self {
            cwnd,
            ssthresh,
            w_max: 0,
            cwnd_prior: 0,
            w_est: 0,
            w_est_rest: 0,
            k_ms: 0,
            epoch: None,
            last_ack: Instant::ZERO,
        }
    }

    /// Congestion avoidance begins (RFC 9438 section 4.2): where the curve starts.
    fn begin_epoch(&mut self, now: Instant, smss: u32) -> Instant {
        self.w_est = self.cwnd;
        self.w_est_rest = 0;
        if self.cwnd < self.w_max {
            // K = cbrt((W_max - cwnd_epoch) / C), both in segments; here in ms.
            let gap = u64::from(self.w_max - self.cwnd);
            let cubed = gap.saturating_mul(2_500_000_000) / u64::from(smss.max(1));
            self.k_ms = cube_root(cubed) as u32;
        } else {
            self.k_ms = 0;
            self.w_max = self.cwnd;
        }
        self.epoch = Some(now);
        now
    }

    /// W_cubic(t), in octets.
    fn curve(&self, t: Duration, smss: u32) -> u32 {
        // An hour from the plateau is beyond any window; it also keeps the cube in range.
        let t_ms = t.as_millis().min(7_200_000) as i64;
        let distance = (t_ms - i64::from(self.k_ms)).clamp(-3_600_000, 3_600_000);
        let cubed = i128::from(distance).pow(3);
        let octets = cubed * i128::from(smss) * 2 / 5_000_000_000;
        (i128::from(self.w_max) + octets).clamp(0, i128::from(CWND_MAX)) as u32
    }

    /// W_est (section 4.3): Reno's pace with CUBIC's factor, alpha = 9/17 until the window is
    /// back where it was, then 1.
    fn grow_reno_estimate(&mut self, acked: u32, smss: u32) {
        let (numerator, denominator) = if self.w_est >= self.cwnd_prior {
            (1, 1)
        } else {
            (9, 17)
        };
        let cwnd = u64::from(self.cwnd.max(1));
        self.w_est_rest += u64::from(acked) * u64::from(smss) * numerator / denominator;
        let grow = self.w_est_rest / cwnd;
        self.w_est_rest %= cwnd;
        self.w_est = self
            .w_est
            .saturating_add(u32::try_from(grow).unwrap_or(CWND_MAX))
            .min(CWND_MAX);
    }

    fn avoid_congestion(&mut self, sample: &AckSample, acked: u32) {
        let epoch = match self.epoch {
            Some(epoch) => epoch,
            None => self.begin_epoch(sample.arrived, sample.smss),
        };
        let t = sample.arrived.saturating_since(epoch);
        self.grow_reno_estimate(acked, sample.smss);
        if self.curve(t, sample.smss) < self.w_est {
            // Reno-friendly region.
            self.cwnd = self.cwnd.max(self.w_est);
            return;
        }
        // Concave or convex region (sections 4.4, 4.5): toward where the curve is one round
        // trip from now, at most half as much again.
        let ahead = t + sample.srtt.unwrap_or(Duration::ZERO);
        let most = self.cwnd.saturating_add(self.cwnd / 2);
        let target = self.curve(ahead, sample.smss).clamp(self.cwnd, most);
        let grow = u64::from(target - self.cwnd) * u64::from(acked) / u64::from(self.cwnd.max(1));
        self.cwnd = self
            .cwnd
            .saturating_add(u32::try_from(grow).unwrap_or(CWND_MAX))
            .min(target)
            .min(CWND_MAX);
    }

    /// Multiplicative decrease by 0.7, and fast convergence (sections 4.6 and 4.7).
    fn reduce(&mut self, flight: u32, smss: u32) {
        self.cwnd_prior = self.cwnd;
        self.w_max = if self.cwnd < self.w_max {
            (u64::from(self.cwnd) * 17 / 20) as u32
        } else {
            self.cwnd
        };
        self.ssthresh = ((u64::from(flight) * 7 / 10) as u32).max(2 * smss);
        self.epoch = None;
    }
}

impl CongestionController for Cubic {
    fn cwnd(&self) -> u32 {
        self.cwnd
    }

    fn ssthresh(&self) -> u32 {
        self.ssthresh
    }

    fn on_ack(&mut self, sample: &AckSample) {
        let since = sample.arrived.saturating_since(self.last_ack);
        self.last_ack = sample.arrived;
        if !was_limiting(sample, self.cwnd, self.ssthresh) {
            if let Some(epoch) = self.epoch {
                self.epoch = Some((epoch + since).min(sample.arrived));
            }
            return;
        }
        let left = slow_start(&mut self.cwnd, self.ssthresh, sample.acked);
        if left > 0 {
            self.avoid_congestion(sample, left);
        }
    }

    fn on_congestion(&mut self, _now: Instant, flight: u32, smss: u32) {
        self.reduce(flight, smss);
        self.cwnd = self.ssthresh;
    }

    fn on_timeout(&mut self, _now: Instant, flight: u32, smss: u32, again: bool) {
        if !again {
            self.reduce(flight, smss);
        }
        self.cwnd = smss;
    }

    fn on_recovered(&mut self, _now: Instant) {
        self.cwnd = self.cwnd.min(self.ssthresh);
    }

    fn on_idle(&mut self, restart_window: u32) {
        self.cwnd = self.cwnd.min(restart_window);
        self.epoch = None;
    }
}

/// The largest number whose cube is at most `value`.
pub(crate) fn cube_root(value: u64) -> u64 {
    // One bit of the root at a time, from the highest: 2_642_245 cubed is the last in range.
    let mut root: u64 = 0;
    for bit in (0..22).rev() {
        let candidate = root | (1 << bit);
        let fits = candidate
            .checked_mul(candidate)
            .and_then(|square| square.checked_mul(candidate))
            .is_some_and(|cube| cube <= value);
        if fits {
            root = candidate;
        }
    }
    root
}

//! One stack on a clock that packetdrill moves.

use std::ffi::c_int;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use switchboard_core::Instant;

use super::settings;
use super::threads;
use crate::clock::Clock;
use crate::errno::Errno;
use crate::link::Link;
use crate::network::{Network, State};
use crate::stack::{self, Plan};

/// What packetdrill's scripts expect of a local machine (its own defaults).
const ADDRESSES: &str = "192.168.0.1/16, fd3d:0a0b:17d6::1/48";
const MTU: usize = 1500;
/// Any seed: the same in every run.
const SEED: u64 = 1;
/// The time of day at which every run begins: any, and the same in every run.
const EPOCH: Duration = Duration::from_secs(1_700_000_000);
/// What one look at the clock takes: packetdrill spins on it.
const LOOK: Duration = Duration::from_micros(1);
/// How long a script can wait for a packet before there is none: past every timer that a script
/// may be about (retransmissions are at most two minutes apart).
const PATIENCE: Duration = Duration::from_secs(300);

pub(super) struct Adapter {
    network: Arc<Network>,
    stack: c_int,
    /// It said once already that no packet came.
    has_complained: AtomicBool,
}

impl Adapter {
    /// `flags` are of the form `name=value`, separated by commas: `mtu`.
    pub(super) fn new(flags: &str) -> Result<Self, Errno> {
        let mut mtu = MTU;
        for flag in flags.split(',').filter(|flag| !flag.is_empty()) {
            match flag.split_once('=') {
                Some(("mtu", value)) => mtu = value.parse().map_err(|_| Errno::EINVAL)?,
                _ => return Err(Errno::EINVAL),
            }
        }
        let plan = Plan {
            addresses: Plan::parse_addresses(ADDRESSES)?,
            mtu,
            seed: SEED,
            is_virtual: true,
        };
        let host = plan.host(Link::Kept(std::collections::VecDeque::new()))?;
        let network = Network::new(vec![host], Clock::Driven)?;
        let stack = stack::name(&network, 0)?;
        let adapter = Self {
            network,
            stack,
            has_complained: AtomicBool::new(false),
        };
        adapter.take_settings();
        Ok(adapter)
    }

    pub(super) fn stack(&self) -> c_int {
        self.stack
    }

    /// What the script set by sysctl holds from the next call on, as it does in the kernel. They
    /// are read where the script set them: in this process's network namespace.
    pub(super) fn take_settings(&self) {
        self.network.with(|state, _| {
            if let Some(host) = state.hosts.first_mut() {
                let config = settings::read(&host.stack.config().tcp);
                host.stack.set_tcp_config(config);
            }
        });
    }

    /// A packet of the script's for the stack.
    pub(super) fn send(&self, packet: &[u8]) {
        self.settle();
        let packet = Bytes::copy_from_slice(packet);
        self.network
            .with(|state, now| state.receive(0, now, packet));
        self.settle();
    }

    /// The next packet of the stack's, and when it left. If none will leave, an empty one:
    /// packetdrill takes it for a bad packet and fails the script, where it would otherwise wait
    /// for ever.
    pub(super) fn receive(&self) -> (Instant, Bytes) {
        let began = self.now();
        loop {
            self.settle();
            let mut state = self.network.lock_apart();
            if let Some(packet) = taken(&mut state) {
                return (
                    EPOCH_INSTANT + packet.0.saturating_since(Instant::ZERO),
                    packet.1,
                );
            }
            match state.next_step().filter(|next| *next <= began + PATIENCE) {
                Some(next) => self.network.step(&mut state, next),
                None => break,
            }
        }
        if !self.has_complained.swap(true, Ordering::Relaxed) {
            eprintln!("switchboard: the script waits for a packet, and none leaves any more");
        }
        (EPOCH_INSTANT, Bytes::new())
    }

    /// Lets virtual time pass, with everything that is due meanwhile.
    pub(super) fn sleep(&self, time: Duration) {
        self.settle();
        let end = self.now() + time;
        loop {
            {
                let mut state = self.network.lock_apart();
                let next = state.next_step().filter(|next| *next < end);
                self.network.step(&mut state, next.unwrap_or(end));
                if next.is_none() {
                    break;
                }
            }
            self.settle();
        }
        self.settle();
    }

    /// The time of day. Looking takes a little, as packetdrill waits by looking.
    pub(super) fn time_of_day(&self) -> Duration {
        if self.network.lock_apart().virtual_time.has_woken() {
            self.settle();
        }
        let mut state = self.network.lock_apart();
        let next = state.virtual_time.now + LOOK;
        self.network.step(&mut state, next);
        drop(state);
        EPOCH + self.now().saturating_since(Instant::ZERO)
    }

    fn now(&self) -> Instant {
        self.network.lock_apart().virtual_time.now
    }

    /// Waits until the thread of blocking calls sleeps: in a call of ours with nothing that would
    /// wake it, or in packetdrill.
    fn settle(&self) {
        threads::settle(|| !self.network.lock_apart().virtual_time.has_woken());
    }
}

const EPOCH_INSTANT: Instant = Instant::from_nanos(EPOCH.as_secs() * 1_000_000_000);

fn taken(state: &mut State) -> Option<(Instant, Bytes)> {
    match &mut state.hosts.first_mut()?.link {
        Link::Kept(kept) => kept.pop_front(),
        Link::Peer(_) | Link::Descriptor { .. } => None,
    }
}

impl Drop for Adapter {
    fn drop(&mut self) {
        // It is there: nobody else has its number.
        let _ = crate::descriptor::close(self.stack);
    }
}

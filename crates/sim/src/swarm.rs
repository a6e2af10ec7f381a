//! Random worlds by the thousand, each from one number.
//!
//! Everything that a world can vary in is drawn from its seed: the line and its
//! misbehaviour, families, MTUs, options, buffers, how much is sent, read and written, who
//! closes when, and sometimes an abort or a cut line. Whatever was drawn, every oracle must
//! hold, and where nobody aborts, everything must arrive.

use std::net::SocketAddr;
use std::time::Duration;

use switchboard_core::config::{CongestionControl, KeepAlive};
use switchboard_core::{Config, Offloads, TcpOptions};
use switchboard_wire::Instant;

use crate::app::{Abort, Client, Close, DatagramReceiver, DatagramSender, Plan, Server};
use crate::failure::Failure;
use crate::host;
use crate::impair::{Burst, Loss, Mtu, Partition, QueueLimit, Rate};
use crate::link::Conditions;
use crate::rng::{Chance, Rng, Seed};
use crate::scenario::server_endpoint;
use crate::trace::Keep;
use crate::world::{HostId, World};

/// How a run of one seed went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SwarmReport {
    /// Same seed, same digest.
    pub digest: u64,
    /// Packets that links were given.
    pub packets: u64,
    /// Octets that applications received over TCP.
    pub octets: u64,
    /// How long it took in the world.
    pub took: Duration,
}

/// Runs the world of `seed` until nothing will ever happen in it any more.
///
/// # Errors
///
/// The first promise that was broken, with the whole trace: a failed run is repeated to get
/// it.
pub fn run(seed: Seed) -> Result<SwarmReport, Box<Failure>> {
    run_keeping(seed, Keep::Nothing)
        .map_err(|first| run_keeping(seed, Keep::All).err().unwrap_or(first))
}

fn run_keeping(seed: Seed, keep: Keep) -> Result<SwarmReport, Box<Failure>> {
    let mut world = World::new(seed);
    world.trace_mut().keep(keep);
    world.set_repeat_command(format!(
        "cargo run -p switchboard-sim --release --example seeds -- --from {seed} --count 1"
    ));
    populate(&mut world);
    world.run_until_idle()?;
    Ok(SwarmReport {
        digest: world.trace().digest(),
        packets: world.trace().packets(),
        octets: world
            .oracles()
            .stream
            .streams()
            .values()
            .map(|stream| stream.received)
            .sum(),
        took: world.now().saturating_since(Instant::ZERO),
    })
}

/// Puts two hosts, a line and conversations into an empty world, drawn from its seed.
pub fn populate(world: &mut World) {
    let mut rng = Rng::new(world.seed().of_part(u64::MAX));
    let is_v6 = rng.happens(Chance::percent(40));
    let client = world.host("client", config(&mut rng, 1, is_v6));
    let server = world.host("server", config(&mut rng, 2, is_v6));
    world.link_one_way(client, server, conditions(&mut rng, is_v6));
    world.link_one_way(server, client, conditions(&mut rng, is_v6));
    cut_sometimes(world, &mut rng, client, server);

    let aborts = rng.happens(Chance::percent(15));
    for number in 0..rng.between(1, 3) {
        let endpoint = server_endpoint(is_v6, 80 + number as u16);
        let options = options(&mut rng, aborts);
        let app = Server::new(
            endpoint,
            plan(&mut rng, aborts),
            if aborts { None } else { Some(1) },
        );
        world.start(server, app.with_options(options));
        let starts = Instant::ZERO + rng.up_to(Duration::from_millis(200));
        let client_options = TcpOptions {
            send_buffer: buffer(&mut rng),
            receive_buffer: buffer(&mut rng),
            ..options
        };
        let app = Client::new(endpoint, plan(&mut rng, aborts));
        world.start(client, app.with_options(client_options).starting_at(starts));
    }
    if rng.happens(Chance::percent(30)) {
        let endpoint = server_endpoint(is_v6, 53);
        let mut local = server_endpoint(is_v6, 5_000);
        local.set_ip(own_address(is_v6, 1));
        world.start(server, DatagramReceiver::new(endpoint));
        // Two flipped bits in two fragments of one datagram can cancel out in its sum.
        let corrupts = world.corrupts(client, server);
        let len = rng.pick(if corrupts {
            &[8, 50, 100, 200, 300, 500]
        } else {
            &[8, 100, 1_000, 1_472, 3_000, 9_000]
        });
        let gap = rng.up_to(Duration::from_millis(20));
        let count = rng.between(1, 50);
        world.start(
            client,
            DatagramSender::new(local, endpoint, count, len, gap),
        );
    }
}

fn own_address(is_v6: bool, number: u16) -> std::net::IpAddr {
    let SocketAddr::V4(_) = server_endpoint(is_v6, 0) else {
        return std::net::Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number).into();
    };
    std::net::Ipv4Addr::new(10, 0, 0, number as u8).into()
}

fn config(rng: &mut Rng, number: u16, is_v6: bool) -> Config {
    let mut config = if is_v6 {
        host::config(&[&format!("fd00::{number}/64")])
    } else {
        host::config(&[&format!("10.0.0.{number}/24")])
    };
    let small = if is_v6 { 1_280 } else { 576 };
    config.mtu = rng.pick(&[1_500, 1_500, 1_500, small, 9_000, 65_520]);
    if rng.happens(Chance::percent(40)) {
        config.offloads = Offloads {
            checksum: true,
            tso4: true,
            tso6: true,
            uso: true,
        };
    }
    config.tcp.timestamps = rng.happens(Chance::percent(70));
    config.tcp.sack = rng.happens(Chance::percent(80));
    config.tcp.window_scaling = rng.happens(Chance::percent(80));
    // With every tenth packet lost both ways, six tries fail once in some thousand seeds.
    config.tcp.syn_retries = 14;
    config.tcp.syn_ack_retries = 14;
    config
}

fn conditions(rng: &mut Rng, is_v6: bool) -> Conditions {
    let mut line = Conditions::delay(rng.up_to(Duration::from_millis(100)));
    line.delay.jitter = match rng.below(2) {
        0 => Duration::ZERO,
        _ => rng.up_to(Duration::from_millis(20)),
    };
    line.loss = match rng.below(4) {
        0 => Loss::None,
        1 => Loss::Burst(Burst::new(
            Chance::per_million(rng.below(15_000) as u32),
            // A burst that outlives fifteen minutes of backed-off resends would be an outage.
            Chance::percent(rng.between(50, 90) as u32),
        )),
        _ => Loss::Random(Chance::per_million(rng.below(100_001) as u32)),
    };
    if rng.happens(Chance::percent(50)) {
        line.reorder.chance = Chance::percent(rng.between(0, 20) as u32);
        line.reorder.by = rng.up_to(Duration::from_millis(40));
    }
    if rng.happens(Chance::percent(40)) {
        line.duplicate.chance = Chance::percent(rng.between(0, 10) as u32);
    }
    if rng.happens(Chance::percent(40)) {
        line.corrupt.chance = Chance::percent(rng.between(0, 5) as u32);
    }
    if rng.happens(Chance::percent(40)) {
        line.rate = Rate::bits_per_second(rng.between(200_000, 50_000_000));
        line.rate.limit = QueueLimit {
            packets: rng.between(4, 200) as usize,
            octets: 1 << 20,
        };
    }
    if rng.happens(Chance::percent(20)) {
        let smallest = if is_v6 { 1_280 } else { 576 };
        line.mtu = Mtu::Answered(rng.between(smallest, 1_500) as usize);
    }
    line
}

/// Cuts the line once for a while, in one direction or both.
fn cut_sometimes(world: &mut World, rng: &mut Rng, client: HostId, server: HostId) {
    if !rng.happens(Chance::percent(15)) {
        return;
    }
    let begins = Instant::ZERO + rng.up_to(Duration::from_secs(2));
    let ends = begins + rng.up_to(Duration::from_secs(20));
    let ways = match rng.below(3) {
        0 => vec![(client, server)],
        1 => vec![(server, client)],
        _ => vec![(client, server), (server, client)],
    };
    for (from, to) in ways {
        world.at(begins, move |world| {
            world.conditions_mut(from, to).partition = Partition::Cut;
        });
        world.at(ends, move |world| {
            world.conditions_mut(from, to).partition = Partition::Whole;
        });
    }
}

fn options(rng: &mut Rng, aborts: bool) -> TcpOptions {
    TcpOptions {
        nodelay: rng.happens(Chance::percent(50)),
        quick_ack: rng.happens(Chance::percent(30)),
        congestion: rng.pick(&[CongestionControl::Cubic, CongestionControl::Reno]),
        send_buffer: buffer(rng),
        receive_buffer: buffer(rng),
        // Whoever waits for a peer whose RST was lost waits for ever without it.
        keep_alive: aborts.then_some(KeepAlive {
            idle: Duration::from_secs(30),
            interval: Duration::from_secs(5),
            count: 6,
        }),
        ..TcpOptions::default()
    }
}

/// From a few segments to more than any of these worlds sends.
fn buffer(rng: &mut Rng) -> usize {
    2_048 << rng.below(8)
}

fn plan(rng: &mut Rng, aborts: bool) -> Plan {
    let send = match rng.below(5) {
        0 => 0,
        1 => rng.between(1, 100),
        2 | 3 => rng.between(100, 20_000),
        _ => rng.between(20_000, 150_000),
    };
    let received = rng.between(0, 20_000);
    let slow_writer = rng.happens(Chance::percent(30));
    let slow_reader = rng.happens(Chance::percent(30));
    let late_reader = rng.happens(Chance::percent(20));
    Plan {
        send,
        write: rng
            .pick(&[1, 100, 1_000, 1_448, 4_096, 16_384, 65_536])
            .max(send as usize / 500),
        write_gap: if slow_writer {
            rng.up_to(Duration::from_millis(5))
        } else {
            Duration::ZERO
        },
        read: rng.pick(&[100, 1_000, 4_096, 65_536]),
        read_gap: if slow_reader {
            rng.up_to(Duration::from_millis(5))
        } else {
            Duration::ZERO
        },
        read_from: if late_reader {
            Instant::ZERO + rng.up_to(Duration::from_secs(5))
        } else {
            Instant::ZERO
        },
        close: match rng.below(3) {
            0 => Close::AfterSending,
            1 => Close::At(Instant::ZERO + rng.up_to(Duration::from_secs(3))),
            _ => Close::AfterSending,
        },
        abort: match rng.below(3) {
            0 if aborts => Some(Abort::AfterSending(send / 2 + 1)),
            1 if aborts => Some(Abort::AfterReceiving(received + 1)),
            _ => None,
        },
    }
}

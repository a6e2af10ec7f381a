//! A simulated partition finds a bug in a toy protocol: a lease that two hold at once.
//!
//! `cargo run -p switchboard-examples --example partition`

use std::sync::{Arc, Mutex};
use std::time::Duration;

use switchboard::net::UdpSocket;
use switchboard::sim::{self, Sim};
use tokio::time::{Instant, sleep, timeout};

const MS: Duration = Duration::from_millis(1);
const LEASE: Duration = Duration::from_secs(1);

/// Gives the lease to one worker at a time: whoever asks first, until it has not asked for a while.
async fn lock_server() -> sim::Result {
    let socket = UdpSocket::bind("0.0.0.0:9").await?;
    let mut lease = None;
    loop {
        let (_, worker) = socket.recv_from(&mut [0; 8]).await?;
        if lease.is_none_or(|(holder, until)| holder == worker || until <= Instant::now()) {
            lease = Some((worker, Instant::now() + LEASE));
            socket.send_to(b"yours", worker).await?;
        }
    }
}

/// Works while it has the lease. `BUGGY`: its lease counts from the answer, the server's from the
/// question, which came earlier.
async fn worker<const BUGGY: bool>(working: Arc<Mutex<Option<String>>>) -> sim::Result {
    let socket = UdpSocket::bind("0.0.0.0:0").await?;
    socket.connect("lock:9").await?;
    let mut until = None;
    while sim::elapsed() < 60 * LEASE {
        let asked = Instant::now();
        socket.send(b"lease?").await?;
        if let Ok(answer) = timeout(200 * MS, socket.recv(&mut [0; 8])).await {
            answer?;
            until = Some(if BUGGY { Instant::now() } else { asked } + LEASE);
        }
        let pause = MS * sim::with_rng(|rng| rng.between(5, 50)) as u32;
        let Some(end) = until.filter(|end| *end > Instant::now()) else {
            sleep(pause).await;
            continue;
        };
        let me = sim::host_name();
        let other = working.lock().unwrap().replace(me.clone());
        assert!(other.is_none_or(|other| other == me), "two workers at once");
        sleep(pause.min(end - Instant::now())).await;
        *working.lock().unwrap() = None;
    }
    Ok(())
}

/// A lock server, two workers, and every few seconds a partition.
fn scenario<const BUGGY: bool>(sim: &mut Sim) {
    sim.host("lock", lock_server);
    let working = Arc::new(Mutex::new(None));
    for name in ["a", "b"] {
        let working = Arc::clone(&working);
        sim.client(name, move || worker::<BUGGY>(Arc::clone(&working)));
    }
    sim.links().delay(20 * MS).jitter(20 * MS).loss(0.01);
    for second in (1..60).step_by(5) {
        let who = sim.rng().pick(&["a", "b"]);
        sim.at(LEASE * second, move |sim| sim.partition(who, "lock"));
        sim.at(LEASE * (second + 3), |sim| sim.repair_all());
    }
}

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let failure = (0..100).find_map(|seed| sim::run(seed, scenario::<true>).err());
    println!("{}", failure.ok_or("the bug was not found")?);
    let fixed: Result<Vec<_>, _> = (0..100)
        .map(|seed| sim::run(seed, scenario::<false>))
        .collect();
    println!("fixed: {}", fixed?.last().ok_or("no run")?);
    Ok(())
}

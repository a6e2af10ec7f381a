//! A simulated cluster: twenty nodes that gossip over UDP and exchange data over TCP, for an hour
//! of virtual time with crashes and partitions.
//!
//! `cargo run --release -p switchboard --features sim --example cluster -- [SECONDS] [SEED]`
//!
//! Each node keeps a table of who is alive (heartbeat counters that spread by gossip) and a store
//! of keys (last writer wins) that it compares with a random peer's every few seconds. Every
//! minute something breaks. At the end all is mended, and a client checks that every node knows
//! every other and has every key.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use switchboard::net::{TcpListener, TcpStream, UdpSocket};
use switchboard::sim::{self, Sim};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::time::{Instant, interval, sleep, timeout};

const NODES: usize = 20;
const GOSSIP: u16 = 7_000;
const DATA: u16 = 7_001;
/// A node that has not been heard of for this long is taken for dead.
const SUSPECT_AFTER: Duration = Duration::from_secs(15);
/// How long everything is whole at the end.
const CALM: Duration = Duration::from_secs(60);

fn name(node: usize) -> String {
    format!("node{node:02}")
}

/// What a node knows: lost when it crashes.
#[derive(Default)]
struct State {
    /// Of each node its counter, and when that last went up.
    alive: BTreeMap<usize, (u64, Option<Instant>)>,
    /// Of each key when it was written, and what.
    store: BTreeMap<String, (u64, String)>,
}

impl State {
    fn hear_of(&mut self, node: usize, counter: u64) {
        let known = self.alive.entry(node).or_default();
        if counter > known.0 {
            *known = (counter, Some(Instant::now()));
        }
    }

    fn living(&self) -> usize {
        let heard = self.alive.values().filter_map(|&(_, heard)| heard);
        heard
            .filter(|heard| heard.elapsed() < SUSPECT_AFTER)
            .count()
    }

    fn merge(&mut self, line: &str) {
        let mut parts = line.trim_end().splitn(3, ' ');
        if let (Some(key), Some(at), Some(value)) = (parts.next(), parts.next(), parts.next())
            && let Ok(at) = at.parse::<u64>()
        {
            let entry = self.store.entry(key.to_owned()).or_default();
            if (at, value) > (entry.0, entry.1.as_str()) {
                *entry = (at, value.to_owned());
            }
        }
    }

    /// Every key, a line each.
    fn lines(&self) -> String {
        let lines = self
            .store
            .iter()
            .map(|(key, (at, value))| format!("{key} {at} {value}\n"));
        lines.collect()
    }
}

type Shared = Rc<RefCell<State>>;

fn peer(me: usize) -> usize {
    let other = sim::with_rng(|rng| rng.index(NODES - 1));
    if other < me { other } else { other + 1 }
}

/// Once a second: its own counter goes up, and three random peers hear what it knows.
async fn gossip(me: usize, state: Shared, socket: Rc<UdpSocket>) -> sim::Result {
    let mut second = interval(Duration::from_secs(1));
    loop {
        second.tick().await;
        let message: Vec<u8> = {
            let mut state = state.borrow_mut();
            // Counts on over a crash.
            state.hear_of(me, sim::elapsed().as_secs() + 1);
            let entries = state.alive.iter();
            entries
                .flat_map(|(&node, &(counter, _))| {
                    [(node as u64).to_be_bytes(), counter.to_be_bytes()].concat()
                })
                .collect()
        };
        for _ in 0..3 {
            // A peer that is down says so by ICMP at the next send; it will be back.
            let _ = socket.send_to(&message, (name(peer(me)), GOSSIP)).await;
        }
    }
}

async fn hear(state: Shared, socket: Rc<UdpSocket>) -> sim::Result {
    let mut buffer = [0; 2048];
    loop {
        let Ok((len, _)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        let words: Vec<u64> = buffer[..len]
            .chunks_exact(8)
            .filter_map(|word| word.try_into().ok().map(u64::from_be_bytes))
            .collect();
        for pair in words.chunks_exact(2) {
            state.borrow_mut().hear_of(pair[0] as usize, pair[1]);
        }
    }
}

/// Answers with its own keys whoever sends it keys; "?" asks how many nodes live.
async fn serve(stream: TcpStream, state: Shared) -> sim::Result {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let mut answer = state.borrow().lines();
    while let Some(line) = lines.next_line().await? {
        if line == "?" {
            answer.insert_str(0, &format!("{}\n", state.borrow().living()));
        } else {
            state.borrow_mut().merge(&line);
        }
    }
    write.write_all(answer.as_bytes()).await?;
    Ok(())
}

/// Sends `text` to a node and returns what it answers.
async fn exchange(node: usize, text: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((name(node), DATA)).await?;
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// Every five seconds: exchanges its keys with a random peer. Every minute, until all is calm:
/// writes one.
async fn spread(me: usize, runs: Duration, state: Shared) -> sim::Result {
    for turn in 0_u64.. {
        sleep(Duration::from_secs(5)).await;
        if turn % 12 == 0 && sim::elapsed() + CALM < runs {
            let at = sim::elapsed().as_secs();
            let value = format!("{:016x}", sim::random());
            let line = format!("key{:02} {at} {value}", (me + turn as usize) % 40);
            state.borrow_mut().merge(&line);
        }
        let lines = state.borrow().lines();
        // A peer that is down or cut off is tried again another time.
        if let Ok(Ok(answer)) = timeout(Duration::from_secs(4), exchange(peer(me), &lines)).await {
            answer
                .lines()
                .for_each(|line| state.borrow_mut().merge(line));
        }
    }
    Ok(())
}

async fn node(me: usize, runs: Duration) -> sim::Result {
    let state = Shared::default();
    let socket = Rc::new(UdpSocket::bind(("0.0.0.0", GOSSIP)).await?);
    let listener = TcpListener::bind(("0.0.0.0", DATA)).await?;
    tokio::task::spawn_local(gossip(me, Rc::clone(&state), Rc::clone(&socket)));
    tokio::task::spawn_local(hear(Rc::clone(&state), socket));
    tokio::task::spawn_local(spread(me, runs, Rc::clone(&state)));
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::task::spawn_local(serve(stream, Rc::clone(&state)));
    }
}

/// Waits, then asks every node who lives and what it has: all must say the same.
async fn observer(runs: Duration) -> sim::Result {
    sleep(runs).await;
    let mut first = None;
    for node in 0..NODES {
        let answer = exchange(node, "?\n").await?;
        let (living, keys) = answer.split_once('\n').ok_or("no answer")?;
        assert_eq!(living, NODES.to_string(), "as {} has it", name(node));
        let first = first.get_or_insert_with(|| keys.to_owned());
        assert_eq!(keys, first, "{} has other keys", name(node));
    }
    Ok(())
}

/// A world of that many seconds; every minute a crash, a partition or a bad line.
pub(crate) fn scenario(seconds: u64) -> impl Fn(&mut Sim) {
    move |sim| {
        let runs = Duration::from_secs(seconds);
        for number in 0..NODES {
            sim.host(&name(number), move || node(number, runs));
        }
        sim.client("observer", move || observer(runs));
        sim.links().jitter(Duration::from_millis(5)).loss(0.001);
        let minute = Duration::from_secs(60);
        let mut at = minute / 2;
        while at + minute + CALM < runs {
            let victim = name(sim.rng().index(NODES));
            let begins = at + sim.rng().up_to(minute / 4);
            let ends = begins + sim.rng().up_to(minute / 2);
            match sim.rng().below(3) {
                0 => {
                    let again = victim.clone();
                    sim.at(begins, move |sim| sim.crash(victim));
                    sim.at(ends, move |sim| sim.restart(again));
                }
                1 => {
                    let half = sim.rng().between(1, NODES as u64 - 1) as usize;
                    let (here, there): (Vec<_>, Vec<_>) = (0..NODES).partition(|&n| n < half);
                    let names = |nodes: Vec<usize>| nodes.into_iter().map(name).collect::<Vec<_>>();
                    let (here, there) = (names(here), names(there));
                    sim.at(begins, move |sim| sim.partition(here, there));
                    sim.at(ends, |sim| sim.repair_all());
                }
                _ => {
                    let others: Vec<String> = (0..NODES)
                        .map(name)
                        .filter(|other| *other != victim)
                        .collect();
                    let (a, b) = (victim.clone(), others.clone());
                    sim.at(begins, move |sim| {
                        sim.link(victim, others).loss(0.3);
                    });
                    sim.at(ends, move |sim| {
                        sim.link(a, b).loss(0.001);
                    });
                }
            }
            at += minute;
        }
    }
}

#[allow(dead_code, reason = "a test uses this file for its scenario")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let seconds: u64 = arguments.next().map_or(Ok(3600), |text| text.parse())?;
    let seed = arguments.next().map_or(Ok(1), |text| text.parse())?;
    let limit = Duration::from_secs(seconds) + CALM;
    let report = sim::Builder::new()
        .seed(seed)
        .time_limit(limit)
        .twice(scenario(seconds))?;
    println!("twice the same: {report}");
    let report = sim::Builder::new()
        .seed(seed)
        .time_limit(limit)
        .run(|sim| {
            for node in 0..NODES {
                sim.host(&name(node), || async { std::future::pending().await });
            }
            sim.client("clock", move || async move {
                sleep(Duration::from_secs(seconds)).await;
                Ok(())
            });
        })?;
    println!("idle:           {report}");
    Ok(())
}

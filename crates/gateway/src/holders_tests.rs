use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use switchboard_wire::Protocol;

use super::*;
use crate::observer::{BoxFuture, FlowNumber, Program, Transport};

/// Counts questions; the program's number is the flow's port.
#[derive(Default)]
struct Counted(AtomicU64);

impl HolderLookup for Counted {
    fn holder(
        &self,
        _: Protocol,
        inner: SocketAddr,
        _: SocketAddr,
    ) -> BoxFuture<'_, Option<Program>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let program = Program {
            pid: inner.port().into(),
            name: "curl".into(),
        };
        Box::pin(std::future::ready(Some(program)))
    }
}

fn flow(port: u16) -> Arc<Flow> {
    Arc::new(Flow {
        number: FlowNumber(port.into()),
        transport: Transport::Tcp,
        from: SocketAddr::from(([10, 0, 2, 100], port)),
        to: SocketAddr::from(([192, 0, 2, 1], 80)),
        name: None,
        inward: false,
        holder: OnceLock::new(),
        holder_found: Notify::new(),
        holder_put_off: AtomicBool::new(false),
    })
}

fn holders(at_once: bool) -> (Arc<Holders>, Arc<Counted>) {
    let counted = Arc::new(Counted::default());
    let limits = Limits::default();
    let lookup: Arc<dyn HolderLookup> = counted.clone();
    let made = Holders::new(Some(lookup), Observers::default(), at_once, &limits);
    (made, counted)
}

const BURST: u64 = 64;

#[tokio::test(start_paused = true)]
async fn a_program_that_connects_and_closes_is_not_asked_about_each_time() {
    let (holders, counted) = holders(false);
    for port in 0..10_000 {
        holders.look_up(&flow(port));
        tokio::task::yield_now().await;
    }
    assert_eq!(counted.0.load(Ordering::Relaxed), BURST);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(
        counted.0.load(Ordering::Relaxed),
        BURST,
        "nobody is asked about flows that have ended"
    );
    assert!(lock(&holders.state).put_off.len() < 2 * SWEEP_AT);
}

#[tokio::test(start_paused = true)]
async fn flows_that_live_are_asked_about_later_one_by_one() {
    let (holders, _) = holders(false);
    let flows: Vec<_> = (0..100).map(flow).collect();
    for flow in &flows {
        holders.look_up(flow);
    }
    let known = || flows.iter().filter(|flow| flow.holder().is_some()).count();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(known() as u64, BURST);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(known() as u64, BURST + 5);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(known(), 100);
    let last = flows.last().and_then(|flow| flow.holder()).unwrap();
    assert_eq!(last.pid, 99, "each has its own");
}

#[tokio::test(start_paused = true)]
async fn whoever_looks_sees_who_holds_what() {
    let (holders, counted) = holders(false);
    let flows: Vec<_> = (0..1_000).map(flow).collect();
    for flow in &flows {
        holders.look_up(flow);
    }
    let start = Instant::now();
    holders.catch_up().await;
    assert!(start.elapsed() < Duration::from_millis(10));
    assert!(
        flows[BURST as usize..]
            .iter()
            .all(|flow| flow.holder().is_some())
    );
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(counted.0.load(Ordering::Relaxed), 1_000, "each once");
}

#[tokio::test(start_paused = true)]
async fn who_is_wanted_alone_is_asked_about_at_once() {
    let (holders, counted) = holders(false);
    let flows: Vec<_> = (0..100).map(flow).collect();
    for flow in &flows {
        holders.look_up(flow);
    }
    assert!(flows[99].is_put_off() && !flows[0].is_put_off());
    let found = holders.of(&flows[99]).await.map(|program| program.pid);
    assert_eq!(found, Some(99));
    assert!(!flows[99].is_put_off());
    holders.catch_up().await;
    assert_eq!(counted.0.load(Ordering::Relaxed), 100, "each once");
}

#[tokio::test(start_paused = true)]
async fn a_pause_earns_new_questions_and_a_story_teller_has_all() {
    let (holders, counted) = self::holders(false);
    for port in 0..1_000 {
        holders.look_up(&flow(port));
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    for port in 0..10 {
        holders.look_up(&flow(port));
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(counted.0.load(Ordering::Relaxed), BURST + 10);

    let (holders, counted) = self::holders(true);
    for port in 0..1_000 {
        holders.look_up(&flow(port));
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(counted.0.load(Ordering::Relaxed), 1_000);
}

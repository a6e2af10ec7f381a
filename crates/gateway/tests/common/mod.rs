//! Two networks joined in memory: a program's, and one with a gateway to this machine.

#![allow(dead_code, reason = "each test file uses its part")]

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use switchboard::device::tee::Tee;
use switchboard::device::{Offloads, pipe};
use switchboard::{Cidr, Clock, Net};
use switchboard_gateway::{
    BoxFuture, Gateway, GatewayConfig, HandshakeRecorder, Happening, HolderLookup, HostLoopback,
    Observer, Program,
};
use switchboard_wire::Protocol;
use tokio::task::JoinHandle;

/// MTU of the link, in octets: what `run` has.
const MTU: usize = 65_520;

/// Packets that the link holds in each direction.
const CAPACITY: usize = 512;

/// Everything that an observer was told.
#[derive(Default)]
pub(crate) struct Heard(Mutex<Vec<Happening>>);

impl Observer for Heard {
    fn observe(&self, happening: &Happening) {
        self.0.lock().unwrap().push(happening.clone());
    }
}

impl Heard {
    pub(crate) fn all(&self) -> Vec<Happening> {
        self.0.lock().unwrap().clone()
    }

    /// The first thing that `pick` picks, which must happen within five seconds.
    pub(crate) async fn wait<T>(&self, pick: impl Fn(&Happening) -> Option<T>) -> T {
        let until = Instant::now() + Duration::from_secs(5);
        loop {
            if let Some(found) = self.all().iter().find_map(&pick) {
                return found;
            }
            assert!(Instant::now() < until, "only heard {:#?}", self.all());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Says that one program holds everything.
struct Curl;

impl HolderLookup for Curl {
    fn holder(&self, _: Protocol, _: SocketAddr, _: SocketAddr) -> BoxFuture<'_, Option<Program>> {
        let pid = 48_213;
        let name = Arc::from("curl");
        Box::pin(async move { Some(Program { pid, name }) })
    }
}

/// A program's network, and the gateway at its other end.
pub(crate) struct World {
    pub(crate) program: Net,
    pub(crate) outer: Net,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) heard: Arc<Heard>,
    task: JoinHandle<()>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A world whose gateway reaches this machine's loopback.
pub(crate) async fn world() -> World {
    world_with(|config| config.host_loopback = HostLoopback::AtGateway).await
}

pub(crate) async fn world_with(change: impl FnOnce(&mut GatewayConfig)) -> World {
    let mut config = GatewayConfig::default();
    change(&mut config);
    let offloads = Offloads {
        checksum: true,
        tso4: true,
        tso6: true,
        uso: false,
    };
    let (inner, outer) = pipe::pair(MTU, offloads, CAPACITY);
    let recorder = HandshakeRecorder::new(&config.limits);
    let clock = Clock::default();
    let outer = Tee::new(outer, recorder.clone(), move || clock.now());
    let addresses = config.program.addresses().map(Cidr::from);
    let program = Net::builder().addresses(addresses).build(inner).unwrap();
    let outer = config.network().clock(clock).build(outer).unwrap();
    let heard = Arc::new(Heard::default());
    let gateway = Gateway::builder(outer.clone())
        .config(config)
        .observer(heard.clone())
        .holder_lookup(Arc::new(Curl))
        .recorder(recorder)
        .build()
        .await
        .unwrap();
    let gateway = Arc::new(gateway);
    let task = tokio::spawn({
        let gateway = gateway.clone();
        async move { gateway.run().await }
    });
    World {
        program,
        outer,
        gateway,
        heard,
        task,
    }
}

/// The gateway's address in the family of `host`, with its port: this machine's loopback.
pub(crate) fn inside(host: SocketAddr) -> SocketAddr {
    let config = GatewayConfig::default();
    let gateway = config.gateway.of_family(host.ip()).unwrap();
    SocketAddr::new(gateway, host.port())
}

/// This machine's loopback addresses, as far as it has them.
pub(crate) fn loopbacks() -> Vec<IpAddr> {
    let both: [IpAddr; 2] = ["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
    both.into_iter()
        .filter(|ip| {
            let has = std::net::UdpSocket::bind((*ip, 0)).is_ok();
            if !has {
                // Past the capture of the test's output: a skip is to be seen.
                let _ = std::io::Write::write_fmt(
                    &mut std::io::stderr(),
                    format_args!("skipped: needs {ip}\n"),
                );
            }
            has
        })
        .collect()
}

/// Nothing may take longer.
pub(crate) async fn within<T>(limit: Duration, what: impl Future<Output = T>) -> T {
    tokio::time::timeout(limit, what)
        .await
        .expect("it took too long")
}

/// A test stream: octets that differ everywhere, and a sum that depends on their order.
pub(crate) struct Stream {
    state: u64,
    pub(crate) sum: u64,
}

impl Default for Stream {
    fn default() -> Self {
        Self {
            state: 1,
            sum: 0xcbf2_9ce4_8422_2325,
        }
    }
}

impl Stream {
    /// The next octets.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            chunk.copy_from_slice(&self.state.to_le_bytes()[..chunk.len()]);
        }
        self.add(buffer);
    }

    /// Takes octets into the sum (FNV-1a).
    pub(crate) fn add(&mut self, octets: &[u8]) {
        for octet in octets {
            self.sum ^= u64::from(*octet);
            self.sum = self.sum.wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

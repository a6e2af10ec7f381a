//! One line that makes a test: runs of a scenario, by seeds.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use super::failure::Failure;
use super::report::Report;
use super::world::{Builder, Sim};

/// Runs the world of `seed` that `scenario` puts together, until its clients have ended.
///
/// ```
/// use switchboard::net::{TcpListener, TcpStream};
/// use switchboard::sim;
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # fn main() -> Result<(), Box<sim::Failure>> {
/// let report = sim::run(7, |sim| {
///     sim.host("server", || async {
///         let (mut stream, _) = TcpListener::bind("0.0.0.0:80").await?.accept().await?;
///         stream.write_all(b"hello").await?;
///         Ok(())
///     });
///     sim.client("client", || async {
///         let mut said = String::new();
///         TcpStream::connect("server:80").await?.read_to_string(&mut said).await?;
///         assert_eq!(said, "hello");
///         Ok(())
///     });
///     sim.link("client", "server").loss(0.2);
/// })?;
/// println!("{report}");
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// What went wrong, with its seed, the last packets as a ladder, and how each host stands.
pub fn run(seed: u64, scenario: impl FnOnce(&mut Sim)) -> Result<Report, Box<Failure>> {
    let mut sim = Builder::new().seed(seed).build();
    scenario(&mut sim);
    sim.run()
}

/// As [`run`], twice, and the second time every packet must be the first time's.
///
/// # Errors
///
/// As [`run`]; also [`NotRepeatable`](super::FailureKind::NotRepeatable), which names the first
/// packet that differs.
pub fn twice(seed: u64, scenario: impl Fn(&mut Sim)) -> Result<Report, Box<Failure>> {
    run_twice(&Builder::new().seed(seed), &scenario)
}

impl Builder {
    /// Runs a scenario in a world with these settings: [`sim::run`](run).
    ///
    /// # Errors
    ///
    /// As [`run`].
    pub fn run(&self, scenario: impl FnOnce(&mut Sim)) -> Result<Report, Box<Failure>> {
        let mut sim = self.clone().build();
        scenario(&mut sim);
        sim.run()
    }

    /// The same twice: [`sim::twice`](twice).
    ///
    /// # Errors
    ///
    /// As [`twice`].
    pub fn twice(&self, scenario: impl Fn(&mut Sim)) -> Result<Report, Box<Failure>> {
        run_twice(self, &scenario)
    }
}

fn run_twice(builder: &Builder, scenario: &dyn Fn(&mut Sim)) -> Result<Report, Box<Failure>> {
    let mut first = builder.clone().build();
    first.record_mut().collect();
    scenario(&mut first);
    first.run()?;
    let reference = Arc::new(first.into_record().into_reference());
    let mut second = builder.clone().build();
    second.record_mut().compare_with(reference);
    scenario(&mut second);
    second.run()
}

/// The seeds that a test runs: one, or several.
pub trait Seeds {
    /// The first, and how many.
    fn seeds(&self) -> (u64, u64);
}

impl Seeds for u64 {
    fn seeds(&self) -> (u64, u64) {
        (*self, 1)
    }
}

impl Seeds for Range<u64> {
    fn seeds(&self) -> (u64, u64) {
        (self.start, self.end.saturating_sub(self.start))
    }
}

impl Seeds for RangeInclusive<u64> {
    fn seeds(&self) -> (u64, u64) {
        let count = self.end().saturating_sub(*self.start()).saturating_add(1);
        (*self.start(), if self.is_empty() { 0 } else { count })
    }
}

/// A test in one line: runs `scenario` with each seed, and the first seed twice, to see that its
/// software is repeatable.
///
/// ```no_run
/// # fn scenario(_: &mut switchboard::sim::Sim) {}
/// // #[test]
/// fn elects_one_leader() {
///     switchboard::sim::check(0..100, scenario);
/// }
/// ```
///
/// The environment's `SWITCHBOARD_SEED=n` runs that seed alone, and `SWITCHBOARD_SEEDS=n` that
/// many from the first on.
///
/// # Panics
///
/// With the whole report of the first run that failed; if there is no seed to run.
pub fn check(seeds: impl Seeds, scenario: impl Fn(&mut Sim)) {
    let (first, count) = match (number("SWITCHBOARD_SEED"), number("SWITCHBOARD_SEEDS")) {
        (Some(seed), _) => (seed, 1),
        (None, Some(count)) => (seeds.seeds().0, count),
        (None, None) => seeds.seeds(),
    };
    assert!(
        count > 0,
        "no seed to run: an empty range, or SWITCHBOARD_SEEDS=0"
    );
    for seed in (first..).take(usize::try_from(count).unwrap_or(usize::MAX)) {
        let builder = Builder::new().seed(seed).again(again(seed));
        let result = if seed == first {
            run_twice(&builder, &scenario)
        } else {
            builder.run(&scenario)
        };
        if let Err(failure) = result {
            panic!("{failure:?}");
        }
    }
}

/// The seed that the environment names.
pub(super) fn seed_of_environment() -> Option<u64> {
    number("SWITCHBOARD_SEED")
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    match text.trim().parse() {
        Ok(number) => Some(number),
        Err(_) => panic!("{variable}={text}: not a number"),
    }
}

/// The command that runs a test's seed again: libtest calls the thread as the test.
pub(super) fn again(seed: u64) -> String {
    let thread = std::thread::current();
    match thread.name() {
        Some(name) if name != "main" => format!("SWITCHBOARD_SEED={seed} cargo test {name}"),
        _ => format!("the same program with SWITCHBOARD_SEED={seed}"),
    }
}

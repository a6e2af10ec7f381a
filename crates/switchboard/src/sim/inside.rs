//! What code inside a host can ask: whose host it runs on, the time, luck, and the world's handle.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use switchboard_core::Instant;
use switchboard_sim::{Rng, Seed};

use super::control::Control;
use crate::clock::Clock;

thread_local! {
    /// The host that runs on this thread right now.
    static CURRENT: RefCell<Option<Rc<Inside>>> = const { RefCell::new(None) };
}

/// One life of a host, as its software sees it.
pub(super) struct Inside {
    pub(super) host: usize,
    pub(super) name: String,
    pub(super) clock: Clock,
    pub(super) rng: RefCell<Rng>,
    pub(super) control: Control,
}

impl Inside {
    /// Makes this the current host until the guard is dropped.
    pub(super) fn enter(self: &Rc<Self>) -> Guard {
        let previous = CURRENT.with(|current| current.replace(Some(Rc::clone(self))));
        Guard { previous }
    }
}

/// Ends [`Inside::enter`].
pub(super) struct Guard {
    previous: Option<Rc<Inside>>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let previous = self.previous.take();
        let inner = CURRENT.try_with(|current| current.replace(previous));
        drop(inner);
    }
}

/// Whether a host runs on this thread right now.
pub(super) fn is_inside() -> bool {
    CURRENT
        .try_with(|current| current.borrow().is_some())
        .unwrap_or(false)
}

fn current() -> Rc<Inside> {
    let current = CURRENT.with(|current| current.borrow().clone());
    current.expect("called outside of a simulated host: only its tasks have virtual time and luck")
}

/// The time since the world began, as the host that calls sees it.
///
/// # Panics
///
/// Outside of a simulated host (in a thread of its own, too).
#[must_use]
pub fn elapsed() -> Duration {
    current().clock.now().saturating_since(Instant::ZERO)
}

/// The name of the host that calls.
///
/// # Panics
///
/// Outside of a simulated host.
#[must_use]
pub fn host_name() -> String {
    current().name.clone()
}

/// The next 64 random bits of the host that calls: they follow from the world's seed, the host
/// and how often it was started.
///
/// # Panics
///
/// Outside of a simulated host.
#[must_use]
pub fn random() -> u64 {
    with_rng(Rng::next)
}

/// Uses the random numbers of the host that calls.
///
/// ```no_run
/// # use std::time::Duration;
/// # async fn software() {
/// let pause = switchboard::sim::with_rng(|rng| rng.between(50, 150));
/// tokio::time::sleep(Duration::from_millis(pause)).await;
/// # }
/// ```
///
/// # Panics
///
/// Outside of a simulated host, or if `use_it` asks for random numbers in another way.
pub fn with_rng<T>(use_it: impl FnOnce(&mut Rng) -> T) -> T {
    use_it(&mut current().rng.borrow_mut())
}

/// A seed for a generator of another crate: `StdRng::seed_from_u64(sim::random())` would do, this
/// has 256 bits.
///
/// # Panics
///
/// Outside of a simulated host.
#[must_use]
pub fn random_seed() -> [u8; 32] {
    Seed(random()).expand()
}

/// The world's handle: links, crashes and restarts, from inside a host.
///
/// # Panics
///
/// Outside of a simulated host.
#[must_use]
pub fn control() -> Control {
    current().control.clone()
}

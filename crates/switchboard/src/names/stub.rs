//! The stub resolver: what is kept, who asks, and who waits for the same question.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use hickory_proto::rr::Name;
use switchboard_core::Entropy;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use super::ask::{Ids, ask};
use super::cache::Cache;
use super::config::DnsConfig;
use super::lookup::{Failure, Part};
use super::message::{Answer, Question};
use super::{Families, Family, Lookup, NameError, search};
use crate::network::Net;

type Outcome = Result<Answer, NameError>;

/// A question that is being asked, in a task of its own: whoever waits for the outcome may be
/// polled or not, and the others learn it all the same.
struct Asked {
    outcome: watch::Receiver<Option<Outcome>>,
    task: AbortHandle,
}

impl Drop for Asked {
    fn drop(&mut self) {
        // Nobody waits for it any more.
        self.task.abort();
    }
}

/// Finds names by asking name servers (RFC 1123 section 6.1.3).
pub(crate) struct Stub {
    config: DnsConfig,
    cache: Mutex<Cache>,
    /// Questions that somebody is asking. The same one is never asked twice at a time: each
    /// copy would make a forged answer likelier to fit (RFC 5452 section 5).
    asked: Mutex<HashMap<Question, Weak<Asked>>>,
    entropy: Mutex<Entropy>,
}

impl fmt::Debug for Stub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stub")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics under these locks, and what they hold is whole in any case.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stub {
    /// `seed` is the network's: the resolver makes another of it, so that its identifiers,
    /// which everybody sees, tell nothing of the stack's secrets.
    pub(crate) fn new(config: DnsConfig, mut seed: [u8; 32]) -> Self {
        for (octet, own) in seed.iter_mut().rev().zip(b"names") {
            *octet ^= own;
        }
        let config = config.within_bounds();
        Self {
            cache: Mutex::new(Cache::new(&config)),
            asked: Mutex::default(),
            entropy: Mutex::new(Entropy::from_seed(seed)),
            config,
        }
    }

    /// Looks up `name`, both families at once, in the domains that it may be short for.
    pub(crate) fn lookup<'a>(
        &'a self,
        net: &'a Net,
        name: &'a str,
        families: Families,
    ) -> Lookup<'a> {
        // A network without addresses asks all the same, to be told that there is no route.
        let families = if families.v4 || families.v6 {
            families
        } else {
            Families::BOTH
        };
        // IPv6 first: RFC 6724 section 2.1 prefers it, and so does RFC 8305.
        let wanted = [(Family::V6, families.v6), (Family::V4, families.v4)];
        let wanted = wanted
            .into_iter()
            .filter(|(_, is)| *is)
            .map(|(family, _)| family);
        let candidates = search::candidates(name, &self.config);
        let parts = candidates.into_iter().map(move |name| {
            let part = |family| self.part(net, name.clone(), family);
            wanted.clone().map(part).collect()
        });
        Lookup::each_of(name, parts)
    }

    fn part<'a>(&'a self, net: &'a Net, name: Name, family: Family) -> Part<'a> {
        let finding = async move {
            let found = self.find(net, Question { name, family }).await;
            found.map_err(Failure::Name)
        };
        Part {
            family: Some(family),
            finding: Box::pin(finding),
        }
    }

    /// The addresses that answer `question`.
    async fn find(&self, net: &Net, question: Question) -> Result<Vec<IpAddr>, NameError> {
        if let Some(kept) = lock(&self.cache).get(Instant::now(), &question) {
            return kept.into_addresses();
        }
        let asking = Asking::new(self, net, question);
        let mut outcome = asking.asked.outcome.clone();
        let told = async {
            let told = outcome.wait_for(Option::is_some).await;
            told.ok().and_then(|outcome| outcome.clone())
        };
        let outcome = match timeout(self.longest(), told).await {
            Ok(Some(outcome)) => outcome,
            // Its runtime has ended, or nobody runs it: this one needs nobody else.
            Ok(None) | Err(_) => self.ask(net, &asking.question).await,
        };
        outcome?.into_addresses()
    }

    /// Asks name servers, and keeps what they say.
    async fn ask(&self, net: &Net, question: &Question) -> Outcome {
        let answer = ask(net, self, &self.config, question).await?;
        lock(&self.cache).put(Instant::now(), question.clone(), answer.clone());
        Ok(answer)
    }

    /// How long a question takes at most, and a second: every server silent, every time.
    fn longest(&self) -> Duration {
        let tries = self.config.servers.len() * self.config.attempts as usize;
        let tries = u32::try_from(tries).unwrap_or(u32::MAX);
        self.config.timeout.saturating_mul(tries) + Duration::from_secs(1)
    }
}

impl Ids for Stub {
    fn next(&self) -> u16 {
        lock(&self.entropy).secret_u64() as u16
    }
}

/// One who waits for a question's outcome.
struct Asking<'a> {
    stub: &'a Stub,
    question: Question,
    asked: Arc<Asked>,
}

impl<'a> Asking<'a> {
    /// Waits for the one that is being asked, or asks.
    fn new(stub: &'a Stub, net: &Net, question: Question) -> Self {
        let mut table = lock(&stub.asked);
        let known = table.get(&question).and_then(Weak::upgrade);
        let asked = known.unwrap_or_else(|| {
            let asked = Arc::new(start(net, question.clone()));
            table.insert(question.clone(), Arc::downgrade(&asked));
            asked
        });
        Self {
            stub,
            question,
            asked,
        }
    }
}

/// Asks on the current runtime.
fn start(net: &Net, question: Question) -> Asked {
    let (sender, outcome) = watch::channel(None);
    let net = net.clone();
    let task = tokio::spawn(async move {
        if let Some(stub) = net.names().stub() {
            let told = stub.ask(&net, &question).await;
            // If nobody waits any more there is nobody to tell.
            let _ = sender.send(Some(told));
        }
    });
    Asked {
        outcome,
        task: task.abort_handle(),
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let mut asked = lock(&self.stub.asked);
        // Nobody comes or goes while the table is locked. Once there is an outcome, whoever
        // comes next shall find it in the cache or ask anew.
        let has_outcome = self.asked.outcome.borrow().is_some();
        if has_outcome || Arc::strong_count(&self.asked) == 1 {
            let is_this = |known: &Weak<Asked>| known.as_ptr() == Arc::as_ptr(&self.asked);
            if asked.get(&self.question).is_some_and(is_this) {
                asked.remove(&self.question);
            }
        }
    }
}

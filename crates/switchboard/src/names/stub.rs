//! The stub resolver: what is kept, who asks, and who waits for the same question.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use hickory_proto::rr::Name;
use switchboard_core::Entropy;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::ask::{Ids, ask};
use super::cache::Cache;
use super::config::DnsConfig;
use super::lookup::{Failure, Part};
use super::message::{Answer, Question};
use super::{Families, Family, Lookup, NameError, search};
use crate::network::Net;

/// What came of a question, for everybody who waits for it.
type Outcome = OnceCell<Result<Answer, NameError>>;

/// Finds names by asking name servers (RFC 1123 section 6.1.3).
pub(crate) struct Stub {
    config: DnsConfig,
    cache: Mutex<Cache>,
    /// Questions that somebody is asking. The same one is never asked twice at a time: each
    /// copy would make a forged answer likelier to fit (RFC 5452 section 5).
    asked: Mutex<HashMap<Question, Weak<Outcome>>>,
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
        let asking = Asking::new(self, question);
        // Whoever comes first asks; if it is dropped, the next one that waits goes on.
        let outcome = asking.outcome.get_or_init(|| async {
            let answer = ask(net, self, &self.config, &asking.question).await?;
            let question = asking.question.clone();
            lock(&self.cache).put(Instant::now(), question, answer.clone());
            Ok(answer)
        });
        outcome.await.clone()?.into_addresses()
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
    outcome: Arc<Outcome>,
}

impl<'a> Asking<'a> {
    fn new(stub: &'a Stub, question: Question) -> Self {
        let mut asked = lock(&stub.asked);
        let known = asked.get(&question).and_then(Weak::upgrade);
        let outcome = known.unwrap_or_else(|| {
            let outcome = Arc::new(Outcome::new());
            asked.insert(question.clone(), Arc::downgrade(&outcome));
            outcome
        });
        Self {
            stub,
            question,
            outcome,
        }
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let mut asked = lock(&self.stub.asked);
        // Nobody comes or goes while the table is locked. Once there is an outcome, whoever
        // comes next shall find it in the cache or ask anew.
        if self.outcome.initialized() || Arc::strong_count(&self.outcome) == 1 {
            let is_this = |known: &Weak<Outcome>| known.as_ptr() == Arc::as_ptr(&self.outcome);
            if asked.get(&self.question).is_some_and(is_this) {
                asked.remove(&self.question);
            }
        }
    }
}

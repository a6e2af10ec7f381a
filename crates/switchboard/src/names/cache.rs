//! Answers that were given before, for as long as they may be kept.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use super::config::DnsConfig;
use super::message::{Answer, Question};

/// A bounded number of answers. Where there is no room, the one that has the least time left
/// goes.
#[derive(Debug)]
pub(super) struct Cache {
    max: usize,
    ttl_max: Duration,
    negative_ttl_max: Duration,
    answers: HashMap<Question, (Instant, Answer)>,
    by_expiry: BTreeSet<(Instant, Question)>,
}

impl Cache {
    pub(super) fn new(config: &DnsConfig) -> Self {
        Self {
            max: config.cache,
            ttl_max: config.ttl_max,
            negative_ttl_max: config.negative_ttl_max,
            answers: HashMap::new(),
            by_expiry: BTreeSet::new(),
        }
    }

    /// The answer to `question`, if it is still good.
    pub(super) fn get(&self, now: Instant, question: &Question) -> Option<Answer> {
        let (expires, answer) = self.answers.get(question)?;
        (now < *expires).then(|| answer.clone())
    }

    /// Keeps `answer`, if it may be kept.
    pub(super) fn put(&mut self, now: Instant, question: Question, answer: Answer) {
        let Some(ttl) = answer.ttl.filter(|_| self.max > 0) else {
            return;
        };
        let longest = if answer.addresses.is_empty() {
            self.negative_ttl_max
        } else {
            self.ttl_max
        };
        let expires = now + ttl.min(longest);
        if let Some((before, _)) = self.answers.remove(&question) {
            self.by_expiry.remove(&(before, question.clone()));
        }
        while self.answers.len() >= self.max {
            let Some((_, first)) = self.by_expiry.pop_first() else {
                break;
            };
            self.answers.remove(&first);
        }
        self.by_expiry.insert((expires, question.clone()));
        self.answers.insert(question, (expires, answer));
    }
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;

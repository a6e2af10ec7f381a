//! How a world is made.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use switchboard_core::Instant;
use switchboard_sim::link::Conditions;
use switchboard_sim::{Rng, Seed};

use super::Sim;
use crate::sim::control::Control;
use crate::sim::fabric::{Fabric, PART_WORLD};
use crate::sim::record::Record;
use crate::sim::seeds;

/// How long packets take where nobody said otherwise: hosts of one country.
const DELAY: Duration = Duration::from_millis(10);

/// How long a run may take in virtual time where nobody said otherwise.
const TIME_LIMIT: Duration = Duration::from_secs(3600);

/// Makes a [`Sim`].
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    seed: Option<u64>,
    conditions: Conditions,
    time_limit: Duration,
    again: Option<String>,
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// A world with links of 10 ms and a time limit of an hour.
    pub fn new() -> Self {
        Self {
            seed: None,
            conditions: Conditions::delay(DELAY),
            time_limit: TIME_LIMIT,
            again: None,
        }
    }

    /// What all luck follows from. Default: the environment's `SWITCHBOARD_SEED`, else 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// How long packets take between hosts whose link nobody changes. Default 10 ms. The longer
    /// the shortest delay of all, the faster the world runs.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.conditions.delay.base = delay;
        self
    }

    /// Everything that links do to packets where nobody changes them.
    pub fn conditions(mut self, conditions: Conditions) -> Self {
        self.conditions = conditions;
        self
    }

    /// How long a run may take in virtual time before it has failed. Default one hour.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// How to see a failure of this run again, for its report.
    pub(in crate::sim) fn again(mut self, command: String) -> Self {
        self.again = Some(command);
        self
    }

    /// The world, without hosts.
    pub fn build(self) -> Sim {
        let (seed, again) = match (self.seed, self.again) {
            (Some(seed), again) => (seed, again.unwrap_or_default()),
            (None, again) => {
                let seed = seeds::seed_of_environment().unwrap_or(0);
                (seed, again.unwrap_or_else(|| seeds::again(seed)))
            }
        };
        let seed = Seed(seed);
        let fabric = Arc::new(Mutex::new(Fabric::new(seed, self.conditions)));
        Sim {
            control: Control { fabric },
            seed,
            again,
            rng: Rng::new(seed.of_part(PART_WORLD)),
            now: Instant::ZERO,
            limit: Instant::ZERO + self.time_limit,
            hosts: Vec::new(),
            plans: BTreeMap::new(),
            next_plan: 0,
            record: Record::new(),
            real: Duration::ZERO,
        }
    }
}

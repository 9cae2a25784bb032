//! Secrets that are known, by name.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::listen::{Changes, Ears};
use super::questions::Questions;
use super::wanted::Wanted;
use super::{Given, Trouble};
use crate::secret::Secret;

/// The shortest time between two questions for one secret.
pub(super) const SOONEST: Duration = Duration::from_millis(50);

/// A secret that cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its name.
    pub name: String,
    /// Why.
    pub trouble: Trouble,
}

/// One secret and when to ask again.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) wanted: Wanted,
    pub(super) value: Secret,
    pub(super) due: Option<Instant>,
    /// Questions that failed since the last answer.
    pub(super) failures: u32,
    /// What was odd about it when it was given.
    pub(super) warning: Option<String>,
}

impl Slot {
    pub(super) fn new(wanted: Wanted, given: &Given) -> Self {
        Self {
            due: due(&wanted, given.lease),
            value: given.value.clone(),
            wanted,
            failures: 0,
            warning: given.warning.clone(),
        }
    }
}

/// When to ask again: before a lease ends, there has to be time to try twice.
pub(super) fn due(wanted: &Wanted, lease: Option<Duration>) -> Option<Instant> {
    let lease = lease.map(|lease| lease * 2 / 3);
    let wait = match (wanted.refresh, lease) {
        (Some(refresh), Some(lease)) => refresh.min(lease),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => return None,
    };
    Instant::now().checked_add(wait.max(SOONEST))
}

/// Secrets that can be had, before anybody gets them.
#[derive(Default)]
pub struct Prepared {
    pub(super) slots: BTreeMap<String, Slot>,
    /// What is odd about some of them: the name and what.
    pub warnings: Vec<(String, String)>,
}

impl Prepared {
    /// All values by name.
    #[must_use]
    pub fn values(&self) -> BTreeMap<String, Secret> {
        let values = self.slots.iter();
        values
            .map(|(name, slot)| (name.clone(), slot.value.clone()))
            .collect()
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.slots.keys()).finish()
    }
}

/// Secrets by name, as they are now. Clones share them.
#[derive(Clone, Default)]
pub struct Secrets(pub(super) Arc<Shared>);

#[derive(Default)]
pub(super) struct Shared {
    pub(super) slots: Mutex<BTreeMap<String, Slot>>,
    pub(super) ears: Ears,
    pub(super) committed: Notify,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.slots().keys()).finish()
    }
}

impl Secrets {
    /// None are known yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A secret as it is now.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Secret> {
        self.slots().get(name).map(|slot| slot.value.clone())
    }

    /// Asks for all that are new or come from elsewhere now, at the same time, less those that are among `so_far`. Nothing changes.
    ///
    /// # Errors
    /// All that cannot be had.
    pub async fn prepare(
        &self,
        wanted: Vec<Wanted>,
        so_far: Prepared,
    ) -> Result<Prepared, Vec<Refused>> {
        let mut prepared = so_far;
        let mut asked = Questions::default();
        for wanted in wanted {
            let known = prepared.slots.get(&wanted.name).cloned();
            let known = known.or_else(|| self.slots().get(&wanted.name).cloned());
            match known.filter(|slot| slot.wanted.mark == wanted.mark) {
                Some(slot) => drop(prepared.slots.insert(wanted.name.clone(), slot)),
                None => asked.ask(wanted),
            }
        }
        let mut refused = Vec::new();
        while let Some((wanted, given)) = asked.next().await {
            let name = wanted.name.clone();
            match given {
                Ok(given) => {
                    let warning = given.warning.clone();
                    prepared
                        .warnings
                        .extend(warning.map(|warning| (name.clone(), warning)));
                    prepared.slots.insert(name, Slot::new(wanted, &given));
                }
                Err(trouble) => refused.push(Refused { name, trouble }),
            }
        }
        refused.sort_by(|a, b| a.name.cmp(&b.name));
        if refused.is_empty() {
            Ok(prepared)
        } else {
            Err(refused)
        }
    }

    /// From now on these are the secrets. What was prepared before a question came back that changed a value does not take it back.
    /// Returns those that are gone, and those that come from elsewhere now.
    pub fn commit(&self, prepared: Prepared) -> BTreeSet<String> {
        let mut changed = BTreeSet::new();
        let mut slots = self.slots();
        let old = std::mem::take(&mut *slots);
        for (name, slot) in prepared.slots {
            let same = old
                .get(&name)
                .filter(|old| old.wanted.mark == slot.wanted.mark);
            let slot = match same {
                Some(newest) => Slot {
                    wanted: slot.wanted,
                    ..newest.clone()
                },
                None => slot,
            };
            if old.get(&name).is_some_and(|old| old.value != slot.value) {
                changed.insert(name.clone());
            }
            slots.insert(name, slot);
        }
        let is_over = |(name, old): &(String, Slot)| {
            let new = slots.get(name);
            new.is_none_or(|new| new.wanted.mark != old.wanted.mark)
        };
        let over = old.into_iter().filter(is_over).map(|(name, _)| name);
        let over = over.collect();
        drop(slots);
        self.0.ears.tell(&changed);
        self.0.committed.notify_one();
        over
    }

    /// Hears of every change from now on.
    #[must_use]
    pub fn listen(&self) -> Changes {
        self.0.ears.listen()
    }

    pub(super) fn slots(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Slot>> {
        // Every change leaves the map whole.
        self.0.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

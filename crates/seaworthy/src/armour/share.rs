//! Tells other instances of the bans that were set and lifted here, and takes over theirs.
//!
//! The table is what decides, with or without a Redis. A task looks twice a second at what has changed in it and exchanges
//! that; a request never waits for it. While the server is away each instance goes on with what it knows, and says so once.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use seaworthy_core::ban::{Ban, Cause, Changes, News, Share, Target};
use seaworthy_core::clock::Moment;
use seaworthy_core::names::event;
use seaworthy_health::Features;
use seaworthy_http::ban::redis::{Failure, Shared};

use super::{Armour, redis};
use crate::config::Config;
use crate::config::rates::StoreKind;

/// How often others are asked.
const PACE: Duration = Duration::from_millis(500);
/// Bans that are told at a time.
const AT_ONCE: usize = 256;
/// What the feature is called that runs on a fallback while others cannot be heard of.
const FEATURE: &str = "bans";

/// Who the store is known to shut out: after a restart these may have been let in again, the others were never told.
#[derive(Debug, Default)]
pub(super) struct Known {
    targets: Mutex<HashSet<Target>>,
    version: AtomicU64,
}

impl Known {
    pub(super) fn replace(&self, targets: HashSet<Target>) {
        *self.targets.lock().unwrap_or_else(PoisonError::into_inner) = targets;
        self.version.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> HashSet<Target> {
        let targets = self.targets.lock();
        targets.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes whenever they may have changed.
    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Relaxed)
    }
}

/// The bans of other instances, if they are shared at all.
pub(super) fn open(config: &Config, armour: &Armour) -> Option<Shared> {
    let bans = config.bans.as_ref()?;
    if bans.store != StoreKind::Redis {
        return None;
    }
    let target = redis::target(config, "this instance has bans of its own")?;
    Some(Shared::new(target, bans.key.clone(), armour.clock))
}

/// Exchanges bans until it is dropped. `known` is what the store knew before the restart.
pub(super) async fn share(armour: Armour, shared: Shared, known: Arc<Known>) {
    let restored = armour.bans.bans(armour.now());
    let told = known.get();
    let told = restored.iter().filter(|ban| told.contains(&ban.target));
    let mut exchange = Exchange {
        share: Share::new(told),
        armour,
        shared,
        known,
        alone: false,
        full: false,
    };
    loop {
        match exchange.once().await {
            Ok(()) => exchange.heard_of(),
            Err(failure) => exchange.lost(failure),
        }
        tokio::time::sleep(PACE.mul_f64(0.9 + fastrand::f64() / 5.0)).await;
    }
}

struct Exchange {
    armour: Armour,
    share: Share,
    shared: Shared,
    known: Arc<Known>,
    alone: bool,
    full: bool,
}

impl Exchange {
    async fn once(&mut self) -> Result<(), Failure> {
        let now = self.armour.now();
        let own = self.armour.bans.bans(now);
        let news = self.share.news(&own, AT_ONCE, now);
        let seen = self.share.version();
        let (heard, full) = self.shared.exchange(seen, &news, now).await?;
        // What there was no room for is not known there, and must not be taken for lifted.
        let told = if full { News::default() } else { news };
        let is_news = !told.is_empty() || heard.bans.is_some();
        let changes = self.share.heard(&told, heard, &own, now);
        self.tell_full(full);
        self.apply(changes, &own, now);
        if is_news {
            self.known.replace(self.share.known().collect());
        }
        Ok(())
    }

    fn apply(&mut self, changes: Changes, own: &[Ban], now: Moment) {
        let bans = &self.armour.bans;
        for (target, until) in changes.ban {
            let left = until.since(now);
            // One that is full shuts out whom it can, and lifts nothing for the others.
            if !bans.ban(target, left, Cause::Shared, now) {
                self.share.forget(target);
                continue;
            }
            if own.iter().any(|ban| ban.target == target) {
                continue;
            }
            let shown = self.armour.shown(target);
            let seconds = left.as_secs();
            tracing::info!(
                event = event::BAN_SET,
                address = shown,
                seconds,
                cause = Cause::Shared.words(),
                "{shown} is blocked for {seconds} s by another instance"
            );
        }
        for target in changes.unban {
            bans.unban(target, now);
            let shown = self.armour.shown(target);
            tracing::info!(
                event = event::BAN_LIFTED,
                address = shown,
                "{shown} may come in again: another instance says so"
            );
        }
    }

    fn tell_full(&mut self, full: bool) {
        if full && !self.full {
            tracing::warn!(
                event = event::BAN_SHARING,
                "there are so many shared bans that new ones hold for this instance alone"
            );
        }
        self.full = full;
    }

    fn lost(&mut self, failure: Failure) {
        if std::mem::replace(&mut self.alone, true) {
            return;
        }
        let set =
            Features::global().fall_back(FEATURE, Some("memory"), "Redis cannot be asked", None);
        // A table of features that is full shows one fewer; the event is told all the same.
        set.ok();
        tracing::warn!(
            event = event::BAN_SHARING,
            cause = %failure,
            "bans are those of this instance alone, because Redis {failure}; they are shared again as soon as it answers"
        );
    }

    fn heard_of(&mut self) {
        if std::mem::take(&mut self.alone) {
            Features::global().recover(FEATURE);
            tracing::info!(
                event = event::BAN_SHARING,
                "bans are shared again: Redis answers, and is told of those that were set meanwhile"
            );
        }
    }
}

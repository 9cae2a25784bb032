//! Takes versions of a registry in, and says what became of them.
//!
//! It looks at the log every now and then. The latest record that is believed says what this instance is to have; that is laid over
//! the files and taken in like any other change of the configuration, and watched like one. What was taken in last is kept in
//! `state_dir`, so that a service starts with it while the log is away.

mod kept;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use seaworthy_config::hash_of;
use seaworthy_config::registry::{Ack, Content, Fold, Outcome, Record, State, Taken};
use seaworthy_core::names::{event, metric};
use seaworthy_telemetry::metrics;
use serde_json::Value;
use tokio::time::MissedTickBehavior;

use crate::admin::Shown;
use crate::config::{Config, Registry};
use crate::registry::{Log, Remote, Trouble};
use crate::reload::{Ask, Asker, Source, Wish};
use crate::run::reload::Running;

use kept::Kept;
pub(super) use kept::{before, resume};

/// How often an instance says how it does while a version is on its way, and otherwise.
const OFTEN: Duration = Duration::from_secs(1);
const SELDOM: Duration = Duration::from_secs(10);
/// How soon it is tried once more to take in what could not be taken in: a file may be mended by then, or a vault be back.
const AGAIN: Duration = Duration::from_secs(60);

/// What each instance has of its own, by section and key.
const OWN: [(&str, &str); 6] = [
    ("", "state_dir"),
    ("", "threads"),
    ("listen", "public"),
    ("listen", "admin"),
    ("app", "connect"),
    ("registry", "instance"),
];

/// Follows the registry that the configuration names, if it names one, for as long as the process lives.
pub(super) fn follow(running: &Running, public: SocketAddr, folder: &Path) {
    let config = &running.loaded.value;
    let (Some(section), Some(asker)) = (&config.registry, &running.state.asker) else {
        return;
    };
    let host = || {
        rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned()
    };
    let named = section.instance.clone();
    let around = Around {
        instance: named.unwrap_or_else(|| format!("{}:{}", host(), public.port())),
        folder: folder.to_owned(),
        asker: asker.clone(),
        remote: running.remote.clone(),
        shown: running.shown.clone(),
        metrics: running.state.registry.clone(),
    };
    let held = running.options.remote.as_deref();
    if let Some(follower) = Follower::of(config, held, around) {
        tokio::spawn(follower.follow());
    }
}

/// What a follower looks at and whom it asks.
#[derive(Debug)]
struct Around {
    instance: String,
    folder: PathBuf,
    asker: Asker,
    remote: Remote,
    shown: Arc<ArcSwap<Shown>>,
    metrics: Arc<metrics::Registry>,
}

/// See the [module documentation](self).
#[derive(Debug)]
struct Follower {
    registry: Registry,
    around: Around,
    log: Log,
    fold: Fold,
    kept: Kept,
    result: Outcome,
    error: Option<String>,
    /// The hash of what this instance has in common with others, and the generation that it is of.
    hash: (u64, String),
    /// What was said last, and when.
    said: Option<(Ack, Instant)>,
    /// When something could not be taken in, and the generation that held then.
    failed: Option<(Instant, u64)>,
    /// Why it could not be said, and when that was tried.
    unsaid: Option<(Trouble, Instant)>,
    is_away: bool,
}

impl Follower {
    /// Follows the registry of `config`, if it names one.
    fn of(config: &Config, held: Option<&Content>, around: Around) -> Option<Self> {
        let registry = config.registry.clone()?;
        let log = Log::of(&registry, config)?;
        let (mut kept, fold) = Kept::open(&around.folder, config)?;
        kept.held = held.cloned();
        let (mut result, mut error) = (Outcome::Success, None);
        if let Some(undone) = &kept.undone {
            around.remote.undo(undone.clone());
            (result, error) = (undone.outcome(), Some(undone.reason.clone()));
        }
        Some(Self {
            registry,
            around,
            log,
            fold,
            kept,
            result,
            error,
            hash: (0, String::new()),
            said: None,
            failed: None,
            unsaid: None,
            is_away: false,
        })
    }

    /// Follows for as long as it is polled.
    async fn follow(mut self) {
        let mut ticks = tokio::time::interval(self.registry.interval.get());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // What was kept may not be what holds: this instance may have a cohort's part now.
        let mut is_new = self.fold.latest().is_some();
        loop {
            ticks.tick().await;
            let looked = self.log.news().await;
            let looked = looked.map(|texts| self.read(texts));
            is_new |= *looked.as_ref().unwrap_or(&false);
            if is_new || self.may_go_now() {
                self.take_in().await;
                is_new = false;
            }
            self.look_back();
            let said = self.say().await;
            self.notice(looked.err().or(said.err()));
        }
    }

    /// Whether what could not be taken in goes with what holds now, or with secrets of today.
    fn may_go_now(&self) -> bool {
        let generation = self.around.shown.load().config.generation;
        (self.failed).is_some_and(|(at, then)| then != generation || at.elapsed() > AGAIN)
    }

    /// Reads what is new in the log, and says whether anything of it counts.
    fn read(&mut self, texts: Vec<String>) -> bool {
        let mut is_new = false;
        for text in texts {
            match self.fold.take(&text) {
                Taken::New => {
                    self.kept.sealed = Some(text);
                    is_new = true;
                }
                Taken::Refused(why) => {
                    self.count("invalid");
                    tracing::error!(
                        event = event::CONFIG_REJECTED,
                        source = "registry",
                        "a record of the registry is not believed: {why}"
                    );
                }
                Taken::Old | Taken::Elsewhere => {}
            }
        }
        is_new
    }

    fn count(&self, result: &str) {
        let counter = self
            .around
            .metrics
            .counter(&metric::CONFIG_APPLY, &[result]);
        counter.inc();
    }

    /// Says once that the log is away, and once that it is back.
    fn notice(&mut self, trouble: Option<Trouble>) {
        match (&trouble, self.is_away) {
            (Some(trouble), false) => tracing::warn!(
                event = event::REGISTRY_AWAY,
                "the registry is out of reach, and what it said last holds: {trouble}"
            ),
            (None, true) => {
                tracing::info!(
                    event = event::REGISTRY_BACK,
                    "the registry is within reach again"
                )
            }
            _ => {}
        }
        self.is_away = trouble.is_some();
    }

    async fn take_in(&mut self) {
        let Some(record) = self.fold.latest().cloned() else {
            return;
        };
        let content = record.content_of(&self.around.instance).cloned();
        let undone = self.around.remote.undone();
        let did_harm = undone.is_some_and(|undone| undone.content == content);
        if content != self.kept.held && !did_harm {
            (self.result, self.error) = match self.have(&record, content).await {
                Ok(()) => (Outcome::Success, None),
                Err((result, why)) => (result, Some(why)),
            };
        } else if !did_harm {
            (self.result, self.error) = (Outcome::Success, None);
        }
        let generation = self.around.shown.load().config.generation;
        let is_out = matches!(self.result, Outcome::Invalid | Outcome::Failed) && !did_harm;
        self.failed = is_out.then(|| (Instant::now(), generation));
        self.kept.undone = self.around.remote.undone();
        self.kept.write(&self.around.folder);
    }

    /// Has another content taken in.
    async fn have(
        &mut self,
        record: &Record,
        content: Option<Content>,
    ) -> Result<(), (Outcome, String)> {
        if let Some(why) = content.as_ref().and_then(|one| self.registry.refuses(one)) {
            // It is looked at more than once.
            if self.error.as_ref() != Some(&why) {
                self.count("invalid");
                tracing::error!(
                    event = event::CONFIG_REJECTED,
                    source = "registry",
                    "version {} of the registry is not taken in: {why}",
                    record.content.version
                );
            }
            return Err((Outcome::Invalid, why));
        }
        let wanted = content.clone().map(Arc::new);
        self.around.remote.want(wanted);
        let ask = Ask {
            wish: Wish::Registry,
            author: record.author.clone(),
            reason: record.reason.clone(),
            ..Ask::new(Source::Registry)
        };
        let Some(report) = self.around.asker.ask(ask).await else {
            return Err((Outcome::Failed, "the instance is stopping".to_owned()));
        };
        if report.is_ok() {
            self.kept.before = std::mem::replace(&mut self.kept.held, content);
            return Ok(());
        }
        let first = report.problems.first();
        let told = |key: &str| first.and_then(|one| one[key].as_str()).unwrap_or_default();
        let why = match told("path") {
            "" => told("message").to_owned(),
            path => format!("{path}: {}", told("message")),
        };
        Err((Outcome::Invalid, why))
    }

    /// Learns that what was taken in did harm.
    fn look_back(&mut self) {
        let undone = self.around.remote.undone();
        let Some(undone) = undone.filter(|one| one.content == self.kept.held) else {
            return;
        };
        // It may hold all the same, and was told then.
        if self.kept.undone.as_ref() == Some(&undone) {
            return;
        }
        self.kept.held = undone.holds.clone();
        self.kept.before = None;
        self.kept.undone = Some(undone.clone());
        self.result = undone.outcome();
        self.error = Some(undone.reason);
        self.kept.write(&self.around.folder);
    }

    /// Says how it does, when that is new or has not been said for a while.
    async fn say(&mut self) -> Result<(), Trouble> {
        let latest = self.fold.latest();
        let is_rolling = latest.is_some_and(|one| one.rollout.state == State::Rolling);
        let pause = if is_rolling { OFTEN } else { SELDOM };
        let ack = self.ack();
        let same = |one: &Ack| {
            (one.sequence, one.version, one.result, &one.hash)
                == (ack.sequence, ack.version, ack.result, &ack.hash)
        };
        if let Some((said, at)) = &self.said
            && same(said)
            && at.elapsed() < pause
        {
            return Ok(());
        }
        // A log that takes no word of ours shall not be asked with every look.
        if let Some((trouble, at)) = &self.unsaid
            && at.elapsed() < OFTEN
        {
            return Err(trouble.clone());
        }
        let text = serde_json::to_string(&ack).unwrap_or_default();
        let said = self.log.acknowledge(&self.around.instance, &text).await;
        let now = Instant::now();
        self.unsaid = said.clone().err().map(|trouble| (trouble, now));
        if said.is_ok() {
            self.said = Some((ack, now));
        }
        said
    }

    fn ack(&mut self) -> Ack {
        let shown = self.around.shown.load();
        if self.hash.0 != shown.config.generation {
            self.hash = (shown.config.generation, common(&shown.config.config));
        }
        let totals = self.around.metrics.totals();
        Ack {
            instance: self.around.instance.clone(),
            environment: self.fold.environment().to_owned(),
            sequence: self.fold.sequence(),
            version: self.kept.held.as_ref().map(|held| held.version),
            result: self.result,
            error: self.error.clone(),
            at: jiff::Timestamp::now().to_string(),
            hash: self.hash.1.clone(),
            generation: shown.config.generation,
            requests: totals.requests,
            failed: totals.failed,
            total_ms: Duration::from_nanos(totals.nanos).as_secs_f64() * 1_000.0,
        }
    }
}

/// A hash of a configuration without what is the instance's own.
fn common(config: &Value) -> String {
    let mut config = config.clone();
    for (section, key) in OWN {
        let place = match section {
            "" => Some(&mut config),
            section => config.get_mut(section),
        };
        if let Some(place) = place.and_then(Value::as_object_mut) {
            place.shift_remove(key);
        }
    }
    hash_of(&config)
}

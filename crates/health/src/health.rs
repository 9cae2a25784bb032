//! The registry of checks, running in the background.
//!
//! Every check has a task that runs it at its interval; nobody who asks for health ever waits for one. What is shown is
//! published as a whole [`Report`] whenever something changes.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use seaworthy_core::health::Status;
use tokio::sync::{Semaphore, watch};

use crate::clock;
use crate::entry::Entry;
use crate::registry::{Change, Inner};
use crate::report::{Component, Operated, Report};
use crate::runner;
use crate::spec::Spec;

/// Runs at the same time; more wait for a place.
const MOST_AT_ONCE: usize = 32;

/// Checks that run in the background. Clones are the same registry; with the last of them the checks end.
#[derive(Clone)]
pub struct Health(pub(crate) Arc<Inner>);

/// There is no check of that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no check called `{0}`")]
pub struct NoSuchCheck(pub String);

/// Which components to look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Only {
    /// All of them.
    #[default]
    All,
    /// Those that can close the gate.
    Critical,
    /// Those that cannot.
    Optional,
}

impl Only {
    /// Whether `component` is one of them.
    pub fn takes(self, component: &Component) -> bool {
        let critical = component.weight == seaworthy_core::health::Weight::Critical;
        match self {
            Self::All => true,
            Self::Critical => critical,
            Self::Optional => !critical,
        }
    }
}

impl Health {
    /// An empty registry. `tell` hears of every change; it must neither block nor ask the registry anything.
    pub fn new(tell: impl Fn(&Change) + Send + Sync + 'static) -> Self {
        let empty = Arc::new(Report::new(Vec::new()));
        Self(Arc::new(Inner {
            entries: Mutex::default(),
            newest: watch::Sender::new(empty),
            places: Semaphore::new(MOST_AT_ONCE),
            tell: Box::new(tell),
            ids: AtomicU64::new(0),
        }))
    }

    /// The registry of this process, for code that nothing can be handed to. Prefer handing one around.
    pub fn global() -> &'static Self {
        static GLOBAL: OnceLock<Health> = OnceLock::new();
        GLOBAL.get_or_init(Self::default)
    }

    /// Registers a check and starts it. One of the same name is replaced, and keeps its place.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn register(&self, spec: Spec) {
        let id = self.0.ids.fetch_add(1, Ordering::Relaxed);
        let delay = spec.policy.initial_delay;
        let entry = Entry::new(id, spec);
        let rouse = entry.rouse.clone();
        {
            let mut entries = self.0.entries();
            match entries.iter_mut().find(|old| old.name() == entry.name()) {
                Some(old) => std::mem::replace(old, entry).rouse.notify_one(),
                None => entries.push(entry),
            }
            self.0.publish(&entries);
        }
        tokio::spawn(runner::run(Arc::downgrade(&self.0), id, delay, rouse));
    }

    /// Ends a check.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn remove(&self, name: &str) -> Result<(), NoSuchCheck> {
        let mut entries = self.0.entries();
        let at = entries.iter().position(|entry| entry.name() == name);
        let at = at.ok_or_else(|| NoSuchCheck(name.to_owned()))?;
        entries.remove(at).rouse.notify_one();
        self.0.publish(&entries);
        Ok(())
    }

    /// The newest report.
    pub fn report(&self) -> Arc<Report> {
        self.0.newest.borrow().clone()
    }

    /// Sees every report from now on.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Report>> {
        self.0.newest.subscribe()
    }

    /// Runs one check now, together with everybody else who asks, and says what is shown then.
    ///
    /// # Errors
    /// When there is none of that name.
    pub async fn check_component(&self, name: &str) -> Result<Arc<Component>, NoSuchCheck> {
        let asked = self.with(name, Entry::wait_for_run)?;
        asked.await.map_err(|_| NoSuchCheck(name.to_owned()))
    }

    /// Runs all checks of `only` now, all at once, and waits for them at most `timeout`. What has not ended by then shows its
    /// last result.
    pub async fn check_all(&self, timeout: Duration, only: Only) -> Report {
        let names: Vec<String> = (self.report().components.iter())
            .filter(|component| only.takes(component))
            .map(|component| component.name.clone())
            .collect();
        let runs = names.iter().map(|name| self.check_component(name));
        let all = futures_util::future::join_all(runs);
        tokio::time::timeout(timeout, all).await.ok();
        let components = self.report().components.clone();
        Report::new(
            components
                .into_iter()
                .filter(|component| only.takes(component))
                .collect(),
        )
    }

    /// Stops a check and leaves it out of the whole, for a time or until it is enabled.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn disable(&self, name: &str, time: Option<Duration>) -> Result<(), NoSuchCheck> {
        let until = time.map(|time| clock::now() + time);
        self.operate(name, Some(Operated::Disabled { until }))
    }

    /// Lets a check show `status`, for a time or until it is enabled.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn force(
        &self,
        name: &str,
        status: Status,
        time: Option<Duration>,
    ) -> Result<(), NoSuchCheck> {
        let until = time.map(|time| clock::now() + time);
        self.operate(name, Some(Operated::Forced { status, until }))
    }

    /// Ends what was disabled or forced.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn enable(&self, name: &str) -> Result<(), NoSuchCheck> {
        self.operate(name, None)
    }

    /// Changes the timeout of a check, for a time or for good; `None` is that of its policy again.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn set_timeout(
        &self,
        name: &str,
        timeout: Option<Duration>,
        time: Option<Duration>,
    ) -> Result<(), NoSuchCheck> {
        let until = time.map(|time| clock::now() + time);
        self.with(name, |entry| {
            entry.set_timeout(timeout.map(|timeout| (timeout, until)));
        })
    }

    fn operate(&self, name: &str, operated: Option<Operated>) -> Result<(), NoSuchCheck> {
        let mut entries = self.0.entries();
        let entry = entries
            .iter_mut()
            .find(|entry| entry.name() == name)
            .ok_or_else(|| NoSuchCheck(name.to_owned()))?;
        let before = entry.shown().clone();
        entry.operate(operated, clock::now());
        entry.rouse.notify_one();
        let now = entry.shown().clone();
        self.0.publish(&entries);
        drop(entries);
        self.0.tell_status(&before, &now);
        Ok(())
    }

    fn with<T>(&self, name: &str, act: impl FnOnce(&mut Entry) -> T) -> Result<T, NoSuchCheck> {
        let mut entries = self.0.entries();
        let entry = entries.iter_mut().find(|entry| entry.name() == name);
        entry.map(act).ok_or_else(|| NoSuchCheck(name.to_owned()))
    }
}

impl Default for Health {
    fn default() -> Self {
        Self::new(|_| {})
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health")
            .field("report", &self.report())
            .finish_non_exhaustive()
    }
}

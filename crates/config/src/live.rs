//! Settings of a program that change while it runs: all of it follows, or nothing changes.
//!
//! A [`Live`] knows where settings come from ([`ConfigSource`]) and who lives by them ([`Subscriber`]). A reload reads, merges and checks
//! everything, then lets each subscriber prepare what can fail, and only when all of them agree it swaps the settings and has each
//! subscriber do what it prepared. Whoever reads the settings sees the old ones or the new ones, whole.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::change::Reloaded;
use crate::load::Loader;
use crate::loaded::Loaded;
use crate::problem::Validate;
use crate::problems::Problems;
use crate::report::{Report, ResultDocument};

/// The name of the settings among the results of a reload.
const OWN: &str = "settings";

/// Settings that a program can live by.
pub trait Settings:
    DeserializeOwned + Serialize + JsonSchema + Validate + Clone + Send + Sync + 'static
{
}

impl<T> Settings for T where
    T: DeserializeOwned + Serialize + JsonSchema + Validate + Clone + Send + Sync + 'static
{
}

/// Where settings come from: a file, the environment, a server, or whatever else. A closure is one, too.
pub trait ConfigSource<T>: Send + Sync {
    /// Adds what it says now.
    ///
    /// # Errors
    /// It cannot be read. Nothing is changed then.
    fn add(&self, loader: Loader<T>) -> Result<Loader<T>, Problems>;
}

impl<T, F> ConfigSource<T> for F
where
    F: Fn(Loader<T>) -> Result<Loader<T>, Problems> + Send + Sync,
{
    fn add(&self, loader: Loader<T>) -> Result<Loader<T>, Problems> {
        self(loader)
    }
}

/// What a subscriber has prepared, and now does. It cannot fail.
pub type Commit = Box<dyn FnOnce() + Send>;

/// A part of the program that lives by the settings. A closure is one, too. It is asked while a reload is under way, so it may read
/// the settings that hold, and may neither subscribe nor reload: it would wait for itself.
pub trait Subscriber<T>: Send + Sync {
    /// Does all that can fail and changes nothing; what it gives back changes it.
    ///
    /// # Errors
    /// Says why the part cannot live by these settings. Nothing is changed then, here or elsewhere.
    fn prepare(&self, settings: &T) -> Result<Commit, String>;
}

impl<T, F> Subscriber<T> for F
where
    F: Fn(&T) -> Result<Commit, String> + Send + Sync,
{
    fn prepare(&self, settings: &T) -> Result<Commit, String> {
        self(settings)
    }
}

/// Those who follow, by name.
type Subscribers<T> = Vec<(String, Box<dyn Subscriber<T>>)>;

struct Inner<T> {
    sources: Vec<Box<dyn ConfigSource<T>>>,
    subscribers: Mutex<Subscribers<T>>,
    /// Held through a whole reload, so that there is one at a time.
    loaded: Mutex<Loaded<T>>,
    /// What holds, and how many held since the start.
    now: ArcSwap<(Arc<T>, u64)>,
}

/// See the [module documentation](self). Clones are the same one.
pub struct Live<T>(Arc<Inner<T>>);

impl<T> Clone for Live<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> fmt::Debug for Live<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").finish_non_exhaustive()
    }
}

impl<T: Settings> Live<T> {
    /// Loads the settings for the first time.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn load(sources: Vec<Box<dyn ConfigSource<T>>>) -> Result<Self, Problems> {
        let loaded = gather(&sources)?.load()?;
        let now = ArcSwap::from_pointee((Arc::new(loaded.value.clone()), 1));
        Ok(Self(Arc::new(Inner {
            sources,
            subscribers: Mutex::default(),
            loaded: Mutex::new(loaded),
            now,
        })))
    }

    /// The settings that hold.
    #[must_use]
    pub fn get(&self) -> Arc<T> {
        self.0.now.load().0.clone()
    }

    /// How many held since the start, these included.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.0.now.load().1
    }

    /// Has a part of the program follow from now on. It lives by the settings that hold when this returns.
    ///
    /// # Errors
    /// It cannot live by them, and does not follow.
    pub fn subscribe(
        &self,
        name: impl Into<String>,
        subscriber: impl Subscriber<T> + 'static,
    ) -> Result<(), String> {
        // No reload comes between its first settings and its place in the list.
        let loaded = self.loaded();
        subscriber.prepare(&loaded.value)?();
        let mut all = self.subscribers();
        all.push((name.into(), Box::new(subscriber)));
        Ok(())
    }

    /// Takes the settings in anew, on a thread that may wait for files.
    pub async fn reload(&self) -> Report {
        let this = self.clone();
        let work = tokio::task::spawn_blocking(move || this.reload_now());
        let began = Instant::now();
        work.await.unwrap_or_else(|_| {
            // A subscriber panicked before anything was changed, or after everything was; the generation says which.
            let fault = json!({"severity": "error", "path": "", "message": "a part of the program panicked while it was to follow; its message is on standard error, and `generation` says which settings hold"});
            self.report(began, Err(vec![fault]))
        })
    }

    /// The same, on this thread.
    pub fn reload_now(&self) -> Report {
        let began = Instant::now();
        let done = self.try_reload();
        self.report(began, done)
    }

    fn try_reload(&self) -> Result<(Reloaded<T>, u64), Vec<serde_json::Value>> {
        let told = |problems: Problems| {
            let list = problems.to_json();
            list.as_array().cloned().unwrap_or_default()
        };
        let mut loaded = self.loaded();
        let loader = gather(&self.0.sources).map_err(told)?;
        let reloaded = loader.reload_with(&loaded, |_| {}).map_err(told)?;
        if !reloaded.changes_anything() {
            return Ok((reloaded, self.generation()));
        }
        let next = &reloaded.loaded.value;
        let subscribers = self.subscribers();
        let mut commits = Vec::with_capacity(subscribers.len());
        let mut refusals = Vec::new();
        for (name, subscriber) in subscribers.iter() {
            match subscriber.prepare(next) {
                Ok(commit) => commits.push(commit),
                Err(why) => refusals.push(
                    json!({"severity": "error", "path": "", "message": format!("{name}: {why}")}),
                ),
            }
        }
        if !refusals.is_empty() {
            return Err(refusals);
        }
        *loaded = reloaded.loaded.clone();
        let generation = self.generation() + 1;
        let next = Arc::new(next.clone());
        self.0.now.store(Arc::new((next, generation)));
        for commit in commits {
            commit();
        }
        Ok((reloaded, generation))
    }

    fn report(
        &self,
        began: Instant,
        done: Result<(Reloaded<T>, u64), Vec<serde_json::Value>>,
    ) -> Report {
        let (reloaded, generation, problems) = match done {
            Ok((reloaded, generation)) => (Some(reloaded), generation, Vec::new()),
            Err(problems) => (None, self.generation(), problems),
        };
        let restart = reloaded.iter().flat_map(|one| one.requires_restart());
        let own = reloaded.as_ref().map(ResultDocument::of);
        Report {
            status: if reloaded.is_some() { "ok" } else { "error" },
            generation,
            requires_restart: restart.map(str::to_owned).collect(),
            results: own.map(|own| (OWN.to_owned(), own)).into_iter().collect(),
            duration_ms: began.elapsed().as_secs_f64() * 1_000.0,
            problems,
        }
    }

    fn loaded(&self) -> MutexGuard<'_, Loaded<T>> {
        self.0.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn subscribers(&self) -> MutexGuard<'_, Subscribers<T>> {
        let all = self.0.subscribers.lock();
        all.unwrap_or_else(PoisonError::into_inner)
    }
}

fn gather<T: Settings>(sources: &[Box<dyn ConfigSource<T>>]) -> Result<Loader<T>, Problems> {
    let mut sources = sources.iter();
    sources.try_fold(Loader::new(), |loader, source| source.add(loader))
}

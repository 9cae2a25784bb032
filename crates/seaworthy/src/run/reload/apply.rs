//! What holds now, and the steps by which something else does. None of them can fail.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use seaworthy_config::history::Verdict;
use seaworthy_config::registry::Content;
use seaworthy_config::{Loaded, Reloaded};
use seaworthy_core::concurrency::Priority;
use seaworthy_core::names::event;
use seaworthy_health::Health;
use seaworthy_health::probe::Around;
use seaworthy_http::auth::jwt::Jwks;
use seaworthy_lifecycle::journal::Journal;
use seaworthy_telemetry::log;
use tokio::task::JoinSet;

use super::versions::{About, Versions};
use super::{Ready, Sample, Verify, watch};
use crate::admin::Shown;
use crate::armour;
use crate::components::{Components, State};
use crate::config::{Config, Options, health};
use crate::documents::Committed;
use crate::openapi;
use crate::registry::Remote;
use crate::reload::{Ask, ConfigDocument, Wish};
use crate::run::face::Face;
use crate::run::plane::Plane;
use crate::run::{checks, described};

/// What holds now.
#[derive(Debug)]
pub(in crate::run) struct Running {
    /// How many there were, this one included.
    pub(in crate::run) generation: u64,
    pub(in crate::run) loaded: Arc<Loaded<Config>>,
    pub(in crate::run) components: Arc<Components>,
    pub(in crate::run) state: State,
    pub(in crate::run) shown: Arc<ArcSwap<Shown>>,
    pub(in crate::run) beside: Beside,
    pub(in crate::run) face: Face,
    pub(in crate::run) health: Health,
    pub(in crate::run) journal: Journal,
    pub(in crate::run) level: log::Handle,
    pub(in crate::run) options: Arc<Options>,
    pub(in crate::run) versions: Versions,
    pub(in crate::run) remote: Remote,
    /// What the registry said before the change that is watched, if it was the registry's.
    pub(in crate::run) remote_before: Option<Option<Arc<Content>>>,
}

impl Running {
    /// Itself, with what is done beside the requests begun.
    pub(in crate::run) fn attended(mut self) -> Self {
        let (loaded, options) = (&self.loaded, &self.options);
        self.beside
            .renew(loaded, options, &self.components, &self.state, &self.face);
        self
    }

    /// What the admin API shows of a configuration.
    pub(in crate::run) fn shown(
        generation: u64,
        loaded: &Loaded<Config>,
        components: &Components,
        around: Around,
    ) -> Shown {
        Shown {
            views: components.admin_table(),
            openapi: openapi::document(&loaded.value).to_string().into(),
            pace: loaded.value.health.pace(),
            around,
            config: ConfigDocument {
                generation,
                hash: loaded.hash(),
                config: loaded.canonical(),
            },
        }
    }

    /// Lets `ready` hold from now on. Requests under way end as they began.
    pub(in crate::run) async fn apply(&mut self, ready: Ready, plane: &mut Plane) -> Committed {
        let Ready {
            reloaded,
            prepared,
            secrets,
            flags,
            documents,
            options,
        } = ready;
        self.options = options;
        // Fields that are built from here on have the newest in them.
        let keeper = &self.state.secrets;
        keeper.renew(secrets, &reloaded.loaded, &self.state.registry);
        let is_new = reloaded.changes_anything() || documents.changes_anything();
        self.generation += u64::from(is_new);
        let before = std::mem::replace(&mut self.loaded, Arc::new(reloaded.loaded));
        let loaded = self.loaded.clone();
        let (before, config) = (&before.value, &loaded.value);
        let State {
            registry, armour, ..
        } = &self.state;
        armour.renew(config, registry, &self.journal);
        let number = self.components.number + 1;
        let components = Components::build(number, config, prepared, &self.state);
        self.components = Arc::new(components);
        plane.renew(self.components.clone(), &self.state).await;
        let committed = self.state.documents.commit(documents);
        if let Some(error) = self.state.flags.commit(flags) {
            tracing::warn!(event = event::CONFIG_WARNING, %error, "the app's file of flags is still the old one");
        }
        let around = checks::around(config, &self.face);
        let shown = Self::shown(self.generation, &loaded, &self.components, around);
        self.shown.store(Arc::new(shown));
        self.level.set_level(config.log.level);
        checks::renew(before, config, &self.face, &self.health);
        let by_label = config.health.gate == health::GateBy::Label;
        self.face
            .board()
            .update(|snapshot| snapshot.gate_by_label = by_label);
        let (components, state) = (&self.components, &self.state);
        self.beside
            .renew(&loaded, &self.options, components, state, &self.face);
        committed
    }

    /// Keeps what holds now among the versions, and watches it where that is wanted. `remote` is what the registry said before.
    pub(in crate::run) fn keep(
        &mut self,
        changed: &Reloaded<Config>,
        remote: Option<Arc<Content>>,
        ask: &Ask,
        verify: &mut Verify,
    ) {
        // Secrets are no part of a version, so the one that holds may go on with others.
        if !changed.changes_anything() || self.versions.is_held(&changed.hash) {
            return;
        }
        let goes_back = ask.wish.goes_back();
        self.remote_before = (ask.wish == Wish::Registry).then_some(remote);
        let was_watched = verify.end();
        if goes_back {
            let reason = ask.reason.as_deref();
            self.versions.judge(Verdict::RolledBack, reason);
        } else if was_watched {
            self.versions.judge(Verdict::Superseded, None);
        }
        let watches = !goes_back && self.watch(verify);
        let about = About {
            source: ask.source,
            author: ask.author.clone(),
            hash: changed.hash.clone(),
            changes: &changed.changes,
            verdict: if watches {
                Verdict::Watched
            } else {
                Verdict::Good
            },
        };
        let loaded = self.loaded.clone();
        self.versions.keep(&loaded, about);
    }

    /// What watches changes. What the process before did not live to see proved is watched again.
    pub(in crate::run) fn verify(&self) -> Verify {
        let mut verify = Verify::default();
        if self.versions.is_watched() {
            self.watch(&mut verify);
        }
        verify
    }

    /// Watches what holds from now on, where that is wanted.
    fn watch(&self, verify: &mut Verify) -> bool {
        let settings = &self.loaded.value.config;
        let window = settings.verify_window.get();
        if !window.is_zero() {
            verify.begin(Instant::now(), window, settings.verify_errors.get());
        }
        !window.is_zero()
    }

    /// How the service does at this moment.
    pub(in crate::run) fn sample(&self) -> Sample {
        Sample {
            totals: self.state.registry.totals(),
            ready: self.face.board().snapshot().is_ready(),
        }
    }
}

/// What is done beside the requests for one configuration, for as long as it holds.
#[derive(Debug, Default)]
pub(in crate::run) struct Beside {
    keys: Option<(Arc<Jwks>, JoinSet<()>)>,
    described: JoinSet<()>,
    files: Option<(Vec<PathBuf>, JoinSet<()>)>,
    memory: Option<(crate::config::concurrency::Memory, JoinSet<()>)>,
}

impl Beside {
    /// Does what `config` asks for, and nothing else any more. What it asks for as before goes on.
    pub(in crate::run) fn renew(
        &mut self,
        loaded: &Loaded<Config>,
        options: &Options,
        components: &Components,
        state: &State,
        face: &Face,
    ) {
        let config = &loaded.value;
        let watched = config.config.watch.then(|| config.files(options));
        match (watched, &self.files) {
            (Some(new), Some((old, _))) if new == *old => {}
            (Some(new), _) => {
                self.files = state.asker.clone().map(|asker| {
                    let taken_in = watch::marks(&loaded.sources);
                    let watch = one(watch::watch(new.clone(), taken_in, asker));
                    (new, watch)
                });
            }
            (None, _) => self.files = None,
        }
        let fetched = components.access.fetched.as_ref();
        match (fetched.map(|fetched| &fetched.jwks), &self.keys) {
            (Some(new), Some((old, _))) if Arc::ptr_eq(new, old) => {}
            (Some(new), _) => self.keys = Some((new.clone(), one(new.clone().keep()))),
            (None, _) => self.keys = None,
        }
        let schemas = components.access.described.clone();
        self.described = JoinSet::new();
        if !schemas.is_empty() {
            self.described.spawn(described::keep(schemas, face.clone()));
        }
        let wish = config.concurrency.as_ref();
        let wish = wish.and_then(|wish| wish.memory.clone());
        let pressure = state.armour.pools.pressure();
        match (wish, &self.memory) {
            (Some(new), Some((old, _))) if new == *old => {}
            (Some(new), _) => {
                let watch = armour::watch_memory(pressure, new.clone());
                self.memory = Some((new, one(watch)));
            }
            (None, _) => {
                self.memory = None;
                // Nobody would take back what was refused for want of memory.
                pressure.set(Priority::Low);
            }
        }
    }
}

/// A task that ends when it is dropped.
fn one(work: impl Future<Output = ()> + Send + 'static) -> JoinSet<()> {
    let mut set = JoinSet::new();
    set.spawn(work);
    set
}

//! Keeps secrets up to date while a service runs, and everything that is made of them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use seaworthy_config::secrets::{News, Prepared, Secrets};
use seaworthy_config::{Loaded, Template};
use seaworthy_core::event::{Event, Level};
use seaworthy_core::names::{event, metric};
use seaworthy_http::headers::{Live, Pen};
use seaworthy_lifecycle::journal::Journal;
use seaworthy_telemetry::metrics::Registry;

use super::field;
use crate::config::Config;

/// The secrets of a running service, and fields that hold some. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Keeper {
    secrets: Secrets,
    fields: Arc<Mutex<Vec<(Template, Pen)>>>,
    odd: Arc<Mutex<Vec<(String, String)>>>,
    /// Secrets that settings have which are read when a configuration is loaded.
    settings: Arc<Mutex<BTreeSet<String>>>,
}

impl Keeper {
    /// Keeps these.
    pub fn new(secrets: Secrets) -> Self {
        Self {
            secrets,
            ..Self::default()
        }
    }

    /// The secrets themselves.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// A field that always has the newest secrets in it; none where one of them is not known.
    pub fn live(&self, template: &Template) -> Option<Live> {
        // With the list locked, no change can come between the look and the entry.
        let mut fields = self.fields();
        let value = field(template, |name| self.secrets.get(name))?;
        let live = Live::new(value);
        fields.retain(|(_, pen)| pen.is_used());
        fields.push((template.clone(), live.pen()));
        Some(live)
    }

    /// From now on these are the secrets, and `loaded` says what for. Returns those that are gone, and those that come from
    /// elsewhere now.
    pub fn commit(&self, prepared: Prepared, loaded: &Loaded<Config>) -> BTreeSet<String> {
        let settings = loaded.mentions.iter().filter(|mention| !mention.at_use);
        let settings = settings.map(|mention| mention.name.clone()).collect();
        *lock(&self.settings) = settings;
        lock(&self.odd).extend(prepared.warnings.iter().cloned());
        self.secrets.commit(prepared)
    }

    /// The same for a service that runs: what is odd is told, and nobody sees a secret as old that is not asked for any more.
    pub fn renew(&self, prepared: Prepared, loaded: &Loaded<Config>, registry: &Registry) {
        for name in self.commit(prepared, loaded) {
            registry.forget(&[&metric::SECRET_STALE], &name);
            if self.secrets.get(&name).is_none() {
                registry.forget(&[&metric::SECRET_REFRESHES], &name);
            }
        }
        self.tell_odd();
    }

    /// Says what is odd of them, such as a file that everybody may read.
    pub fn tell_odd(&self) {
        let mut all = lock(&self.odd);
        for (name, what) in all.drain(..) {
            tell_of(&name, &what);
        }
    }

    /// Asks for secrets when they are due, and tells what comes of it, for ever. `reload` is called when one has changed that a
    /// setting has, and not only fields.
    pub async fn keep(
        self,
        registry: Arc<Registry>,
        journal: Journal,
        reload: impl Fn() + Send + 'static,
    ) {
        let changes = self.secrets.listen();
        let settings = self.settings.clone();
        let asking =
            self.secrets
                .clone()
                .keep(move |name: &str, was_failing: bool, news: News<'_>| {
                    tell(name, was_failing, news, &registry, &journal);
                    if news == News::Changed && lock(&settings).contains(name) {
                        reload();
                    }
                });
        let writing = async {
            loop {
                self.write(&changes.next().await);
            }
        };
        tokio::join!(asking, writing);
    }

    /// Writes the fields anew that hold one of these.
    fn write(&self, changed: &BTreeSet<String>) {
        self.fields().retain(|(template, pen)| {
            if !template.names().any(|name| changed.contains(&name)) {
                return pen.is_used();
            }
            match field(template, |name| self.secrets.get(name)) {
                Some(value) => pen.write(value),
                None => {
                    tracing::warn!(
                        event = event::SECRET_STALE,
                        secrets = ?template.names().collect::<Vec<_>>(),
                        "a secret now has a character that no field can have, so the field keeps its old value"
                    );
                    pen.is_used()
                }
            }
        });
    }

    fn fields(&self) -> MutexGuard<'_, Vec<(Template, Pen)>> {
        lock(&self.fields)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change leaves what is inside whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn tell_of(name: &str, odd: &str) {
    tracing::warn!(
        event = event::CONFIG_WARNING,
        setting = format!("secrets.{name}"),
        "{odd}"
    );
}

fn tell(name: &str, was_failing: bool, news: News<'_>, registry: &Registry, journal: &Journal) {
    let result = match news {
        News::Same => "same",
        News::Changed => "changed",
        News::Failed(..) => "failed",
        News::Odd(what) => return tell_of(name, what),
    };
    registry
        .counter(&metric::SECRET_REFRESHES, &[name, result])
        .inc();
    let is_stale = matches!(news, News::Failed(..));
    registry
        .gauge(&metric::SECRET_STALE, &[name])
        .set(f64::from(u8::from(is_stale)));
    match news {
        News::Failed(trouble, 1) => journal.record(
            Event::new(
                event::SECRET_STALE,
                format!("the secret {name} cannot be had any more"),
            )
            .with_level(Level::Error)
            .with_evidence(trouble.to_string())
            .with_next("the old value stays in use, and it is asked for again"),
        ),
        News::Changed => journal.record(
            Event::new(
                event::SECRET_ROTATED,
                format!("the secret {name} has changed"),
            )
            .with_next("the new value is used from now on"),
        ),
        News::Same if was_failing => journal.record(Event::new(
            event::SECRET_RECOVERED,
            format!("the secret {name} can be had again"),
        )),
        News::Same | News::Failed(..) | News::Odd(_) => {}
    }
}

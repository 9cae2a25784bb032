//! Keeps each configuration that held, with what it turned out to be.
//!
//! Where the state folder cannot be written the versions live in memory, and the service runs all the same.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use seaworthy_config::history::{History, HistoryError, New, Verdict, Version};
use seaworthy_config::{Change, Loaded};
use seaworthy_core::names::event;

use crate::config::{Config, Options};
use crate::reload::Source;
use crate::secrets::{self, Keeper};

/// The name of the file inside the state folder.
const FILE: &str = "history.db";

/// See the [module documentation](self).
#[derive(Debug, Clone)]
pub(in crate::run) struct Versions {
    history: Arc<History>,
    /// The one that holds, unless it could not be kept.
    holds: Option<u64>,
}

/// What is kept of a configuration beside itself.
#[derive(Debug)]
pub(super) struct About<'a> {
    pub(super) source: Source,
    pub(super) author: Option<String>,
    pub(super) hash: String,
    pub(super) changes: &'a [Change],
    pub(super) verdict: Verdict,
}

impl Versions {
    /// Opens the file in `folder`.
    pub(in crate::run) fn open(folder: &Path, config: &Config) -> anyhow::Result<Self> {
        let most = config.config.history;
        let history = match History::open(&folder.join(FILE), most) {
            Ok(history) => history,
            Err(error) => {
                complain(folder.join(FILE).display(), &error);
                History::in_memory(most)?
            }
        };
        Ok(Self {
            history: Arc::new(history),
            holds: None,
        })
    }

    /// The versions, for whoever shows them.
    pub(in crate::run) fn history(&self) -> Arc<History> {
        self.history.clone()
    }

    /// What a start has to begin with: the configuration that was loaded, unless it was taken back before. Then it is the latest that
    /// did well, until the file says something else.
    pub(in crate::run) async fn begin(
        &mut self,
        loaded: Loaded<Config>,
        options: &Options,
        keeper: &Keeper,
    ) -> Loaded<Config> {
        let Some(bad) = self.taken_back(&loaded.hash()) else {
            self.keep_start(&loaded);
            return loaded;
        };
        match self.instead(&loaded, options, keeper).await {
            Ok((good, number)) => {
                stays_away(&bad, number);
                self.holds = Some(number);
                good
            }
            Err(why) => {
                tracing::error!(
                    event = event::CONFIG_REJECTED,
                    version = bad.number,
                    "the configuration is version {}, which was taken back ({}), and holds all the same, because none can hold in its place: {why}; mend the file and call `seaworthy config reload`",
                    bad.number,
                    bad.why()
                );
                self.holds = Some(bad.number);
                loaded
            }
        }
    }

    /// Keeps what a start begins with. What held when the process ended goes on under its number, watched if it was.
    fn keep_start(&mut self, loaded: &Loaded<Config>) {
        let hash = loaded.hash();
        let found = [self.history.latest(), self.history.last_good()];
        let [latest, good] = found.map(|found| found.ok().flatten());
        let unproved = latest.filter(|latest| latest.verdict == Verdict::Watched);
        let same = |known: &Version| known.hash == hash;
        let known = unproved.filter(same).or(good.filter(same));
        let goes_on = known.map(|known| known.number);
        if goes_on.is_some() {
            self.holds = goes_on;
            return;
        }
        // There is nothing better to go back to.
        self.keep(
            loaded,
            About {
                source: Source::Start,
                author: None,
                hash,
                changes: &[],
                verdict: Verdict::Good,
            },
        );
    }

    /// Whether the one that holds has not proved itself yet.
    pub(in crate::run) fn is_watched(&self) -> bool {
        self.held()
            .is_some_and(|held| held.verdict == Verdict::Watched)
    }

    /// Whether it has not, and came from there.
    pub(in crate::run) fn watches(&self, source: Source) -> bool {
        self.is_watched() && self.held().is_some_and(|held| held.source == source.word())
    }

    /// The one that holds, for people.
    pub(in crate::run) fn name(&self) -> String {
        match self.holds {
            Some(number) => format!("version {number} of the configuration"),
            None => "a version of the configuration".to_owned(),
        }
    }

    /// Whether what has this hash holds already.
    pub(super) fn is_held(&self, hash: &str) -> bool {
        self.held().is_some_and(|held| held.hash == hash)
    }

    /// The one of this hash, if it was taken back.
    pub(super) fn taken_back(&self, hash: &str) -> Option<Version> {
        let known = self.history.of_hash(hash).unwrap_or_default();
        known.filter(|known| known.verdict == Verdict::RolledBack)
    }

    /// The one that holds, as it was kept.
    pub(super) fn held(&self) -> Option<Version> {
        self.history.get(self.holds?).ok().flatten()
    }

    async fn instead(
        &self,
        loaded: &Loaded<Config>,
        options: &Options,
        keeper: &Keeper,
    ) -> Result<(Loaded<Config>, u64), String> {
        let good = self
            .history
            .last_good()
            .map_err(|error| error.to_string())?;
        let good = good.ok_or("no version is known that did well")?;
        let name = format!("version {}", good.number);
        // Nothing runs yet, so nothing of what was taken back has to stay until a restart.
        let load = |known| Config::first_version(options, &name, &good.record, loaded, known);
        let complete = secrets::load_by(options, keeper.secrets(), load);
        let complete = (complete.await).map_err(|problems| problems.render(false))?;
        keeper.commit(complete.prepared, &complete.loaded);
        keeper.tell_odd();
        Ok((complete.loaded, good.number))
    }

    /// Keeps one that holds from now on.
    pub(super) fn keep(&mut self, loaded: &Loaded<Config>, about: About<'_>) {
        let restart = about.changes.iter().filter(|one| one.requires_restart);
        let new = New {
            source: about.source.word().to_owned(),
            author: about.author,
            hash: about.hash,
            verdict: about.verdict,
            requires_restart: restart.map(|one| one.path.clone()).collect(),
            changes: serde_json::to_value(about.changes).unwrap_or_default(),
            record: loaded.record(),
        };
        let added = self.history.add(&new);
        self.holds = added.as_ref().ok().copied();
        if let Err(error) = added {
            complain(FILE, &error);
        }
    }

    /// Says what the one that holds turned out to be.
    pub(in crate::run) fn judge(&self, verdict: Verdict, reason: Option<&str>) {
        let Some(number) = self.holds else { return };
        if let Err(error) = self.history.judge(number, verdict, reason) {
            complain(FILE, &error);
        }
    }

    /// The version that comes back when the one that holds goes.
    pub(super) fn wanted(&self, number: Option<u64>) -> Result<Version, String> {
        let found = match (number, self.held()) {
            (Some(number), _) => self.history.get(number),
            (None, Some(held)) => self.history.before(held.number, &held.hash),
            // What holds was never kept, so the latest that was is the one before.
            (None, None) => self.history.last_good(),
        };
        let none = || match number {
            Some(number) => {
                format!("there is no version {number}; `seaworthy config history` lists them")
            }
            None => "there is no other version to go back to".to_owned(),
        };
        found.map_err(|error| error.to_string())?.ok_or_else(none)
    }
}

/// Says that version `number` holds, although the files say another.
pub(super) fn stays_away(bad: &Version, number: u64) {
    tracing::warn!(
        event = event::CONFIG_REJECTED,
        version = bad.number,
        holds = number,
        "the configuration is version {}, which was taken back ({}); version {number} holds until the file says something else, or `seaworthy config reload` is called",
        bad.number,
        bad.why()
    );
}

fn complain(file: impl fmt::Display, error: &HistoryError) {
    tracing::warn!(
        event = event::CONFIG_WARNING,
        %error,
        "{file}: versions of the configuration are not kept beyond the end of this process; make room, or set state_dir to a folder that can be written"
    );
}

//! Takes the configuration of a running service in anew.
//!
//! One road for every wish, whoever has it: load, check, build whatever can fail (on a thread that nobody waits for), and only
//! then change anything, in steps that cannot fail. Wishes that come while one is under way share the next one.

mod apply;
mod told;
mod verify;
mod versions;
mod watch;

use std::sync::Arc;
use std::time::Instant;

use seaworthy_config::history::Version;
use seaworthy_config::{Loaded, Problems, Reloaded};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::armour::Access;
use crate::components::{Prepared, State};
use crate::config::{Config, Options};
use crate::documents::{self, Documents};
use crate::flags::{self, Flags};
use crate::reload::{Ask, Wish};
use crate::secrets::{self, Renewed};

pub(super) use apply::{Beside, Running};
use told::Told;
pub(super) use verify::{Judgement, Sample, Verify};
pub(super) use versions::Versions;

/// A configuration that is sound and built as far as anything could fail.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) reloaded: Reloaded<Config>,
    pub(super) prepared: Prepared,
    pub(super) secrets: seaworthy_config::secrets::Prepared,
    pub(super) flags: flags::Prepared,
    pub(super) documents: documents::Prepared,
    pub(super) options: Arc<Options>,
}

/// Why nothing is changed: what is said, and the same for machines.
#[derive(Debug)]
struct Refused {
    words: String,
    problems: Vec<Value>,
    /// Whether what was asked for is wrong, and not merely out of reach.
    is_invalid: bool,
}

impl From<Problems> for Refused {
    fn from(problems: Problems) -> Self {
        let list = problems.to_json();
        Self {
            words: problems.render(false),
            problems: list.as_array().cloned().unwrap_or_default(),
            is_invalid: true,
        }
    }
}

impl Refused {
    fn because(words: String) -> Self {
        let problems = vec![json!({"severity": "error", "path": "", "message": words})];
        Self {
            words,
            problems,
            is_invalid: false,
        }
    }

    fn wrong(words: String) -> Self {
        Self {
            is_invalid: true,
            ..Self::because(words)
        }
    }
}

/// One round, and those whose wish it is.
#[derive(Debug)]
struct Round {
    asks: Vec<Ask>,
    began: Instant,
    work: JoinHandle<Result<Ready, Refused>>,
}

/// What came out of a round.
#[derive(Debug)]
pub(super) struct Outcome {
    asks: Vec<Ask>,
    began: Instant,
    result: Result<Ready, Refused>,
}

/// See the [module documentation](self).
#[derive(Debug)]
pub(super) struct Reloader {
    asks: mpsc::Receiver<Ask>,
    waiting: Vec<Ask>,
    round: Option<Round>,
}

impl Reloader {
    /// Takes wishes from `asks`.
    pub(super) fn new(asks: mpsc::Receiver<Ask>) -> Self {
        Self {
            asks,
            waiting: Vec::new(),
            round: None,
        }
    }

    /// Grants no more wishes; those who wait learn that the service is stopping.
    pub(super) fn close(&mut self) {
        self.asks.close();
        while self.asks.try_recv().is_ok() {}
        self.waiting.clear();
        self.round = None;
    }

    /// Adds a wish.
    pub(super) fn wish(&mut self, ask: Ask) {
        self.waiting.push(ask);
    }

    /// Waits for a round to come to its end. May be cancelled and asked again.
    pub(super) async fn next(&mut self, running: &Running) -> Outcome {
        loop {
            if self.round.is_none() {
                self.round = self.begin(running);
            }
            let Some(round) = &mut self.round else {
                match self.asks.recv().await {
                    Some(ask) => self.waiting.push(ask),
                    None => return std::future::pending().await,
                }
                continue;
            };
            tokio::select! {
                biased;
                result = &mut round.work => {
                    let result = result.unwrap_or_else(|_| Err(Refused::because("the configuration could not be loaded, by a fault of Seaworthy's own".to_owned())));
                    if let Some(Round { asks, began, .. }) = self.round.take() {
                        return Outcome { asks, began, result };
                    }
                }
                // Files may have changed after they were read for this round.
                Some(ask) = self.asks.recv() => self.waiting.push(ask),
            }
        }
    }

    /// Begins the next round for those who wish the same.
    fn begin(&mut self, running: &Running) -> Option<Round> {
        // What was to be taken back may have gone another way meanwhile.
        let holds = running.generation;
        (self.waiting).retain(|ask| !matches!(ask.wish, Wish::Undo(bad) if bad != holds));
        let first = self.waiting.first()?;
        let (wish, strict) = (first.wish, first.strict);
        let same = |ask: &&Ask| (ask.wish, ask.strict) == (wish, strict);
        let many = self.waiting.iter().take_while(same).count();
        let asks: Vec<Ask> = self.waiting.drain(..many).collect();
        let (mut options, loaded) = (running.options.clone(), running.loaded.clone());
        let (state, access) = (running.state.clone(), running.components.access.clone());
        let version = match wish {
            Wish::Files => Ok(None),
            Wish::Version(number) => running.versions.wanted(number).map(Some),
            Wish::Registry => {
                Arc::make_mut(&mut options).remote = running.remote.wanted();
                Ok(None)
            }
            Wish::Undo(_) => match &running.remote_before {
                Some(before) => {
                    Arc::make_mut(&mut options).remote.clone_from(before);
                    Ok(None)
                }
                None => running.versions.wanted(None).map(Some),
            },
        };
        let asked_for = asks.iter().any(|ask| ask.source.is_somebody());
        let versions = (!asked_for).then(|| running.versions.clone());
        let work = move || {
            let version = version.map_err(Refused::because)?;
            let load = |version: Option<&Version>| load(&options, &loaded, &state, version);
            let mut renewed = load(version.as_ref())?;
            // Nobody asked for what was taken back, so what holds goes on, with the secrets of today.
            if let Some(versions) = versions
                && let Some(bad) = versions.taken_back(&renewed.reloaded.hash)
                && let Some(held) = versions.held()
            {
                versions::stays_away(&bad, held.number);
                renewed = load(Some(&held))?;
            }
            prepare(renewed, options, &state, &access, strict)
        };
        Some(Round {
            asks,
            began: Instant::now(),
            work: tokio::task::spawn_blocking(work),
        })
    }
}

/// Reads and checks a version; without one, the files.
fn load(
    options: &Options,
    running: &Loaded<Config>,
    state: &State,
    version: Option<&Version>,
) -> Result<Renewed, Problems> {
    let again = |known| match version {
        Some(version) => {
            let name = format!("version {}", version.number);
            Config::version(options, &name, &version.record, running, known)
        }
        None => Config::reload_with(options, running, known),
    };
    // On a thread that may wait, while the runtime goes on elsewhere.
    let runtime = tokio::runtime::Handle::current();
    runtime.block_on(secrets::reload(options, state.secrets.secrets(), again))
}

/// Builds all that can fail, and changes nothing.
fn prepare(
    renewed: Renewed,
    options: Arc<Options>,
    state: &State,
    access: &Access,
    strict: bool,
) -> Result<Ready, Refused> {
    let Renewed {
        reloaded,
        prepared: secrets,
    } = renewed;
    if strict && let Some(first) = reloaded.requires_restart().next() {
        return Err(Refused::because(format!(
            "{first} can only be changed by a restart, and `strict` refuses the rest with it"
        )));
    }
    let (clock, registry) = (state.armour.clock, &state.registry);
    let config = &reloaded.loaded.value;
    let prepared = Prepared::build(config, clock, registry, Some(access))
        .map_err(|error| Refused::wrong(format!("{error:#}")))?;
    Ok(Ready {
        flags: Flags::prepare(config)?,
        documents: Documents::prepare(config, Some(&state.documents))?,
        reloaded,
        prepared,
        secrets,
        options,
    })
}

impl Outcome {
    /// What is to be taken in, if it is sound.
    pub(super) fn take(self) -> (Told, Option<Ready>) {
        let Self {
            asks,
            began,
            result,
        } = self;
        let (ready, refused) = match result {
            Ok(ready) => (Some(ready), None),
            Err(refused) => (None, Some(refused)),
        };
        (Told::new(asks, began, refused), ready)
    }
}

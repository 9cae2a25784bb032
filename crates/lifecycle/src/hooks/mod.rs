//! What is done between the drain and the end of the app.
//!
//! Hooks run in the reverse of the order they were given in, as whatever was set up last is taken down first. Each has a
//! time of its own, and none can hurt another: one that fails or hangs is reported and the next one's turn comes. Requests
//! are drained before the first hook, so a hook may close what requests need; the app still runs, so a hook may call it.

mod exec;
mod http;
mod remove_tree;

use std::path::PathBuf;
use std::time::Duration;

use seaworthy_core::address::Address;
use tokio::time::Instant;

pub use http::{BadUrl, Request};

use crate::patience::Patience;
use crate::reap::Reaper;
use crate::spawn::Program;

/// One hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// What it is called in logs.
    pub name: String,
    /// What it does.
    pub action: Action,
    /// How long it may take; its fair share of what is left when unset.
    pub timeout: Option<Duration>,
    /// Whether its failure counts for nothing.
    pub ignore_errors: bool,
}

/// What a hook does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Runs a command; exit code 0 is success. At the timeout its whole process group is killed.
    Exec(Program),
    /// Makes a request; any 2xx is success.
    Http(Request),
    /// Removes a directory with all that is in it; its absence is success.
    RemoveTree(PathBuf),
}

/// What became of a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// What it is called.
    pub name: String,
    /// How long it took.
    pub took: Duration,
    /// Why it failed, if it did.
    pub error: Option<String>,
    /// Whether it was ended because its time was over.
    pub timed_out: bool,
    /// Whether its failure counts for nothing.
    pub ignored: bool,
}

impl Done {
    /// Whether it failed and that counts.
    pub fn failed(&self) -> bool {
        self.error.is_some() && !self.ignored
    }
}

/// What hooks need in order to run.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    /// Starts the commands.
    pub reaper: &'a Reaper,
    /// Where the app listens, for requests that name only a path.
    pub app: Option<Address>,
}

impl Hook {
    /// Runs it, for as long as its own time and `patience` last.
    pub async fn run(&self, context: &Context<'_>, patience: &Patience) -> Done {
        let begun = Instant::now();
        let own = self.timeout.map(|own| patience.at_most(begun + own));
        let patience = own.as_ref().unwrap_or(patience);
        let result = match &self.action {
            Action::Exec(program) => exec::run(program, context.reaper, patience).await,
            Action::Http(request) => in_time(patience, request.send(context.app.as_ref())).await,
            Action::RemoveTree(path) => in_time(patience, remove_tree::remove(path)).await,
        };
        let took = begun.elapsed();
        let error = result.err().map(|failure| match failure {
            Failure::Said(why) => (why, false),
            Failure::OutOfTime if patience.is_pressed() => {
                ("somebody was in a hurry".to_owned(), true)
            }
            Failure::OutOfTime => (
                format!("it was not done after {} ms", took.as_millis()),
                true,
            ),
        });
        let (error, timed_out) = error.map_or((None, false), |(why, late)| (Some(why), late));
        Done {
            name: self.name.clone(),
            took,
            error,
            timed_out,
            ignored: self.ignore_errors,
        }
    }

    /// What is said of it when its turn does not come.
    pub(crate) fn skipped(&self, why: &str) -> Done {
        Done {
            name: self.name.clone(),
            took: Duration::ZERO,
            error: Some(format!("it was skipped: {why}")),
            timed_out: true,
            ignored: self.ignore_errors,
        }
    }
}

/// Why an action failed.
#[derive(Debug)]
enum Failure {
    Said(String),
    OutOfTime,
}

async fn in_time(
    patience: &Patience,
    action: impl Future<Output = Result<(), String>>,
) -> Result<(), Failure> {
    match patience.wait(action).await {
        Some(result) => result.map_err(Failure::Said),
        None => Err(Failure::OutOfTime),
    }
}

//! The wish that a running service take its configuration in anew, from wherever it comes, and what became of it.
//!
//! Whoever wishes it sends an [`Ask`] and waits for the [`Report`]. There is one who does it (`run/reload`), one at a time.

use std::fmt;
use std::sync::Arc;

use http::HeaderMap;
use schemars::JsonSchema;
use seaworthy_config::Report;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use crate::instance::shows_token;

/// Who wishes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The start of the process.
    Start,
    /// SIGHUP.
    Signal,
    /// The admin API, which the command line uses as well.
    Api,
    /// A path of the public listener.
    Endpoint,
    /// A file that has changed.
    File,
    /// A secret that has changed.
    Secret,
    /// Somebody who wants a version back.
    Rollback,
    /// A version that turned out wrong.
    Verify,
    /// A registry that many instances follow.
    Registry,
}

impl Source {
    /// In one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Signal => "signal",
            Self::Api => "api",
            Self::Endpoint => "endpoint",
            Self::File => "file",
            Self::Secret => "secret",
            Self::Rollback => "rollback",
            Self::Verify => "verify",
            Self::Registry => "registry",
        }
    }
}

impl Source {
    /// Whether it is somebody who asks, and not something that has changed.
    pub const fn is_somebody(self) -> bool {
        !matches!(self, Self::File | Self::Secret)
    }
}

/// What is wished for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wish {
    /// The files as they are now.
    #[default]
    Files,
    /// A version that there was; the one before, when none is named.
    Version(Option<u64>),
    /// The version before the configuration of this generation, if that one still holds when it is its turn.
    Undo(u64),
    /// The files, with what the registry wants laid over them.
    Registry,
}

impl Wish {
    /// Whether the configuration that holds is to be taken back.
    pub const fn goes_back(self) -> bool {
        matches!(self, Self::Version(_) | Self::Undo(_))
    }
}

/// One wish.
#[derive(Debug)]
pub struct Ask {
    /// Who has it.
    pub source: Source,
    /// What for.
    pub wish: Wish,
    /// Whether a change that needs a restart refuses all of them.
    pub strict: bool,
    /// Who is to be named in the history.
    pub author: Option<String>,
    /// Why the version that holds is taken back.
    pub reason: Option<String>,
    /// Is told what became of it.
    pub done: Option<oneshot::Sender<Report>>,
}

impl Ask {
    /// A wish that nobody waits for.
    pub fn new(source: Source) -> Self {
        Self {
            source,
            wish: Wish::Files,
            strict: false,
            author: None,
            reason: None,
            done: None,
        }
    }
}

/// The configuration that holds.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ConfigDocument {
    /// Counted from the start of the process; it grows by one with each change.
    pub generation: u64,
    /// Equal for equal content.
    pub hash: String,
    /// All of it with its defaults; secrets are masked.
    pub config: Value,
}

/// The way to the one who does it. Clones are the same one.
#[derive(Clone)]
pub struct Asker {
    asks: mpsc::Sender<Ask>,
    token: Arc<str>,
}

impl fmt::Debug for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asker").finish_non_exhaustive()
    }
}

impl Asker {
    /// Asks by way of `asks`. Where not everybody may ask, those may who know `token`.
    pub fn new(asks: mpsc::Sender<Ask>, token: Arc<str>) -> Self {
        Self { asks, token }
    }

    /// Whether a request shows the token.
    pub fn believes(&self, headers: &HeaderMap) -> bool {
        shows_token(headers, &self.token)
    }

    /// Asks and waits. `None` when the service is stopping.
    pub async fn ask(&self, mut ask: Ask) -> Option<Report> {
        let (sender, done) = oneshot::channel();
        ask.done = Some(sender);
        self.asks.send(ask).await.ok()?;
        done.await.ok()
    }

    /// Asks and does not wait. When there is no room for one more, those that wait will do as well.
    pub fn nudge(&self, ask: Ask) {
        self.asks.try_send(ask).ok();
    }
}

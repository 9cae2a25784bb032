//! Log lines: what Seaworthy says about itself, on standard error.
//!
//! One JSON object on each line with the keys `ts`, `level`, `event`, `service`, `message`, `request_id`, `trace_id`,
//! `span_id` and whatever else was said; on a terminal short lines for people instead. Everything goes through `tracing`, so
//! a library that logs with it is heard too, but only from `warn` on: what hyper thinks at `debug` is not what a reader who
//! asks for our details wants. Lines are written at once, not queued: the last one before a crash is the one that matters.
//! Spans are not printed; ids are given as fields where they are known.

mod render;

use std::fmt;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, registry::LookupSpan};

use crate::stamp::{self, Stamp};
use render::Style;

/// The section `log`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The least important level that is written.
    pub level: Level,
    /// How lines look: `json`, `text`, or `auto`: text on a terminal, else JSON.
    #[schemars(extend("x-restart" = true))]
    pub format: Format,
    /// Whether every request gets a line.
    #[schemars(extend("x-restart" = true))]
    pub access: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            level: Level::default(),
            format: Format::default(),
            access: true,
        }
    }
}

/// How important a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Something failed.
    Error,
    /// Something deserves a look.
    Warn,
    /// What happened.
    #[default]
    Info,
    /// Why it happened.
    Debug,
    /// Every step.
    Trace,
}

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Text if standard error is a terminal, else JSON.
    #[default]
    Auto,
    /// One JSON object on each line.
    Json,
    /// Short lines for people.
    Text,
}

impl Format {
    /// Whether lines are JSON, looking at standard error if need be.
    pub fn is_json(self) -> bool {
        match self {
            Self::Auto => !std::io::stderr().is_terminal(),
            Self::Json => true,
            Self::Text => false,
        }
    }
}

/// Logging was set up before in this process.
#[derive(Debug, thiserror::Error)]
#[error(
    "logging is already set up in this process; call log::init once, before anything else sets a tracing subscriber"
)]
pub struct AlreadySet;

/// Changes the level of a running process.
#[derive(Clone)]
pub struct Handle(reload::Handle<Targets, Registry>);

impl Handle {
    /// Sets the level from now on.
    pub fn set_level(&self, level: Level) {
        // Fails only when the subscriber is gone, and then there is nobody left to filter for.
        self.0.reload(targets(level)).ok();
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle")
    }
}

/// Sends all `tracing` events of the process to standard error.
///
/// # Errors
///
/// The process has a subscriber already.
pub fn init(config: &Config, service: &str) -> Result<Handle, AlreadySet> {
    let (filter, handle) = reload::Layer::new(targets(config.level));
    let style = if config.format.is_json() {
        Style::Json
    } else {
        Style::Text {
            color: wants_color(std::env::var_os("NO_COLOR").as_deref()),
        }
    };
    let lines = Lines::new(style, service, Box::new(std::io::stderr()));
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .try_init()
        .map_err(|_| AlreadySet)?;
    Ok(Handle(handle))
}

/// <https://no-color.org>: set and not empty means no colour. Text chosen for a file or a pipe has none either.
fn wants_color(no_color: Option<&std::ffi::OsStr>) -> bool {
    no_color.is_none_or(std::ffi::OsStr::is_empty) && std::io::stderr().is_terminal()
}

/// Our own crates at the level asked for, all others at `warn` or above.
fn targets(level: Level) -> Targets {
    let level = match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("seaworthy", level)
}

/// Renders each event and writes it with one call.
struct Lines {
    style: Style,
    service: String,
    out: Mutex<Out>,
}

struct Out {
    stamp: Stamp,
    line: Vec<u8>,
    sink: Box<dyn Write + Send>,
}

impl Lines {
    fn new(style: Style, service: &str, sink: Box<dyn Write + Send>) -> Self {
        Self {
            style,
            service: service.to_owned(),
            out: Mutex::new(Out {
                stamp: Stamp::new(),
                line: Vec::new(),
                sink,
            }),
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        // Fields run foreign code while they are printed, which may log in turn: so not under the lock.
        let fields = render::Fields::of(event);
        if !self.style.shows(&fields) {
            return;
        }
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let Out { stamp, line, sink } = &mut *out;
        line.clear();
        let level = *event.metadata().level();
        render::line(
            line,
            self.style,
            stamp.at(stamp::now()),
            level,
            &self.service,
            &fields,
        );
        // There is no better place to complain about the log than the log.
        sink.write_all(line).ok();
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines")
            .field("style", &self.style)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

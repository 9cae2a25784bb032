//! Serves something simpler when the app cannot serve a route as it should, and says that it does.
//!
//! There are two kinds. One answers the client in the app's place, with a document that was written beforehand. The other
//! tells the app, in a field of the request, that it shall do with less: it is for features whose trouble is known from
//! elsewhere, such as a breaker for what the app calls itself.
//!
//! **A fallback announces itself:** the answer, or the request, carries `X-Fallback: NAME=VALUE`, each use is counted with its
//! cause, a few of them each second are told in the log, and whoever watches hears of the first and of the end. Only methods
//! that ask for something are answered unless more are named, because a document that was written beforehand cannot say that
//! something was done.

mod layer;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use seaworthy_core::catalogue::{self, ErrorType};

use crate::breaker;
use crate::cover::Cover;

pub use layer::{FallBack, FallbackLayer, ResponseFuture};

/// The field by which a fallback announces itself.
pub static FIELD: HeaderName = HeaderName::from_static("x-fallback");

/// Why a fallback was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The breaker is open.
    BreakerOpen,
    /// The app failed.
    UpstreamError,
    /// The flag that chooses is not set.
    FlagMissing,
    /// The flag that chooses has a value that means nothing.
    Invalid,
    /// Somebody said that the feature is on its fallback.
    Degraded,
}

impl Cause {
    /// Every cause, in the order of their counters.
    pub const ALL: [Self; 5] = [
        Self::BreakerOpen,
        Self::UpstreamError,
        Self::FlagMissing,
        Self::Invalid,
        Self::Degraded,
    ];

    /// The word for it in metrics, events and the configuration.
    pub const fn word(self) -> &'static str {
        match self {
            Self::BreakerOpen => "breaker_open",
            Self::UpstreamError => "upstream_error",
            Self::FlagMissing => "flag_missing",
            Self::Invalid => "invalid",
            Self::Degraded => "degraded",
        }
    }
}

/// What takes the place of the app's answer.
#[derive(Debug, Clone)]
pub struct Document {
    /// The status.
    pub status: StatusCode,
    /// Fields of the head, the type of the content among them.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// Whom a fallback is for.
#[derive(Debug, Clone)]
pub enum Toward {
    /// The client gets this instead of the app's answer.
    Client(Document),
    /// The app is told.
    App,
}

/// Whether somebody said that the feature is on its fallback.
type Degraded = Box<dyn Fn() -> bool + Send + Sync>;
/// Hears that a fallback came into use, with its cause, or that it ended.
type Watcher = Box<dyn Fn(Option<Cause>) + Send + Sync>;

/// One fallback.
pub struct Fallback {
    /// Its name in metrics and events.
    pub name: Box<str>,
    /// What [`FIELD`] says.
    pub announced: HeaderValue,
    /// Whom it is for.
    pub toward: Toward,
    /// Which failures it is for.
    pub when: Vec<Cause>,
    /// The methods that it answers.
    pub methods: Vec<Method>,
    /// It is in use whatever the app does, for this cause.
    pub standing: Option<Cause>,
    degraded: Option<Degraded>,
    watcher: Option<Watcher>,
    active: AtomicBool,
    telling: Mutex<()>,
    used: [AtomicU64; Cause::ALL.len()],
}

impl Fallback {
    /// A fallback for the client's sake or the app's, for an open breaker and for failures, of GET and HEAD.
    pub fn new(name: &str, announced: HeaderValue, toward: Toward) -> Self {
        Self {
            name: name.into(),
            announced,
            toward,
            when: vec![Cause::BreakerOpen, Cause::UpstreamError],
            methods: vec![Method::GET, Method::HEAD],
            standing: None,
            degraded: None,
            watcher: None,
            active: AtomicBool::new(false),
            telling: Mutex::default(),
            used: Default::default(),
        }
    }

    /// Asks `degraded` whether somebody said that the feature is on its fallback.
    #[must_use]
    pub fn degraded_when(mut self, degraded: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.degraded = Some(Box::new(degraded));
        self
    }

    /// Tells `watcher` when it comes into use and when the app serves again.
    #[must_use]
    pub fn watched(mut self, watcher: impl Fn(Option<Cause>) + Send + Sync + 'static) -> Self {
        self.watcher = Some(Box::new(watcher));
        self
    }

    /// How often it was used for this cause.
    pub fn used(&self, cause: Cause) -> u64 {
        let at = Cause::ALL.iter().position(|other| *other == cause);
        at.map_or(0, |at| self.used[at].load(Ordering::Relaxed))
    }

    /// Why it is used without asking the app, if it is.
    fn beforehand(&self) -> Option<Cause> {
        self.standing.or_else(|| {
            let degraded = self.degraded.as_ref()?;
            degraded().then_some(Cause::Degraded)
        })
    }

    fn uses(&self, cause: Cause) {
        if let Some(at) = Cause::ALL.iter().position(|other| *other == cause) {
            self.used[at].fetch_add(1, Ordering::Relaxed);
        }
        // What was known beforehand is no news to those who watch.
        if cause != Cause::Degraded && self.standing != Some(cause) {
            self.turn(true, Some(cause));
        }
    }

    fn served(&self) {
        self.turn(false, None);
    }

    fn turn(&self, active: bool, cause: Option<Cause>) {
        // Loaded first: the usual case waits for nobody.
        if self.active.load(Ordering::Acquire) == active {
            return;
        }
        // Held until it is told, or those who watch might hear of the later change first.
        let _telling = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
        let was = self.active.swap(active, Ordering::AcqRel);
        if let Some(watcher) = self.watcher.as_ref().filter(|_| was != active) {
            watcher(cause);
        }
    }

    fn for_error(&self, kind: &ErrorType) -> Option<Cause> {
        let cause = if *kind == catalogue::CIRCUIT_OPEN {
            Cause::BreakerOpen
        } else if breaker::is_failure(kind)
            || [&catalogue::STARTING, &catalogue::RESTARTING].contains(&kind)
        {
            Cause::UpstreamError
        } else {
            return None;
        };
        self.when.contains(&cause).then_some(cause)
    }

    fn for_status(&self, status: StatusCode) -> Option<Cause> {
        let cause = Cause::UpstreamError;
        (status.is_server_error() && self.when.contains(&cause)).then_some(cause)
    }
}

impl fmt::Debug for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fallback")
            .field("name", &self.name)
            .field("toward", &self.toward)
            .finish_non_exhaustive()
    }
}

/// Which fallback a request has.
pub type Fallbacks = Arc<Cover<Arc<Fallback>>>;

//! Health for a service that is written in Rust: checks, signs of life and the answers to probes, without the binary.
//!
//! It is what the binary has, put together: a registry of checks that run in the background, and a board that probes are answered
//! from. Nothing here listens; [`Vitals::routes`] is a service for any router, and [`Vitals::check_readiness`] and its like are
//! for whoever has one of his own.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use seaworthy_core::health::App;

use crate::pulse::{Pulse, Sign};
use crate::{
    Answer, Ask, Board, Change, Check, Gate, Health, Report, Routes, Snapshot, Spec, View, clock,
};

/// What is put together before it runs. See [`Health::builder`].
pub struct Builder {
    service: String,
    version: Option<String>,
    specs: Vec<Spec>,
    signs: Vec<Arc<dyn Sign>>,
    tell: Box<dyn Fn(&Change) + Send + Sync>,
}

impl Health {
    /// Begins to put together the health of a service.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use seaworthy_health::{Health, Outcome, Spec, blocking, from_fn};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let health = Health::builder("shop")
    ///     .check("database", from_fn(async || Outcome::healthy("it answers")))
    ///     .spec(Spec::new("disk", blocking(|| Outcome::healthy("there is room"))).optional())
    ///     .build();
    /// let pulse = health.pulse("worker", Duration::from_secs(30));
    /// tokio::spawn(async move {
    ///     loop {
    ///         pulse.beat();
    ///         tokio::time::sleep(Duration::from_secs(1)).await;
    ///     }
    /// });
    /// assert_eq!(health.check_liveness().code, 200);
    /// # }
    /// ```
    pub fn builder(service: impl Into<String>) -> Builder {
        Builder {
            service: service.into(),
            version: None,
            specs: Vec::new(),
            signs: Vec::new(),
            tell: Box::new(|_| {}),
        }
    }
}

impl Builder {
    /// The version that answers show.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Adds a critical check with the usual policy: [`from_fn`](crate::from_fn) makes one of an async function,
    /// [`blocking`](crate::blocking) of one that blocks.
    #[must_use]
    pub fn check(self, name: impl Into<String>, check: impl Check) -> Self {
        self.spec(Spec::new(name, check))
    }

    /// Adds a check with a policy of its own.
    #[must_use]
    pub fn spec(mut self, spec: Spec) -> Self {
        self.specs.push(spec);
        self
    }

    /// Lets liveness look at a sign of life. What the service depends on is none, and does not compile:
    ///
    /// ```compile_fail,E0277
    /// # use seaworthy_health::{Health, Outcome, from_fn};
    /// let database = from_fn(async || Outcome::healthy("it answers"));
    /// Health::builder("shop").live(database);
    /// ```
    ///
    /// ```
    /// # use seaworthy_health::{Health, Pulse};
    /// let pulse = Pulse::new("worker", std::time::Duration::from_secs(30));
    /// Health::builder("shop").live(pulse.clone());
    /// ```
    #[must_use]
    pub fn live(mut self, sign: impl Sign) -> Self {
        self.signs.push(Arc::new(sign));
        self
    }

    /// Hears of every change; it must neither block nor ask for health.
    #[must_use]
    pub fn on_change(mut self, tell: impl Fn(&Change) + Send + Sync + 'static) -> Self {
        self.tell = Box::new(tell);
        self
    }

    /// Starts the checks.
    ///
    /// # Panics
    /// Outside of a tokio runtime, when there are checks.
    #[must_use]
    pub fn build(self) -> Vitals {
        let mut snapshot = Snapshot::new(self.service, self.version, SystemTime::now());
        snapshot.features = crate::Features::global().clone();
        snapshot.state = "running";
        snapshot.app = App::Running;
        let board = Board::new(snapshot);
        let (shown, tell) = (board.clone(), self.tell);
        let checks = Health::new(move |change| {
            if let Change::Report(report) = change {
                shown.update(|snapshot| take(snapshot, report));
            }
            tell(change);
        });
        for spec in self.specs {
            checks.register(spec);
        }
        let vitals = Vitals(Arc::new(Inner {
            checks,
            board,
            signs: ArcSwap::from_pointee(self.signs),
        }));
        // Not before the last check is known: the first one alone must not make it ready.
        vitals.gate(Gate::Open);
        vitals
    }
}

fn take(snapshot: &mut Snapshot, report: &Arc<Report>) {
    snapshot.report = report.clone();
    snapshot.started |= snapshot.is_ready();
}

/// The health of a service written in Rust. Clones are the same one.
#[derive(Clone)]
pub struct Vitals(Arc<Inner>);

struct Inner {
    checks: Health,
    board: Board,
    signs: ArcSwap<Vec<Arc<dyn Sign>>>,
}

impl Vitals {
    /// The checks: to add one while it runs, to steer them, to ask them anew.
    pub fn checks(&self) -> &Health {
        &self.0.checks
    }

    /// A pulse that liveness looks at from now on.
    pub fn pulse(&self, name: impl Into<String>, stale_after: Duration) -> Pulse {
        let pulse = Pulse::new(name, stale_after);
        let sign: Arc<dyn Sign> = Arc::new(pulse.clone());
        self.0.signs.rcu(|signs| {
            let mut signs = Vec::clone(signs);
            signs.push(sign.clone());
            signs
        });
        pulse
    }

    /// Takes the service out of rotation, as at the beginning of a shutdown, or back into it.
    pub fn gate(&self, gate: Gate) {
        self.0.board.update(|snapshot| {
            snapshot.gate = gate.clone();
            let report = snapshot.report.clone();
            take(snapshot, &report);
        });
    }

    /// Whether the process itself gets on: 200 or 503.
    pub fn check_liveness(&self) -> Answer {
        self.probe(View::Live)
    }

    /// Whether requests should come: 200 or 503.
    pub fn check_readiness(&self) -> Answer {
        self.probe(View::Ready)
    }

    /// Whether it has been ready once: 200 or 503.
    pub fn check_startup(&self) -> Answer {
        self.probe(View::Startup)
    }

    /// The answers to probes and to people, as a service for a router.
    pub fn routes(&self) -> Routes {
        Routes::new(self.clone())
    }

    fn probe(&self, view: View) -> Answer {
        self.answer(Ask::view(view))
            .expect("a probe without a component has an answer")
    }

    /// The answer to a question; `None` for metrics, and for components that are not there.
    pub fn answer(&self, ask: Ask<'_>) -> Option<Answer> {
        self.feel();
        self.0.board.answer(ask, SystemTime::now())
    }

    /// Brings liveness up to date. A few loads: nobody is asked and nothing is waited for.
    fn feel(&self) {
        let now = clock::now();
        let signs = self.0.signs.load();
        let fault = signs.iter().find_map(|sign| sign.fault(now));
        if self.0.board.snapshot().stalled != fault {
            self.0.board.update(|snapshot| {
                let stalled = fault.is_some();
                snapshot.app = if stalled { App::Stalled } else { App::Running };
                snapshot.stalled.clone_from(&fault);
            });
        }
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("service", &self.service)
            .field("specs", &self.specs)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Vitals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vitals")
            .field("checks", &self.0.checks)
            .finish_non_exhaustive()
    }
}

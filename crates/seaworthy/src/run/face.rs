//! What the outside is told of the app: the roster for the proxy, the board for probes, gauges for metrics.
//!
//! All three come from the same two facts, the phase of this process and the states of the app's instances, so that they
//! cannot disagree.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use seaworthy_core::lifecycle::Phase;
use seaworthy_core::names::{event, metric};
use seaworthy_health::{Board, Report, Snapshot};
use seaworthy_http::upstream::{Availability, Roll, Roster};
use seaworthy_lifecycle::supervise::State;
use seaworthy_lifecycle::suspended::is_suspended;
use seaworthy_telemetry::metrics::{Gauge, Histogram, Registry, States};
use serde_json::Value;
use tokio::sync::watch;

use super::standing::{
    Alive, Life, alive, all_stalled, app, document, gate, generation, is_ready, processes, roll,
    word,
};
use crate::config::Config;
use crate::config::health::GateBy;
use crate::config::service::Kind;
use crate::instance::status::AppInstance;

/// How often an instance is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// See the [module documentation](self). Clones are the same face.
#[derive(Clone, Debug)]
pub(super) struct Face {
    roster: Roster,
    board: Board,
    facts: Arc<Mutex<Facts>>,
}

#[derive(Debug)]
struct Facts {
    phase: Phase,
    /// It takes no requests.
    is_worker: bool,
    instances: Vec<State>,
    /// Processes of instances that are stopped without having ended.
    suspended: Vec<i32>,
    /// Lives in the roster that get nowhere with their requests, and why that is said of them.
    stalled: BTreeMap<u64, String>,
    /// Times each instance was started again.
    restarts: Vec<u64>,
    began: Instant,
    phases: States,
    ready: Gauge,
    restarted: seaworthy_telemetry::metrics::Counter,
    startup: Histogram,
}

impl Face {
    /// The face of a process that begins now.
    pub(super) fn new(
        config: &Config,
        roster: Roster,
        registry: &Registry,
        began: Instant,
    ) -> Self {
        let service = &config.service;
        let is_worker = service.kind == Kind::Worker;
        if is_worker {
            roster.publish(Roll {
                endpoints: Vec::new(),
                availability: Availability::Absent,
            });
        }
        let mut snapshot = Snapshot::new(
            service.name.clone(),
            service.version.clone(),
            SystemTime::now(),
        );
        snapshot.gate_by_label = config.health.gate == GateBy::Label;
        let board = Board::new(snapshot);
        let phases = registry.states(&metric::LIFECYCLE_STATE, &Phase::ALL.map(Phase::word));
        phases.set(Phase::Starting.word());
        let facts = Facts {
            phase: Phase::Starting,
            is_worker,
            instances: Vec::new(),
            suspended: Vec::new(),
            stalled: BTreeMap::new(),
            restarts: Vec::new(),
            began,
            phases,
            ready: registry.gauge(&metric::CHILDREN_READY, &[]),
            restarted: registry.counter(&metric::CHILD_RESTARTS, &[]),
            startup: registry.histogram(&metric::STARTUP_SECONDS, &[]),
        };
        Self {
            roster,
            board,
            facts: Arc::new(Mutex::new(facts)),
        }
    }

    /// The app's instances, for the proxy.
    pub(super) fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The board that probes are answered from.
    pub(super) fn board(&self) -> &Board {
        &self.board
    }

    /// Moves on to `phase`.
    pub(super) fn enter(&self, phase: Phase) {
        let mut facts = self.facts();
        facts.phase = facts.phase.max(phase);
        facts.phases.set(facts.phase.word());
        self.publish(&facts);
    }

    /// A service that something else runs is ready as soon as we are.
    pub(super) fn remote_ready(&self) {
        self.facts().instances = Vec::new();
        self.first_ready(true);
    }

    /// Follows the supervisor for ever.
    pub(super) async fn follow(self, mut states: watch::Receiver<Vec<State>>) {
        loop {
            let now = states.borrow_and_update().clone();
            self.take(now);
            if states.changed().await.is_err() {
                return;
            }
        }
    }

    /// Looks every now and then whether an instance has been suspended: the supervisor cannot see it, for it still accepts
    /// connections, and a request sent to it would only wait.
    pub(super) async fn watch_suspension(self) {
        loop {
            tokio::time::sleep(LOOK).await;
            let mut facts = self.facts();
            let now = processes(&facts.instances)
                .filter(|pid| is_suspended(*pid))
                .collect();
            let before = std::mem::replace(&mut facts.suspended, now);
            if facts.suspended == before {
                continue;
            }
            for pid in facts.suspended.iter().filter(|pid| !before.contains(pid)) {
                tracing::warn!(
                    event = event::APP_SUSPENDED,
                    pid,
                    "the app is suspended; it is not started again, `kill -CONT {pid}` lets it go on"
                );
            }
            for pid in processes(&facts.instances).filter(|pid| before.contains(pid)) {
                if !facts.suspended.contains(&pid) {
                    tracing::info!(event = event::APP_RESUMED, pid, "the app runs again");
                }
            }
            self.publish(&facts);
        }
    }

    fn take(&self, instances: Vec<State>) {
        let any_ready = instances.iter().any(is_ready);
        {
            let mut facts = self.facts();
            facts.restarts = instances
                .iter()
                .map(|state| generation(state).saturating_sub(1))
                .zip(facts.restarts.iter().copied().chain(std::iter::repeat(0)))
                .map(|(now, before)| now.max(before))
                .collect();
            let total: u64 = facts.restarts.iter().sum();
            facts
                .restarted
                .add(total.saturating_sub(facts.restarted.get()));
            let count = u32::try_from(instances.iter().filter(|state| is_ready(state)).count())
                .unwrap_or(u32::MAX);
            facts.ready.set(f64::from(count));
            facts.instances = instances;
            // Probes first: whoever has been answered by the app must not find it unready.
            self.publish(&facts);
            if !facts.is_worker {
                self.roster.publish(roll(&facts.instances));
            }
        }
        self.first_ready(any_ready);
    }

    fn first_ready(&self, ready: bool) {
        let mut facts = self.facts();
        if ready && facts.phase == Phase::Starting {
            facts.phase = Phase::Running;
            facts.phases.set(Phase::Running.word());
            let took = facts.began.elapsed();
            facts.startup.observe(took.as_secs_f64());
            let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            self.board.update(|snapshot| snapshot.startup_ms = Some(ms));
            tracing::info!(
                event = event::STARTUP_PHASE,
                phase = "complete",
                duration_ms = ms,
                "starting: complete"
            );
        }
        self.publish(&facts);
    }

    /// Takes in which lives in the roster get nowhere.
    pub(super) fn stalled(&self, stalled: BTreeMap<u64, String>) {
        let mut facts = self.facts();
        if facts.stalled != stalled {
            facts.stalled = stalled;
            self.publish(&facts);
        }
    }

    /// The lives that are ready; something else's is one.
    pub(super) fn alive(&self) -> Vec<Alive> {
        self.alive_in(&self.facts())
    }

    fn alive_in(&self, facts: &Facts) -> Vec<Alive> {
        if self.roster.is_supervised() {
            return alive(&facts.instances);
        }
        let roll = self.roster.roll();
        let remote = roll.endpoints.iter().map(|endpoint| Alive {
            id: endpoint.id,
            address: Some(endpoint.address.clone()),
        });
        remote.collect()
    }

    fn publish(&self, facts: &Facts) {
        let alive = self.alive_in(facts);
        let stalled = all_stalled(&alive, &facts.stalled);
        let gate = gate(
            facts.phase,
            &facts.instances,
            &facts.suspended,
            self.roster.is_supervised(),
            stalled.map(String::as_str),
        );
        let app = app(facts.phase, &alive, &facts.stalled);
        let instances: Vec<Value> = facts
            .instances
            .iter()
            .map(|state| document(state, &facts.suspended))
            .collect();
        self.show(facts, |snapshot| {
            snapshot.state = facts.phase.word();
            snapshot.gate = gate.clone();
            snapshot.app = app;
            snapshot.stalled = stalled.cloned();
            snapshot.instances.clone_from(&instances);
        });
    }

    /// Takes in what the checks say.
    pub(super) fn report(&self, report: &Arc<Report>) {
        let facts = self.facts();
        self.show(&facts, |snapshot| snapshot.report = report.clone());
    }

    /// Hangs out a changed snapshot, and says when probes are answered otherwise from then on. What a shutdown does to them has
    /// events of its own.
    fn show(&self, facts: &Facts, change: impl Fn(&mut Snapshot)) {
        let before = self.board.snapshot();
        self.board.update(|snapshot| {
            change(snapshot);
            snapshot.started |= snapshot.is_ready();
        });
        let now = self.board.snapshot();
        if !facts.phase.is_shutting_down() && before.is_ready() != now.is_ready() {
            tell(&now);
        }
    }

    /// The process of a life, while it has one that is ready.
    pub(super) fn process(&self, life: Life) -> Option<i32> {
        match self.facts().instances.get(life.instance) {
            Some(State::Ready {
                generation, pid, ..
            }) if *generation == life.generation => Some(*pid),
            _ => None,
        }
    }

    /// The instances for `status`.
    pub(super) fn instances(&self) -> Vec<AppInstance> {
        let facts = self.facts();
        let restarts = facts.restarts.iter().copied().chain(std::iter::repeat(0));
        let instance = |(state, restarts): (&State, u64)| AppInstance {
            pid: match state {
                State::Ready { pid, .. } => u32::try_from(*pid).ok(),
                _ => None,
            },
            generation: generation(state).max(restarts + 1),
            state: word(state, &facts.suspended).to_owned(),
            restarts,
        };
        facts.instances.iter().zip(restarts).map(instance).collect()
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tell(now: &Snapshot) {
    if now.is_ready() {
        tracing::info!(event = event::SERVICE_READY, "the service is ready");
    } else {
        let reason = now.reason().unwrap_or_default();
        tracing::warn!(
            event = event::SERVICE_NOT_READY,
            reason,
            "the service is not ready: {reason}"
        );
    }
}

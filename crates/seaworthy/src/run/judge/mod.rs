//! Judges the app by its progress, and has the one thing done that a verdict asks for.
//!
//! Once a second it adds up what the workers have seen of each instance, and what the checks of the app itself say. An
//! instance that gets nowhere is put down and started again if everything it needs works, after what it was doing has
//! been written down; while a dependency is broken or in doubt, nothing is restarted, because that would mend nothing. A
//! start that follows such an end and gets nowhere either is left alone: liveness says so, and the platform may move it
//! elsewhere.

mod case;
mod knock;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use seaworthy_core::event::{Event, Level};
use seaworthy_core::health::{Verdict, Weight};
use seaworthy_core::names::event;
use seaworthy_health::{Health, Only};
use seaworthy_lifecycle::journal::Journal;
use seaworthy_lifecycle::signals::Name;
use seaworthy_lifecycle::vitals::{self, Vitals};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::face::Face;
use super::standing::{Alive, Life};
use crate::config::Config;
use case::Case;
use knock::Knock;

/// Time between looks.
const LOOK: Duration = Duration::from_secs(1);
/// How long the dependencies may take to confirm that they work before the app is put down.
const CONFIRM: Duration = Duration::from_secs(10);
/// How long a new start has until its own checks count, if nothing else is said.
const GRACE: Duration = Duration::from_secs(60);

/// A life that has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sentence {
    /// Which one.
    pub(super) life: Life,
    /// What makes it write down its stacks, or asks it to end.
    pub(super) signal: Name,
}

/// See the [module documentation](self).
#[derive(Debug)]
pub(super) struct Judge {
    face: Face,
    health: Health,
    journal: Journal,
    /// Whether anybody wants to know.
    judges: bool,
    /// For how long an instance may get nowhere.
    limit: Option<Duration>,
    /// The checks that say whether the app is alive.
    checks: Vec<String>,
    knock: Option<Knock>,
    usual_end: Name,
    cases: BTreeMap<u64, Case>,
    /// The last life of each instance that was put down.
    put_down: BTreeMap<usize, u64>,
    ticks: Interval,
}

impl Judge {
    /// Judges the app of `config` by what `face` shows.
    pub(super) fn new(config: &Config, face: Face, health: Health, journal: Journal) -> Self {
        let live = &config.health.live;
        let knock = live.upstream.then(|| Knock::new(live.path.clone()));
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut this = Self {
            face,
            health,
            journal,
            judges: false,
            limit: None,
            checks: live.checks.clone(),
            knock,
            usual_end: config.app.stop_signal.into(),
            cases: BTreeMap::new(),
            put_down: BTreeMap::new(),
            ticks,
        };
        this.renew(config);
        this
    }

    /// Goes on by the times of `config`.
    pub(super) fn renew(&mut self, config: &Config) {
        self.judges = config.is_judged();
        self.limit = config.stall_after().map(|limit| limit.0);
        for case in self.cases.values_mut() {
            case.allow(self.limit);
        }
        let often = self.limit.map_or(GRACE, |limit| limit / 4);
        if let Some(knock) = &mut self.knock {
            knock.pace(config.health.interval.0.min(often), config.health.timeout.0);
        }
    }

    /// Waits for a life that has to end. May be cancelled and asked again.
    pub(super) async fn next(&mut self) -> Sentence {
        if !self.judges {
            return std::future::pending().await;
        }
        loop {
            self.ticks.tick().await;
            let alive = self.face.alive();
            self.look(Instant::now(), &alive);
            if let Some(sentence) = self.decide().await {
                return sentence;
            }
        }
    }

    fn look(&mut self, now: Instant, alive: &[Alive]) {
        self.cases
            .retain(|id, _| alive.iter().any(|one| one.id == *id));
        if let Some(knock) = &mut self.knock {
            knock.knock(now, alive);
        }
        let failing = self.failing();
        for one in alive {
            let limit = self.limit;
            let mut case = (self.cases.remove(&one.id)).unwrap_or_else(|| Case::new(now, limit));
            self.look_at(now, one.id, &mut case, failing.as_deref());
            self.cases.insert(one.id, case);
        }
        let stalled = self.cases.iter();
        let stalled = stalled
            .filter_map(|(id, case)| Some((*id, format!("the app {}", case.stalled.as_ref()?))));
        self.face.stalled(stalled.collect());
    }

    fn look_at(&self, now: Instant, id: u64, case: &mut Case, failing: Option<&str>) {
        let life = Life::of(id);
        let mut signs = self.face.roster().pulses().take(id);
        if let Some(knock) = &self.knock {
            signs.seen.waiting += u64::from(knock.is_unanswered_by(id));
        }
        case.worked |= !self.checks.is_empty() && failing.is_none();
        let grace = self.limit.unwrap_or(GRACE);
        let is_new = now.saturating_duration_since(case.since) < grace;
        case.look(now, signs, failing.filter(|_| !is_new));
        if let Some(limit) = self.limit {
            let cpu = || self.vitals_of(life).iter().map(|one| one.cpu).sum();
            case.sample(now, limit, cpu);
        }
        if case.stalled.is_none() && case.told.take().is_some() {
            let words = format!("{} gets on again", self.who(life));
            self.journal.record(Event::new(event::APP_RECOVERED, words));
        }
    }

    /// What the first failing check of the app itself says.
    fn failing(&self) -> Option<String> {
        let report = self.health.report();
        let mut own = (self.checks.iter()).filter_map(|name| report.component(name));
        let failing = own.find(|one| one.counts() && one.state.is_broken())?;
        Some(format!("{}: {}", failing.name, failing.message))
    }

    /// What follows from a stall, if anything has to end.
    async fn decide(&mut self) -> Option<Sentence> {
        let id = self.open_case()?;
        if self.verdict() == Verdict::AppBroken {
            // What the checks say may be some seconds old, and the database may have died together with the app.
            self.health.check_all(CONFIRM, Only::All).await;
        }
        let (life, verdict) = (Life::of(id), self.verdict());
        let vitals = self.vitals_of(life);
        let case = self.cases.get_mut(&id)?;
        case.told = Some(verdict);
        let in_vain = !case.worked
            && self
                .put_down
                .get(&life.instance)
                .is_some_and(|last| last + 1 == life.generation);
        let evidence = case.evidence(Instant::now(), &vitals);
        let cause = case.stalled.clone().unwrap_or_default();
        let can_stop = vitals.iter().any(|one| one.is_python);
        let signal = if can_stop { Name::ABRT } else { self.usual_end };
        let ends = verdict == Verdict::AppBroken && !in_vain && self.face.roster().is_supervised();
        let next = match verdict {
            _ if ends => format!("all that it needs works, so it is ended with {signal} and started again"),
            Verdict::AppBroken if in_vain => "it was started again for that just before, which did not help; now it is left alone, and liveness fails".to_owned(),
            Verdict::AppBroken => "all that it needs works: start it again; liveness fails until then".to_owned(),
            Verdict::DependencyBroken => format!("it is not started again, because that would not help: {}", self.culprit()),
            Verdict::Unknown | Verdict::Well => "it is not started again before it is known whether all that it needs works".to_owned(),
        };
        let told = Event::new(event::APP_STALLED, format!("{} {cause}", self.who(life)));
        let told = told
            .with_level(Level::Error)
            .with_evidence(evidence)
            .with_next(next);
        self.journal.record(told);
        if ends {
            self.put_down.insert(life.instance, life.generation);
        }
        ends.then_some(Sentence { life, signal })
    }

    /// A stalled life about which there is something new to tell.
    fn open_case(&self) -> Option<u64> {
        let verdict = self.verdict();
        let open = |case: &Case| case.stalled.is_some() && case.told != Some(verdict);
        let (id, _) = self.cases.iter().find(|(_, case)| open(case))?;
        Some(*id)
    }

    fn verdict(&self) -> Verdict {
        self.face.board().snapshot().verdict()
    }

    fn culprit(&self) -> String {
        let report = self.health.report();
        let mut broken = (report.components.iter())
            .filter(|one| one.counts() && one.state.is_broken() && one.weight != Weight::Optional);
        broken
            .next()
            .map_or_else(String::new, |one| format!("{}: {}", one.name, one.message))
    }

    fn vitals_of(&self, life: Life) -> Vec<Vitals> {
        self.face
            .process(life)
            .map(vitals::of_group)
            .unwrap_or_default()
    }

    fn who(&self, life: Life) -> String {
        match self.cases.len() {
            0 | 1 => "the app".to_owned(),
            _ => format!("instance {} of the app", life.instance + 1),
        }
    }
}

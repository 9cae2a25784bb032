//! The app's own processes: how many of its instances run, since when, and what they use.
//!
//! Whoever supervises them says which there are ([`App`]); the rest is read from `/proc`, for the whole process group of each
//! instance, because the work of a gunicorn is done by the workers below it.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use schemars::JsonSchema;
use seaworthy_core::health::About;
use serde::{Deserialize, Serialize};

use super::{Around, Fault, Probe, tenths};
use crate::{Check, Outcome, clock};

/// Ticks a second in `/proc`, on every Linux that Rust runs on.
const TICKS: f64 = 100.0;

/// Fails when no instance of the app runs, and is degraded when some do not. Shows `running`, `pids`, `restarts`,
/// `uptime_seconds`, `memory_mb` and `cpu_percent`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Process {}

/// One instance of the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instance {
    /// The process that leads its group, while it accepts requests.
    pub pid: Option<u32>,
    /// How many times it had to be started again.
    pub restarts: u64,
}

/// Says which instances of the app there are.
#[derive(Clone)]
pub struct App(Arc<dyn Fn() -> Vec<Instance> + Send + Sync>);

impl App {
    /// The app whose instances `list` knows.
    pub fn new(list: impl Fn() -> Vec<Instance> + Send + Sync + 'static) -> Self {
        Self(Arc::new(list))
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries((self.0)()).finish()
    }
}

impl Probe for Process {
    const KIND: &'static str = "process";
    const ABOUT: About = About::App;

    fn faults(&self, _: &Around, _: &mut Vec<Fault>) {}

    fn check(&self, around: &Around) -> Arc<dyn Check> {
        let app = around.app.clone();
        let last = Mutex::new(None);
        super::blocking(Self::KIND, move || {
            let instances = app.as_ref().map(|app| (app.0)()).unwrap_or_default();
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            look(&instances, &mut last)
        })
    }
}

/// What was used up to a moment.
type Before = Option<(Instant, f64)>;

fn look(instances: &[Instance], before: &mut Before) -> Outcome {
    if instances.is_empty() {
        return Outcome::unknown("something else runs the app");
    }
    let pids: Vec<u32> = instances.iter().filter_map(|one| one.pid).collect();
    let restarts: u64 = instances.iter().map(|one| one.restarts).sum();
    let (running, all) = (pids.len(), instances.len());
    let message = match all {
        1 if running == 1 => "it runs".to_owned(),
        1 => "it does not run".to_owned(),
        _ => format!("{running} of {all} instances run"),
    };
    let outcome = if running == 0 {
        Outcome::unhealthy(message)
    } else if running < all {
        Outcome::degraded(message)
    } else {
        Outcome::healthy(message)
    };
    let mut outcome = outcome
        .with("running", running)
        .with("pids", pids.clone())
        .with("restarts", restarts);
    let used = Used::of(&pids);
    if let Some(started) = used.started {
        let uptime = uptime().map_or(0.0, |uptime| uptime - started / TICKS);
        outcome = outcome
            .with("uptime_seconds", tenths(uptime.max(0.0).floor()))
            .with("memory_mb", tenths(used.kib / 1024.0));
    }
    let now = clock::now();
    let last = before.replace((now, used.ticks));
    if let Some((at, ticks)) = last.filter(|(_, ticks)| used.ticks >= *ticks) {
        let passed = now.saturating_duration_since(at).as_secs_f64();
        if passed > 0.0 {
            let share = (used.ticks - ticks) / TICKS / passed * 100.0;
            outcome = outcome.with("cpu_percent", tenths(share));
        }
    }
    outcome
}

/// What groups of processes use.
#[derive(Debug, Default)]
struct Used {
    kib: f64,
    ticks: f64,
    /// When the first of the leaders was started, in ticks after the system.
    started: Option<f64>,
}

impl Used {
    fn of(leaders: &[u32]) -> Self {
        let mut used = Self::default();
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        for process in processes {
            let name = process.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            used.add(pid, &process.path(), leaders);
        }
        used
    }

    /// Adds a process when it is in one of the groups. One that ends meanwhile uses nothing.
    fn add(&mut self, pid: u32, folder: &Path, leaders: &[u32]) {
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        let stat = read("stat");
        // The name, which may hold anything, is between brackets.
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .map(|(_, rest)| rest.split_whitespace().collect())
            .unwrap_or_default();
        let field = |at: usize| fields.get(at)?.parse::<f64>().ok();
        let group = fields.get(2).and_then(|group| group.parse::<u32>().ok());
        if !group.is_some_and(|group| leaders.contains(&group)) {
            return;
        }
        self.ticks += field(11).unwrap_or(0.0) + field(12).unwrap_or(0.0);
        if leaders.contains(&pid) {
            let started = field(19).unwrap_or(0.0);
            self.started = Some(self.started.map_or(started, |first| first.min(started)));
        }
        let status = read("status");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = resident.and_then(|rest| rest.trim().strip_suffix("kB"));
        self.kib += resident
            .and_then(|kib| kib.trim().parse::<f64>().ok())
            .unwrap_or(0.0);
    }
}

/// Seconds since the system was started.
fn uptime() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/uptime").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use seaworthy_core::health::State;

    use super::*;

    #[test]
    fn instances_that_do_not_run_are_told() {
        let one = |pid| Instance { pid, restarts: 2 };
        let own = Some(std::process::id());
        let state = |instances: &[Instance]| look(instances, &mut None).state;
        assert_eq!(state(&[]), State::Unknown);
        assert_eq!(state(&[one(None)]), State::Fail);
        assert_eq!(state(&[one(own), one(None)]), State::Warn);
        assert_eq!(state(&[one(own)]), State::Ok);
        assert_eq!(
            look(&[one(own), one(None)], &mut None).metadata["restarts"],
            4
        );
    }
}

//! The checks of dependencies: built from the configuration, run in the background, told to everybody.
//!
//! Whatever changes is one event, and the gauges follow the same report that probes are answered from.

use std::io;
use std::sync::Arc;

use rustix::process::Pid;
use seaworthy_core::health::{State, Status};
use seaworthy_core::ledger::Fault;
use seaworthy_core::names::{Metric, event, metric};
use seaworthy_health::probe::process::{App, Instance};
use seaworthy_health::probe::{Around, exec};
use seaworthy_health::{Change, Component, Health, Report};
use seaworthy_http::rescue::Watch as _;
use seaworthy_lifecycle::reap::Reaper;
use seaworthy_telemetry::metrics::Registry;

use super::face::Face;
use crate::armour::{Errors, Kind};
use crate::config::Config;

/// Starts every check of `config`. From now on `face` shows what they find.
pub(super) fn start(
    config: &Config,
    face: &Face,
    registry: Arc<Registry>,
    errors: Errors,
) -> Health {
    let teller = face.clone();
    let health = Health::new(move |change| match change {
        Change::Report(report) => {
            let before = &teller.board().snapshot().report;
            measure(before, report, &registry);
            note(before, report, &errors);
            teller.report(report);
        }
        Change::Status { from, now } => tell_status(*from, now),
        Change::Expired { now } => tell_expired(now),
    });
    let around = around(config, face);
    for check in &config.health.checks {
        health.register(check.spec(config.health.pace(), &around));
    }
    health
}

/// Goes over from the checks of `before` to those of `config`. One that is described as before goes on, and what was found keeps.
pub(super) fn renew(before: &Config, config: &Config, face: &Face, health: &Health) {
    let (old, new) = (&before.health, &config.health);
    for check in &old.checks {
        let name = &check.common().name;
        if !new.checks.iter().any(|one| one.common().name == *name) {
            // It may have been taken away by hand.
            health.remove(name).ok();
        }
    }
    let around = around(config, face);
    for check in &new.checks {
        if !old.checks.contains(check) || old.pace() != new.pace() {
            health.register(check.spec(new.pace(), &around));
        }
    }
}

/// What checks have to know of this process.
pub(super) fn around(config: &Config, face: &Face) -> Around {
    let face = face.clone();
    let list = move || {
        let instances = face.instances();
        let instances = instances.iter().map(|one| Instance {
            pid: one.pid,
            restarts: one.restarts,
        });
        instances.collect()
    };
    Around {
        app: Some(App::new(list)),
        ..config.around()
    }
}

/// Commands of checks and of secrets are children of this process, and not the reaper's.
pub(super) fn leave_children_to_them(reaper: &Reaper) {
    let reaper = reaper.clone();
    exec::exempt_with(move |start| exempt(&reaper, start));
}

fn exempt(
    reaper: &Reaper,
    start: &mut dyn FnMut() -> io::Result<u32>,
) -> io::Result<Box<dyn Send>> {
    let started = reaper.exempt(|| {
        let pid = i32::try_from(start()?).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("the system gave a strange pid"))?;
        Ok::<_, io::Error>(((), pid))
    });
    started.map(|((), exempt)| Box::new(exempt) as Box<dyn Send>)
}

/// What is shown of each check.
const OF_A_CHECK: [&Metric; 3] = [
    &metric::COMPONENT_UP,
    &metric::COMPONENT_CHECK_SECONDS,
    &metric::WORKER_HEARTBEAT,
];

/// Only what is new has to be written down, and what is gone taken out.
fn measure(before: &Report, now: &Report, registry: &Registry) {
    let is_gone = |was: &&Arc<Component>| now.component(&was.name).is_none();
    for gone in before.components.iter().filter(is_gone) {
        registry.forget(&OF_A_CHECK, &gone.name);
    }
    for (at, component) in now.components.iter().enumerate() {
        let was = before.components.get(at);
        if was.is_some_and(|was| Arc::ptr_eq(was, component)) {
            continue;
        }
        let labels = [component.name.as_str()];
        let level = match component.status {
            Status::Healthy => 1.0,
            Status::Degraded => 0.5,
            Status::Unhealthy => 0.0,
        };
        registry.gauge(&metric::COMPONENT_UP, &labels).set(level);
        if let Some(took) = component.duration {
            let gauge = registry.gauge(&metric::COMPONENT_CHECK_SECONDS, &labels);
            gauge.set(took.as_secs_f64());
        }
        if let Some(at) = last_heartbeat(component) {
            registry.gauge(&metric::WORKER_HEARTBEAT, &labels).set(at);
        }
    }
}

/// What was found not to work, each time that it was looked at.
fn note(before: &Report, now: &Report, errors: &Errors) {
    for component in &now.components {
        let fault = match component.state {
            State::Fail => "failed",
            State::TimedOut => "timed_out",
            State::Ok | State::Warn | State::Unknown => continue,
        };
        let same = |was: &&Arc<Component>| was.name == component.name;
        let was = before.components.iter().find(same);
        if was.is_none_or(|was| was.checked_at != component.checked_at) {
            let service = errors.service(Kind::Check, &component.name);
            service.failed(Fault::Named(fault));
        }
    }
}

/// Seconds since 1970, when the component is a worker that has been heard of.
fn last_heartbeat(component: &Component) -> Option<f64> {
    let at = component.metadata.get("last_heartbeat")?.as_str()?;
    let at: jiff::Timestamp = at.parse().ok()?;
    Some(at.as_duration().as_secs_f64())
}

fn tell_expired(now: &Component) {
    let name = now.name.as_str();
    tracing::info!(
        event = event::CHECK_OPERATED,
        check = name,
        "what was set by hand for {name} has ended"
    );
}

fn tell_status(from: Status, now: &Component) {
    let (name, word, message) = (now.name.as_str(), now.status.word(), now.message.as_str());
    let from = from.word();
    if now.status == Status::Healthy {
        tracing::info!(
            event = event::CHECK_CHANGED,
            check = name,
            status = word,
            from,
            "{name} is healthy: {message}"
        );
    } else {
        tracing::warn!(
            event = event::CHECK_CHANGED,
            check = name,
            status = word,
            from,
            critical = now.part().weight == seaworthy_core::health::Weight::Critical,
            "{name} is {word}: {message}"
        );
    }
}

//! What the states of the app's instances amount to: for probes, for the proxy, and in words.
//!
//! Pure functions, so that [`Face`](super::face::Face) has only to tell.

use std::collections::BTreeMap;

use seaworthy_core::address::Address;
use seaworthy_core::health::App;
use seaworthy_core::lifecycle::Phase;
use seaworthy_health::Gate;
use seaworthy_http::upstream::{Availability, Endpoint, Roll};
use seaworthy_lifecycle::supervise::State;
use serde_json::{Value, json};

/// One life of one instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Life {
    /// Which instance, from 0.
    pub(super) instance: usize,
    /// Which of its starts, from 1.
    pub(super) generation: u64,
}

impl Life {
    /// Its number in the roster. Neither part comes near its half.
    pub(super) fn id(self) -> u64 {
        ((self.instance as u64) << 48) | self.generation
    }

    /// The life of that number.
    pub(super) fn of(id: u64) -> Self {
        Self {
            instance: usize::from(u16::try_from(id >> 48).unwrap_or(u16::MAX)),
            generation: id & ((1 << 48) - 1),
        }
    }
}

/// A life that is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Alive {
    /// Its number.
    pub(super) id: u64,
    /// Where it listens, if it does.
    pub(super) address: Option<Address>,
}

/// The lives that are ready.
pub(super) fn alive(instances: &[State]) -> Vec<Alive> {
    let all = instances.iter().enumerate();
    all.filter_map(|(instance, state)| match state {
        State::Ready {
            address,
            generation,
            ..
        } => {
            let life = Life {
                instance,
                generation: *generation,
            };
            Some(Alive {
                id: life.id(),
                address: address.clone(),
            })
        }
        _ => None,
    })
    .collect()
}

/// What is known of the app; `stalled` are the lives that get nowhere.
pub(super) fn app(phase: Phase, alive: &[Alive], stalled: &BTreeMap<u64, String>) -> App {
    match phase {
        Phase::Starting => App::Starting,
        // Whatever it does now, nobody is to blame for.
        _ if phase.is_shutting_down() => App::Running,
        _ if alive.is_empty() => App::Down,
        _ if alive.iter().any(|one| stalled.contains_key(&one.id)) => App::Stalled,
        _ => App::Running,
    }
}

/// Why the app as a whole counts as stalled: all of its instances do.
pub(super) fn all_stalled<'a>(
    alive: &[Alive],
    stalled: &'a BTreeMap<u64, String>,
) -> Option<&'a String> {
    let mut reasons = alive.iter().map(|one| stalled.get(&one.id));
    let first = reasons.next().flatten()?;
    reasons.all(|reason| reason.is_some()).then_some(first)
}

/// Whether the instance accepts requests.
pub(super) fn is_ready(state: &State) -> bool {
    matches!(state, State::Ready { .. })
}

/// The processes of the instances that are ready.
pub(super) fn processes(instances: &[State]) -> impl Iterator<Item = i32> {
    instances.iter().filter_map(|state| match state {
        State::Ready { pid, .. } => Some(*pid),
        _ => None,
    })
}

/// Which of its starts this is; 0 while there is none.
pub(super) fn generation(state: &State) -> u64 {
    match state {
        State::Starting { generation } | State::Ready { generation, .. } => *generation,
        _ => 0,
    }
}

/// The state in one word; `suspended` are the processes that are.
pub(super) fn word(state: &State, suspended: &[i32]) -> &'static str {
    match state {
        State::Starting { .. } => "starting",
        State::Ready { pid, .. } if suspended.contains(pid) => "suspended",
        State::Ready { .. } => "ready",
        State::Backoff { .. } => "backoff",
        State::Stopped => "stopped",
        State::Ended { .. } => "ended",
        State::Failed { .. } => "failed",
    }
}

/// The state as the detailed view shows it.
pub(super) fn document(state: &State, suspended: &[i32]) -> Value {
    match state {
        State::Ready {
            address,
            generation,
            pid,
        } => {
            let address = address.as_ref().map(ToString::to_string);
            json!({"state": word(state, suspended), "pid": pid, "generation": generation, "address": address})
        }
        State::Ended { code } | State::Failed { code } => {
            json!({"state": word(state, suspended), "code": code})
        }
        other => json!({"state": word(other, suspended)}),
    }
}

/// Whether requests reach the app. One that is suspended takes them and answers none.
pub(super) fn gate(
    phase: Phase,
    instances: &[State],
    suspended: &[i32],
    supervised: bool,
    stalled: Option<&str>,
) -> Gate {
    let closed = |reason: &str| Gate::Closed(reason.to_owned());
    if phase.is_shutting_down() {
        return closed("shutting down");
    }
    if let Some(why) = stalled {
        return closed(why);
    }
    if !supervised || instances.iter().any(is_ready) {
        let all_suspended = processes(instances).all(|pid| suspended.contains(&pid));
        return match phase {
            Phase::Starting => closed("starting"),
            _ if supervised && all_suspended => closed("the app is suspended (SIGSTOP)"),
            _ => Gate::Open,
        };
    }
    let reason = match instances.first() {
        Some(State::Backoff { .. }) => "the app died early and waits to be started again",
        Some(State::Failed { .. } | State::Ended { .. } | State::Stopped) => {
            "the app is not running"
        }
        _ => "the app is starting",
    };
    closed(reason)
}

/// The roster's view of the instances.
pub(super) fn roll(instances: &[State]) -> Roll {
    let endpoint = |one: Alive| {
        Some(Endpoint {
            id: one.id,
            address: one.address?,
        })
    };
    let endpoints: Vec<Endpoint> = alive(instances).into_iter().filter_map(endpoint).collect();
    let waits = instances.iter().filter_map(|state| match state {
        State::Backoff { until } => Some(*until),
        _ => None,
    });
    let availability = if !endpoints.is_empty() {
        Availability::Ready
    } else if instances
        .iter()
        .any(|state| matches!(state, State::Starting { .. }))
    {
        Availability::Starting
    } else {
        waits
            .min()
            .map_or(Availability::Gone, Availability::Backoff)
    };
    Roll {
        endpoints,
        availability,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn requests_go_to_the_ready_wait_for_the_starting_and_not_for_the_waiting() {
        let ready = State::Ready {
            address: Some("127.0.0.1:1".parse().expect("an address")),
            generation: 2,
            pid: 9,
        };
        let starting = State::Starting { generation: 1 };
        let until = Instant::now();
        let waiting = State::Backoff { until };
        assert_eq!(
            roll(&[waiting.clone(), ready]).availability,
            Availability::Ready
        );
        assert_eq!(
            roll(&[waiting.clone(), starting]).availability,
            Availability::Starting
        );
        assert_eq!(roll(&[waiting]).availability, Availability::Backoff(until));
        assert_eq!(
            roll(&[State::Failed { code: 1 }]).availability,
            Availability::Gone
        );
    }

    #[test]
    fn one_instance_that_runs_keeps_the_gate_open() {
        let ready = |pid| State::Ready {
            address: Some("127.0.0.1:1".parse().expect("an address")),
            generation: 1,
            pid,
        };
        let both = [ready(8), ready(9)];
        let of = |suspended: &[i32]| gate(Phase::Running, &both, suspended, true, None);
        assert_eq!(of(&[]), Gate::Open);
        assert_eq!(of(&[8]), Gate::Open);
        assert!(matches!(of(&[8, 9]), Gate::Closed(why) if why.contains("suspended")));
        assert_eq!(gate(Phase::Running, &[], &[], false, None), Gate::Open);
        assert_eq!(word(&both[0], &[8]), "suspended");
        let stalled = gate(Phase::Running, &both, &[], true, Some("no answer"));
        assert_eq!(stalled, Gate::Closed("no answer".to_owned()));
    }

    #[test]
    fn the_app_is_stalled_with_one_instance_and_its_gate_closes_with_the_last() {
        let life = |instance| Life {
            instance,
            generation: 3,
        };
        assert_eq!(Life::of(life(2).id()), life(2));
        let one = |instance| Alive {
            id: life(instance).id(),
            address: None,
        };
        let alive = [one(0), one(1)];
        let mut stalled = BTreeMap::new();
        assert_eq!(app(Phase::Running, &alive, &stalled), App::Running);
        stalled.insert(life(1).id(), "one".to_owned());
        assert_eq!(app(Phase::Running, &alive, &stalled), App::Stalled);
        assert_eq!(all_stalled(&alive, &stalled), None);
        stalled.insert(life(0).id(), "both".to_owned());
        assert_eq!(
            all_stalled(&alive, &stalled).map(String::as_str),
            Some("both")
        );
        assert_eq!(app(Phase::Starting, &alive, &stalled), App::Starting);
    }
}

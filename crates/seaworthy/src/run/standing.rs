//! What the states of the app's instances amount to: for probes, for the proxy, and in words.
//!
//! Pure functions, so that [`Face`](super::face::Face) has only to tell.

use seaworthy_core::lifecycle::Phase;
use seaworthy_health::Gate;
use seaworthy_http::upstream::{Availability, Endpoint, Roll};
use seaworthy_lifecycle::supervise::State;
use serde_json::{Value, json};

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
            json!({"state": word(state, suspended), "pid": pid, "generation": generation, "address": address.to_string()})
        }
        State::Ended { code } | State::Failed { code } => {
            json!({"state": word(state, suspended), "code": code})
        }
        other => json!({"state": word(other, suspended)}),
    }
}

/// Whether requests reach the app. One that is suspended takes them and answers none.
pub(super) fn gate(phase: Phase, instances: &[State], suspended: &[i32], supervised: bool) -> Gate {
    let closed = |reason: &str| Gate::Closed(reason.to_owned());
    if phase.is_shutting_down() {
        return closed("shutting down");
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
    let endpoints: Vec<Endpoint> = instances
        .iter()
        .enumerate()
        .filter_map(|(index, state)| match state {
            State::Ready {
                address,
                generation,
                ..
            } => {
                // Unique for each life of each instance; neither number comes near its half.
                Some(Endpoint {
                    id: ((index as u64) << 48) | generation,
                    address: address.clone(),
                })
            }
            _ => None,
        })
        .collect();
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
            address: "127.0.0.1:1".parse().expect("an address"),
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
            address: "127.0.0.1:1".parse().expect("an address"),
            generation: 1,
            pid,
        };
        let both = [ready(8), ready(9)];
        let of = |suspended: &[i32]| gate(Phase::Running, &both, suspended, true);
        assert_eq!(of(&[]), Gate::Open);
        assert_eq!(of(&[8]), Gate::Open);
        assert!(matches!(of(&[8, 9]), Gate::Closed(why) if why.contains("suspended")));
        assert_eq!(gate(Phase::Running, &[], &[], false), Gate::Open);
        assert_eq!(word(&both[0], &[8]), "suspended");
    }
}

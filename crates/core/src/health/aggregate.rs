//! The whole out of its parts.

use super::{State, Status, Weight};

/// One component, as far as the whole depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// What was found.
    pub state: State,
    /// The word for it.
    pub status: Status,
    /// How much it matters.
    pub weight: Weight,
}

/// The whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole {
    /// The word.
    pub status: Status,
    /// Whether readiness passes.
    pub open: bool,
}

/// The whole of `parts`: its word is the worst of theirs, and only what is critical can make it worse than `degraded` or close
/// the gate. No parts are a healthy whole.
pub fn whole(parts: impl IntoIterator<Item = Part>) -> Whole {
    let mut whole = Whole {
        status: Status::Healthy,
        open: true,
    };
    for part in parts {
        let worst = match part.weight {
            Weight::Critical => part.status,
            Weight::Shared | Weight::Optional => part.status.min(Status::Degraded),
        };
        whole.status = whole.status.max(worst);
        whole.open &= part.weight != Weight::Critical || part.state.passes();
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Words;
    use proptest::prelude::*;

    fn part(state: State, weight: Weight) -> Part {
        let status = Words::default().status(state, weight);
        Part {
            state,
            status,
            weight,
        }
    }

    #[test]
    fn only_what_is_critical_closes_the_gate() {
        for (state, weight, status, open) in [
            (State::Ok, Weight::Critical, Status::Healthy, true),
            (State::Warn, Weight::Critical, Status::Degraded, true),
            (State::Fail, Weight::Critical, Status::Unhealthy, false),
            (State::Unknown, Weight::Critical, Status::Unhealthy, false),
            (State::Fail, Weight::Shared, Status::Degraded, true),
            (State::Fail, Weight::Optional, Status::Degraded, true),
        ] {
            let whole = whole([part(State::Ok, Weight::Critical), part(state, weight)]);
            assert_eq!(whole, Whole { status, open }, "{state:?} {weight:?}");
        }
    }

    #[test]
    fn a_gentle_word_leaves_the_gate_closed() {
        let gentle = Part {
            status: Status::Degraded,
            ..part(State::Fail, Weight::Critical)
        };
        let expected = Whole {
            status: Status::Degraded,
            open: false,
        };
        assert_eq!(whole([gentle]), expected);
    }

    fn any_part() -> impl Strategy<Value = Part> {
        let state = prop_oneof![
            Just(State::Ok),
            Just(State::Warn),
            Just(State::Fail),
            Just(State::TimedOut),
            Just(State::Unknown)
        ];
        let weight = prop_oneof![
            Just(Weight::Critical),
            Just(Weight::Shared),
            Just(Weight::Optional)
        ];
        (state, weight).prop_map(|(state, weight)| part(state, weight))
    }

    proptest! {
        #[test]
        fn order_does_not_matter_and_a_part_never_improves_the_whole(
            parts in prop::collection::vec(any_part(), 0..8),
            more in any_part(),
        ) {
            let before = whole(parts.clone());
            let mut turned = parts.clone();
            turned.reverse();
            prop_assert_eq!(whole(turned), before);
            let after = whole(parts.into_iter().chain([more]));
            prop_assert!(after.status >= before.status);
            prop_assert!(before.open || !after.open);
        }
    }
}

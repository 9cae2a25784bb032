//! Who is to blame. Three verdicts, never mixed, because each asks for something else to be done.

use std::time::Duration;

use super::State;

/// What is known of the app itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct App {
    /// A process of it runs and has been ready.
    pub running: bool,
    /// For how long it has got nowhere although requests asked it to.
    pub stalled_for: Duration,
    /// It counts as broken when it stalls for this long; `None` never judges.
    pub stall_after: Option<Duration>,
}

/// Who is to blame, if anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody: all is well.
    Well,
    /// The app: it gets nowhere although everything that it needs works. The only verdict that may restart it.
    AppBroken,
    /// What the app needs: restarting the app would not help, and many apps restarting at once would hurt.
    DependencyBroken,
    /// It cannot be told. Nothing is restarted.
    Unknown,
}

impl Verdict {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::AppBroken => "app_broken",
            Self::DependencyBroken => "dependency_broken",
            Self::Unknown => "unknown",
        }
    }
}

/// Judges. `dependencies` are the states of everything that the app needs and that can be looked at from outside.
pub fn verdict(app: App, dependencies: impl IntoIterator<Item = State>) -> Verdict {
    let (mut broken, mut unknown) = (false, false);
    for state in dependencies {
        broken |= state.is_broken();
        unknown |= state == State::Unknown;
    }
    let stalled = app
        .stall_after
        .is_some_and(|limit| app.stalled_for >= limit);
    match (stalled || !app.running, broken, unknown) {
        // A stalled app with a broken database is most likely waiting for it.
        (_, true, _) => Verdict::DependencyBroken,
        (true, false, true) => Verdict::Unknown,
        (true, false, false) => Verdict::AppBroken,
        (false, false, true) => Verdict::Unknown,
        (false, false, false) => Verdict::Well,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn app(stalled: u64, limit: Option<u64>) -> App {
        App {
            running: true,
            stalled_for: Duration::from_secs(stalled),
            stall_after: limit.map(Duration::from_secs),
        }
    }

    #[test]
    fn the_same_stall_has_another_culprit_when_the_database_is_down() {
        let stalled = app(60, Some(30));
        assert_eq!(
            verdict(stalled, [State::Ok, State::Warn]),
            Verdict::AppBroken
        );
        assert_eq!(
            verdict(stalled, [State::Ok, State::Fail]),
            Verdict::DependencyBroken
        );
        assert_eq!(
            verdict(stalled, [State::Ok, State::TimedOut]),
            Verdict::DependencyBroken
        );
        assert_eq!(
            verdict(stalled, [State::Ok, State::Unknown]),
            Verdict::Unknown
        );
        assert_eq!(verdict(stalled, []), Verdict::AppBroken);
    }

    #[test]
    fn without_a_limit_a_stall_is_not_judged() {
        assert_eq!(verdict(app(1_000_000, None), []), Verdict::Well);
        assert_eq!(verdict(app(29, Some(30)), []), Verdict::Well);
    }

    proptest! {
        #[test]
        fn the_app_is_never_blamed_while_anything_else_is_in_doubt(
            doubt in prop_oneof![Just(State::Fail), Just(State::TimedOut), Just(State::Unknown)],
            good in 0_usize..4,
            stalled in 0_u64..100,
            running in any::<bool>(),
        ) {
            let app = App { running, ..app(stalled, Some(30)) };
            let states = std::iter::repeat_n(State::Ok, good).chain([doubt]);
            prop_assert_ne!(verdict(app, states), Verdict::AppBroken);
        }
    }
}

//! Who is to blame. Three verdicts, never mixed, because each asks for something else to be done.

use super::State;

/// What is known of the app itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum App {
    /// It has not been ready yet.
    #[default]
    Starting,
    /// It accepts requests, and nothing says that it gets nowhere with them.
    Running,
    /// It gets nowhere although requests ask it to.
    Stalled,
    /// It was ready and is not any more.
    Down,
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
    match app {
        // A stalled app with a broken database is most likely waiting for it.
        _ if broken => Verdict::DependencyBroken,
        App::Starting => Verdict::Unknown,
        _ if unknown => Verdict::Unknown,
        App::Stalled | App::Down => Verdict::AppBroken,
        App::Running => Verdict::Well,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_same_stall_has_another_culprit_when_the_database_is_down() {
        for (state, culprit) in [
            (State::Ok, Verdict::AppBroken),
            (State::Warn, Verdict::AppBroken),
            (State::Fail, Verdict::DependencyBroken),
            (State::TimedOut, Verdict::DependencyBroken),
            (State::Unknown, Verdict::Unknown),
        ] {
            assert_eq!(verdict(App::Stalled, [State::Ok, state]), culprit);
            assert_eq!(verdict(App::Down, [state]), culprit);
        }
        assert_eq!(verdict(App::Stalled, []), Verdict::AppBroken);
    }

    #[test]
    fn an_app_that_starts_is_not_judged() {
        assert_eq!(verdict(App::Starting, []), Verdict::Unknown);
        assert_eq!(verdict(App::Running, [State::Ok]), Verdict::Well);
    }

    proptest! {
        #[test]
        fn the_app_is_never_blamed_while_anything_else_is_in_doubt(
            doubt in prop_oneof![Just(State::Fail), Just(State::TimedOut), Just(State::Unknown)],
            good in 0_usize..4,
            app in prop_oneof![Just(App::Starting), Just(App::Running), Just(App::Stalled), Just(App::Down)],
        ) {
            let states = std::iter::repeat_n(State::Ok, good).chain([doubt]);
            prop_assert_ne!(verdict(app, states), Verdict::AppBroken);
        }
    }
}

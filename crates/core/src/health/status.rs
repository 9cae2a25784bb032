//! What was found, how it is worded, and how much it matters.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The word for a component or for the whole, from good to bad.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// All is as it should be.
    #[default]
    Healthy,
    /// It works, and somebody should look at it.
    Degraded,
    /// It does not work.
    Unhealthy,
}

impl Status {
    /// The word on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// It works.
    Ok,
    /// It works, but slowly, or little is left of something.
    Warn,
    /// It does not work.
    Fail,
    /// It did not answer in time.
    TimedOut,
    /// Nothing can be said: there is no result yet, it is too old, or nobody answered who could know. Not evidence of
    /// anything being broken, and so never a reason to restart.
    Unknown,
}

impl State {
    /// Whether a critical check in this state leaves the gate open.
    pub const fn passes(self) -> bool {
        matches!(self, Self::Ok | Self::Warn)
    }

    /// Whether something is known to be broken.
    pub const fn is_broken(self) -> bool {
        matches!(self, Self::Fail | Self::TimedOut)
    }

    /// How bad it is, for comparing two results of one check.
    pub(super) const fn badness(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Warn => 1,
            Self::Fail | Self::TimedOut | Self::Unknown => 2,
        }
    }
}

/// What a check looks at. Only the app's own failures may ever restart the app.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum About {
    /// Something that the app needs and that a restart of the app would not mend.
    #[default]
    Dependency,
    /// The app itself.
    App,
}

/// How much a check matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Weight {
    /// Without it the service is of no use: a failure closes the gate of readiness.
    #[default]
    Critical,
    /// Critical for the answer, but all replicas share it: closing every gate at once would turn a slow database into an
    /// outage of the whole service. A failure degrades, and the gate stays open.
    Shared,
    /// The service works without it: a failure degrades.
    Optional,
}

/// The words for results that are not good. By default what matters is `unhealthy` and what does not is `degraded`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// For a failure, and for not knowing.
    pub on_error: Option<Status>,
    /// For no answer in time; as a failure when it is not set.
    pub on_timeout: Option<Status>,
}

impl Words {
    /// The word for `state`.
    pub fn status(self, state: State, weight: Weight) -> Status {
        let default = match weight {
            Weight::Critical | Weight::Shared => Status::Unhealthy,
            Weight::Optional => Status::Degraded,
        };
        match state {
            State::Ok => Status::Healthy,
            State::Warn => Status::Degraded,
            State::Fail | State::Unknown => self.on_error.unwrap_or(default),
            State::TimedOut => self.on_timeout.or(self.on_error).unwrap_or(default),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_never_changes_what_passes() {
        let gentle = Words {
            on_error: Some(Status::Degraded),
            on_timeout: None,
        };
        for state in [State::Fail, State::TimedOut, State::Unknown] {
            assert_eq!(gentle.status(state, Weight::Critical), Status::Degraded);
            assert!(!state.passes());
        }
    }

    #[test]
    fn words_follow_the_weight_unless_they_are_set() {
        let words = Words::default();
        assert_eq!(
            words.status(State::Fail, Weight::Critical),
            Status::Unhealthy
        );
        assert_eq!(words.status(State::Fail, Weight::Shared), Status::Unhealthy);
        assert_eq!(
            words.status(State::Fail, Weight::Optional),
            Status::Degraded
        );
        assert_eq!(
            words.status(State::Warn, Weight::Critical),
            Status::Degraded
        );
        let late = Words {
            on_error: Some(Status::Unhealthy),
            on_timeout: Some(Status::Degraded),
        };
        assert_eq!(
            late.status(State::TimedOut, Weight::Optional),
            Status::Degraded
        );
        assert_eq!(
            late.status(State::Fail, Weight::Optional),
            Status::Unhealthy
        );
    }
}

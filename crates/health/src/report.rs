//! What all checks together say.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use seaworthy_core::health::{self, About, Part, State, Status, Weight, Whole};

use crate::Metadata;

/// One component at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Component {
    /// Its name.
    pub name: String,
    /// What kind of check looks at it.
    pub kind: &'static str,
    /// What was found.
    pub state: State,
    /// The word for it.
    pub status: Status,
    /// How much it matters.
    pub weight: Weight,
    /// What it looks at.
    pub about: About,
    /// The last result differs from what is shown, which another one will confirm or not.
    pub in_doubt: bool,
    /// One sentence.
    pub message: String,
    /// Further facts.
    pub metadata: Metadata,
    /// How long the last run took.
    pub duration: Option<Duration>,
    /// When the last run ended.
    pub checked_at: Option<SystemTime>,
    /// The last result is too old to count.
    pub stale: bool,
    /// What somebody said about it at runtime.
    pub operated: Option<Operated>,
}

impl Component {
    /// What a check shows before its first result.
    pub fn pending(name: &str, kind: &'static str, weight: Weight, status: Status) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            state: State::Unknown,
            status,
            weight,
            about: About::default(),
            in_doubt: false,
            message: "no result yet".to_owned(),
            metadata: Metadata::new(),
            duration: None,
            checked_at: None,
            stale: false,
            operated: None,
        }
    }

    /// Whether it takes part in the whole.
    pub fn counts(&self) -> bool {
        !matches!(self.operated, Some(Operated::Disabled { .. }))
    }

    /// What the whole needs of it.
    pub fn part(&self) -> Part {
        Part {
            state: self.state,
            status: self.status,
            weight: self.weight,
        }
    }
}

/// What an operator did to a check. `until` is when it ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operated {
    /// It does not run and does not count.
    Disabled {
        /// When it is enabled again.
        until: Option<Instant>,
    },
    /// It shows this word, whatever is found.
    Forced {
        /// The word.
        status: Status,
        /// When it shows again what is found.
        until: Option<Instant>,
    },
}

impl Operated {
    /// When it ends by itself.
    pub fn until(self) -> Option<Instant> {
        match self {
            Self::Disabled { until } | Self::Forced { until, .. } => until,
        }
    }
}

/// All components, in the order in which they were registered.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The components.
    pub components: Vec<Arc<Component>>,
    /// What they amount to.
    pub whole: Whole,
}

impl Report {
    /// The report of `components`.
    pub fn new(components: Vec<Arc<Component>>) -> Self {
        let counting = components.iter().filter(|component| component.counts());
        let whole = health::whole(counting.map(|component| component.part()));
        Self { components, whole }
    }

    /// The component of a name.
    pub fn component(&self, name: &str) -> Option<&Arc<Component>> {
        self.components
            .iter()
            .find(|component| component.name == name)
    }

    /// The states of everything that the app needs; one in doubt is not known. What is optional it does without, by
    /// definition, so that a missing nicety does not excuse an app that gets nowhere.
    pub fn dependencies(&self) -> impl Iterator<Item = State> {
        let counting = self.components.iter().filter(|one| one.counts());
        counting
            .filter(|one| one.about == About::Dependency && one.weight != Weight::Optional)
            .map(|one| {
                if one.in_doubt && !one.state.is_broken() {
                    State::Unknown
                } else {
                    one.state
                }
            })
    }

    /// The first critical component that closes the gate.
    pub fn culprit(&self) -> Option<&Arc<Component>> {
        self.components.iter().find(|component| {
            component.counts() && component.weight == Weight::Critical && !component.state.passes()
        })
    }
}

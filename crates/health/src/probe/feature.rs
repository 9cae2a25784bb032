//! Whether a feature of the service is as it should be, or on its fallback. It asks nobody: see [`Features`].

use std::sync::Arc;

use schemars::JsonSchema;
use seaworthy_core::health::About;
use serde::{Deserialize, Serialize};

use super::{Around, Fault, Probe};
use crate::features::{PRIMARY, is_name};
use crate::{Check, Features, Outcome, Running};

/// Degraded while a feature runs on its fallback. Shows which one is `active`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Feature {
    /// The feature, as `PUT /-/features/NAME` calls it.
    pub feature: String,
    /// What is served while nobody says what. Default: whoever sets the fallback has to say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
}

impl Probe for Feature {
    const KIND: &'static str = "feature";
    const ABOUT: About = About::App;

    fn faults(&self, _: &Around, faults: &mut Vec<Fault>) {
        let default = self.default.as_ref().map(|default| ("default", default));
        for (option, text) in [("feature", &self.feature)].into_iter().chain(default) {
            if !is_name(text) {
                let message = "it is not a name";
                let help = "write one word of letters, digits, `_`, `-` and `.`";
                faults.push(Fault::new(option, message, help));
            }
        }
    }

    fn check(&self, _: &Around) -> Arc<dyn Check> {
        let features = Features::global();
        features.declare(&self.feature, self.default.as_deref());
        Arc::new(OnPrimary(self.feature.clone(), features.clone()))
    }
}

struct OnPrimary(String, Features);

impl Check for OnPrimary {
    fn kind(&self) -> &'static str {
        Feature::KIND
    }

    fn run(&self) -> Running<'_> {
        let Self(name, features) = self;
        Box::pin(std::future::ready(match features.fallback(name) {
            None => Outcome::healthy("it is as it should be").with("active", PRIMARY),
            Some(fallback) => {
                let mut message = format!("{} is served instead", fallback.active);
                if !fallback.reason.is_empty() {
                    message = format!("{message}: {}", fallback.reason);
                }
                let outcome = Outcome::degraded(message).with("active", fallback.active);
                outcome.with("reason", fallback.reason)
            }
        }))
    }
}

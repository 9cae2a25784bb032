//! Features of the service that run on a fallback.
//!
//! Whoever finds that a feature cannot be had as it should be, and serves something simpler in its place, says so here; the
//! check of the kind `feature` shows it, and an operator can say it by hand. What is kept is bounded.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Serialize;

use crate::clock;

/// What is served by a feature that is as it should be.
pub(crate) const PRIMARY: &str = "primary";

/// More names are not kept.
const MOST: usize = 256;
/// A longer name or reason is not one.
const LONGEST: usize = 128;

/// A fallback that is active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallback {
    /// What is served instead.
    pub active: String,
    /// Why.
    pub reason: String,
    /// When it ends by itself.
    pub until: Option<Instant>,
}

/// The features of a process. Clones are the same registry.
#[derive(Clone, Debug, Default)]
pub struct Features(Arc<Mutex<BTreeMap<String, Feature>>>);

#[derive(Debug, Default)]
struct Feature {
    /// What is served instead when nobody says what.
    default: Option<String>,
    fallback: Option<Fallback>,
}

impl Features {
    /// The registry of this process.
    pub fn global() -> &'static Self {
        static GLOBAL: OnceLock<Features> = OnceLock::new();
        GLOBAL.get_or_init(Self::default)
    }

    /// Makes a feature known, and what it falls back on unless somebody says otherwise.
    pub fn declare(&self, name: &str, default: Option<&str>) {
        let mut features = self.features();
        features.entry(name.to_owned()).or_default().default = default.map(str::to_owned);
    }

    /// `name` is on its fallback from now on. `None` for `active` is the declared one.
    ///
    /// # Errors
    /// Says what is wrong with the names, or that there are too many.
    pub fn fall_back(
        &self,
        name: &str,
        active: Option<&str>,
        reason: &str,
        time: Option<Duration>,
    ) -> Result<Fallback, &'static str> {
        let mut features = self.features();
        let known = features.get(name);
        let active = active.or_else(|| known?.default.as_deref());
        let active = active.ok_or("`active` is missing: what is served instead")?;
        if !is_name(name) || !is_name(active) {
            return Err("names are one word of at most 128 letters, digits, `_`, `-` and `.`");
        }
        if reason.len() > LONGEST || reason.chars().any(char::is_control) {
            return Err("the reason is one line of at most 128 bytes");
        }
        if known.is_none() && features.len() >= MOST {
            return Err("there are too many features already");
        }
        let fallback = Fallback {
            active: active.to_owned(),
            reason: reason.to_owned(),
            until: time.map(|time| clock::now() + time),
        };
        let feature = features.entry(name.to_owned()).or_default();
        feature.fallback = Some(fallback.clone());
        Ok(fallback)
    }

    /// `name` is as it should be again. `false` when it was.
    pub fn recover(&self, name: &str) -> bool {
        let was = self.fallback(name).is_some();
        let mut features = self.features();
        let is_declared = features
            .get(name)
            .is_some_and(|feature| feature.default.is_some());
        match features.get_mut(name) {
            Some(feature) if is_declared => feature.fallback = None,
            _ => drop(features.remove(name)),
        }
        was
    }

    /// The fallback of `name`, if it is on one.
    pub fn fallback(&self, name: &str) -> Option<Fallback> {
        current(self.features().get(name)?)
    }

    /// All features by name, as they are shown.
    pub fn documents(&self) -> Vec<FeatureDocument> {
        let features = self.features();
        let features = features.iter();
        features
            .map(|(name, feature)| FeatureDocument::new(name, current(feature).as_ref()))
            .collect()
    }

    fn features(&self) -> MutexGuard<'_, BTreeMap<String, Feature>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A feature as the admin API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FeatureDocument {
    /// Its name.
    pub name: String,
    /// What is served: `primary`, or the name of a fallback.
    pub active: String,
    /// Whether it is on its fallback.
    pub degraded: bool,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When the fallback ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_left: Option<u64>,
}

impl FeatureDocument {
    /// The feature `name`, and its fallback if it is on one.
    #[must_use]
    pub fn new(name: &str, fallback: Option<&Fallback>) -> Self {
        let until = fallback.and_then(|fallback| fallback.until);
        let active = fallback.map_or(PRIMARY, |fallback| &fallback.active);
        Self {
            name: name.to_owned(),
            active: active.to_owned(),
            degraded: fallback.is_some(),
            reason: fallback.map(|fallback| fallback.reason.clone()),
            seconds_left: until
                .map(|until| until.saturating_duration_since(clock::now()).as_secs()),
        }
    }
}

fn current(feature: &Feature) -> Option<Fallback> {
    let fallback = feature.fallback.clone()?;
    let is_over = fallback.until.is_some_and(|until| until <= clock::now());
    (!is_over).then_some(fallback)
}

/// Whether it is one word that may be shown everywhere.
pub(crate) fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    !text.is_empty() && text.len() <= LONGEST && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_fallback_holds_until_it_is_over() {
        let features = Features::default();
        features.declare("algorithm", Some("FIXED"));
        let minute = Some(Duration::from_secs(60));
        let set = features.fall_back("algorithm", None, "by hand", minute);
        assert_eq!(set.unwrap().active, "FIXED");
        assert!(features.fallback("algorithm").is_some());
        tokio::time::advance(Duration::from_secs(61)).await;
        assert_eq!(features.fallback("algorithm"), None);
        assert!(!features.recover("algorithm"), "it has ended by itself");
        let shown = FeatureDocument::new("algorithm", None);
        assert_eq!(
            (shown.active.as_str(), features.documents()),
            (PRIMARY, vec![shown.clone()])
        );
    }

    #[test]
    fn nobody_can_fill_the_memory_with_names() {
        let features = Features::default();
        let on = |name: &str, active| features.fall_back(name, active, "", None);
        assert!(on("a", None).is_err(), "nothing says what is served");
        assert!(on("a b", Some("x")).is_err());
        assert!(on("a", Some("x\n")).is_err());
        assert!(on(&"a".repeat(LONGEST + 1), Some("x")).is_err());
        for number in 0..MOST {
            on(&number.to_string(), Some("x")).unwrap();
        }
        assert!(on("one-more", Some("x")).is_err());
        assert!(on("0", Some("y")).is_ok());
        assert!(features.recover("0") && on("one-more", Some("x")).is_ok());
    }
}

//! Features of the service that run on a fallback.
//!
//! Whoever finds that a feature cannot be had as it should be, and serves something simpler in its place, says so here; the
//! check of the kind `feature` shows it, and an operator can say it by hand. What is kept is bounded.

use std::collections::BTreeMap;
use std::fmt;
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

/// What became of a feature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// It is on this fallback from now on, or for another reason than before.
    Degraded(Fallback),
    /// It is as it should be again.
    Recovered,
    /// The same, because the time of the fallback is over.
    Ended,
}

type Told = Arc<dyn Fn(&str, &News) + Send + Sync>;

/// The features of a process. Clones are the same registry.
#[derive(Clone, Default)]
pub struct Features(Arc<Inner>);

#[derive(Default)]
struct Inner {
    features: Mutex<BTreeMap<String, Feature>>,
    told: Mutex<Option<Told>>,
    /// Held around a change and the telling of it, so that nobody hears of two the other way round. Whoever is told may look, and
    /// changes nothing.
    changing: Mutex<()>,
}

impl fmt::Debug for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Features").field(&*self.features()).finish()
    }
}

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

    /// Tells `told` what becomes of features from now on, and nobody else any more. It must not block.
    pub fn watch(&self, told: impl Fn(&str, &News) + Send + Sync + 'static) {
        *self.told() = Some(Arc::new(told));
    }

    /// Takes the features off their fallbacks whose time is over. Until then they only look so, and nobody has been told.
    pub fn expire(&self) {
        let ended: Vec<String> = {
            let features = self.features();
            let ended = features.iter().filter(|(_, feature)| feature.is_over());
            ended.map(|(name, _)| name.clone()).collect()
        };
        for name in ended {
            let _changing = self.changing();
            let news = {
                let mut features = self.features();
                // It may have been set anew meanwhile.
                let over = features.get(&name).is_some_and(Feature::is_over);
                over.then(|| clear(&mut features, &name))
            };
            if news.is_some() {
                self.tell(&name, &News::Ended);
            }
        }
    }

    /// Those that are on their fallback, by name, as they are shown.
    pub fn degraded(&self) -> Vec<FeatureDocument> {
        let mut documents = self.documents();
        documents.retain(|document| document.degraded);
        documents
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
        let _changing = self.changing();
        let mut features = self.features();
        let known = features.get(name);
        let default = known.and_then(|known| known.default.clone());
        let active = active.or(default.as_deref());
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
        let before = current(feature);
        feature.fallback = Some(fallback.clone());
        drop(features);
        let same = |before: &Fallback| before.active == active && before.reason == reason;
        if !before.as_ref().is_some_and(same) {
            self.tell(name, &News::Degraded(fallback.clone()));
        }
        Ok(fallback)
    }

    /// `name` is as it should be again. `false` when it was.
    pub fn recover(&self, name: &str) -> bool {
        let _changing = self.changing();
        let news = {
            let mut features = self.features();
            let before = features.get(name).map(Feature::is_over);
            clear(&mut features, name).and(before)
        };
        match news {
            Some(true) => self.tell(name, &News::Ended),
            Some(false) => self.tell(name, &News::Recovered),
            None => {}
        }
        news == Some(false)
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

    fn tell(&self, name: &str, news: &News) {
        // Outside of the other locks: whoever is told may look.
        let told = self.told().clone();
        if let Some(told) = told {
            told(name, news);
        }
    }

    fn features(&self) -> MutexGuard<'_, BTreeMap<String, Feature>> {
        self.0
            .features
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.0
            .changing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn told(&self) -> MutexGuard<'_, Option<Told>> {
        self.0.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Feature {
    fn is_over(&self) -> bool {
        let until = self.fallback.as_ref().and_then(|fallback| fallback.until);
        until.is_some_and(|until| until <= clock::now())
    }
}

/// Takes the fallback of a feature away, and the feature itself unless it was declared.
fn clear(features: &mut BTreeMap<String, Feature>, name: &str) -> Option<Fallback> {
    let feature = features.get_mut(name)?;
    let fallback = feature.fallback.take();
    if feature.default.is_none() {
        features.remove(name);
    }
    fallback
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
    (!feature.is_over()).then_some(fallback)
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

    #[tokio::test(start_paused = true)]
    async fn whatever_changes_is_told_once() {
        let features = Features::default();
        let heard: Arc<Mutex<Vec<(String, News)>>> = Arc::default();
        let ear = heard.clone();
        features.watch(move |name, news| ear.lock().unwrap().push((name.to_owned(), news.clone())));
        let news = || std::mem::take(&mut *heard.lock().unwrap());
        let minute = Some(Duration::from_secs(60));
        let first = features.fall_back("mail", Some("queue"), "smtp down", minute);
        features
            .fall_back("mail", Some("queue"), "smtp down", minute)
            .unwrap();
        let first = News::Degraded(first.unwrap());
        assert_eq!(news(), [("mail".to_owned(), first)]);
        features
            .fall_back("mail", Some("queue"), "dns down", minute)
            .unwrap();
        assert_eq!(news().len(), 1);
        features.expire();
        assert_eq!(news(), []);
        tokio::time::advance(Duration::from_secs(61)).await;
        assert_eq!(features.degraded(), []);
        features.expire();
        features.expire();
        assert_eq!(news(), [("mail".to_owned(), News::Ended)]);
        features.fall_back("mail", Some("queue"), "", None).unwrap();
        assert!(features.recover("mail") && !features.recover("mail"));
        assert_eq!(news()[1..], [("mail".to_owned(), News::Recovered)]);
        features.fall_back("mail", Some("x"), "", minute).unwrap();
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(!features.recover("mail"));
        assert_eq!(news()[1..], [("mail".to_owned(), News::Ended)]);
    }

    /// Whoever is told looks at once, and sees what he was told.
    #[test]
    fn changes_are_told_in_the_order_they_were_made() {
        let features = Features::default();
        let (seen, wrong) = (features.clone(), Arc::new(Mutex::new(0)));
        let count = wrong.clone();
        features.watch(move |name, news| {
            let degraded = matches!(news, News::Degraded(_));
            std::thread::yield_now();
            *count.lock().unwrap() += u32::from(seen.fallback(name).is_some() != degraded);
        });
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        features.fall_back("mail", Some("queue"), "", None).ok();
                    }
                });
                scope.spawn(|| (0..2_000).for_each(|_| _ = features.recover("mail")));
            }
        });
        assert_eq!(*wrong.lock().unwrap(), 0);
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

//! The fallbacks of a configuration, built.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use seaworthy_core::event::{Event, Level};
use seaworthy_core::names::{event, metric};
use seaworthy_core::route::RouteTable;
use seaworthy_health::Features;
use seaworthy_http::cover::Cover;
use seaworthy_http::fallback::{Cause, Document, Fallback, Fallbacks, Toward};
use seaworthy_lifecycle::journal::Journal;
use seaworthy_telemetry::metrics::Registry;
use serde_json::{Map, Value};

use crate::config::fallbacks::To;
use crate::config::{self, Config};

/// The fallbacks by name, each with the words of the file that it was made by.
#[derive(Debug, Default)]
pub struct Standins {
    by_name: BTreeMap<String, (config::Fallback, Arc<Fallback>)>,
    cover: Fallbacks,
}

impl Standins {
    /// What `config` asks for, in the place of these. One that is described as before goes on.
    pub(super) fn succeeded_by(
        &self,
        config: &Config,
        registry: &Registry,
        journal: &Journal,
    ) -> Self {
        for (name, (one, _)) in &self.by_name {
            if config.fallbacks.get(name) != Some(one) {
                Features::global().recover(one.feature(name));
            }
        }
        let make = |(name, one): (&String, &config::Fallback)| {
            let before = self.by_name.get(name).filter(|(before, _)| before == one);
            let fallback = before.map_or_else(
                || {
                    let fallback = Arc::new(make(name, one, config, journal));
                    count(&fallback, registry);
                    fallback
                },
                |(_, fallback)| fallback.clone(),
            );
            (name.clone(), (one.clone(), fallback))
        };
        let by_name: BTreeMap<_, _> = config.fallbacks.iter().map(make).collect();
        let (mut patterns, mut by_pattern) = (Vec::new(), Vec::new());
        for (one, fallback) in by_name.values() {
            patterns.extend(one.routes.iter().map(String::as_str));
            by_pattern.extend(one.routes.iter().map(|_| fallback.clone()));
        }
        // Checked when the configuration was.
        let patterns = RouteTable::try_new(patterns).unwrap_or_default();
        let cover = Arc::new(Cover::new(Vec::new(), patterns, by_pattern, None));
        Self { by_name, cover }
    }

    /// Which fallback a request has.
    pub fn cover(&self) -> Fallbacks {
        self.cover.clone()
    }
}

fn make(name: &str, one: &config::Fallback, config: &Config, journal: &Journal) -> Fallback {
    let announced = HeaderValue::try_from(format!("{name}={}", one.default));
    let announced = announced.unwrap_or(HeaderValue::from_static("fallback"));
    let toward = match one.to {
        To::Client => Toward::Client(document(name, one)),
        To::App => Toward::App,
    };
    let mut fallback = Fallback::new(name, announced, toward);
    fallback.when = one.causes();
    fallback.standing = one.standing(config);
    let methods = one.methods.iter();
    fallback.methods = methods
        .filter_map(|method| Method::from_bytes(method.as_bytes()).ok())
        .collect();
    let feature = one.feature(name).to_owned();
    Features::global().declare(&feature, Some(&one.default));
    let (journal, default) = (journal.clone(), one.default.clone());
    if let Some(cause) = fallback.standing {
        news(&feature, &default, Some(cause), &journal);
    }
    if one.to == To::App {
        let asked = feature.clone();
        fallback = fallback.degraded_when(move || Features::global().fallback(&asked).is_some());
    }
    fallback.watched(move |cause| news(&feature, &default, cause, &journal))
}

/// A fallback came into use, or the app serves again.
fn news(feature: &str, default: &str, cause: Option<Cause>, journal: &Journal) {
    let features = Features::global();
    match cause {
        Some(cause) => {
            let set = features.fall_back(feature, Some(default), cause.word(), None);
            if set.is_ok() {
                let words = format!("the feature {feature} is on its fallback {default}");
                let event = Event::new(event::FEATURE_DEGRADED, words);
                journal.record(event.with_level(Level::Warn).with_evidence(cause.word()));
            }
        }
        None => {
            if features.recover(feature) {
                let words = format!("the feature {feature} is as it should be again");
                let event = Event::new(event::FEATURE_RECOVERED, words);
                journal.record(event.with_evidence("the app serves it"));
            }
        }
    }
}

fn document(name: &str, one: &config::Fallback) -> Document {
    let usual = || {
        let mut usual = Map::new();
        usual.insert(name.to_owned(), one.default.as_str().into());
        usual.insert("fallback".to_owned(), true.into());
        Value::Object(usual)
    };
    let body = one.body.clone().unwrap_or_else(usual);
    let json = HeaderValue::from_static("application/json");
    let mut headers = HeaderMap::from_iter([(header::CONTENT_TYPE, json)]);
    for (field, value) in &one.headers {
        if let (Ok(field), Ok(value)) = (
            HeaderName::try_from(field.as_str()),
            HeaderValue::try_from(value.as_str()),
        ) {
            headers.insert(field, value);
        }
    }
    Document {
        status: StatusCode::from_u16(one.status).unwrap_or(StatusCode::OK),
        headers,
        body: Bytes::from(body.to_string()),
    }
}

fn count(fallback: &Arc<Fallback>, registry: &Registry) {
    for cause in Cause::ALL {
        let one = fallback.clone();
        // Counters are exact in a float up to 2^53.
        #[allow(clippy::cast_precision_loss)]
        let used = move || one.used(cause) as f64;
        registry.read(&metric::FALLBACKS, &[&fallback.name, cause.word()], used);
    }
}

//! Schemas out of the app's own description: read once it answers, and again whenever another life of it does.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use seaworthy_core::names::event;
use seaworthy_http::validate::openapi::schema;
use serde_json::Value;

use super::face::Face;
use crate::armour::Described;
use crate::instance::client::{Question, call};

/// How often somebody new is looked for.
const LOOK: Duration = Duration::from_millis(250);
/// After a description that could not be read.
const RETRY: Duration = Duration::from_secs(5);
/// How long the app may take over it.
const PATIENCE: Duration = Duration::from_secs(10);
/// Where frameworks put it.
const PATH: &str = "/openapi.json";

/// Fills in the schemas of `routes` for as long as it is polled.
pub(super) async fn keep(routes: Vec<Described>, face: Face) {
    let mut known = BTreeSet::new();
    let mut told = String::new();
    loop {
        let alive = face.alive();
        let lives: BTreeSet<u64> = alive.iter().map(|one| one.id).collect();
        let new = alive.iter().find(|one| !known.contains(&one.id));
        let mut pause = LOOK;
        if let Some(address) = new.and_then(|one| one.address.clone()) {
            let asked = call(&address, Question::get(PATH), PATIENCE).await;
            let outcome = match &asked {
                Ok(answer) => Outcome::of(answer.status, &answer.body),
                Err(error) => Outcome::Later(error.to_string()),
            };
            if let Outcome::Later(_) = outcome {
                pause = RETRY;
            } else {
                known = lives;
            }
            match outcome {
                Outcome::Read(document) => {
                    told.clear();
                    fill(&routes, &document);
                }
                Outcome::Never(why) | Outcome::Later(why) if why != told => {
                    failed(&why);
                    told = why;
                }
                Outcome::Never(_) | Outcome::Later(_) => {}
            }
        }
        tokio::time::sleep(pause).await;
    }
}

/// What came of asking a life of the app.
#[derive(Debug, PartialEq)]
enum Outcome {
    /// This is the description.
    Read(Value),
    /// It has none.
    Never(String),
    /// It may have one later, as an app that is still starting.
    Later(String),
}

impl Outcome {
    fn of(status: StatusCode, body: &[u8]) -> Self {
        let says = || format!("it answers {status}");
        match status.as_u16() {
            200..=299 => serde_json::from_slice(body)
                .map_or_else(|_| Self::Later("it is no JSON".to_owned()), Self::Read),
            404 | 405 | 410 => Self::Never(says()),
            _ => Self::Later(says()),
        }
    }
}

fn failed(why: &str) {
    tracing::warn!(
        event = event::SCHEMA_READ,
        "{PATH} of the app cannot be read, so bodies are not held against it: {why}"
    );
}

fn fill(routes: &[Described], document: &Value) {
    for route in routes {
        let (methods, template) = route
            .pattern
            .trim()
            .split_once(char::is_whitespace)
            .unwrap_or(("POST", &route.pattern));
        // Methods of one route that differ in what they take are routes of their own.
        let method = methods.split('|').next().unwrap_or_default();
        match schema(document, method, template.trim()) {
            Ok(Some(found)) => {
                tracing::info!(
                    event = event::SCHEMA_READ,
                    route = route.pattern,
                    "bodies of {} are held against {PATH} of the app",
                    route.pattern
                );
                route.schema.store(Some(Arc::new(found)));
            }
            Ok(None) => failed(&format!("it says nothing about {}", route.pattern)),
            Err(bad) => failed(&format!("{}: {bad}", route.pattern)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_description_and_the_word_that_there_is_none_end_the_reading() {
        let of = |status: u16, body: &str| {
            Outcome::of(StatusCode::from_u16(status).unwrap(), body.as_bytes())
        };
        assert_eq!(of(200, "{}"), Outcome::Read(json!({})));
        for status in [404, 405, 410] {
            assert!(matches!(of(status, "{}"), Outcome::Never(_)), "{status}");
        }
        for status in [301, 401, 403, 429, 500, 502, 503] {
            assert!(matches!(of(status, "{}"), Outcome::Later(_)), "{status}");
        }
        assert!(matches!(of(200, "<html>starting"), Outcome::Later(_)));
    }
}

//! Schemas out of the app's own description: read once it answers, and again whenever another life of it does.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

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
    loop {
        let alive = face.alive();
        let lives: BTreeSet<u64> = alive.iter().map(|one| one.id).collect();
        let new = alive.iter().find(|one| !known.contains(&one.id));
        let mut pause = LOOK;
        if let Some(address) = new.and_then(|one| one.address.clone()) {
            match call(&address, Question::get(PATH), PATIENCE).await {
                Ok(answer) if answer.status.is_success() => {
                    known = lives;
                    match serde_json::from_slice(&answer.body) {
                        Ok(document) => fill(&routes, &document),
                        Err(_) => failed("it is no JSON"),
                    }
                }
                Ok(answer) => {
                    known = lives;
                    failed(&format!("it answers {}", answer.status));
                }
                Err(error) => {
                    failed(&error.to_string());
                    pause = RETRY;
                }
            }
        }
        tokio::time::sleep(pause).await;
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

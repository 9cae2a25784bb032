//! What those are told who wished for a reload: the answer, the line in the log, the metrics.

use std::time::Instant;

use seaworthy_config::documents::Changes;
use seaworthy_config::{Reloaded, Report, ResultDocument};
use seaworthy_core::names::{event, metric};
use seaworthy_telemetry::metrics::Registry;
use serde_json::json;

use super::Refused;
use crate::config::Config;
use crate::reload::Ask;

/// The name of the service's own configuration among the results.
const OWN: &str = "seaworthy";

/// Those who wait for word, and what they will be told.
#[derive(Debug)]
pub(in crate::run) struct Told {
    asks: Vec<Ask>,
    began: Instant,
    refused: Option<Refused>,
}

impl Told {
    pub(super) fn new(asks: Vec<Ask>, began: Instant, refused: Option<Refused>) -> Self {
        Self {
            asks,
            began,
            refused,
        }
    }

    /// The first who wished it.
    pub(in crate::run) fn first(&self) -> Option<&Ask> {
        self.asks.first()
    }

    /// Why nothing is changed, if nothing is.
    pub(in crate::run) fn refusal(&self) -> Option<&str> {
        self.refused.as_ref().map(|refused| refused.words.as_str())
    }

    /// Tells everybody: those who asked, the log and the metrics. `changed` is what was taken in.
    pub(in crate::run) fn tell(
        self,
        generation: u64,
        changed: Option<&Reloaded<Config>>,
        documents: Option<&Changes>,
        registry: &Registry,
    ) {
        let report = self.report(generation, changed, documents);
        let source = self.asks.first().map_or("", |ask| ask.source.word());
        registry
            .gauge(&metric::CONFIG_GENERATION, &[])
            .set(u32::try_from(generation).unwrap_or(u32::MAX).into());
        registry
            .counter(&metric::CONFIG_APPLY, &[self.result()])
            .inc();
        match &self.refused {
            None => {
                let own = report.results.get(OWN);
                let changes = own.map_or(0, |own| own.changes.len());
                let ms = report.duration_ms;
                tracing::info!(
                    event = event::CONFIG_RELOADED,
                    source,
                    generation,
                    changes,
                    requires_restart = report.requires_restart.join(", "),
                    duration_ms = ms,
                    "{}",
                    words(changes, &report)
                );
            }
            Some(refused) => tracing::error!(
                event = event::CONFIG_REJECTED,
                source,
                generation,
                "{}; what held before still holds:\n{}",
                if refused.is_invalid {
                    "the configuration is wrong and was not taken in"
                } else {
                    "the configuration could not be taken in"
                },
                refused.words
            ),
        }
        for ask in self.asks {
            if let Some(done) = ask.done {
                // Who asked may have gone away meanwhile.
                done.send(report.clone()).ok();
            }
        }
    }

    /// The word for it among the metrics.
    fn result(&self) -> &'static str {
        let goes_back = self.asks.first().is_some_and(|ask| ask.wish.goes_back());
        match &self.refused {
            Some(refused) if refused.is_invalid => "invalid",
            Some(_) => "failed",
            None if goes_back => "reverted",
            None => "success",
        }
    }

    fn report(
        &self,
        generation: u64,
        changed: Option<&Reloaded<Config>>,
        documents: Option<&Changes>,
    ) -> Report {
        let own = changed.map(ResultDocument::of);
        let restart = changed.iter().flat_map(|one| one.requires_restart());
        Report {
            status: if self.refused.is_none() {
                "ok"
            } else {
                "error"
            },
            generation,
            results: (own.map(|own| (OWN.to_owned(), own)).into_iter())
                .chain(documents.into_iter().flat_map(of_documents))
                .collect(),
            requires_restart: restart.map(str::to_owned).collect(),
            duration_ms: self.began.elapsed().as_secs_f64() * 1_000.0,
            problems: self
                .refused
                .as_ref()
                .map(|refused| refused.problems.clone())
                .unwrap_or_default(),
        }
    }
}

/// What became of the documents of each set.
fn of_documents(changes: &Changes) -> impl Iterator<Item = (String, ResultDocument)> {
    changes.iter().map(|(set, documents)| {
        let parts = documents.iter();
        let parts = parts.map(|(name, change)| (name.clone(), json!(change)));
        let result = ResultDocument {
            changed: documents.values().any(|change| change.changed),
            parts: parts.collect(),
            ..ResultDocument::default()
        };
        (set.clone(), result)
    })
}

fn words(changes: usize, report: &Report) -> String {
    let documents = report.results.iter().filter(|(name, _)| *name != OWN);
    let documents = documents.filter(|(_, result)| result.changed).count();
    let settings = changes - report.requires_restart.len().min(changes);
    let what = match (settings, documents) {
        (0, 0) => "the configuration was read again, and nothing of it changes".to_owned(),
        (0, sets) => {
            format!("the documents were taken in: {sets} of their sets changed, and no setting")
        }
        (1, _) => "the configuration was taken in: one setting has changed".to_owned(),
        (many, _) => format!("the configuration was taken in: {many} settings have changed"),
    };
    match report.requires_restart.as_slice() {
        [] => what,
        some => format!("{what}; only after a restart: {}", some.join(", ")),
    }
}

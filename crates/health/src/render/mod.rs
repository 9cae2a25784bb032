//! Snapshots as documents. One model, and one file for each shape.
//!
//! Codes are the same in every shape: a probe that passes is 200, one that does not is 503, and what is meant for people follows
//! readiness as well, so that a tool which only looks at the code is told the truth. Each shape is a type, and its JSON Schema is
//! made from the type, so that neither can say what the other does not.

mod draft;
mod full;
mod harvester;
mod house;
mod kronos;
mod listed;
mod report;
mod schema;
mod scry;
mod soma;
mod word;

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use seaworthy_core::health::Status;
use serde::Serialize;

use crate::report::Component;
use crate::{Answer, Ask, Format, Gate, Snapshot, View};

pub use full::ComponentDocument;
pub use report::ReportDocument;
pub use schema::draft_schema;
use word::{Moment, Word};

/// The media type of the draft.
pub(crate) const DRAFT: &str = "application/health+json";

/// A snapshot as one question sees it.
struct Scene<'a> {
    snapshot: &'a Snapshot,
    ask: Ask<'a>,
    /// What the app itself says of its health, where it was asked.
    part: Option<&'a Component>,
    now: SystemTime,
}

/// The answer to a question; `None` for what is not a document.
pub(crate) fn answer(
    snapshot: &Snapshot,
    ask: Ask<'_>,
    part: Option<&Component>,
    now: SystemTime,
) -> Option<Answer> {
    if !ask.view.is_health() {
        return None;
    }
    if let Some(name) = ask.component
        && part.is_none_or(|part| part.name != name)
    {
        snapshot.report.component(name)?;
    }
    let scene = Scene {
        snapshot,
        ask,
        part,
        now,
    };
    let (media_type, body) = if ask.draft {
        (DRAFT, json(&draft::Document::new(&scene)))
    } else {
        let body = match ask.format {
            Format::Full => json(&full::Document::new(&scene)),
            Format::Scry => json(&scry::Document::new(&scene)),
            Format::Kronos => json(&kronos::Document::new(&scene)),
            Format::House => json(&house::Document::new(&scene)),
            Format::Soma => json(&soma::Document::new(&scene)),
            Format::Harvester => json(&harvester::Document::new(&scene)),
        };
        ("application/json", body)
    };
    Some(Answer {
        code: if scene.passes() { 200 } else { 503 },
        media_type,
        body,
    })
}

fn json(document: &impl Serialize) -> Bytes {
    serde_json::to_vec(document)
        .expect("every key of a document is a text")
        .into()
}

impl Scene<'_> {
    fn passes(&self) -> bool {
        match self.ask.view {
            View::Live => self.snapshot.live() == Gate::Open,
            View::Startup => self.snapshot.started,
            View::Summary => true,
            View::Ready | View::Detailed | View::Metrics | View::Security | View::Reload => {
                self.snapshot.is_ready()
            }
        }
    }

    /// The word of the view.
    fn status(&self) -> Status {
        let passes = |passes| {
            if passes {
                Status::Healthy
            } else {
                Status::Unhealthy
            }
        };
        match self.ask.view {
            View::Live => passes(self.snapshot.live() == Gate::Open),
            View::Startup => passes(self.snapshot.started),
            _ => self.snapshot.status(),
        }
    }

    fn word(&self, status: Status) -> Word {
        Word::new(status, self.ask.case)
    }

    fn status_word(&self) -> Word {
        self.word(self.status())
    }

    /// Why the word is not `healthy`.
    fn reason(&self) -> Option<String> {
        match self.ask.view {
            View::Live => match self.snapshot.live() {
                Gate::Open => None,
                Gate::Closed(reason) => Some(reason),
            },
            View::Startup if self.snapshot.started => None,
            View::Startup => Some("the app has not been ready yet".to_owned()),
            _ if self.ask.outside => self.snapshot.own_reason().map(str::to_owned),
            _ => self.snapshot.reason(),
        }
    }

    /// Whether components belong to the answer.
    fn shows_components(&self) -> bool {
        match self.ask.view {
            View::Detailed => true,
            View::Ready => self.ask.detailed || self.ask.component.is_some(),
            _ => false,
        }
    }

    /// The components that were asked for: what it depends on if the view `shows` that, and the app's own part if there is one.
    /// `None` is no list at all.
    fn components(&self, shows: bool) -> Option<impl Iterator<Item = &Component>> {
        if !shows && self.part.is_none() {
            return None;
        }
        let wanted = self.ask.component;
        let all = if shows && !self.ask.outside {
            self.snapshot.report.components.as_slice()
        } else {
            &[]
        };
        let all = all.iter().map(Arc::as_ref).chain(self.part);
        Some(
            all.filter(move |one| wanted.is_none_or(|wanted| one.name == wanted))
                .filter(|one| self.ask.only.takes(one)),
        )
    }

    fn now(&self) -> Moment {
        Moment(self.now)
    }

    fn uptime(&self) -> u64 {
        self.snapshot.uptime_seconds(self.now)
    }
}

#[cfg(test)]
mod tests;

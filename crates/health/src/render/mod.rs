//! Snapshots as documents. One model, and one file for each shape.
//!
//! Codes are the same in every shape: a probe that passes is 200, one that does not is 503, and what is meant for people follows
//! readiness as well, so that a tool which only looks at the code is told the truth.

mod draft;
mod full;
mod harvester;
mod house;
mod kronos;
mod scry;
mod soma;

use std::sync::Arc;
use std::time::SystemTime;

use seaworthy_core::health::Status;
use serde_json::Value;

use crate::report::Component;
use crate::{Answer, Ask, Case, Format, Gate, Snapshot, View};

/// A snapshot as one question sees it.
struct Scene<'a> {
    snapshot: &'a Snapshot,
    ask: Ask<'a>,
    now: SystemTime,
}

/// The answer to a question; `None` for what is not a document.
pub(crate) fn answer(snapshot: &Snapshot, ask: Ask<'_>, now: SystemTime) -> Option<Answer> {
    if ask.view == View::Metrics {
        return None;
    }
    if let Some(name) = ask.component {
        snapshot.report.component(name)?;
    }
    let scene = Scene { snapshot, ask, now };
    let (media_type, document) = if ask.draft {
        ("application/health+json", draft::document(&scene))
    } else {
        let document = match ask.format {
            Format::Full => full::document(&scene),
            Format::Scry => scry::document(&scene),
            Format::Kronos => kronos::document(&scene),
            Format::House => house::document(&scene),
            Format::Soma => soma::document(&scene),
            Format::Harvester => harvester::document(&scene),
        };
        ("application/json", document)
    };
    Some(Answer {
        code: if scene.passes() { 200 } else { 503 },
        media_type,
        body: document.to_string().into(),
    })
}

impl Scene<'_> {
    fn passes(&self) -> bool {
        match self.ask.view {
            View::Live => self.snapshot.live() == Gate::Open,
            View::Startup => self.snapshot.started,
            View::Summary => true,
            View::Ready | View::Detailed | View::Metrics => self.snapshot.is_ready(),
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

    fn word(&self, status: Status) -> Value {
        match self.ask.case {
            Case::Lower => status.word().into(),
            Case::Upper => status.word().to_uppercase().into(),
        }
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

    /// The components that were asked for.
    fn components(&self) -> impl Iterator<Item = &Arc<Component>> {
        let wanted = self.ask.component;
        let all = if self.ask.outside {
            &[]
        } else {
            self.snapshot.report.components.as_slice()
        };
        all.iter()
            .filter(move |one| wanted.is_none_or(|wanted| one.name == wanted))
            .filter(|one| self.ask.only.takes(one))
    }

    fn now(&self) -> Value {
        timestamp(self.now).into()
    }

    fn uptime(&self) -> Value {
        self.snapshot.uptime_seconds(self.now).into()
    }
}

fn milliseconds(component: &Component) -> Value {
    let ms = component
        .duration
        .map_or(0.0, |took| took.as_secs_f64() * 1e3);
    ((ms * 1e3).round() / 1e3).into()
}

fn timestamp(at: SystemTime) -> String {
    jiff::Timestamp::try_from(at)
        .unwrap_or_default()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

#[cfg(test)]
mod tests;

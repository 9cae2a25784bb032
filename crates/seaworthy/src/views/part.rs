//! Works the app's own answer into a view's.
//!
//! In a document the app's answer is one more component, so that every shape has it in its own place. Metrics of the app are appended; those that bear a name of ours are left out, because a page with a family twice is no
//! page. A page is in one format from its first line to its last, so OpenMetrics is spoken only when the app spoke it too.

use std::collections::HashSet;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};
use seaworthy_core::health::{State, Status, Weight};
use seaworthy_core::names::event;
use seaworthy_health::{Ask, Component, Metadata, View};
use seaworthy_telemetry::metrics;
use serde_json::Value;

use super::Table;

/// The line that ends a page of OpenMetrics.
const END: &str = "# EOF";

/// What the app itself answered.
#[derive(Clone, Debug)]
pub struct Part {
    status: StatusCode,
    openmetrics: bool,
    body: Bytes,
}

impl Part {
    /// An answer of the app.
    pub fn new(status: StatusCode, headers: &HeaderMap, body: Bytes) -> Self {
        let media_type = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        Self {
            status,
            openmetrics: metrics::accepts_openmetrics(media_type),
            body,
        }
    }
}

impl Table {
    /// The answer of a view with the app's part, for a client that sent this `Accept`.
    pub fn merge(&self, ask: Ask<'_>, accept: Option<&str>, part: Option<Part>) -> Response<Bytes> {
        if ask.view == View::Security {
            return self.show(ask, accept);
        }
        if ask.view != View::Metrics {
            return self.document(ask, accept, Some(&component(part)));
        }
        let part = part.filter(|part| part.status == StatusCode::OK);
        let openmetrics = metrics::accepts_openmetrics(accept)
            && part.as_ref().is_none_or(|part| part.openmetrics);
        let own = self.page(openmetrics);
        match part {
            Some(part) => own.map(|own| merge_metrics(&own, &part.body)),
            None => own,
        }
    }
}

/// A component `upstream` with whatever the app said. It can close nothing.
fn component(part: Option<Part>) -> Component {
    let code = part.as_ref().map(|part| part.status.as_u16());
    let (state, status) = match code {
        Some(..400) => (State::Ok, Status::Healthy),
        _ => (State::Fail, Status::Unhealthy),
    };
    let mut component = Component::pending("upstream", "upstream", Weight::Optional, status);
    component.state = state;
    component.message = code.map_or_else(
        || "no answer".to_owned(),
        |code| format!("it answers with {code}"),
    );
    if let Some(Part { status, body, .. }) = part {
        let text = || String::from_utf8_lossy(&body).into_owned().into();
        let said: Value = serde_json::from_slice(&body).unwrap_or_else(|_| text());
        component.metadata = Metadata::from_iter([
            ("code".to_owned(), status.as_u16().into()),
            ("body".to_owned(), said),
        ]);
    }
    component
}

/// Appends the families of `part` whose names are not taken.
fn merge_metrics(own: &Bytes, part: &Bytes) -> Bytes {
    let own = String::from_utf8_lossy(own);
    let taken: HashSet<&str> = own.lines().filter_map(family_header).collect();
    let (mut page, end) = match own.strip_suffix("# EOF\n") {
        Some(page) => (page.to_owned(), "# EOF\n"),
        None => (own.clone().into_owned(), ""),
    };
    let mut keep = true;
    for line in String::from_utf8_lossy(part).lines() {
        if line == END {
            continue;
        }
        match family_header(line) {
            Some(family) => {
                let fresh = !taken.contains(family);
                if keep && !fresh {
                    tracing::warn!(
                        event = event::METRIC_COLLISION,
                        family,
                        "the app exposes a metric under a name of ours; ours is shown"
                    );
                }
                keep = fresh;
            }
            None if !line.starts_with('#') && taken.contains(sample_name(line)) => continue,
            None => {}
        }
        if keep && !line.is_empty() {
            page.push_str(line);
            page.push('\n');
        }
    }
    page.push_str(end);
    page.into()
}

/// The name in a line that describes a family.
fn family_header(line: &str) -> Option<&str> {
    let rest = ["# HELP ", "# TYPE ", "# UNIT "]
        .iter()
        .find_map(|head| line.strip_prefix(head))?;
    rest.split(' ').next()
}

fn sample_name(line: &str) -> &str {
    line.split(['{', ' ']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(body: &'static str) -> Option<Part> {
        let body = Bytes::from_static(body.as_bytes());
        Some(Part::new(StatusCode::OK, &HeaderMap::new(), body))
    }

    #[test]
    fn the_apps_metrics_follow_ours_and_collisions_vanish() {
        let own = Bytes::from_static(b"# HELP http_requests_total x\n# TYPE http_requests_total counter\nhttp_requests_total 1\n");
        let part = Bytes::from_static(
            b"# HELP http_requests_total y\n# TYPE http_requests_total counter\nhttp_requests_total 9\n# TYPE mine gauge\nmine{a=\"b\"} 2\nbare 3\n# EOF\n",
        );
        let page = merge_metrics(&own, &part);
        assert_eq!(
            std::str::from_utf8(&page).expect("text"),
            "# HELP http_requests_total x\n# TYPE http_requests_total counter\nhttp_requests_total 1\n# TYPE mine gauge\nmine{a=\"b\"} 2\nbare 3\n"
        );
    }

    #[test]
    fn the_end_of_a_page_stays_its_end() {
        let own = Bytes::from_static(b"# TYPE a counter\na_total 1\n# EOF\n");
        let part = Bytes::from_static(
            b"# UNIT a seconds\n# TYPE a counter\na_total 9\n# TYPE b counter\nb_total 2\n# EOF\n",
        );
        assert_eq!(
            &merge_metrics(&own, &part)[..],
            b"# TYPE a counter\na_total 1\n# TYPE b counter\nb_total 2\n# EOF\n"
        );
    }

    #[test]
    fn the_apps_document_becomes_a_component() {
        let said = component(part("{\"app\":1}"));
        assert_eq!((said.state, said.weight), (State::Ok, Weight::Optional));
        assert_eq!(said.metadata["body"], serde_json::json!({"app": 1}));
        let nothing = component(None);
        assert_eq!(
            (nothing.status, nothing.message.as_str()),
            (Status::Unhealthy, "no answer")
        );
    }
}

//! Works the app's own answer into a view's.
//!
//! Metrics of the app are appended; those that bear a name of ours are left out, because a page with a family twice is no
//! page. A page is in one format from its first line to its last, so OpenMetrics is spoken only when the app spoke it too.

use std::collections::HashSet;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};
use seaworthy_core::names::event;
use seaworthy_health::{Ask, View};
use seaworthy_telemetry::metrics;
use serde_json::{Value, json};

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
        if ask.view != View::Metrics {
            let own = self.show(ask, accept);
            return own.map(|own| merge_document(&own, part).unwrap_or(own));
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

/// Adds a component `upstream` with whatever the app said.
fn merge_document(own: &Bytes, part: Option<Part>) -> Option<Bytes> {
    let mut document: Value = serde_json::from_slice(own).ok()?;
    let component = match part {
        Some(Part { status, body, .. }) => json!({
            "name": "upstream",
            "status": if status.as_u16() < 400 { "healthy" } else { "unhealthy" },
            "critical": false,
            "metadata": {
                "code": status.as_u16(),
                "body": serde_json::from_slice::<Value>(&body)
                    .unwrap_or_else(|_| String::from_utf8_lossy(&body).into_owned().into()),
            },
        }),
        None => {
            json!({"name": "upstream", "status": "unhealthy", "message": "no answer", "critical": false})
        }
    };
    let components = document
        .as_object_mut()?
        .entry("components")
        .or_insert_with(|| json!([]));
    components.as_array_mut()?.push(component);
    Some(document.to_string().into())
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
        let own = Bytes::from_static(b"{\"status\":\"healthy\"}");
        let merged = merge_document(&own, part("{\"app\":1}")).expect("a document");
        let document: Value = serde_json::from_slice(&merged).expect("json");
        assert_eq!(document["components"][0]["name"], "upstream");
        assert_eq!(
            document["components"][0]["metadata"]["body"],
            json!({"app": 1})
        );
        let without = merge_document(&own, None).expect("a document");
        let document: Value = serde_json::from_slice(&without).expect("json");
        assert_eq!(document["components"][0]["status"], "unhealthy");
    }
}

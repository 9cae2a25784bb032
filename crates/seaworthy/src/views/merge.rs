//! Works the app's own answer into a view's.
//!
//! The app is asked like by any other request, but not for long: a view without the app's part is better than none. Metrics
//! of the app are appended; those that bear a name of ours are left out, because a page with a family twice is no page.

use std::collections::HashSet;
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Limited};
use pin_project_lite::pin_project;
use seaworthy_core::names::event;
use seaworthy_health::View;
use seaworthy_http::exchange::Viewed;
use serde_json::{Value, json};
use tower::{Layer, Service};

use super::{Entry, Mode, Table};

/// What the app gets to answer its part.
pub const PATIENCE: Duration = Duration::from_secs(1);
/// The largest part that is worked in.
const LARGEST: usize = 4 * 1024 * 1024;

/// Puts a [`Merge`] around a service.
#[derive(Clone, Debug)]
pub struct MergeLayer(Rc<Table>);

impl MergeLayer {
    /// Merges the entries of `table` that ask for it.
    pub fn new(table: Rc<Table>) -> Self {
        Self(table)
    }
}

impl<S> Layer<S> for MergeLayer {
    type Service = Merge<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Merge {
            inner,
            table: self.0.clone(),
        }
    }
}

/// See the [module documentation](self).
#[derive(Clone, Debug)]
pub struct Merge<S> {
    inner: S,
    table: Rc<Table>,
}

impl<S, B, R> Service<Request<B>> for Merge<S>
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible>,
    S::Future: 'static,
    R: Body<Data = Bytes> + From<Bytes>,
    R::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<R>;
    type Error = Infallible;
    type Future = ResponseFuture<S::Future, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let merged = self
            .table
            .merged(request.method(), request.uri().path())
            .map(|entry| entry.view);
        let future = self.inner.call(request);
        let Some(view) = merged else {
            return ResponseFuture {
                state: State::App { future },
            };
        };
        let table = self.table.clone();
        let future = Box::pin(async move {
            let part = tokio::time::timeout(PATIENCE, collect(future))
                .await
                .unwrap_or(None);
            let mut answer = table.show(view, None).map(|own| merge(view, &own, part));
            answer.extensions_mut().insert(Viewed);
            answer.map(R::from)
        });
        ResponseFuture {
            state: State::Merged { future },
        }
    }
}

pin_project! {
    /// The app's answer, or one of both.
    pub struct ResponseFuture<F, R> {
        #[pin]
        state: State<F, R>,
    }
}

pin_project! {
    #[project = Projected]
    enum State<F, R> {
        App { #[pin] future: F },
        Merged { future: Pin<Box<dyn Future<Output = Response<R>>>> },
    }
}

impl<F, R> std::fmt::Debug for ResponseFuture<F, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

impl<F, R> Future for ResponseFuture<F, R>
where
    F: Future<Output = Result<Response<R>, Infallible>>,
{
    type Output = Result<Response<R>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            Projected::App { future } => future.poll(cx),
            Projected::Merged { future } => future.as_mut().poll(cx).map(Ok),
        }
    }
}

/// Status and body of the app's answer, if it is one.
async fn collect<F, R>(future: F) -> Option<(u16, Bytes)>
where
    F: Future<Output = Result<Response<R>, Infallible>>,
    R: Body<Data = Bytes>,
    R::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let Ok(response) = future.await;
    let (parts, body) = response.into_parts();
    let body = Limited::new(Box::pin(body), LARGEST)
        .collect()
        .await
        .ok()?
        .to_bytes();
    Some((parts.status.as_u16(), body))
}

/// Works status and body of the app's answer into our own document or page.
pub fn merge(view: View, own: &Bytes, part: Option<(u16, Bytes)>) -> Bytes {
    match (view, part) {
        (View::Metrics, Some((200, part))) => merge_metrics(own, &part),
        (View::Metrics, _) => own.clone(),
        (_, part) => merge_document(own, part).unwrap_or_else(|| own.clone()),
    }
}

/// Adds a component `upstream` with whatever the app said.
fn merge_document(own: &Bytes, part: Option<(u16, Bytes)>) -> Option<Bytes> {
    let mut document: Value = serde_json::from_slice(own).ok()?;
    let component = match part {
        Some((code, body)) => json!({
            "name": "upstream",
            "status": if code < 400 { "healthy" } else { "unhealthy" },
            "critical": false,
            "metadata": {
                "code": code,
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
    let own_text = String::from_utf8_lossy(own);
    let taken: HashSet<&str> = own_text.lines().filter_map(family_header).collect();
    let mut page = own_text.clone().into_owned();
    let mut keep = true;
    for line in String::from_utf8_lossy(part).lines() {
        if line == "# EOF" {
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
    page.into()
}

/// The name in a `# HELP` or `# TYPE` line.
fn family_header(line: &str) -> Option<&str> {
    let rest = line
        .strip_prefix("# HELP ")
        .or_else(|| line.strip_prefix("# TYPE "))?;
    rest.split(' ').next()
}

fn sample_name(line: &str) -> &str {
    line.split(['{', ' ']).next().unwrap_or_default()
}

impl Table {
    /// The entry for this request that wants the app's answer as well.
    pub fn merged(&self, method: &Method, path: &str) -> Option<&Entry> {
        let entry = self.find(path)?;
        (entry.answers == Mode::Merge && (method == Method::GET || method == Method::HEAD))
            .then_some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn the_apps_document_becomes_a_component() {
        let own = Bytes::from_static(b"{\"status\":\"healthy\"}");
        let merged = merge_document(&own, Some((200, Bytes::from_static(b"{\"app\":1}"))))
            .expect("a document");
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

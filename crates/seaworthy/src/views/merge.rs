//! The layer for views that somebody has to be asked for: the app for its part, or whoever takes the configuration in anew.
//!
//! The app is asked like by any other request, but not for long: a view without the app's part is better than none.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::{BodyExt, Limited};
use pin_project_lite::pin_project;
use seaworthy_core::catalogue;
use seaworthy_http::error::Error;
use seaworthy_http::exchange::{Exchange, Viewed};
use seaworthy_http::rescue::Format;
use tower::{Layer, Service};

use super::{Entry, Mode, Part, Table, respond};
use crate::reload::{Ask, Asker, Source};

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

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if let Some(asker) = self.table.wish(request.method(), request.uri().path()) {
            let asker = asker.clone();
            let future = Box::pin(async move {
                let mut answer = granted(&asker, Source::Endpoint).await;
                answer.extensions_mut().insert(Viewed);
                answer.map(R::from)
            });
            return ResponseFuture {
                state: State::Merged { future },
            };
        }
        let merged = self
            .table
            .merged(request.method(), request.uri().path())
            .map(|entry| entry.ask);
        let Some(ask) = merged else {
            let future = self.inner.call(request);
            return ResponseFuture {
                state: State::App { future },
            };
        };
        // The fields of the part are not those of the view.
        if let Some(exchange) = request.extensions_mut().get_mut::<Exchange>() {
            exchange.overlay = None;
        }
        // A compressed part could not be worked in.
        request.headers_mut().remove(header::ACCEPT_ENCODING);
        let accept = accept(request.headers()).map(str::to_owned);
        let query = request.uri().query().map(str::to_owned);
        let future = self.inner.call(request);
        let table = self.table.clone();
        let future = Box::pin(async move {
            let part = tokio::time::timeout(PATIENCE, collect(future))
                .await
                .unwrap_or(None);
            let mut answer = table.merge(ask.query(query.as_deref()), accept.as_deref(), part);
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

/// Has the configuration taken in anew, and says what became of it.
pub async fn granted(asker: &Asker, source: Source) -> Response<Bytes> {
    let Some(report) = asker.ask(Ask::new(source)).await else {
        return Format::Envelope.render(&Error::new(&catalogue::SHUTTING_DOWN), None);
    };
    let code = StatusCode::from_u16(report.code()).unwrap_or_default();
    respond(
        code,
        "application/json",
        report.to_json().to_string().into(),
    )
}

/// The formats that a request asks for, in its own words.
pub(super) fn accept(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::ACCEPT)?.to_str().ok()
}

/// The app's answer, if it is one.
async fn collect<F, R>(future: F) -> Option<Part>
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
    Some(Part::new(parts.status, &parts.headers, body))
}

impl Table {
    /// The entry for this request that wants the app's answer as well.
    pub fn merged(&self, method: &Method, path: &str) -> Option<&Entry> {
        let entry = self.find(path)?;
        (entry.answers == Mode::Merge && (method == Method::GET || method == Method::HEAD))
            .then_some(entry)
    }
}

//! What stands between a request and an app that fails: breakers, repetitions, the time of a try, fallbacks.

mod attempt;
mod breaker;
mod fallback;
mod rescue;
mod retry;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::MapErr;
use http_body_util::{BodyExt as _, Full};
use seaworthy_core::clock::Clock;
use seaworthy_http::body::Tunnel;
use seaworthy_http::error::{BodyError, Error};
use seaworthy_http::exchange::Exchange;
use tower::Service;

pub(crate) type Answer = Response<Body>;

/// A body that is there.
#[derive(Debug)]
pub(crate) struct Body(MapErr<Full<Bytes>, fn(Infallible) -> BodyError>);

impl Body {
    pub(crate) fn new(bytes: impl Into<Bytes>) -> Self {
        Self(Full::new(bytes.into()).map_err(|never| match never {}))
    }
}

impl Tunnel for Body {
    fn start_tunnel(&mut self) {}
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, BodyError>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.0.size_hint()
    }
}

pub(crate) fn answer(status: u16) -> Answer {
    let mut response = Response::new(Body::new("answer"));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response
}

pub(crate) fn request(method: &str, path: &str, body: &'static str) -> Request<Body> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .body(Body::new(body))
        .expect("a request");
    let exchange = Exchange::new(Instant::now(), None, false);
    request.extensions_mut().insert(exchange);
    request
}

/// A clock that begins now.
pub(crate) fn clock(scale: u32) -> Clock {
    Clock::new(Instant::now(), scale)
}

/// What an app makes of its `n`th request, from 1, and of the request's body.
type Script = dyn Fn(usize, Bytes) -> Pin<Box<dyn Future<Output = Result<Answer, Error>> + Send>>
    + Send
    + Sync;

/// An app by script. It panics when it is called without having been asked whether it is ready, as the contract of
/// `Service` allows; a clone has not been asked.
pub(crate) struct App {
    script: Arc<Script>,
    ready: bool,
    seen: Arc<Seen>,
}

#[derive(Default)]
pub(crate) struct Seen {
    calls: AtomicUsize,
    bodies: Mutex<Vec<String>>,
}

impl Seen {
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    pub(crate) fn bodies(&self) -> Vec<String> {
        self.bodies.lock().expect("unpoisoned").clone()
    }
}

impl Clone for App {
    fn clone(&self) -> Self {
        Self {
            script: self.script.clone(),
            ready: false,
            seen: self.seen.clone(),
        }
    }
}

/// An app that answers its `n`th request, from 1, as `script` says.
pub(crate) fn app(
    script: impl Fn(usize) -> Result<Answer, Error> + Send + Sync + 'static,
) -> (App, Arc<Seen>) {
    acting(move |number, _| {
        let answer = script(number);
        Box::pin(std::future::ready(answer))
    })
}

pub(crate) fn acting(
    script: impl Fn(usize, Bytes) -> Pin<Box<dyn Future<Output = Result<Answer, Error>> + Send>>
    + Send
    + Sync
    + 'static,
) -> (App, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    let app = App {
        script: Arc::new(script),
        ready: false,
        seen: seen.clone(),
    };
    (app, seen)
}

impl<B> Service<Request<B>> for App
where
    B: http_body::Body<Data = Bytes, Error = BodyError> + Send + 'static,
{
    type Response = Answer;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        assert!(
            std::mem::replace(&mut self.ready, false),
            "called without having been asked"
        );
        let number = self.seen.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let (script, seen) = (self.script.clone(), self.seen.clone());
        Box::pin(async move {
            let fallback = request.headers().get("x-fallback").cloned();
            let body = match request.into_body().collect().await {
                Ok(body) => body.to_bytes(),
                Err(_) => Bytes::from_static(b"cut"),
            };
            let text = String::from_utf8_lossy(&body).into_owned();
            seen.bodies.lock().expect("unpoisoned").push(text);
            let mut result = script(number, body).await;
            if let (Ok(answer), Some(value)) = (&mut result, fallback) {
                answer.headers_mut().insert("x-told", value);
            }
            result
        })
    }
}

//! The layer that collects a body, has it checked, and passes it on.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, header};
use http_body::Body;
use pin_project_lite::pin_project;
use seaworthy_core::catalogue;
use tokio::sync::Semaphore;
use tower_layer::Layer;
use tower_service::Service;

use super::{ByRoute, Checked, Mode, Rules, Violation};
use crate::error::{BodyError, Error};
use crate::exchange::Exchange;
use crate::media::is_json;

/// So many large bodies are checked at a time, in the whole process: others wait, and the workers keep their processors.
static ROOM: LazyLock<Arc<Semaphore>> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    Arc::new(Semaphore::new(cores))
});

/// Is told of bodies that broke a rule.
pub trait Watch: Send + Sync {
    /// One did, and this is what was done about it.
    fn failed(&self, mode: Mode);
}

/// Puts a [`Validate`] around a service.
#[derive(Clone)]
pub struct ValidateLayer {
    rules: ByRoute,
    watch: Option<Arc<dyn Watch>>,
}

impl fmt::Debug for ValidateLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rules.fmt(f)
    }
}

impl ValidateLayer {
    /// Holds bodies against the rules of their routes, and tells `watch`.
    pub fn new(rules: ByRoute, watch: Option<Arc<dyn Watch>>) -> Self {
        Self { rules, watch }
    }
}

impl<S> Layer<S> for ValidateLayer {
    type Service = Validate<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Validate {
            inner,
            layer: self.clone(),
        }
    }
}

/// See the [module documentation](super).
#[derive(Clone, Debug)]
pub struct Validate<S> {
    inner: S,
    layer: ValidateLayer,
}

impl ValidateLayer {
    /// The rules for a request, if anybody looks at it.
    fn rules_for<B: Body>(&self, request: &Request<B>) -> Option<Arc<Rules>> {
        let exchange = request.extensions().get::<Exchange>();
        let route = exchange.map(|exchange| exchange.route).unwrap_or_default();
        let rules = self.rules.get(route.index())?.as_ref()?;
        let tunnels = exchange.is_some_and(|exchange| exchange.upgrade);
        // What has no body and needs none; one that should have a body and has none is found out.
        let needs = matches!(
            *request.method(),
            Method::POST | Method::PUT | Method::PATCH
        );
        let bodiless = request.body().is_end_stream() && !needs;
        (rules.mode != Mode::Off && !tunnels && !bodiless).then(|| rules.clone())
    }
}

impl<S, B> Service<Request<B>> for Validate<S>
where
    B: Body<Data = Bytes, Error = BodyError> + Unpin,
    S: Service<Request<Checked<B>>, Error = Error> + Clone,
{
    type Response = S::Response;
    type Error = Error;
    type Future = ResponseFuture<S, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Some(rules) = self.layer.rules_for(&request) else {
            let future = self.inner.call(request.map(Checked::untouched));
            return ResponseFuture {
                state: State::Running { future },
            };
        };
        // The one that was ready goes with the request, or its readiness would be lost.
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        let state = State::Collecting {
            held: Some(Box::new(Held {
                inner,
                request: request.map(Checked::untouched),
                rules,
                watch: self.layer.watch.clone(),
            })),
        };
        ResponseFuture { state }
    }
}

/// A request that waits to be checked.
struct Held<S, B> {
    inner: S,
    request: Request<Checked<B>>,
    rules: Arc<Rules>,
    watch: Option<Arc<dyn Watch>>,
}

/// What collecting came to.
enum Collected {
    Whole,
    TooLarge,
}

impl<S, B> Held<S, B>
where
    B: Body<Data = Bytes, Error = BodyError> + Unpin,
    S: Service<Request<Checked<B>>, Error = Error>,
{
    fn poll_collect(&mut self, cx: &mut Context<'_>) -> Poll<Result<Collected, Error>> {
        let most = self.rules.max_body as u64;
        let body = self.request.body_mut();
        if body
            .waiting()
            .saturating_add(body.rest().size_hint().lower())
            > most
        {
            return Poll::Ready(Ok(Collected::TooLarge));
        }
        loop {
            match ready!(Pin::new(body.rest()).poll_frame(cx)) {
                None => {
                    body.end();
                    return Poll::Ready(Ok(Collected::Whole));
                }
                Some(Err(error)) => return Poll::Ready(Err(Error::from(&error))),
                Some(Ok(frame)) => {
                    body.push(frame);
                    if body.waiting() > most {
                        return Poll::Ready(Ok(Collected::TooLarge));
                    }
                }
            }
        }
    }

    /// Passes it on, or refuses it, according to what was found and the mode.
    fn decide(mut self, found: Result<(), Error>) -> Result<S::Future, Error> {
        if let Err(error) = found {
            if let Some(watch) = &self.watch {
                watch.failed(self.rules.mode);
            }
            if self.rules.mode == Mode::Enforce {
                return Err(error);
            }
        }
        Ok(self.inner.call(self.request))
    }
}

/// Why the body cannot be read as JSON, from what its fields say.
fn unreadable(headers: &HeaderMap) -> Option<Error> {
    let refused = |reason: &'static str| {
        Some(Error::new(&catalogue::UNSUPPORTED_MEDIA).with("reason", reason))
    };
    let mut encodings = headers.get_all(header::CONTENT_ENCODING).into_iter();
    if encodings.any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return refused("a compressed body cannot be checked");
    }
    let mut kinds = headers.get_all(header::CONTENT_TYPE).into_iter();
    let (first, second) = (kinds.next(), kinds.next());
    let kind = first
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    if !is_json(kind) || second.is_some() {
        return refused("only JSON can be checked");
    }
    let (_, parameters) = kind.split_once(';').unwrap_or((kind, ""));
    let parameters = parameters.to_ascii_lowercase();
    let charset = parameters
        .split_once("charset=")
        .map(|(_, charset)| charset.trim_matches(['"', ' ']));
    if charset.is_some_and(|charset| !charset.starts_with("utf-8") && !charset.starts_with("utf8"))
    {
        return refused("only UTF-8 can be checked");
    }
    None
}

type Checking = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// Checks a large body where it holds nobody up.
fn apart(rules: Arc<Rules>, body: Bytes) -> Checking {
    Box::pin(async move {
        // Nobody closes it.
        let room = ROOM.clone().acquire_owned().await.ok();
        let checked = tokio::task::spawn_blocking(move || {
            let checked = rules
                .check(&body)
                .map_err(|violation| violation.error(rules.echo));
            drop(room);
            checked
        });
        // Validation fails closed: what broke the check might break the app.
        checked
            .await
            .unwrap_or_else(|_| Err(Error::new(&catalogue::INTERNAL)))
    })
}

pin_project! {
    /// Ends with the answer, or with what is wrong.
    pub struct ResponseFuture<S, B>
    where
        S: Service<Request<Checked<B>>>,
    {
        #[pin]
        state: State<S, B, S::Future>,
    }
}

impl<S: Service<Request<Checked<B>>>, B> fmt::Debug for ResponseFuture<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

pin_project! {
    #[project = Projected]
    enum State<S, B, F> {
        // Boxed, as the error is: they are larger than the future of a request that nobody looks at.
        Collecting { held: Option<Box<Held<S, B>>> },
        Checking { checking: Checking, held: Option<Box<Held<S, B>>> },
        Running { #[pin] future: F },
        Refused { error: Option<Box<Error>> },
    }
}

impl<S, B> Future for ResponseFuture<S, B>
where
    B: Body<Data = Bytes, Error = BodyError> + Unpin,
    S: Service<Request<Checked<B>>, Error = Error>,
{
    type Output = Result<S::Response, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                Projected::Refused { error } => {
                    return error
                        .take()
                        .map_or(Poll::Pending, |error| Poll::Ready(Err(*error)));
                }
                Projected::Running { future } => return future.poll(cx),
                Projected::Collecting { held } => {
                    let collected = match held {
                        Some(held) => ready!(held.poll_collect(cx)),
                        None => return Poll::Pending,
                    };
                    match (collected, held.take()) {
                        (Ok(collected), Some(held)) => after(collected, held),
                        (Err(error), _) => State::refused(error),
                        (_, None) => return Poll::Pending,
                    }
                }
                Projected::Checking { checking, held } => {
                    let found = ready!(checking.as_mut().poll(cx));
                    match held.take() {
                        Some(held) => settled(*held, found),
                        None => return Poll::Pending,
                    }
                }
            };
            state.set(next);
        }
    }
}

impl<S, B, F> State<S, B, F> {
    fn refused(error: Error) -> Self {
        Self::Refused {
            error: Some(Box::new(error)),
        }
    }
}

fn after<S, B>(collected: Collected, held: Box<Held<S, B>>) -> State<S, B, S::Future>
where
    B: Body<Data = Bytes, Error = BodyError> + Unpin,
    S: Service<Request<Checked<B>>, Error = Error>,
{
    let rules = held.rules.clone();
    if matches!(collected, Collected::TooLarge) {
        let error = Error::new(&catalogue::PAYLOAD_TOO_LARGE).with("limit_bytes", rules.max_body);
        return settled(*held, Err(error));
    }
    let body = held.request.body().whole();
    if !body.is_empty()
        && let Some(error) = unreadable(held.request.headers())
    {
        return settled(*held, Err(error));
    }
    if !rules.is_quick(body.len()) {
        return State::Checking {
            checking: apart(rules, body),
            held: Some(held),
        };
    }
    let found = rules
        .check(&body)
        .map_err(|violation: Violation| violation.error(rules.echo));
    settled(*held, found)
}

fn settled<S, B>(held: Held<S, B>, found: Result<(), Error>) -> State<S, B, S::Future>
where
    B: Body<Data = Bytes, Error = BodyError> + Unpin,
    S: Service<Request<Checked<B>>, Error = Error>,
{
    match held.decide(found) {
        Ok(future) => State::Running { future },
        Err(error) => State::refused(error),
    }
}

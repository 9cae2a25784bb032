//! The layer that watches what the layers below refuse.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use http::Request;
use pin_project_lite::pin_project;
use seaworthy_core::abuse::{Event, Noted, Rules, Suspect, Watch};
use seaworthy_core::catalogue::{self, ErrorType};
use seaworthy_core::clock::Clock;
use seaworthy_core::names;
use seaworthy_core::principal::Principal;
use seaworthy_core::route::{RouteId, RouteTable};
use tower_layer::Layer;
use tower_service::Service;

use crate::error::Error;
use crate::exchange::Exchange;
use crate::gated::Gated;
use crate::reveal::Reveal;

/// Where the layer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Above authentication.
    Outside,
    /// Below it.
    Inside,
}

/// Who is watched, and by which rules.
pub struct Guard {
    /// All who drew attention lately.
    pub watch: Arc<Watch>,
    /// When they are flagged.
    pub rules: Rules,
    /// Whether requests of those who are flagged are refused.
    pub block: bool,
    /// Paths that only scanners ask for.
    pub scanners: RouteTable,
    /// What the moments are of.
    pub clock: Clock,
    /// How somebody is told in the log.
    pub reveal: Reveal,
    /// Called for each event that counted.
    pub counted: Box<dyn Fn(Event) + Send + Sync>,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard")
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

/// What an error says about its cause.
fn event(error: &'static ErrorType, place: Place) -> Option<Event> {
    let is = |other: &ErrorType| error.name == other.name;
    match place {
        Place::Outside if is(&catalogue::IP_BLOCKED) => Some(Event::Denied),
        Place::Outside if is(&catalogue::UNAUTHORIZED) || is(&catalogue::FORBIDDEN) => {
            Some(Event::AuthFailed)
        }
        Place::Inside if error.status == 429 && !is(&catalogue::ABUSE_DETECTED) => {
            Some(Event::Denied)
        }
        Place::Inside if matches!(error.status, 413 | 422) => Some(Event::ValidationFailed),
        _ => None,
    }
}

/// Whom an event is held against.
#[derive(Debug, Clone)]
enum Who {
    Known(Arc<Principal>),
    Client(std::net::IpAddr),
}

impl Who {
    fn of(exchange: &Exchange) -> Option<Self> {
        let known = exchange.principal.clone().map(Self::Known);
        known.or_else(|| exchange.client.map(Self::Client))
    }

    fn with<T>(&self, act: impl FnOnce(Suspect<'_>) -> T) -> T {
        match self {
            Self::Known(principal) => act(Suspect {
                kind: principal.kind.word(),
                id: &principal.id,
            }),
            Self::Client(address) => act(Suspect {
                kind: "client",
                id: &seaworthy_core::ban::key(*address).to_string(),
            }),
        }
    }
}

impl Guard {
    fn note(&self, who: &Who, event: Event, at: Instant) {
        if !self.rules.events.has(event) {
            return;
        }
        let now = self.clock.at(at);
        let noted = who.with(|who| self.watch.note(who, event, &self.rules, now));
        if noted != Noted::Ignored {
            (self.counted)(event);
        }
        let Noted::Flagged(flag) = noted else { return };
        let shown = self.reveal.name(&flag.id);
        let next = if self.block {
            "its requests are refused"
        } else {
            "nothing is refused"
        };
        tracing::warn!(
            event = names::event::ABUSE_FLAGGED,
            kind = &*flag.kind,
            who = shown,
            reason = &*flag.reason,
            "the {} {shown} is flagged ({}); {next}",
            flag.kind,
            flag.reason
        );
    }

    /// What is known of a request before it goes on; the refusal of one who is flagged.
    fn look<B>(&self, request: &Request<B>, who: &Who, at: Instant) -> Option<Error> {
        let now = self.clock.at(at);
        if self.block
            && let Some(until) = who.with(|who| self.watch.flagged_until(who, now))
        {
            let left = until.since(now);
            return Some(Error::new(&catalogue::ABUSE_DETECTED).retry_after(left));
        }
        let path = request.uri().path();
        if self.scanners.find(request.method().as_str(), path) != RouteId::UNMATCHED {
            self.note(who, Event::Scanned, at);
        }
        self.note(who, Event::Request, at);
        None
    }
}

/// Puts an [`Abuse`] around a service.
#[derive(Clone, Debug)]
pub struct AbuseLayer {
    guard: Option<Arc<Guard>>,
    place: Place,
}

impl AbuseLayer {
    /// Watches as `guard` says; not at all without one.
    pub fn new(guard: Option<Arc<Guard>>, place: Place) -> Self {
        Self { guard, place }
    }
}

impl<S> Layer<S> for AbuseLayer {
    type Service = Abuse<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Abuse {
            inner,
            guard: self.guard.clone(),
            place: self.place,
        }
    }
}

/// See the [module documentation](super).
#[derive(Clone, Debug)]
pub struct Abuse<S> {
    inner: S,
    guard: Option<Arc<Guard>>,
    place: Place,
}

impl<S, B, R> Service<Request<B>> for Abuse<S>
where
    S: Service<Request<B>, Response = R, Error = Error>,
{
    type Response = R;
    type Error = Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let known = self.guard.as_ref().and_then(|guard| {
            let exchange = request.extensions().get::<Exchange>()?;
            Some(Box::new(Known {
                guard: guard.clone(),
                who: Who::of(exchange)?,
                at: exchange.started,
                place: self.place,
            }))
        });
        if let Some(known) = &known
            && self.place == Place::Inside
            && let Some(error) = known.guard.look(&request, &known.who, known.at)
        {
            return ResponseFuture {
                future: Gated::refused(error),
                known: None,
            };
        }
        ResponseFuture {
            future: Gated::running(self.inner.call(request)),
            known,
        }
    }
}

/// Who made a request that is watched.
#[derive(Debug)]
struct Known {
    guard: Arc<Guard>,
    who: Who,
    at: Instant,
    place: Place,
}

pin_project! {
    /// Ends as the request ends, and notes how.
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        future: Gated<F>,
        known: Option<Box<Known>>,
    }
}

impl<F, R> Future for ResponseFuture<F>
where
    F: Future<Output = Result<R, Error>>,
{
    type Output = Result<R, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.future.poll(cx));
        if let (Err(error), Some(known)) = (&result, this.known)
            && let Some(event) = event(error.kind(), known.place)
        {
            known.guard.note(&known.who, event, known.at);
        }
        Poll::Ready(result)
    }
}

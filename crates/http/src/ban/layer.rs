//! The layer in front of everything that costs something.

use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderMap, Request};
use seaworthy_core::ban::{Rules, Table, Verdict};
use seaworthy_core::catalogue;
use seaworthy_core::clock::{Clock, Moment};
use seaworthy_core::names::event;
use tower_layer::Layer;
use tower_service::Service;

use crate::error::Error;
use crate::exchange::Exchange;
use crate::gated::Gated;
use crate::reveal::Reveal;

/// Tells by the head of a request that its sender is not to be counted.
pub type Exempts = Arc<dyn Fn(&HeaderMap) -> bool + Send + Sync>;

/// Who is shut out, and by which rules.
#[derive(Clone)]
pub struct Guard {
    /// All who matter.
    pub table: Arc<Table>,
    /// When to block; without any, only what was blocked by hand is.
    pub rules: Option<Rules>,
    /// Whether the rules hold, by route; the first is that of requests without one. A missing route is counted.
    pub counted: Arc<[bool]>,
    /// Who is not counted, whatever the route: senders of known keys.
    pub exempts: Option<Exempts>,
    /// What the moments are of.
    pub clock: Clock,
    /// How an address is told in the log.
    pub reveal: Reveal,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard")
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

impl Guard {
    fn refuses<B>(&self, request: &Request<B>) -> Option<Error> {
        let exchange = request.extensions().get::<Exchange>()?;
        let client = exchange.client?;
        let now = self.clock.at(exchange.started);
        let counted = self.counted.get(usize::from(exchange.route.0));
        let exempt = || {
            self.exempts
                .as_ref()
                .is_some_and(|exempts| exempts(request.headers()))
        };
        let rules = self
            .rules
            .as_ref()
            .filter(|_| counted.copied().unwrap_or(true) && !exempt());
        match self.table.admit(client, rules, now) {
            Verdict::Pass | Verdict::Uncounted => None,
            Verdict::Blocked { until, first } => {
                if first {
                    self.tell(client, now, until);
                }
                let left = until.since(now);
                let error = Error::new(&catalogue::IP_BLOCKED).retry_after(left);
                Some(error.with("scopes", vec!["ip"]))
            }
        }
    }

    fn tell(&self, client: IpAddr, now: Moment, until: Moment) {
        let client = self.reveal.address(client);
        let seconds = until.since(now).as_secs();
        let (most, window) = self
            .rules
            .map_or((0, 0), |rules| (rules.threshold, rules.window.as_secs()));
        tracing::warn!(
            event = event::BAN_SET,
            address = client,
            seconds,
            cause = "too many requests",
            "{client} is blocked for {seconds} s (more than {most} requests within {window} s); \
             `seaworthy ctl unban` lets it in again"
        );
    }
}

/// Puts a [`Ban`] in front of a service.
#[derive(Clone, Debug)]
pub struct BanLayer(Option<Arc<Guard>>);

impl BanLayer {
    /// Shuts out whom `guard` names; nobody without one.
    pub fn new(guard: Option<Arc<Guard>>) -> Self {
        Self(guard)
    }
}

impl<S> Layer<S> for BanLayer {
    type Service = Ban<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Ban {
            inner,
            guard: self.0.clone(),
        }
    }
}

/// See the [module documentation](super).
#[derive(Clone, Debug)]
pub struct Ban<S> {
    inner: S,
    guard: Option<Arc<Guard>>,
}

impl<S, B, R> Service<Request<B>> for Ban<S>
where
    S: Service<Request<B>, Response = R, Error = Error>,
{
    type Response = R;
    type Error = Error;
    type Future = Gated<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match self
            .guard
            .as_ref()
            .and_then(|guard| guard.refuses(&request))
        {
            Some(error) => Gated::refused(error),
            None => Gated::running(self.inner.call(request)),
        }
    }
}

//! The rules of the file around an axum service, without the process in front of it: [`setup`].
//!
//! The sections mean what they mean for `seaworthy run`, because the same code reads and builds them: who is believed
//! (`listen.trusted_proxies`), request ids and trace context, `headers`, `abuse`, `bans` and `limits` with their Redis, `auth`,
//! `validate`, `concurrency`, times and sizes, for each of `routes`. Endpoints that show metrics or who is shut out are mounted.
//!
//! What it will not do: start, stop or watch anything. Breakers, retries and fallbacks are for what is behind a network, probes
//! come from `seaworthy-health`, the drain from `seaworthy-http` and `seaworthy-lifecycle`, and no file keeps bans. For one
//! rule alone there is no need for this crate: each is a tower layer of `seaworthy-http`.

mod counted;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Once};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use http_body_util::BodyExt as _;
use http_body_util::combinators::MapErr;
use seaworthy_core::clock::Clock;
use seaworthy_core::names::event;
use seaworthy_health::{Board, Snapshot, View};
use seaworthy_http::error::{BodyError, Error};
use seaworthy_http::exchange::Exchange;
use seaworthy_http::headers::HeadersLayer;
use seaworthy_http::identify::IdentifyLayer;
use seaworthy_http::observe::ObserveLayer;
use seaworthy_http::rescue::RescueLayer;
use seaworthy_http::size::Limited;
use seaworthy_http::timer::TokioTimer;
use seaworthy_http::upstream::Roster;
use seaworthy_http::validate::Checked;
use seaworthy_http::views::MountLayer;
use seaworthy_lifecycle::journal::Journal;
use seaworthy_telemetry::metrics::Registry;
use tokio::runtime::Handle;
use tower::ServiceBuilder;

use crate::armour::{self, Armour};
use crate::components::{Components, Prepared, State};
use crate::config::endpoints::Listener;
use crate::config::{Config, Route};
use crate::documents::Documents;
use crate::flags::Flags;
use crate::secrets::Keeper;
use crate::stack::guards;
use crate::views::{self, Table};

use counted::Counted;

/// A body of axum's, as the layers read it.
type Read = MapErr<Body, fn(axum::Error) -> BodyError>;

/// Puts the rules of `config` in front of every route of `router`, and of what it answers where it has none.
///
/// Serve it with `into_make_service_with_connect_info::<SocketAddr>()`: rules for addresses need the address. What is over is
/// forgotten on the tokio runtime that this is called on, for as long as that runs.
///
/// # Errors
/// There is no runtime, a file that `config` names cannot be read or does not hold what it should, a route asks for the schemas of
/// an app that describes itself, or `secrets` are defined, which nobody asks for here.
pub fn setup(router: Router, config: &Config) -> anyhow::Result<Router> {
    Handle::try_current().context("call this on a tokio runtime")?;
    if !config.secrets.is_empty() {
        // Without an answer a setting has the reference itself as its value, which anybody can guess.
        anyhow::bail!(
            "`secrets` is for `seaworthy run`: nobody asks for them around a router; take the section out, and write `${{env:NAME}}` where a setting needs one"
        );
    }
    for section in left_out(config) {
        tracing::warn!(
            event = event::CONFIG_WARNING,
            setting = section,
            "`{section}` is for `seaworthy run`, and does nothing around a router"
        );
    }
    let config = &what_holds(config);
    let registry = Registry::new(&[]);
    let clock = Clock::new(Instant::now(), 1);
    let armour = Armour::new(config, clock, &registry, &Journal::new());
    let prepared = Prepared::build(config, clock, &registry, None)?;
    if let Some(described) = prepared.access.described.first() {
        anyhow::bail!(
            "`schema: openapi` of `{}` is for `seaworthy run`: nobody asks a router what it takes; put the schema into a file and name that",
            described.pattern
        );
    }
    let name = config.service.name.clone();
    let snapshot = Snapshot::new(name, config.service.version.clone(), SystemTime::now());
    let state = State {
        roster: Roster::supervised(),
        board: Board::new(snapshot),
        keep_alive: Duration::ZERO,
        most_connections: None,
        registry,
        names: Arc::default(),
        armour: armour.clone(),
        flags: Flags::start(config)?,
        documents: Documents::default(),
        asker: None,
        secrets: Keeper::default(),
    };
    let components = Components::build(1, config, prepared, &state);
    beside(config, &components, &armour);
    let views = table(config, &components, armour);
    Ok(around(router, &components, views))
}

/// Sections that ask for something that is not done here: a rule that does not hold must not look as if it did.
fn left_out(config: &Config) -> impl Iterator<Item = &'static str> {
    let any = |asks: fn(&Route) -> bool| config.routes.iter().any(asks);
    let views = config.endpoints.iter().map(|endpoint| endpoint.view);
    let asked = [
        ("breakers", !config.breakers.is_empty()),
        ("documents", !config.documents.is_empty()),
        ("env", !config.env.is_empty()),
        ("retry", config.retry.is_some()),
        ("fallbacks", !config.fallbacks.is_empty()),
        ("egress", !config.egress.is_empty()),
        ("features.webhook", config.features.webhook.is_some()),
        ("routes[].retry", any(|route| route.retry.is_some())),
        ("routes[].breaker", any(|route| route.breaker.is_some())),
        ("endpoints", views.into_iter().any(|view| !is_shown(view))),
    ];
    asked
        .into_iter()
        .filter_map(|(section, asked)| asked.then_some(section))
}

/// `config` without what is left out: a fallback that nobody serves must not show its feature as degraded.
fn what_holds(config: &Config) -> Config {
    let mut config = config.clone();
    config.breakers.clear();
    config.fallbacks.clear();
    config.egress.clear();
    config.retry = None;
    for route in &mut config.routes {
        (route.retry, route.breaker) = (None, None);
    }
    config
}

/// Whether it shows something that is known here.
const fn is_shown(view: View) -> bool {
    matches!(view, View::Metrics | View::Security)
}

/// What the rules do beside the requests.
fn beside(config: &Config, components: &Components, armour: &Armour) {
    if let Some(memory) = config
        .concurrency
        .as_ref()
        .and_then(|wish| wish.memory.clone())
    {
        tokio::spawn(armour::watch_memory(armour.pools.pressure(), memory));
    }
    if let Some(fetched) = components.access.fetched.clone() {
        tokio::spawn(fetched.jwks.keep());
    }
    tokio::spawn(armour::tend(config, armour));
}

/// The paths of the file that show what is known here.
fn table(config: &Config, components: &Components, armour: Armour) -> Table {
    let mut entries = views::mounted(config, Listener::Public);
    entries.retain(|entry| is_shown(entry.ask.view));
    let (board, registry) = (components.board.clone(), components.registry.clone());
    Table::new(entries, board, registry, armour)
}

/// The layers, in the order of the product's stack.
fn around(router: Router, components: &Components, views: Table) -> Router {
    let rules = &components.rules;
    let observer = components
        .metrics
        .then(|| Counted::new(&components.registry, components.numbers.clone()));
    router.layer(
        ServiceBuilder::new()
            .map_request(met)
            .layer(IdentifyLayer::new(components.identify.clone()))
            .layer(ObserveLayer::new(observer.map(Arc::new)))
            .layer(MountLayer::new(Arc::new(views)))
            .layer(HeadersLayer::new(rules.headers.clone()))
            .layer(RescueLayer::new(components.errors).wrapping(components.wraps))
            .layer(guards(components, rules.limits.anywhere(), TokioTimer))
            .map_request(|request: Request<Checked<Limited<Read>>>| request.map(Body::new))
            .map_response(|response: Response| response.map(readable))
            .map_err(|never: Infallible| -> Error { match never {} }),
    )
}

/// The request with what the layers want to know of it.
fn met(request: Request) -> Request<Read> {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map(|ConnectInfo(peer)| *peer);
    if peer.is_none() {
        tell_nameless();
    }
    let mut request = request.map(readable);
    let exchange = Exchange::new(Instant::now(), peer, false);
    request.extensions_mut().insert(exchange);
    request
}

fn readable(body: Body) -> Read {
    body.map_err(|error| BodyError::Io(std::io::Error::other(error)))
}

fn tell_nameless() {
    static TOLD: Once = Once::new();
    TOLD.call_once(|| {
        tracing::warn!(
            event = event::CONFIG_WARNING,
            "requests come without an address, so that all clients count as one: serve with `into_make_service_with_connect_info::<SocketAddr>()`"
        );
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Breaker, Retry};

    fn yaml(text: &str) -> Config {
        use seaworthy_config::{Format, Layer, Loader};
        let loader = Loader::new().text(Layer::File, "seaworthy.yaml", text, Format::Yaml);
        loader.load().expect("a configuration").value
    }

    #[test]
    fn without_a_runtime_there_is_an_error_and_no_panic() {
        let said = setup(Router::new(), &Config::default()).expect_err("no runtime");
        assert!(said.to_string().contains("tokio"), "{said}");
    }

    #[tokio::test]
    async fn what_does_not_hold_here_is_named() {
        let mut config = Config::default();
        assert_eq!(left_out(&config).count(), 0);
        config.retry = Some(Retry::default());
        config.breakers.insert("DB".to_owned(), Breaker::default());
        assert_eq!(left_out(&config).collect::<Vec<_>>(), ["breakers", "retry"]);
        let set_up = setup(Router::new(), &config);
        assert!(set_up.is_ok(), "the rest is there: {set_up:?}");
        let text = "endpoints: [{path: /m, view: metrics}, {path: /live, view: live}]\nroutes: [{match: /a, retry: {max: 1}}]\nfeatures: {webhook: {url: 'http://127.0.0.1:1/'}}";
        let config = yaml(text);
        assert_eq!(
            left_out(&config).collect::<Vec<_>>(),
            ["features.webhook", "routes[].retry", "endpoints"]
        );
    }

    #[tokio::test]
    async fn a_reference_to_a_secret_never_becomes_the_secret() {
        let text = "secrets: {jwt: {file: /run/secrets/jwt}}\nauth: {jwt: {algorithms: [HS256], secret: '${secret:jwt}'}}";
        let said = setup(Router::new(), &yaml(text)).expect_err("nobody asks for it");
        assert!(said.to_string().contains("${env:NAME}"), "{said}");
    }

    #[tokio::test]
    async fn what_cannot_hold_here_is_refused_or_does_nothing() {
        let fallbacks =
            "fallbacks: {untold: {default: FIXED, routes: [/a], variable: NOWHERE_SET}}";
        let config = yaml(fallbacks);
        assert!(setup(Router::new(), &config).is_ok());
        let feature = seaworthy_health::Features::global().fallback("untold");
        assert_eq!(feature, None, "nobody serves the fallback");
        let described = "routes: [{match: POST /a, validate: {schema: openapi}}]";
        let config = yaml(described);
        let said = setup(Router::new(), &config).expect_err("nobody asks");
        assert!(said.to_string().contains("name that"), "{said}");
    }
}

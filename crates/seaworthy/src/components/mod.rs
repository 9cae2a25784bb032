//! What the configuration describes, built: everything a worker needs and nothing that listens or serves yet.
//!
//! It is shared by all threads and never changes: a new configuration means new components and one swapped pointer.

mod rules;

use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use seaworthy_core::clock::Clock;
use seaworthy_core::exchange::Observer;
use seaworthy_core::identity::TrustedProxies;
use seaworthy_core::names::metric;
use seaworthy_core::quantity::Bound;
use seaworthy_core::route::{RouteId, RouteTable};
use seaworthy_core::route_names::RouteNames;
use seaworthy_health::Board;
use seaworthy_health::probe::traffic::Watch;
use seaworthy_http::drain::Drain;
use seaworthy_http::edge::{Edge, Limits};
use seaworthy_http::flags::Live;
use seaworthy_http::identify;
use seaworthy_http::rescue::Format;
use seaworthy_http::timeout;
use seaworthy_http::timer::SweepTimer;
use seaworthy_http::upstream::{self, Roster};
use seaworthy_telemetry::metrics::Registry;

use crate::armour::{Access, Armour};
use crate::config::check::Check;
use crate::config::endpoints::Listener;
use crate::config::observe::{ErrorFormat, Wrap};
use crate::config::{Config, Route};
use crate::documents::Documents;
use crate::flags::Flags;
use crate::reload::Asker;
use crate::secrets::Keeper;
use crate::views::{self, Entry, Table};

pub use rules::Rules;

/// Seconds that stand for "no limit" where a clock is needed all the same: a day.
const LONG: Duration = Duration::from_secs(86_400);

/// See the [module documentation](self).
#[derive(Debug)]
pub struct Components {
    /// Which configuration this is since the start.
    pub number: u64,
    /// The numbers of routes that outlive it.
    pub numbers: Arc<[RouteId]>,
    /// Data-plane threads.
    pub threads: usize,
    /// The app's instances.
    pub roster: Roster,
    /// How the app is connected to.
    pub pool: upstream::Config,
    /// Who is believed, and what a request is called.
    pub identify: identify::Config,
    /// The shape of errors.
    pub errors: Format,
    /// Whether failures of the app have that shape, too.
    pub wraps: bool,
    /// Body limits by route.
    pub sizes: Vec<Option<u64>>,
    /// Time limits by route.
    pub timeouts: Vec<timeout::Limits>,
    /// Views on the public listener.
    public_views: Vec<Entry>,
    /// Views on the admin listener.
    admin_views: Vec<Entry>,
    /// What probes are answered from.
    pub board: Board,
    /// All metrics.
    pub registry: Arc<Registry>,
    /// Whether requests are counted.
    pub metrics: bool,
    /// Sees requests for the checks of traffic.
    pub traffic: Watch,
    /// The rules between a client and the app.
    pub rules: Rules,
    /// Who may come in, and with what.
    pub access: Access,
    /// The feature flags that requests are told of, when they are.
    pub flags: Option<Live>,
    armour: Armour,
    asker: Option<Asker>,
    /// Connections of one worker.
    pub max_connections: usize,
    limits: Limits,
    http2: bool,
    header_timeout: Duration,
    idle: Duration,
    stall: Duration,
}

/// What is decided before components are built, because it outlives a configuration.
#[derive(Clone, Debug)]
pub struct State {
    /// The app's instances.
    pub roster: Roster,
    /// What probes are answered from.
    pub board: Board,
    /// The app keeps idle connections no longer than this.
    pub keep_alive: Duration,
    /// The app turns requests away beyond so many connections.
    pub most_connections: Option<u32>,
    /// All metrics.
    pub registry: Arc<Registry>,
    /// The numbers of all routes that there were.
    pub names: Arc<Mutex<RouteNames>>,
    /// What the rules in front of the app remember.
    pub armour: Armour,
    /// Where the configuration can be taken in anew, if it can.
    pub asker: Option<Asker>,
    /// Secrets, and the fields that hold some.
    pub secrets: Keeper,
    /// The feature flags.
    pub flags: Flags,
    /// The application's own settings.
    pub documents: Documents,
}

/// What may turn out wrong although the configuration itself is sound, such as a file that it names: built before anything
/// changes.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The routes that everything goes by.
    pub routes: Arc<RouteTable>,
    /// Who may come in, and with what.
    pub access: Access,
}

impl Prepared {
    /// Reads and builds what `config` names, over what is known from `before`.
    ///
    /// # Errors
    /// A pattern or a file that is not what it should be.
    pub fn build(
        config: &Config,
        clock: Clock,
        registry: &Arc<Registry>,
        before: Option<&Access>,
    ) -> anyhow::Result<Self> {
        let patterns = config.routes.iter().map(|route| route.pattern.as_str());
        let routes = Arc::new(RouteTable::try_new(patterns).context("routes")?);
        let access = Access::build(config, &routes, clock, registry, before)?;
        Ok(Self { routes, access })
    }
}

impl State {
    /// The lasting numbers of `routes`, which are known to the metrics from then on.
    fn number(&self, routes: &RouteTable) -> Arc<[RouteId]> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let numbers = names.number(routes);
        self.registry.renew(names.templates());
        numbers
    }

    /// All templates by their lasting numbers.
    pub fn templates(&self) -> Vec<String> {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.templates().to_vec()
    }
}

impl Components {
    /// Builds what `config` describes, for the time after the configuration before it.
    pub fn build(number: u64, config: &Config, prepared: Prepared, state: &State) -> Self {
        let Prepared { routes, access } = prepared;
        let numbers = state.number(&routes);
        let threads = config.threads.map_or_else(cores, usize::from);
        let roster = state.roster.clone();
        state.registry.read(&metric::REQUESTS_PARKED, &[], move || {
            f64::from(roster.parked())
        });
        let limits = &config.limits;
        let by_route: Vec<Option<&Route>> = std::iter::once(None)
            .chain(config.routes.iter().map(Some))
            .collect();
        let timeouts: Vec<timeout::Limits> = by_route
            .iter()
            .map(|route| time_limits(config, *route))
            .collect();
        Self {
            number,
            numbers,
            threads,
            pool: pool(config, state, threads),
            identify: identity(config, routes),
            errors: match config.errors.format {
                ErrorFormat::Envelope => Format::Envelope,
                ErrorFormat::Problem => Format::Problem,
            },
            wraps: config.errors.wrap_upstream == Wrap::NotJson,
            sizes: by_route
                .iter()
                .map(|route| largest(config, *route))
                .collect(),
            rules: Rules::build(
                config,
                &by_route,
                &timeouts,
                &state.armour,
                &access,
                &state.secrets,
                &state.registry,
            ),
            timeouts,
            armour: state.armour.clone(),
            asker: state.asker.clone(),
            access,
            flags: state.flags.told(config),
            public_views: views::mounted(config, Listener::Public),
            admin_views: views::mounted(config, Listener::Admin),
            board: state.board.clone(),
            registry: state.registry.clone(),
            metrics: config.metrics.enabled,
            traffic: Watch::new(config.health.checks.iter().filter_map(Check::watched)),
            max_connections: usize::try_from(limits.max_connections)
                .unwrap_or(usize::MAX)
                .div_ceil(threads),
            limits: heads(limits),
            http2: config.listen.http2,
            header_timeout: limits.header_timeout.0,
            idle: limits.idle.0,
            stall: limits.body_idle.get().map_or(LONG, |idle| idle.0),
            roster: state.roster.clone(),
        }
    }

    /// Whether the file asks for nothing that few files ask for, so that requests may take the short way to the app.
    pub fn asks_for_little(&self) -> bool {
        let Rules {
            abuse,
            fallbacks,
            retries,
            ..
        } = &self.rules;
        abuse.is_none()
            && fallbacks.is_empty()
            && retries.iter().all(Option::is_none)
            && self.access.auth.is_none()
            && self.access.bodies.iter().all(Option::is_none)
            && self.flags.is_none()
    }

    /// Shows the number of open connections, which `open` knows, among the metrics.
    pub fn watch_connections(&self, open: impl Fn() -> usize + Send + Sync + 'static) {
        let open = move || f64::from(u32::try_from(open()).unwrap_or(u32::MAX));
        self.registry.read(&metric::CONNECTIONS_OPEN, &[], open);
    }

    /// The views of the public listener, as one worker shows them without the app.
    pub fn public_table(&self) -> Table {
        let entries = self.public_views.clone();
        Table::new(
            entries,
            self.board.clone(),
            self.registry.clone(),
            self.armour.clone(),
        )
        .asking(self.asker.clone())
    }

    /// The views of the admin listener.
    pub fn admin_table(&self) -> Table {
        let (board, registry) = (self.board.clone(), self.registry.clone());
        Table::new(
            self.admin_views.clone(),
            board,
            registry,
            self.armour.clone(),
        )
        .asking(self.asker.clone())
    }

    /// The edge of one worker.
    pub fn edge(&self, timer: SweepTimer, drain: Drain, observer: Rc<dyn Observer>) -> Edge {
        Edge {
            limits: self.limits,
            header_timeout: self.header_timeout,
            idle: self.idle,
            stall: self.stall,
            http2: self.http2,
            format: self.errors,
            timer,
            drain,
            observer,
        }
    }
}

fn identity(config: &Config, routes: Arc<RouteTable>) -> identify::Config {
    identify::Config {
        // Checked when the configuration was; an entry that is none would simply not be trusted.
        trusted: TrustedProxies::try_new(&config.listen.trusted_proxies).unwrap_or_default(),
        request_id: config.request_id,
        trace: config.traces.context,
        routes,
    }
}

/// How large the heads of requests may be.
fn heads(limits: &crate::config::Limits) -> Limits {
    Limits {
        head: usize::try_from(limits.max_header_bytes.0).unwrap_or(usize::MAX),
        target: usize::try_from(limits.max_uri.0).unwrap_or(usize::MAX),
        fields: usize::from(limits.max_headers),
    }
}

fn pool(config: &Config, state: &State, threads: usize) -> upstream::Config {
    let usual = upstream::Config::default();
    let most = state.most_connections.map_or(usize::MAX, |most| {
        usize::try_from(most).unwrap_or(usize::MAX)
    });
    upstream::Config {
        idle: config
            .app
            .idle_timeout
            .map_or_else(|| below(state.keep_alive), |idle| idle.0),
        // Idle connections count against the app's own limit, so all workers together keep below it.
        idle_connections: usual.idle_connections.min((most / threads).max(1)),
        park: config.app.startup.park.0,
        progress: config.pings(),
        ..usual
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// Four fifths of the server's keep-alive: the pool has to let go first, or the two race.
fn below(keep_alive: Duration) -> Duration {
    keep_alive * 4 / 5
}

/// The largest body that a route takes.
fn largest(config: &Config, route: Option<&Route>) -> Option<u64> {
    let own = route.and_then(|route| route.max_body);
    let most = own.unwrap_or(config.limits.max_body).get();
    most.map(|size| size.0)
}

fn time_limits(config: &Config, route: Option<&Route>) -> timeout::Limits {
    let limits = &config.limits;
    let choose = |own: fn(&Route) -> Option<Bound<seaworthy_core::quantity::Duration>>, common| {
        route
            .and_then(own)
            .unwrap_or(common)
            .get()
            .map(|limit| limit.0)
    };
    let silence = choose(|route| route.stream_idle, limits.stream_idle);
    timeout::Limits {
        response: choose(|route| route.response_timeout, limits.response_timeout),
        total: choose(|route| route.timeout, limits.total),
        idle: silence,
        events: silence,
        tunnel: limits.websocket_idle.get().map(|limit| limit.0),
    }
}

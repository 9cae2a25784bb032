//! What the configuration describes, built: everything a worker needs and nothing that listens or serves yet.
//!
//! It is shared by all threads and never changes; a new configuration will mean new components and one swapped pointer.

mod rules;

use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use seaworthy_core::exchange::Observer;
use seaworthy_core::identity::TrustedProxies;
use seaworthy_core::names::metric;
use seaworthy_core::quantity::Bound;
use seaworthy_core::route::RouteTable;
use seaworthy_health::Board;
use seaworthy_health::probe::traffic::Watch;
use seaworthy_http::drain::Drain;
use seaworthy_http::edge::{Edge, Limits};
use seaworthy_http::identify;
use seaworthy_http::rescue::Format;
use seaworthy_http::timeout;
use seaworthy_http::timer::SweepTimer;
use seaworthy_http::upstream::{self, Roster};
use seaworthy_telemetry::metrics::Registry;

use crate::armour::{Access, Armour};
use crate::config::check::Check;
use crate::config::endpoints::Listener;
use crate::config::observe::ErrorFormat;
use crate::config::{Config, Route};
use crate::views::{self, Entry, Table};

pub use rules::Rules;

/// Seconds that stand for "no limit" where a clock is needed all the same: a day.
const LONG: Duration = Duration::from_secs(86_400);

/// See the [module documentation](self).
#[derive(Debug)]
pub struct Components {
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
    /// Body limits by route.
    pub sizes: Vec<Option<u64>>,
    /// Time limits by route.
    pub timeouts: Vec<timeout::Limits>,
    /// Views on the public listener.
    public_views: Vec<Entry>,
    /// Views on the admin listener.
    pub admin_views: Vec<Entry>,
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
    armour: Armour,
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
    /// The routes that everything counts by.
    pub routes: Arc<RouteTable>,
    /// What the rules in front of the app remember.
    pub armour: Armour,
    /// Who may come in, and with what.
    pub access: Access,
}

impl Components {
    /// Builds what `config` describes.
    pub fn build(config: &Config, state: State) -> Self {
        let threads = config.threads.map_or_else(cores, usize::from);
        let roster = state.roster.clone();
        state.registry.read(&metric::REQUESTS_PARKED, &[], move || {
            f64::from(roster.parked())
        });
        let limits = &config.limits;
        let routes: Vec<Option<&Route>> = std::iter::once(None)
            .chain(config.routes.iter().map(Some))
            .collect();
        let timeouts: Vec<timeout::Limits> = routes
            .iter()
            .map(|route| time_limits(config, *route))
            .collect();
        Self {
            threads,
            pool: pool(config, &state, threads),
            identify: identify::Config {
                // Checked when the configuration was; an entry that is none would simply not be trusted.
                trusted: TrustedProxies::try_new(&config.listen.trusted_proxies)
                    .unwrap_or_default(),
                request_id: config.request_id,
                trace: config.traces.context,
                routes: state.routes.clone(),
            },
            errors: match config.errors.format {
                ErrorFormat::Envelope => Format::Envelope,
                ErrorFormat::Problem => Format::Problem,
            },
            sizes: routes.iter().map(|route| largest(config, *route)).collect(),
            rules: Rules::build(
                config,
                &routes,
                &timeouts,
                &state.armour,
                &state.access,
                &state.registry,
            ),
            timeouts,
            armour: state.armour,
            access: state.access,
            public_views: views::mounted(config, Listener::Public),
            admin_views: views::mounted(config, Listener::Admin),
            board: state.board,
            registry: state.registry,
            metrics: config.metrics.enabled,
            traffic: Watch::new(config.health.checks.iter().filter_map(Check::watched)),
            max_connections: usize::try_from(limits.max_connections)
                .unwrap_or(usize::MAX)
                .div_ceil(threads),
            limits: Limits {
                head: usize::try_from(limits.max_header_bytes.0).unwrap_or(usize::MAX),
                target: usize::try_from(limits.max_uri.0).unwrap_or(usize::MAX),
                fields: usize::from(limits.max_headers),
            },
            http2: config.listen.http2,
            header_timeout: limits.header_timeout.0,
            idle: limits.idle.0,
            stall: limits.body_idle.get().map_or(LONG, |idle| idle.0),
            roster: state.roster,
        }
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

//! Builds everything in its order, serves, and takes it apart again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use seaworthy_config::Loaded;
use seaworthy_core::address::Address;
use seaworthy_core::budget::Budget;
use seaworthy_core::clock::Clock;
use seaworthy_core::names::{event, metric};
use seaworthy_core::route::RouteTable;
use seaworthy_health::Health;
use seaworthy_http::upstream::Roster;
use seaworthy_lifecycle::journal::Journal;
use seaworthy_lifecycle::reap::Reaper;
use seaworthy_lifecycle::signals::Signals;
use seaworthy_lifecycle::supervise::{Settings, Supervisor};
use seaworthy_telemetry::access::{self, Writer};
use seaworthy_telemetry::log;
use seaworthy_telemetry::metrics::Registry;
use tokio::sync::mpsc;

use super::announce::{self, Facts};
use super::app::App;
use super::control::Control;
use super::face::Face;
use super::judge::Judge;
use super::last_word::LastWord;
use super::plane::Plane;
use super::shutdown::{Service, hooks, remember};
use super::{budget, checks, described, state_dir};
use crate::admin::{self, Admin, Checks};
use crate::armour::{self, Access, Armour};
use crate::components::{Components, State};
use crate::config::listen::{Admin as AdminAddress, Bind};
use crate::config::service::Kind;
use crate::config::{Config, Options};
use crate::egress;
use crate::failure::Failure;
use crate::instance::{Instance, Status, new_token, status};
use crate::listeners;
use crate::listeners::tls::Files;
use crate::openapi;
use crate::views::Table;

/// Where Seaworthy listens when nothing says otherwise.
const USUAL: ([u8; 4], u16) = ([0, 0, 0, 0], 8000);
/// So many of the latest events are part of a status.
const EVENTS_SHOWN: usize = 10;
/// What an app is taken to keep idle connections for when it is not Seaworthy that starts it.
const REMOTE_KEEP_ALIVE: Duration = Duration::from_secs(5);

/// See [`super::serve`].
pub(super) async fn run(
    loaded: Loaded<Config>,
    options: Options,
    last_word: LastWord,
) -> anyhow::Result<u8> {
    let began = Instant::now();
    let signals = Signals::install().context("cannot install signal handlers")?;
    let admin_is_set = loaded.is_set("listen.admin");
    let (config, warnings) = (loaded.value, loaded.warnings);
    log::init(&config.log, &config.service.name).context("logging")?;
    for warning in warnings.items() {
        tracing::warn!(
            event = event::CONFIG_WARNING,
            setting = warning.path,
            help = warning.help,
            place = warning.place.as_ref().map(tracing::field::display),
            "{}: {}",
            warning.path,
            warning.message
        );
    }
    phase("config");
    phase("signals");
    let clock = armour::clock(&options.env, options.allow_time_scale)?;
    let budget = budget::derive(&config, &options.env)?;
    let folder = state_dir::take(&config, &options)?;
    let app = App::recognise(&config, &options.env, &folder)?;
    if app.is_none() && config.app.connect.is_none() {
        return Err(Failure::usage(NOTHING_TO_RUN).into());
    }
    let wished = config
        .listen
        .public
        .or_else(|| app.as_ref().and_then(App::public).map(Bind));
    let listener = listeners::bind(
        wished
            .or_else(|| from_port(&options))
            .map_or(USUAL.into(), |bind| bind.0),
    )
    .map_err(|error| Failure::usage(error.to_string()))?;
    phase("handlers");
    let mut parts = Parts::build(config, &app, began, clock)?;
    remember(&folder, &parts.registry);
    parts.plane = Some(parts.start_plane(listener)?);
    let control = parts
        .serve(app, folder, budget, admin_is_set, signals)
        .await?;
    Ok(control.run(&last_word).await)
}

const NOTHING_TO_RUN: &str = "there is nothing to run: write the command after `--`, as in `seaworthy run -- uvicorn app:app`, \
     or set app.command or app.connect in seaworthy.yaml";

fn phase(name: &str) {
    tracing::info!(
        event = event::STARTUP_PHASE,
        phase = name,
        "starting: {name}"
    );
}

fn from_port(options: &Options) -> Option<Bind> {
    let port = options.env.get("PORT")?.parse().ok()?;
    Some(Bind((USUAL.0, port).into()))
}

/// Everything that is built before anything is started.
struct Parts {
    config: Config,
    registry: Arc<Registry>,
    routes: Arc<RouteTable>,
    components: Arc<Components>,
    face: Face,
    armour: Armour,
    journal: Journal,
    changes: Vec<String>,
    server: Option<(&'static str, Address)>,
    plane: Option<Plane>,
}

impl Parts {
    fn build(
        config: Config,
        app: &Option<App>,
        began: Instant,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let routes = Arc::new(RouteTable::try_new(
            config.routes.iter().map(|route| route.pattern.as_str()),
        )?);
        let registry = Registry::new(routes.templates());
        // The first start's plan says what holds for all: server, changes, keep-alive.
        let plan = app
            .as_ref()
            .map(App::announce)
            .transpose()
            .context("cannot find a port for the app")?
            .flatten();
        let roster = match (&plan, &config.app.connect) {
            (None, Some(remote)) => Roster::remote(remote.clone()),
            _ => Roster::supervised(),
        };
        let face = Face::new(&config, roster.clone(), &registry, began);
        let journal = Journal::new();
        let armour = Armour::new(&config, clock, &registry, &journal);
        let breakers = armour.breakers.clone();
        face.board().update(|snapshot| {
            snapshot.breakers = seaworthy_health::Breakers::new({
                let breakers = breakers.clone();
                move || breakers.metadata()
            })
        });
        let features = seaworthy_health::Features::global();
        face.board()
            .update(|snapshot| snapshot.features = features.clone());
        let access = Access::build(&config, &routes, clock, &registry)?;
        let state = State {
            roster,
            board: face.board().clone(),
            keep_alive: plan
                .as_ref()
                .map_or(REMOTE_KEEP_ALIVE, |plan| plan.keep_alive),
            most_connections: plan.as_ref().and_then(|plan| plan.max_connections),
            registry: registry.clone(),
            routes: routes.clone(),
            armour: armour.clone(),
            access,
        };
        let components = Arc::new(Components::build(&config, state));
        let changes = plan
            .iter()
            .flat_map(|plan| &plan.changes)
            .map(|change| change.as_str().to_owned())
            .collect();
        let server = plan.map(|plan| (plan.server, plan.address));
        Ok(Self {
            config,
            registry,
            routes,
            components,
            face,
            armour,
            journal,
            changes,
            server,
            plane: None,
        })
    }

    fn start_plane(&self, listener: std::net::TcpListener) -> anyhow::Result<Plane> {
        let access = self.config.log.access.then(|| {
            Writer::try_new(&access::Config {
                format: self.config.log.format,
                service: self.config.service.name.clone(),
                routes: self.routes.templates().to_vec(),
                shown: self.config.security.in_lines(),
            })
        });
        let access = access.transpose().context("cannot start the access log")?;
        if let Some(writer) = &access {
            let dropped = writer.dropped_reader();
            // Counters are exact in a float up to 2^53 lines.
            #[allow(clippy::cast_precision_loss)]
            self.registry
                .read(&metric::ACCESS_LINES_DROPPED, &[], move || dropped() as f64);
        }
        let http2 = self.config.listen.http2;
        let files = self.config.listen.tls.as_ref().map(|tls| Files {
            cert: tls.cert.clone(),
            key: tls.key.clone(),
            http2,
        });
        if let Some(jwks) = self.components.access.jwks.clone() {
            tokio::spawn(jwks.keep());
        }
        Plane::start(&self.components, listener, files, access)
            .map_err(|error| Failure::usage(format!("{error:#}")).into())
    }

    /// Starts the admin listener and the app, says so, and hands everything to the one who runs it.
    async fn serve(
        mut self,
        app: Option<App>,
        folder: PathBuf,
        budget: Budget,
        admin_is_set: bool,
        mut signals: Signals,
    ) -> anyhow::Result<Control> {
        let plane = self.plane.take().expect("started before");
        tokio::spawn(armour::keep(&self.config, &self.armour, folder.clone()));
        self.open_ways().await?;
        let (requests, incoming) = mpsc::channel(16);
        let reaper = Reaper::start(true).context("cannot watch child processes")?;
        checks::leave_children_to_them(&reaper);
        let health = self.look_around();
        let journal = self.journal.clone();
        let status = self.status(&budget, &journal);
        let instance = self
            .admin(&plane, requests, &health, status, &folder, admin_is_set)
            .await?;
        self.announce(&plane, &instance, &budget)?;
        signals.second_interrupt(self.config.shutdown.second_interrupt);
        signals
            .forward(&forwarded(&self.config))
            .context("app.forward_signals")?;
        if let Some(words) = app.as_ref().and_then(|app| app.claims(plane.address)) {
            tracing::warn!(event = event::APP_ADDRESS_TAKEN, "{words}");
        }
        phase("app");
        let supervisor = app.map(|app| self.supervise(app, &reaper, &journal, &plane));
        match &supervisor {
            Some(supervisor) => {
                tokio::spawn(self.face.clone().follow(supervisor.states()));
                tokio::spawn(self.face.clone().watch_suspension());
            }
            None => self.face.remote_ready(),
        }
        let described = self.components.access.described.clone();
        if !described.is_empty() {
            tokio::spawn(described::keep(described, self.face.clone()));
        }
        let judge = Judge::new(&self.config, self.face.clone(), health, journal.clone());
        Ok(Control {
            judge,
            service: Service {
                face: self.face,
                plane,
                supervisor,
                stop_signal: self.config.app.stop_signal.into(),
                registry: self.registry,
                folder,
                since: None,
            },
            hooks: hooks(&self.config.shutdown.hooks)?,
            settings: self.config.shutdown,
            budget,
            reaper,
            journal,
            signals,
            incoming,
            instance,
        })
    }

    /// What the rules do beside the requests: ways out, and an eye on the memory.
    async fn open_ways(&self) -> anyhow::Result<()> {
        egress::start(&self.config, &self.armour, &self.registry).await?;
        let features = armour::keep_features(&self.config, &self.journal, self.face.board());
        tokio::spawn(features);
        if let Some(memory) = self
            .config
            .concurrency
            .as_ref()
            .and_then(|wish| wish.memory.clone())
        {
            tokio::spawn(armour::watch_memory(self.armour.pools.pressure(), memory));
        }
        Ok(())
    }

    fn look_around(&self) -> Health {
        let errors = self.armour.errors.clone();
        checks::start(&self.config, &self.face, self.registry.clone(), errors)
    }

    fn supervise(&self, app: App, reaper: &Reaper, journal: &Journal, plane: &Plane) -> Supervisor {
        let settings = Settings {
            instances: usize::from(self.config.app.instances),
            rules: (&self.config.app.restart).into(),
            startup_timeout: self.config.app.startup.timeout.0,
            public: Some(plane.address),
        };
        Supervisor::start(settings, reaper, journal, move |instance, generation| {
            app.launch(instance, generation)
        })
    }

    async fn admin(
        &self,
        plane: &Plane,
        requests: mpsc::Sender<admin::Request>,
        health: &Health,
        status: Arc<dyn Fn() -> Status + Send + Sync>,
        folder: &Path,
        admin_is_set: bool,
    ) -> anyhow::Result<Instance> {
        let token: Arc<str> = new_token()
            .context("no random numbers for the admin token")?
            .into();
        let mut address = None;
        if let AdminAddress::At(wished) = &self.config.listen.admin {
            let promised = self.server.as_ref().and_then(|(_, app)| app.port());
            let listener = admin::Listener::bind(wished, !admin_is_set, promised).await.map_err(|error| {
                Failure::usage(format!("cannot listen on {wished} for the admin API: {error}; choose another address with --admin, or `--admin off`"))
            })?;
            address = Some(listener.address()?);
            let views = Table::new(
                self.components.admin_views.clone(),
                self.face.board().clone(),
                self.registry.clone(),
                self.armour.clone(),
            );
            let admin = Admin {
                token: token.clone(),
                views: Arc::new(views),
                board: self.face.board().clone(),
                status,
                requests,
                roster: self.face.roster().clone(),
                checks: Checks {
                    health: health.clone(),
                    pace: self.config.health.pace(),
                    around: Arc::new(checks::around(&self.config, &self.face)),
                },
                armour: self.armour.clone(),
                openapi: openapi::document(&self.config).to_string().into(),
            };
            tokio::spawn(listener.serve(admin));
        }
        let instance = Instance {
            pid: std::process::id(),
            public: plane.address.to_string(),
            admin: address.map(|address| address.to_string()),
            token: token.to_string(),
            started_at: jiff::Timestamp::now()
                .strftime("%Y-%m-%dT%H:%M:%SZ")
                .to_string(),
        };
        if let Err(error) = instance.write(folder) {
            tracing::warn!(event = event::CONFIG_WARNING, %error, folder = %folder.display(), "`seaworthy status` and `stop` will not find this instance; set state_dir to a folder that can be written");
        }
        Ok(instance)
    }

    fn status(&self, budget: &Budget, journal: &Journal) -> Arc<dyn Fn() -> Status + Send + Sync> {
        let (face, registry, began) = (self.face.clone(), self.registry.clone(), Instant::now());
        let (words, journal) = (budget::words(budget), journal.clone());
        Arc::new(move || {
            let snapshot = face.board().snapshot();
            Status {
                state: snapshot.state.to_owned(),
                health: snapshot.status().word().to_owned(),
                verdict: snapshot.verdict().word().to_owned(),
                pid: std::process::id(),
                uptime_s: began.elapsed().as_secs(),
                app: status::App {
                    instances: face.instances(),
                },
                inflight: registry.in_progress(),
                events: latest(&journal),
                shutdown: serde_json::json!({"budget": words}),
            }
        })
    }

    fn announce(&self, plane: &Plane, instance: &Instance, budget: &Budget) -> anyhow::Result<()> {
        let admin: Option<Address> = instance.admin.as_deref().map(str::parse).transpose()?;
        let moved = matches!((&admin, &self.config.listen.admin), (Some(got), AdminAddress::At(wished)) if got != wished && !leaves_open(wished));
        announce::announce(
            &Facts {
                worker: self.config.service.kind == Kind::Worker,
                app: self.server.as_ref().map(|(name, address)| (*name, address)),
                remote: self
                    .config
                    .app
                    .connect
                    .as_ref()
                    .filter(|_| self.server.is_none()),
                changes: &self.changes,
                public: plane.address,
                secure: self.config.listen.tls.is_some(),
                admin: admin.as_ref(),
                admin_moved: moved,
                budget: &budget::words(budget),
            },
            self.config.log.format.is_json(),
        );
        Ok(())
    }
}

/// The latest events as `status` shows them.
fn latest(journal: &Journal) -> Vec<status::Event> {
    let all = journal.recent();
    let shown = all.iter().skip(all.len().saturating_sub(EVENTS_SHOWN));
    shown
        .map(|entry| status::Event {
            at: jiff::Timestamp::try_from(entry.at)
                .unwrap_or_default()
                .strftime("%Y-%m-%dT%H:%M:%SZ")
                .to_string(),
            event: entry.event.name.to_owned(),
            text: entry.event.to_string(),
        })
        .collect()
}

/// Whether any port will do.
fn leaves_open(wished: &Address) -> bool {
    matches!(wished, Address::Tcp(address) if address.port() == 0)
}

fn forwarded(config: &Config) -> Vec<seaworthy_lifecycle::signals::Name> {
    config
        .app
        .forward_signals
        .iter()
        .map(|signal| (*signal).into())
        .collect()
}

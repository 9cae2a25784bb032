//! Builds everything in its order, serves, and takes it apart again.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use arc_swap::ArcSwap;
use seaworthy_config::Loaded;
use seaworthy_config::history::History;
use seaworthy_core::address::Address;
use seaworthy_core::budget::Budget;
use seaworthy_core::names::event;
use seaworthy_health::Health;
use seaworthy_lifecycle::journal::Journal;
use seaworthy_lifecycle::reap::Reaper;
use seaworthy_lifecycle::signals::Signals;
use seaworthy_lifecycle::supervise::{Settings, Supervisor};
use seaworthy_telemetry::log;
use tokio::sync::mpsc;

use super::announce::{self, Facts};
use super::app::{App, host_env};
use super::control::Control;
use super::judge::Judge;
use super::last_word::LastWord;
use super::parts::Parts;
use super::plane::Plane;
use super::registry;
use super::reload::{Beside, Reloader, Running, Versions};
use super::shutdown::{Service, hooks, remember};
use super::{budget, checks, state_dir, status};
use crate::admin::{self, Admin};
use crate::armour;
use crate::config::listen::{Admin as AdminAddress, Bind, USUAL_PORT};
use crate::config::service::Kind;
use crate::config::{self, Config, Options};
use crate::egress;
use crate::failure::Failure;
use crate::instance::{Instance, Status};
use crate::listeners;
use crate::registry::Remote;
use crate::reload::{Ask, Source};
use crate::secrets::Keeper;

/// Where Seaworthy listens when nothing says otherwise.
const USUAL: ([u8; 4], u16) = ([0, 0, 0, 0], USUAL_PORT);

/// See [`super::serve`].
pub(super) async fn run(
    loaded: Loaded<Config>,
    keeper: Keeper,
    mut options: Options,
    last_word: LastWord,
) -> anyhow::Result<u8> {
    let began = Instant::now();
    let signals = Signals::install().context("cannot install signal handlers")?;
    let admin_is_set = loaded.is_set("listen.admin");
    let environment = config::environment(&loaded)?;
    let config = &loaded.value;
    let level = log::init(&config.log, &config.service.name).context("logging")?;
    for warning in loaded.warnings.items().iter().chain(environment.items()) {
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
    keeper.tell_odd();
    phase("config");
    phase("signals");
    let clock = armour::clock(&options.env, options.allow_time_scale)?;
    let budget = budget::derive(config, &options.env)?;
    let folder = state_dir::take(config, &options)?;
    let mut versions = Versions::open(&folder, config)?;
    let loaded = registry::resume(loaded, &mut options, &keeper, &folder).await;
    let loaded = versions.begin(loaded, &options, &keeper).await;
    let config = &loaded.value;
    level.set_level(config.log.level);
    let app = App::recognise(config, &options.env, &folder)?;
    if app.is_none() && config.app.connect.is_none() {
        return Err(Failure::usage(NOTHING_TO_RUN).into());
    }
    let wished = config
        .listen
        .public
        .or_else(|| app.as_ref().and_then(App::public).map(Bind));
    let wished = match wished {
        None => from_variables(config, &options)?,
        Some(Bind(wished)) => wished,
    };
    let listener = listeners::bind(wished).map_err(|error| Failure::usage(error.to_string()))?;
    phase("handlers");
    let mut parts = Parts::build(loaded, keeper, &app, began, clock)?;
    remember(&folder, &parts.registry);
    parts.plane = Some(parts.start_plane(listener)?);
    let start = Start {
        app,
        folder,
        budget,
        admin_is_set,
        signals,
        options,
        level,
        versions,
    };
    let control = parts.serve(start).await?;
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

fn from_variables(config: &Config, options: &Options) -> Result<SocketAddr, Failure> {
    let host = config.listen.host(&config.given).map_err(host_env)?;
    let port = options.env.get("PORT").and_then(|port| port.parse().ok());
    Ok((host.unwrap_or(USUAL.0.into()), port.unwrap_or(USUAL.1)).into())
}

/// What was found out before anything was built.
struct Start {
    app: Option<App>,
    folder: PathBuf,
    budget: Budget,
    admin_is_set: bool,
    signals: Signals,
    options: Options,
    level: log::Handle,
    versions: Versions,
}

/// What is open before the app is started.
struct Opened {
    plane: Plane,
    incoming: mpsc::Receiver<admin::Request>,
    reaper: Reaper,
    health: Health,
    shown: Arc<ArcSwap<admin::Shown>>,
    instance: Instance,
}

impl Parts {
    /// Starts the admin listener and the app, says so, and hands everything to the one who runs it.
    async fn serve(mut self, mut start: Start) -> anyhow::Result<Control> {
        let opened = self.open(&mut start).await?;
        let Opened {
            plane,
            incoming,
            reaper,
            health,
            shown,
            instance,
        } = opened;
        let journal = self.journal.clone();
        let supervisor = self.start_app(start.app, &reaper, &plane);
        let config = &self.loaded.value;
        let judge = Judge::new(config, self.face.clone(), health.clone(), journal.clone());
        let settings = config.shutdown.clone();
        let stop_signal = config.app.stop_signal.into();
        let remote_before = registry::before(config, &start.folder, &start.versions);
        let running = Running {
            generation: 1,
            loaded: self.loaded,
            components: self.components,
            state: self.state,
            shown,
            beside: Beside::default(),
            face: self.face.clone(),
            health,
            journal: journal.clone(),
            level: start.level,
            options: Arc::new(start.options),
            versions: start.versions,
            remote: Remote::default(),
            remote_before,
        };
        registry::follow(&running, plane.address, &start.folder);
        Ok(Control {
            judge,
            reloader: Reloader::new(self.asks),
            verify: running.verify(),
            running: running.attended(),
            service: Service {
                face: self.face,
                plane,
                supervisor,
                stop_signal,
                registry: self.registry,
                underway: self.armour.underway,
                folder: start.folder,
                since: None,
            },
            hooks: hooks(&settings.hooks)?,
            settings,
            budget: start.budget,
            reaper,
            journal,
            signals: start.signals,
            incoming,
            instance,
        })
    }

    /// Opens everything but the app itself, and says where.
    async fn open(&mut self, start: &mut Start) -> anyhow::Result<Opened> {
        let plane = self.plane.take().expect("started before");
        let (config, folder) = (&self.loaded.value, &start.folder);
        tokio::spawn(armour::keep(config, &self.armour, folder.clone()));
        self.open_ways().await?;
        let (requests, incoming) = mpsc::channel(16);
        let reaper = Reaper::start(true).context("cannot watch child processes")?;
        checks::leave_children_to_them(&reaper);
        let health = self.look_around();
        let words = budget::words(&start.budget);
        let status = status::of(&self.face, &self.registry, &self.journal, words);
        let admin = self.api(requests, &health, status, start.versions.history());
        let shown = admin.shown.clone();
        let instance = self
            .admin(&plane, admin, folder, start.admin_is_set)
            .await?;
        self.announce(&plane, &instance, &start.budget)?;
        prepare_signals(&mut start.signals, config)?;
        Ok(Opened {
            plane,
            incoming,
            reaper,
            health,
            shown,
            instance,
        })
    }

    /// What is done beside the requests for as long as the process lives: ways out, word of features, an eye on secrets.
    async fn open_ways(&self) -> anyhow::Result<()> {
        let config = &self.loaded.value;
        egress::start(config, &self.armour, &self.secrets, &self.registry).await?;
        let underway = &self.armour.underway;
        let features = armour::keep_features(config, &self.journal, self.face.board(), underway);
        tokio::spawn(features);
        let (kept, asker) = (self.secrets.clone(), self.asker.clone());
        let reload = move || asker.nudge(Ask::new(Source::Secret));
        tokio::spawn(kept.keep(self.registry.clone(), self.journal.clone(), reload));
        Ok(())
    }

    /// Starts the app, where it is ours to start.
    fn start_app(&self, app: Option<App>, reaper: &Reaper, plane: &Plane) -> Option<Supervisor> {
        if let Some(words) = app.as_ref().and_then(|app| app.claims(plane.address)) {
            tracing::warn!(event = event::APP_ADDRESS_TAKEN, "{words}");
        }
        phase("app");
        let supervisor = app.map(|app| self.supervise(app, reaper, &self.journal, plane));
        match &supervisor {
            Some(supervisor) => {
                tokio::spawn(self.face.clone().follow(supervisor.states()));
                tokio::spawn(self.face.clone().watch_suspension());
            }
            None => self.face.remote_ready(),
        }
        supervisor
    }

    fn look_around(&self) -> Health {
        let errors = self.armour.errors.clone();
        checks::start(
            &self.loaded.value,
            &self.face,
            self.registry.clone(),
            errors,
        )
    }

    fn supervise(&self, app: App, reaper: &Reaper, journal: &Journal, plane: &Plane) -> Supervisor {
        let settings = Settings {
            instances: usize::from(self.loaded.value.app.instances),
            rules: (&self.loaded.value.app.restart).into(),
            startup_timeout: self.loaded.value.app.startup.timeout.0,
            public: Some(plane.address),
        };
        Supervisor::start(settings, reaper, journal, move |instance, generation| {
            app.launch(instance, generation)
        })
    }

    /// What the API knows and may do.
    fn api(
        &self,
        requests: mpsc::Sender<admin::Request>,
        health: &Health,
        status: Arc<dyn Fn() -> Status + Send + Sync>,
        history: Arc<History>,
    ) -> Admin {
        let around = checks::around(&self.loaded.value, &self.face);
        let shown = Running::shown(1, &self.loaded, &self.components, around);
        Admin {
            token: self.token.clone(),
            shown: Arc::new(ArcSwap::from_pointee(shown)),
            board: self.face.board().clone(),
            status,
            requests,
            roster: self.face.roster().clone(),
            health: health.clone(),
            armour: self.armour.clone(),
            flags: self.state.flags.clone(),
            documents: self.state.documents.clone(),
            asker: self.asker.clone(),
            history,
        }
    }

    async fn admin(
        &self,
        plane: &Plane,
        admin: Admin,
        folder: &Path,
        admin_is_set: bool,
    ) -> anyhow::Result<Instance> {
        let mut address = None;
        if let AdminAddress::At(wished) = &self.loaded.value.listen.admin {
            let promised = self.server.as_ref().and_then(|(_, app)| app.port());
            let listener = admin::Listener::bind(wished, !admin_is_set, promised).await.map_err(|error| {
                Failure::usage(format!("cannot listen on {wished} for the admin API: {error}; choose another address with --admin, or `--admin off`"))
            })?;
            address = Some(listener.address()?);
            tokio::spawn(listener.serve(admin));
        }
        let instance = Instance {
            pid: std::process::id(),
            public: plane.address.to_string(),
            admin: address.map(|address| address.to_string()),
            token: self.token.to_string(),
            started_at: jiff::Timestamp::now()
                .strftime("%Y-%m-%dT%H:%M:%SZ")
                .to_string(),
        };
        if let Err(error) = instance.write(folder) {
            tracing::warn!(event = event::CONFIG_WARNING, %error, folder = %folder.display(), "`seaworthy status` and `stop` will not find this instance; set state_dir to a folder that can be written");
        }
        Ok(instance)
    }

    fn announce(&self, plane: &Plane, instance: &Instance, budget: &Budget) -> anyhow::Result<()> {
        let admin: Option<Address> = instance.admin.as_deref().map(str::parse).transpose()?;
        let moved = matches!((&admin, &self.loaded.value.listen.admin), (Some(got), AdminAddress::At(wished)) if got != wished && !leaves_open(wished));
        announce::announce(
            &Facts {
                worker: self.loaded.value.service.kind == Kind::Worker,
                app: self.server.as_ref().map(|(name, address)| (*name, address)),
                remote: self
                    .loaded
                    .value
                    .app
                    .connect
                    .as_ref()
                    .filter(|_| self.server.is_none()),
                changes: &self.changes,
                public: plane.address,
                secure: self.loaded.value.listen.tls.is_some(),
                admin: admin.as_ref(),
                admin_moved: moved,
                budget: &budget::words(budget),
            },
            self.loaded.value.log.format.is_json(),
        );
        Ok(())
    }
}

/// Whether any port will do.
fn leaves_open(wished: &Address) -> bool {
    matches!(wished, Address::Tcp(address) if address.port() == 0)
}

fn prepare_signals(signals: &mut Signals, config: &Config) -> anyhow::Result<()> {
    signals.second_interrupt(config.shutdown.second_interrupt);
    signals
        .forward(&forwarded(config))
        .context("app.forward_signals")
}

fn forwarded(config: &Config) -> Vec<seaworthy_lifecycle::signals::Name> {
    config
        .app
        .forward_signals
        .iter()
        .map(|signal| (*signal).into())
        .collect()
}

//! What is built before anything is started.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use seaworthy_config::Loaded;
use seaworthy_core::address::Address;
use seaworthy_core::clock::Clock;
use seaworthy_core::names::metric;
use seaworthy_http::upstream::Roster;
use seaworthy_lifecycle::journal::Journal;
use seaworthy_telemetry::access::{self, Writer};
use seaworthy_telemetry::metrics::Registry;
use tokio::sync::mpsc;

use super::app::App;
use super::face::Face;
use super::plane::Plane;
use crate::armour::Armour;
use crate::components::{Components, Prepared, State};
use crate::config::Config;
use crate::documents::Documents;
use crate::failure::Failure;
use crate::flags::Flags;
use crate::instance::new_token;
use crate::listeners::tls::Files;
use crate::reload::{Ask, Asker};
use crate::secrets::Keeper;

/// What an app is taken to keep idle connections for when it is not Seaworthy that starts it.
const REMOTE_KEEP_ALIVE: Duration = Duration::from_secs(5);

/// Everything that is built before anything is started.
pub(super) struct Parts {
    pub(super) loaded: Arc<Loaded<Config>>,
    pub(super) registry: Arc<Registry>,
    pub(super) state: State,
    pub(super) asks: mpsc::Receiver<Ask>,
    pub(super) asker: Asker,
    pub(super) token: Arc<str>,
    pub(super) components: Arc<Components>,
    pub(super) face: Face,
    pub(super) armour: Armour,
    pub(super) secrets: Keeper,
    pub(super) journal: Journal,
    pub(super) changes: Vec<String>,
    pub(super) server: Option<(&'static str, Address)>,
    pub(super) plane: Option<Plane>,
}

impl Parts {
    pub(super) fn build(
        loaded: Loaded<Config>,
        secrets: Keeper,
        app: &Option<App>,
        began: Instant,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let config = &loaded.value;
        let registry = Registry::new(&[]);
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
        let face = Face::new(config, roster.clone(), &registry, began);
        let journal = Journal::new();
        let armour = Armour::new(config, clock, &registry, &journal);
        show(&face, &armour);
        let prepared = Prepared::build(config, clock, &registry, None)?;
        let token: Arc<str> = new_token()
            .context("no random numbers for the admin token")?
            .into();
        let (sender, asks) = mpsc::channel(16);
        let asker = Asker::new(sender, token.clone());
        let state = State {
            roster,
            board: face.board().clone(),
            keep_alive: plan
                .as_ref()
                .map_or(REMOTE_KEEP_ALIVE, |plan| plan.keep_alive),
            most_connections: plan.as_ref().and_then(|plan| plan.max_connections),
            registry: registry.clone(),
            names: Arc::default(),
            armour: armour.clone(),
            asker: Some(asker.clone()),
            secrets: secrets.clone(),
            flags: Flags::start(config)?,
            documents: Documents::start(config)?,
        };
        let components = Arc::new(Components::build(1, config, prepared, &state));
        let changes = plan
            .iter()
            .flat_map(|plan| &plan.changes)
            .map(|change| change.as_str().to_owned())
            .collect();
        let server = plan.map(|plan| (plan.server, plan.address));
        Ok(Self {
            loaded: Arc::new(loaded),
            registry,
            state,
            asks,
            asker,
            token,
            components,
            face,
            armour,
            secrets,
            journal,
            changes,
            server,
            plane: None,
        })
    }

    pub(super) fn start_plane(&self, listener: std::net::TcpListener) -> anyhow::Result<Plane> {
        let access = self.loaded.value.log.access.then(|| {
            Writer::try_new(&access::Config {
                format: self.loaded.value.log.format,
                service: self.loaded.value.service.name.clone(),
                routes: self.state.templates(),
                shown: self.loaded.value.security.in_lines(),
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
        let http2 = self.loaded.value.listen.http2;
        let files = self.loaded.value.listen.tls.as_ref().map(|tls| Files {
            cert: tls.cert.clone(),
            key: tls.key.clone(),
            http2,
        });
        Plane::start(&self.components, listener, files, access)
            .map_err(|error| Failure::usage(format!("{error:#}")).into())
    }
}

/// What views show besides checks.
fn show(face: &Face, armour: &Armour) {
    let breakers = armour.breakers.clone();
    face.board().update(|snapshot| {
        let breakers = breakers.clone();
        snapshot.breakers = seaworthy_health::Breakers::new(move || breakers.metadata());
        snapshot.features = seaworthy_health::Features::global().clone();
    });
}

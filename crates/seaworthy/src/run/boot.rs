//! Builds everything in its order, and takes it apart again.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use seaworthy_config::Loaded;
use seaworthy_core::route::RouteTable;
use seaworthy_health::{Board, Gate, Snapshot};
use seaworthy_http::drain::Phase;
use seaworthy_http::upstream::Roster;
use seaworthy_telemetry::access::{self, Writer};
use seaworthy_telemetry::log;
use seaworthy_telemetry::metrics::Registry;

use super::plane::Plane;
use crate::components::{Components, State};
use crate::config::Config;
use crate::listeners;
use crate::listeners::tls::Files;

/// See [`super::execute`].
pub(super) async fn run(loaded: Loaded<Config>, env: BTreeMap<String, String>) -> anyhow::Result<u8> {
    let config = loaded.value;
    let name = config.service.name.clone();
    log::init(&config.log, &name).context("logging")?;
    let wished = config.listen.public.map_or_else(|| from_port(&env), |bind| bind.0);
    let listener = listeners::bind(wished)?;
    let routes = Arc::new(RouteTable::try_new(config.routes.iter().map(|route| route.pattern.as_str()))?);
    let registry = Registry::new(routes.templates());
    let connect = config.app.connect.clone().context("app.connect")?;
    let board = Board::new(Snapshot {
        service: name.clone(),
        version: config.service.version.clone(),
        state: "running",
        gate: Gate::Open,
        started: true,
        started_at: SystemTime::now(),
        startup_ms: None,
        instances: Vec::new(),
    });
    let state = State {
        roster: Roster::remote(connect),
        board: board.clone(),
        keep_alive: Duration::from_secs(5),
        registry: registry.clone(),
        routes: routes.clone(),
    };
    let access = config.log.access.then(|| {
        Writer::try_new(&access::Config { format: config.log.format, service: name.clone(), routes: routes.templates().to_vec() })
    });
    let components = Arc::new(Components::build(&config, state));
    let files = config.listen.tls.as_ref().map(|tls| Files { cert: tls.cert.clone(), key: tls.key.clone(), http2: config.listen.http2 });
    let mut plane = Plane::start(&components, listener, files, access.transpose()?)?;
    tracing::info!(event = "listener.opened", address = %plane.address);
    let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        _ = term.recv() => {}
        result = tokio::signal::ctrl_c() => result?,
    }
    plane.public.advance(Phase::Draining);
    while plane.public.inside() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    plane.public.close();
    plane.public.advance(Phase::Cut);
    plane.workers_ended().await;
    plane.flush()?;
    Ok(0)
}

fn from_port(env: &BTreeMap<String, String>) -> SocketAddr {
    let port = env.get("PORT").and_then(|port| port.parse().ok()).unwrap_or(8000);
    SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))
}

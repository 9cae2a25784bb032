//! An axum service that stops the way a service behind Seaworthy does, with the crates alone.
//!
//! `seaworthy-http` has the gate: it counts requests, refuses new ones once the drain began, and ends what outlives the
//! deadline. `seaworthy-lifecycle` has the rest: handlers for start and stop, background tasks, signals. Try it:
//!
//! ```text
//! PORT=8000 cargo run -p axum-lifecycle
//! curl localhost:8000/slow &          # takes 1.5 s
//! kill -TERM <pid>                    # /ready turns 503, /slow is answered, new requests get 503
//! ```

mod gate;
mod stop;

use std::io::{self, IsTerminal as _};
use std::net::Ipv4Addr;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use seaworthy_http::drain::{Drain, Phase};
use seaworthy_lifecycle::service::Lifecycle;
use seaworthy_lifecycle::signals::Signals;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let colours = io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(colours)
        .init();
    // First of all: a signal that arrives before there is a handler ends the process at once.
    let signals = Signals::install()?;
    let life = Lifecycle::new();
    life.on_startup("model", async || {
        tracing::info!("the model is loaded");
        Ok::<_, io::Error>(())
    });
    life.on_shutdown("model", async || {
        tracing::info!("the model is unloaded");
        Ok::<_, io::Error>(())
    });
    life.tasks().spawn("janitor", |token| async move {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        while token.run_until_cancelled(tick.tick()).await.is_some() {
            tracing::debug!("swept");
        }
    });

    let port = std::env::var("PORT")
        .ok()
        .and_then(|port| port.parse().ok());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.unwrap_or(8000))).await?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    life.start().await?;

    let drain = Drain::default();
    axum::serve(listener, router(drain.clone()))
        .with_graceful_shutdown(stop::drained(signals, drain))
        .await?;
    let report = life.shutdown("the signal").await;
    tracing::info!(handlers = report.handlers.len(), tasks = ?report.tasks.cancelled, "stopped");
    Ok(())
}

/// The service behind the gate, and its readiness outside of it: a probe must be answered while requests are refused.
fn router(drain: Drain) -> Router {
    let service = Router::new().route("/", get(|| async { "hello\n" })).route(
        "/slow",
        get(|| async {
            tracing::info!("a slow request has come in");
            tokio::time::sleep(Duration::from_millis(1500)).await;
            "done\n"
        }),
    );
    gate::before(service, drain.clone())
        .route("/live", get(|| async { "healthy\n" }))
        .route("/ready", get(ready).with_state(drain))
}

async fn ready(State(drain): State<Drain>) -> (StatusCode, &'static str) {
    if drain.phase() == Phase::Serving {
        (StatusCode::OK, "healthy\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n")
    }
}

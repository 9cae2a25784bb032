//! `seaworthy mock`: a small upstream for demos, tests and drills, with one path for each way an app can behave or misbehave.
//!
//! It is built on axum and hyper, not on our own HTTP edge, so that the two sides of a test never share a fault. It sends no
//! 103 (hyper cannot) and is no server for production.

mod bodies;
mod faults;
mod kronos;
#[cfg(test)]
mod tests;
mod websocket;

use std::future::Future;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::serve::{Listener, ListenerExt};
use seaworthy_core::address::Address;
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::failure::Failure;

/// What to serve, and where.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 takes a free one and says which.
    pub listen: Address,
    /// A set of paths beside the plain ones.
    pub profile: Option<Profile>,
    /// No line per request.
    pub quiet: bool,
}

/// A service to play.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Profile {
    /// A model server that needs two seconds to load its model.
    Kronos,
}

/// What the handlers share.
#[derive(Clone, Debug, Default)]
struct Shared {
    failures: Arc<faults::Failures>,
    stopping: CancellationToken,
    /// WebSockets, which outlive the request that opened them.
    sockets: TaskTracker,
}

/// Serves until SIGTERM or SIGINT, then lets open requests end.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn serve(options: Options) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    match &options.listen {
        Address::Tcp(address) => {
            let listener = TcpListener::bind(address)
                .await
                .map_err(|error| refused(&options.listen, &error))?;
            say(&format!("mock: listening on {}", listener.local_addr()?));
            // Small answers must not wait for the peer's acknowledgement.
            let listener = listener.tap_io(|stream| stream.set_nodelay(true).unwrap_or(()));
            serve_on(listener, &options, stop).await
        }
        Address::Unix(path) => {
            remove_dead_socket(path).await;
            let listener =
                UnixListener::bind(path).map_err(|error| refused(&options.listen, &error))?;
            say(&format!("mock: listening on {}", options.listen));
            let served = serve_on(listener, &options, stop).await;
            std::fs::remove_file(path).ok();
            served
        }
    }
}

fn refused(address: &Address, error: &std::io::Error) -> Failure {
    let what = if error.kind() == std::io::ErrorKind::AddrInUse {
        format!("{address} is taken by another process: end it, or choose")
    } else {
        format!("the mock cannot listen on {address}: {error}; choose")
    };
    Failure::usage(format!("{what} another address with --listen"))
}

/// Serves on an open listener until `stop` is done and every request has been answered.
async fn serve_on<L>(
    listener: L,
    options: &Options,
    stop: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()>
where
    L: Listener,
    L::Addr: std::fmt::Debug,
{
    let shared = Shared::default();
    let (stopping, sockets) = (shared.stopping.clone(), shared.sockets.clone());
    let stop = async move {
        stop.await;
        stopping.cancel();
    };
    axum::serve(listener, router(options, shared))
        .with_graceful_shutdown(stop)
        .await?;
    sockets.close();
    sockets.wait().await;
    Ok(())
}

fn router(options: &Options, shared: Shared) -> Router {
    let mut paths = Router::new()
        .merge(bodies::paths())
        .merge(faults::paths())
        .merge(websocket::paths());
    if options.profile == Some(Profile::Kronos) {
        paths = paths.merge(kronos::paths(Instant::now()));
    }
    let router = paths.with_state(shared);
    if options.quiet {
        router
    } else {
        router.layer(middleware::from_fn(log))
    }
}

async fn log(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let line = format!("{} {}", request.method(), request.uri());
    let response = next.run(request).await;
    say(&format!(
        "{line} {} {}ms",
        response.status().as_u16(),
        started.elapsed().as_millis()
    ));
    response
}

/// Writes a line of talk. A closed stderr is no reason to stop serving.
fn say(line: &str) {
    // In one piece: whoever shares this stream must not get in between.
    std::io::stderr()
        .write_all(format!("{line}\n").as_bytes())
        .ok();
}

/// A socket file that nobody listens on is left over from a process that was killed.
async fn remove_dead_socket(path: &Path) {
    if let Err(error) = UnixStream::connect(path).await
        && error.kind() == std::io::ErrorKind::ConnectionRefused
    {
        std::fs::remove_file(path).ok();
    }
}

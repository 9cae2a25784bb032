//! An axum service with the rules of `seaworthy.yaml` around it: limits, bans, headers, sizes, metrics, in one line.
//!
//! ```text
//! cd examples/axum-armour && PORT=8000 cargo run -p axum-armour
//! seaworthy bench localhost:8000/ --count 105       # first 100 200, last 5 429
//! curl localhost:8000/metrics
//! ```

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::anyhow;
use axum::Router;
use axum::extract::Path;
use axum::routing::{get, post};
use seaworthy::config::{Config, Options};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    // Only for a Redis or a key set that is reached by TLS. It fails when one was chosen before.
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.install_default().ok();
    // The file of this folder, and variables such as SEAWORTHY__LIMITS__STORE.
    let options = Options {
        cwd: std::env::current_dir()?,
        env: std::env::vars().collect(),
        ..Options::default()
    };
    let config = Config::load(&options).map_err(|problems| anyhow!(problems.render(false)))?;

    let service = Router::new()
        .route("/", get(|| async { "hello\n" }))
        .route(
            "/items/{id}",
            get(|Path(id): Path<u32>| async move { format!("item {id}\n") }),
        )
        .route(
            "/upload",
            post(|body: String| async move { format!("{} bytes\n", body.len()) }),
        );
    let service = seaworthy::axum::setup(service, &config.value)?;

    let port = std::env::var("PORT").unwrap_or("8000".to_owned()).parse()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    axum::serve(
        listener,
        service.into_make_service_with_connect_info::<SocketAddr>(),
    )
    .await?;
    Ok(())
}

//! An axum service with the health of a service behind Seaworthy, with `seaworthy-health` alone.
//!
//! ```text
//! PORT=8000 cargo run -p axum-health
//! curl localhost:8000/health            # everything
//! curl -i localhost:8000/health/ready   # 503 while the folder of the uploads is missing
//! ```

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use seaworthy_health::{Health, Outcome, Spec, blocking, from_fn};
use tokio::net::{TcpListener, TcpStream};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let setting = |name: &str, default: &str| std::env::var(name).unwrap_or(default.to_owned());
    let cache = setting("CACHE", "127.0.0.1:6379");
    let uploads = PathBuf::from(setting("UPLOADS", "/tmp"));

    let health = Health::builder("shop")
        .version(env!("CARGO_PKG_VERSION"))
        .spec(Spec::new("cache", from_fn(move || reach(cache.clone()))).optional())
        .spec(
            Spec::new("uploads", blocking(move || folder(&uploads))).every(Duration::from_secs(1)),
        )
        .build();

    // Liveness looks at the loop itself: when it hangs, a restart mends it.
    let pulse = health.pulse("worker", Duration::from_secs(30));
    tokio::spawn(async move {
        loop {
            pulse.beat();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });

    let service = Router::new()
        .route("/", get(|| async { "hello\n" }))
        .route_service("/health", health.routes())
        .route_service("/health/{view}", health.routes());
    let port = setting("PORT", "8000").parse()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    axum::serve(listener, service).await?;
    Ok(())
}

async fn reach(address: String) -> Outcome {
    match TcpStream::connect(&address).await {
        Ok(_) => Outcome::healthy("it accepts connections"),
        Err(error) => Outcome::unhealthy(error.to_string()),
    }
}

fn folder(path: &std::path::Path) -> Outcome {
    if path.is_dir() {
        Outcome::healthy("it is there")
    } else {
        Outcome::unhealthy("there is no such folder")
    }
}

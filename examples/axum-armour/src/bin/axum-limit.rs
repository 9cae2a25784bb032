//! One rule alone: the rate limit of `seaworthy-http` as a tower layer around an axum router, without a file and without the
//! product.
//!
//! ```text
//! PORT=8000 cargo run -p axum-armour --bin axum-limit
//! ```

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use axum::routing::get;
use http_body_util::BodyExt as _;
use seaworthy_core::clock::Clock;
use seaworthy_core::quota::Quota;
use seaworthy_http::error::{BodyError, Error};
use seaworthy_http::exchange::Exchange;
use seaworthy_http::limit::{
    ANONYMOUS, Fields, Keys, Limits, Memory, Policy, PolicyConfig, RateLimitLayer, Rules,
};
use seaworthy_http::rescue::RescueLayer;
use seaworthy_http::timer::TokioTimer;
use tokio::net::TcpListener;
use tower::ServiceBuilder;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // A hundred, which come back together a minute after the first was taken.
    let quota = Quota::interval(100, Duration::from_secs(60))?;
    let service = Router::new().route("/", get(|| async { "hello\n" }));
    let service = limited(service, quota);
    let port = std::env::var("PORT").unwrap_or("8000".to_owned()).parse()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    axum::serve(
        listener,
        service.into_make_service_with_connect_info::<SocketAddr>(),
    )
    .await?;
    Ok(())
}

/// Gives each address its quota of what `service` does.
fn limited(service: Router, quota: Quota) -> Router {
    let policy = Policy::new(PolicyConfig::new(ANONYMOUS, Some(quota)));
    let everywhere = Rules {
        tiers: true,
        cost: 1,
        ..Rules::default()
    };
    let limits = Limits {
        tiers: [Arc::new(policy)].into(),
        policies: Box::default(),
        rules: [everywhere].into(),
        keys: Keys::default(),
        fields: Fields::default(),
        clock: Clock::new(Instant::now(), 1),
    };
    service.layer(
        ServiceBuilder::new()
            // What a layer knows of a request besides its head.
            .map_request(|mut request: Request| {
                let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
                let peer = peer.map(|ConnectInfo(peer)| *peer);
                let mut exchange = Exchange::new(Instant::now(), peer, false);
                exchange.client = peer.map(|peer| peer.ip());
                request.extensions_mut().insert(exchange);
                request
            })
            // A refusal becomes an answer here.
            .layer(RescueLayer::default())
            .layer(RateLimitLayer::new(
                Some(Arc::new(limits)),
                Memory,
                TokioTimer,
            ))
            .map_response(|response: Response| {
                response.map(|body: Body| {
                    body.map_err(|error| BodyError::Io(std::io::Error::other(error)))
                })
            })
            .map_err(|never: Infallible| -> Error { match never {} }),
    )
}

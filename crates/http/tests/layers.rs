//! The layers alone, in a service that is shared between the threads of a work-stealing runtime, as in axum.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::MapErr;
use http_body_util::{BodyExt as _, Full};
use seaworthy_core::exchange::{Finished, Observer};
use seaworthy_core::identity::TrustedProxies;
use seaworthy_core::route::RouteTable;
use seaworthy_http::drain::{Drain, DrainLayer};
use seaworthy_http::error::{BodyError, Error};
use seaworthy_http::exchange::Exchange;
use seaworthy_http::identify::{Config, IdentifyLayer};
use seaworthy_http::observe::ObserveLayer;
use seaworthy_http::rescue::RescueLayer;
use seaworthy_http::size::LimitSizeLayer;
use seaworthy_http::timeout::{Limits, TimeoutLayer};
use seaworthy_http::timer::TokioTimer;
use seaworthy_http::views::{MountLayer, Views};
use tower::{Service, ServiceBuilder, ServiceExt as _};

type Plain = MapErr<Full<Bytes>, fn(Infallible) -> BodyError>;

fn body(bytes: &'static [u8]) -> Plain {
    Full::new(Bytes::from_static(bytes)).map_err(|never| match never {})
}

#[derive(Default)]
struct Count {
    started: AtomicUsize,
    refused: AtomicUsize,
    finished: AtomicUsize,
}

impl Observer for Count {
    fn started(&self) {
        self.started.fetch_add(1, Ordering::Relaxed);
    }

    fn finished(&self, done: &Finished<'_>) {
        assert_eq!(done.client, Some(IpAddr::from(Ipv4Addr::LOCALHOST)));
        assert!(!done.request_id.is_empty());
        self.finished.fetch_add(1, Ordering::Relaxed);
        self.refused
            .fetch_add(usize::from(done.error.is_some()), Ordering::Relaxed);
    }
}

struct Probe;

impl Views for Probe {
    fn answer<B>(&self, request: &Request<B>) -> Option<Response<Bytes>> {
        (request.uri().path() == "/live").then(|| Response::new(Bytes::from_static(b"alive")))
    }
}

/// The app: an echo of its path's name, or silence.
async fn app<B>(request: Request<B>) -> Result<Response<Plain>, Error> {
    if request.uri().path() == "/silent" {
        std::future::pending::<()>().await;
    }
    Ok(Response::new(body(b"app")))
}

fn service(
    count: Arc<Count>,
) -> impl Service<
    Request<Plain>,
    Response = Response<impl http_body::Body<Data = Bytes, Error = BodyError> + Send>,
    Error = Infallible,
    Future: Send,
> + Clone
+ Send {
    let limits = Limits {
        response: Some(Duration::from_millis(20)),
        ..Limits::default()
    };
    let config = Config {
        trusted: TrustedProxies::default(),
        request_id: true,
        trace: true,
        routes: Arc::new(RouteTable::default()),
    };
    ServiceBuilder::new()
        .map_request(|mut request: Request<Plain>| {
            let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
            let exchange = Exchange::new(Instant::now(), Some(peer), false);
            request.extensions_mut().insert(exchange);
            request
        })
        .layer(IdentifyLayer::new(config))
        .layer(ObserveLayer::new(Some(count)))
        .layer(MountLayer::new(Arc::new(Probe)))
        .layer(RescueLayer::default())
        .layer(DrainLayer::new(Drain::default()))
        .layer(LimitSizeLayer::new([Some(4)].as_slice().into()))
        .layer(TimeoutLayer::new(&[limits], TokioTimer))
        .service_fn(app)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_layer_works_in_a_service_that_moves_between_threads() {
    const EACH: usize = 50;
    let count = Arc::new(Count::default());
    let service = service(count.clone());
    let mut tasks = tokio::task::JoinSet::new();
    for (path, sent, status, text) in [
        ("/", &b"four"[..], 200, "app"),
        ("/live", b"", 200, "alive"),
        ("/large", b"more than four", 413, "PayloadTooLarge"),
        ("/silent", b"", 504, "UpstreamTimeout"),
    ] {
        for _ in 0..EACH {
            let service = service.clone();
            tasks.spawn(async move {
                let request = Request::post(path).body(body(sent)).expect("a request");
                let answer = service.oneshot(request).await.expect("never fails");
                assert_eq!(answer.status(), StatusCode::from_u16(status).expect("one"));
                assert!(answer.headers().contains_key("x-request-id"));
                let got = answer.into_body().collect().await.expect("a body");
                let got = String::from_utf8(got.to_bytes().to_vec()).expect("text");
                assert!(got.contains(text), "{got}");
            });
        }
    }
    while let Some(task) = tasks.join_next().await {
        task.expect("no task panics");
    }
    let counted = [&count.started, &count.finished, &count.refused]
        .map(|counter| counter.load(Ordering::Relaxed));
    assert_eq!(counted, [4 * EACH, 4 * EACH, 2 * EACH]);
}

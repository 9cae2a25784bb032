//! What becomes of places when requests wait, are dropped, fail or go on as streams.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::header::CONTENT_TYPE;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use seaworthy_core::catalogue;
use seaworthy_core::clock::Clock;
use seaworthy_core::concurrency::{Bounds, Priority};
use tokio::sync::Notify;
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::*;
use crate::error::Error;
use crate::timer::TokioTimer;

type Answer = Result<Response<Full<Bytes>>, Error>;

fn layer(pool: &Arc<Pool>, pressure: &Arc<Pressure>) -> ConcurrencyLayer<TokioTimer> {
    let rule = Rule {
        pools: [pool.clone()].into_iter().collect(),
        priority: Priority::Normal,
    };
    let clock = Clock::new(Instant::now(), 1);
    ConcurrencyLayer::new(vec![rule], pressure.clone(), clock, TokioTimer)
}

fn pool(limit: u32, queue: u32) -> Arc<Pool> {
    Arc::new(Pool::fixed("all", limit, queue, Duration::from_secs(1)))
}

fn answer() -> Answer {
    Ok(Response::new(Full::from("fine")))
}

fn reason<R>(result: Result<R, Error>) -> String {
    let error = result.map(drop).unwrap_err();
    assert_eq!(error.kind().name, "Overloaded");
    error.details()[0].1.as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_place_is_held_to_the_end_of_the_body() {
    let pool = pool(1, 0);
    let service =
        layer(&pool, &Arc::default()).layer(service_fn(|_: Request<()>| async { answer() }));
    let response = service.clone().oneshot(Request::new(())).await.unwrap();
    assert_eq!(pool.slots().inside(), 1);
    assert_eq!(
        reason(service.clone().oneshot(Request::new(())).await),
        "queue_full"
    );
    assert_eq!(pool.refused(), 1);
    response.into_body().collect().await.unwrap();
    assert_eq!(pool.slots().inside(), 0);
    drop(service.oneshot(Request::new(())).await.unwrap());
    assert_eq!(pool.slots().inside(), 0, "a body that nobody reads");
}

#[tokio::test]
async fn streams_give_their_place_back_with_the_head() {
    let pool = pool(1, 0);
    let events = || Frame::data(Bytes::from_static(b"data: 1\n\n"));
    let head = || Response::builder().header(CONTENT_TYPE, "text/event-stream");
    let service = layer(&pool, &Arc::default()).layer(service_fn(|_: Request<()>| async {
        let events = futures_util::stream::iter([Ok::<_, Error>(events())]);
        head()
            .body(StreamBody::new(events))
            .map_err(|_| Error::new(&catalogue::INTERNAL))
    }));
    let _stream = service.oneshot(Request::new(())).await.unwrap();
    assert_eq!(pool.slots().inside(), 0);
    // What says beforehand how long it is ends by itself.
    let service = layer(&pool, &Arc::default()).layer(service_fn(|_: Request<()>| async {
        head()
            .body(Full::<Bytes>::from("data: 1\n\n"))
            .map_err(|_| Error::new(&catalogue::INTERNAL))
    }));
    let _document = service.oneshot(Request::new(())).await.unwrap();
    assert_eq!(pool.slots().inside(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_is_refused_and_leaves_the_queue() {
    let pool = pool(1, 1);
    let never = layer(&pool, &Arc::default()).layer(service_fn(|_: Request<()>| {
        std::future::pending::<Answer>()
    }));
    let mut running = Box::pin(never.clone().oneshot(Request::new(())));
    assert!(running.as_mut().now_or_never().is_none());
    let late = never.clone().oneshot(Request::new(())).await;
    assert_eq!(reason(late), "queue_timeout");
    assert_eq!((pool.slots().inside(), pool.slots().waiting()), (1, 0));
    let mut waiting = Box::pin(never.oneshot(Request::new(())));
    assert!(waiting.as_mut().now_or_never().is_none());
    assert_eq!(pool.slots().waiting(), 1);
    drop(waiting);
    drop(running);
    assert_eq!((pool.slots().inside(), pool.slots().waiting()), (0, 0));
}

#[tokio::test]
async fn a_crowd_gets_through_with_no_more_than_the_limit_inside() {
    let pool = pool(3, 100);
    let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (seen, peak) = (inside.clone(), most.clone());
    let service = layer(&pool, &Arc::default()).layer(service_fn(move |_: Request<()>| {
        let (inside, most) = (inside.clone(), most.clone());
        async move {
            most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            inside.fetch_sub(1, Ordering::SeqCst);
            answer()
        }
    }));
    let crowd = (0..100).map(|_| {
        let service = service.clone();
        async move {
            let response = service.oneshot(Request::new(())).await.unwrap();
            response.into_body().collect().await.map(drop)
        }
    });
    for ended in futures_util::future::join_all(crowd).await {
        let _: () = ended.unwrap_or_else(|never: Infallible| match never {});
    }
    assert_eq!(peak.load(Ordering::SeqCst), 3);
    assert_eq!((seen.load(Ordering::SeqCst), pool.slots().inside()), (0, 0));
}

#[tokio::test]
async fn short_memory_refuses_what_matters_less() {
    let (pool, pressure) = (pool(10, 0), Arc::new(Pressure::default()));
    let service = layer(&pool, &pressure).layer(service_fn(|_: Request<()>| async { answer() }));
    assert!(service.clone().oneshot(Request::new(())).await.is_ok());
    pressure.set(Priority::High);
    assert_eq!(
        reason(service.clone().oneshot(Request::new(())).await),
        "memory"
    );
    assert_eq!(pressure.least(), Priority::High);
    pressure.set(Priority::Low);
    assert!(service.oneshot(Request::new(())).await.is_ok());
}

#[tokio::test]
async fn cancelled_requests_say_nothing_of_the_load_and_late_ones_do() {
    let bounds = Bounds {
        initial: 20,
        least: 1,
        most: 40,
    };
    let pool = Arc::new(Pool::adaptive("all", bounds, 0, Duration::from_secs(1)));
    let gate = Arc::new(Notify::new());
    let waits = gate.clone();
    let service = layer(&pool, &Arc::default()).layer(service_fn(move |request: Request<()>| {
        let waits = waits.clone();
        async move {
            if request.method() == http::Method::POST {
                return Err(Error::new(&catalogue::UPSTREAM_TIMEOUT));
            }
            waits.notified().await;
            answer()
        }
    }));
    for _ in 0..100 {
        let mut request = Box::pin(service.clone().oneshot(Request::new(())));
        assert!(request.as_mut().now_or_never().is_none());
    }
    assert_eq!((pool.slots().inside(), pool.slots().limit()), (0, 20));
    // A window of late answers is at least half a second long.
    let begun = Instant::now();
    while pool.slots().limit() == 20 {
        let post = Request::post("/").body(()).unwrap();
        assert!(service.clone().oneshot(post).await.is_err());
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "it never shrinks"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(pool.slots().limit(), 18);
}

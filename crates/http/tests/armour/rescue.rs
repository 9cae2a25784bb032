//! Who is told of failures: whoever made them, and of nothing else.

use std::sync::{Arc, Mutex};

use seaworthy_core::catalogue;
use seaworthy_core::ledger::Fault;
use seaworthy_http::error::Error;
use seaworthy_http::rescue::{Format, RescueLayer, Watch};
use tower::{Layer as _, ServiceExt as _};

use super::{answer, app, breaker, clock, request};

/// Keeps what it is told.
#[derive(Default)]
struct Ear(Mutex<Vec<Fault>>);

impl Watch for Ear {
    fn failed(&self, fault: Fault) {
        self.0.lock().expect("unpoisoned").push(fault);
    }
}

impl Ear {
    fn heard(&self) -> Vec<Fault> {
        std::mem::take(&mut *self.0.lock().expect("unpoisoned"))
    }
}

#[tokio::test]
async fn failures_are_told_whoever_made_them_and_nothing_else_is() {
    let ear = Arc::new(Ear::default());
    let (app, _) = app(|call| match call {
        1 => Ok(answer(200)),
        2 => Ok(answer(404)),
        3 => Err(Error::new(&catalogue::RATE_LIMIT_EXCEEDED)),
        4 => Ok(answer(503)),
        _ => Err(Error::new(&catalogue::UPSTREAM_TIMEOUT)),
    });
    let service = RescueLayer::new(Format::Envelope)
        .watched(ear.clone())
        .layer(app);
    let mut told = Vec::new();
    for _ in 0..5 {
        let call = service.clone().oneshot(request("GET", "/", ""));
        call.await.expect("an answer, always");
        told.push(ear.heard());
    }
    let timeout = Fault::Named(catalogue::UPSTREAM_TIMEOUT.name);
    let expected = [
        vec![],
        vec![],
        vec![],
        vec![Fault::Status(503)],
        vec![timeout],
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_request_that_is_given_up_is_no_failure() {
    let ear = Arc::new(Ear::default());
    let service = tower::service_fn(|_: http::Request<super::Body>| {
        std::future::pending::<Result<super::Answer, Error>>()
    });
    let service = RescueLayer::new(Format::Envelope)
        .watched(ear.clone())
        .layer(service);
    let mut call = Box::pin(service.oneshot(request("GET", "/", "")));
    assert!(futures_util::poll!(call.as_mut()).is_pending());
    drop(call);
    assert_eq!(ear.heard(), []);
}

#[tokio::test]
async fn a_breaker_tells_what_it_took_for_a_failure() {
    let ear = Arc::new(Ear::default());
    let (_, circuits) = breaker::watched(ear.clone());
    let (app, _) = app(|call| match call {
        1 => Ok(answer(200)),
        2 => Ok(answer(500)),
        3 => Err(Error::new(&catalogue::UPSTREAM_CLOSED)),
        _ => Err(Error::new(&catalogue::MALFORMED_REQUEST)),
    });
    let service = seaworthy_http::breaker::BreakerLayer::new(circuits, clock(1)).layer(app);
    for _ in 0..4 {
        // What comes of it is not what is looked at.
        let _ = service.clone().oneshot(request("GET", "/", "")).await;
    }
    let closed = Fault::Named(catalogue::UPSTREAM_CLOSED.name);
    assert_eq!(ear.heard(), [Fault::Status(500), closed]);
}

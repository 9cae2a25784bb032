//! The time of one try.

use std::time::Duration;

use seaworthy_core::breaker::{Mode, Rules, State};
use seaworthy_core::catalogue;
use seaworthy_http::attempt::AttemptLayer;
use seaworthy_http::breaker::BreakerLayer;
use seaworthy_http::timer::TokioTimer;
use tower::{ServiceBuilder, ServiceExt as _};

use super::breaker::circuit;
use super::{acting, answer, clock, request};

#[tokio::test(start_paused = true)]
async fn an_app_that_does_not_answer_has_failed() {
    let (breaker, circuits) = circuit(Rules {
        mode: Mode::Consecutive { failures: 2 },
        ..Rules::default()
    });
    let (app, _) = acting(|number, _| {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(if number == 1 { 900 } else { 1_100 })).await;
            Ok(answer(200))
        })
    });
    let limits = [Some(Duration::from_secs(1))];
    let service = ServiceBuilder::new()
        .layer(BreakerLayer::new(circuits, clock(1)))
        .layer(AttemptLayer::new(limits.as_slice().into(), TokioTimer))
        .service(app);
    let got = service.clone().oneshot(request("GET", "/", "")).await;
    assert_eq!(got.expect("in time").status(), 200);
    for failures in 1..=2 {
        let late = service.clone().oneshot(request("GET", "/", "")).await;
        assert_eq!(late.expect_err("late").kind(), &catalogue::UPSTREAM_TIMEOUT);
        assert_eq!(breaker.failures(), failures);
    }
    assert_eq!(breaker.state(), State::Open);
}

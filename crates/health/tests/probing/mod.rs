//! What the tests of all probes do: configure one as the file would, and let it look.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use seaworthy_core::health::State;
use seaworthy_health::probe::{Around, Fault, Probe};
use seaworthy_health::{Check, Outcome};
use seaworthy_testkit::server::{Manners, Rude};
use seaworthy_testkit::wait::{self, PATIENCE};
use serde_json::Value;

/// Long enough for a test that waits for silence.
pub(crate) const SOON: Duration = Duration::from_millis(300);

pub(crate) fn faults<P: Probe>(options: Value) -> Vec<Fault> {
    let mut faults = Vec::new();
    let probe: P = serde_json::from_value(options).expect("options");
    probe.faults(&Around::default(), &mut faults);
    faults
}

pub(crate) fn check<P: Probe>(options: Value) -> Arc<dyn Check> {
    let probe: P = serde_json::from_value(options).expect("options");
    let mut faults = Vec::new();
    probe.faults(&Around::default(), &mut faults);
    assert_eq!(faults, []);
    probe.check(&Around::default())
}

/// One run with all the time that it needs.
pub(crate) async fn look(check: &Arc<dyn Check>) -> Outcome {
    look_for(check, PATIENCE).await
}

/// One run, cancelled after `time` as the engine does.
pub(crate) async fn look_for(check: &Arc<dyn Check>, time: Duration) -> Outcome {
    let run = tokio::time::timeout(time, check.run()).await;
    run.unwrap_or_else(|_| Outcome::timed_out("timed out"))
}

/// Looks until it is well.
pub(crate) async fn recovers(check: &Arc<dyn Check>) -> Outcome {
    let well = wait::until("a healthy outcome", PATIENCE, || async {
        let outcome = look(check).await;
        (outcome.state == State::Ok).then_some(outcome)
    });
    well.await.expect("recovery")
}

/// One look, which fails and says `message`.
pub(crate) async fn says(check: &Arc<dyn Check>, message: &str) {
    let outcome = look(check).await;
    assert_eq!(
        (outcome.state, outcome.message.as_str()),
        (State::Fail, message)
    );
}

/// One look, which is good and says `message`.
pub(crate) async fn is_well(check: &Arc<dyn Check>, message: &str) -> Outcome {
    let outcome = look(check).await;
    assert_eq!(
        (outcome.state, outcome.message.as_str()),
        (State::Ok, message)
    );
    outcome
}

/// How a kind of check treats a peer that listens and does not play along.
pub(crate) async fn survives_rude_peers(
    make: impl Fn(SocketAddr) -> Arc<dyn Check>,
    nonsense: &str,
) {
    let silent = Rude::start(Manners::Silent).await.expect("a peer");
    let check = make(silent.address());
    for _ in 0..2 {
        let outcome = look_for(&check, SOON).await;
        assert_eq!(outcome.state, State::TimedOut, "{outcome:?}");
    }
    let closes = Rude::start(Manners::Closes).await.expect("a peer");
    says(&make(closes.address()), "it ended the connection").await;
    let refuses = seaworthy_testkit::address::free().expect("a port");
    says(&make(refuses), "nothing listens there (connection refused)").await;
    let http = b"HTTP/1.1 400 Bad Request\r\nsecret: hunter2\r\n\r\n".to_vec();
    let speaks_http = Rude::start(Manners::Says(http)).await.expect("a peer");
    says(&make(speaks_http.address()), nonsense).await;
    for filler in [vec![b'a'; 64 * 1024], vec![0xff; 64 * 1024]] {
        let endless = Rude::start(Manners::Endless(Vec::new(), filler)).await;
        says(&make(endless.expect("a peer").address()), nonsense).await;
    }
}

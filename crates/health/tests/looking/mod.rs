//! What the tests of all probes do: configure one as the file would, let it look, and take its server away.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use seaworthy_core::health::State;
use seaworthy_health::probe::{Around, Fault, Probe};
use seaworthy_health::{Check, Component, Health, Outcome, Spec};
use seaworthy_testkit::server::{Daemon, Manners, Rude};
use seaworthy_testkit::wait::{self, PATIENCE};
use serde_json::Value;

/// Long enough for a test that waits for silence.
pub(crate) const SOON: Duration = Duration::from_millis(300);

/// What a check says of a port that nobody has.
pub(crate) const NOBODY: &str = "nothing listens there (connection refused)";

/// The probe that this JSON configures.
pub(crate) fn probe<P: Probe>(options: Value) -> P {
    serde_json::from_value(options).expect("options of the probe")
}

/// The names of the options that are wrong.
pub(crate) fn faults(probe: &impl Probe) -> Vec<&'static str> {
    let mut faults: Vec<Fault> = Vec::new();
    probe.faults(&Around::default(), &mut faults);
    faults.iter().map(|fault| fault.option).collect()
}

/// The check that this JSON configures, and rightly so.
pub(crate) fn check<P: Probe>(options: Value) -> Arc<dyn Check> {
    let probe: P = probe(options);
    assert_eq!(faults(&probe), [""; 0]);
    let check = probe.check(&Around::default());
    assert_eq!(check.kind(), P::KIND);
    check
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

/// The first run of a probe.
pub(crate) async fn once(probe: &impl Probe) -> Outcome {
    look(&probe.check(&Around::default())).await
}

/// State and message of one run.
pub(crate) async fn said(probe: &impl Probe) -> (State, String) {
    let outcome = once(probe).await;
    (outcome.state, outcome.message)
}

/// Looks until the state is `state`.
pub(crate) async fn becomes(check: &Arc<dyn Check>, state: State) -> Outcome {
    let what = format!("{state:?}");
    let found = wait::until(&what, PATIENCE * 6, || async {
        let outcome = look_for(check, PATIENCE / 4).await;
        (outcome.state == state).then_some(outcome)
    });
    found.await.expect("the state")
}

/// One look, which fails and says `message`.
pub(crate) async fn says(check: &Arc<dyn Check>, message: &str) {
    shows(check, State::Fail, message).await;
}

/// One look, which is good and says `message`.
pub(crate) async fn is_well(check: &Arc<dyn Check>, message: &str) -> Outcome {
    shows(check, State::Ok, message).await
}

/// One look, which finds `state` and says `message`.
pub(crate) async fn shows(check: &Arc<dyn Check>, state: State, message: &str) -> Outcome {
    let outcome = look(check).await;
    assert_eq!(
        (outcome.state, outcome.message.as_str()),
        (state, message),
        "{outcome:?}"
    );
    outcome
}

/// Some looks at what does not answer.
pub(crate) async fn hangs(check: &Arc<dyn Check>) {
    for _ in 0..3 {
        let outcome = look_for(check, SOON).await;
        assert_eq!(outcome.state, State::TimedOut, "{outcome:?}");
    }
}

/// Stops, starts and pauses the server of a check that is well, which says so each time.
pub(crate) async fn follows(check: &Arc<dyn Check>, server: &mut Daemon) {
    let message = look(check).await.message;
    is_well(check, &message).await;
    server.stop().await.expect("its end");
    says(check, NOBODY).await;
    server.start().await.expect("its start");
    becomes(check, State::Ok).await;
    // A restart between two runs is no failure.
    server.stop().await.expect("its end");
    server.start().await.expect("its start");
    is_well(check, &message).await;
    server.pause().await.expect("silence");
    hangs(check).await;
    server.resume().expect("its return");
    is_well(check, &message).await;
}

/// How a kind of check treats a peer that listens and does not play along.
pub(crate) async fn survives_rude_peers(
    make: impl Fn(SocketAddr) -> Arc<dyn Check>,
    nonsense: &str,
) {
    let peer = async |manners| Rude::start(manners).await.expect("a peer");
    let silent = peer(Manners::Silent).await;
    hangs(&make(silent.address())).await;
    let closes = peer(Manners::Closes).await;
    says(&make(closes.address()), "it ended the connection").await;
    let nobody = seaworthy_testkit::address::free().expect("a port");
    says(&make(nobody), NOBODY).await;
    let http = b"HTTP/1.1 400 Bad Request\r\nsecret: hunter2\r\n\r\n";
    let mut others = vec![Manners::Says(http.to_vec())];
    for filler in [b'a', b'+', 0xff] {
        others.push(Manners::Endless(Vec::new(), vec![filler; 64 * 1024]));
    }
    for manners in others {
        let outcome = look(&make(peer(manners).await.address())).await;
        assert_eq!(outcome.state, State::Fail, "{outcome:?}");
        assert!(outcome.message.contains(nonsense), "{outcome:?}");
        assert!(!outcome.message.contains("hunter2"), "{outcome:?}");
    }
    // The beginning of much that never comes.
    let array = Manners::Says(b"*1000000000\r\n$1000000000\r\n".to_vec());
    let outcome = look_for(&make(peer(array).await.address()), SOON).await;
    assert!(!outcome.state.passes(), "{outcome:?}");
}

/// A registry that looks all the time, with little patience.
pub(crate) struct Watch(Health);

impl Watch {
    pub(crate) fn new(probe: &impl Probe) -> Self {
        let health = Health::default();
        let spec = Spec::new("x", probe.check(&Around::default()))
            .every(Duration::from_millis(100))
            .timeout(Duration::from_millis(500))
            .steadiness(1, 1);
        health.register(spec);
        Self(health)
    }

    /// Waits until the check is shown in `state`.
    pub(crate) async fn until(&self, state: State) -> Arc<Component> {
        let mut reports = self.0.subscribe();
        let found = reports.wait_for(|report| {
            report
                .component("x")
                .is_some_and(|component| component.state == state)
        });
        let report = match tokio::time::timeout(PATIENCE, found).await {
            Ok(report) => report.expect("the registry lives").clone(),
            Err(_) => panic!("waited in vain for {state:?}: {:?}", self.0.report()),
        };
        report.component("x").expect("it is there").clone()
    }
}

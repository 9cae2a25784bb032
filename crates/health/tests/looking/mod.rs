//! Looks with a probe, once or again and again.
#![allow(dead_code)] // Each test program includes this and needs a part of it.

use std::sync::Arc;
use std::time::Duration;

use seaworthy_core::health::State;
use seaworthy_health::probe::{Around, Fault, Probe};
use seaworthy_health::{Component, Health, Outcome, Spec};
use seaworthy_testkit::wait::PATIENCE;

/// The probe that this JSON configures.
pub(crate) fn probe<P: Probe>(options: serde_json::Value) -> P {
    serde_json::from_value(options).expect("options of the probe")
}

/// The names of the options that are wrong.
pub(crate) fn faults(probe: &impl Probe) -> Vec<&'static str> {
    let mut faults: Vec<Fault> = Vec::new();
    probe.faults(&Around::default(), &mut faults);
    faults.iter().map(|fault| fault.option).collect()
}

/// One run, which has to end by itself.
pub(crate) async fn once(probe: &impl Probe) -> Outcome {
    let check = probe.check(&Around::default());
    assert_eq!(check.kind(), kind_of(probe));
    tokio::time::timeout(PATIENCE, check.run())
        .await
        .expect("the end of the check")
}

fn kind_of<P: Probe>(_: &P) -> &'static str {
    P::KIND
}

/// State and message of one run.
pub(crate) async fn said(probe: &impl Probe) -> (State, String) {
    let outcome = once(probe).await;
    (outcome.state, outcome.message)
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

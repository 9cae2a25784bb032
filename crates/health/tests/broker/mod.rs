//! What the tests of the broker kinds share: a check from its options, one run of it, and peers that misbehave.
#![allow(dead_code, reason = "each test program uses a part")]

use std::sync::Arc;
use std::time::Duration;

use seaworthy_core::health::State;
use seaworthy_health::probe::{Around, Probe};
use seaworthy_health::{Check, Outcome};
use seaworthy_testkit::address::Address;
use seaworthy_testkit::origin::{Origin, Script, Step};
use seaworthy_testkit::wait;
use serde_json::Value;

/// Long enough for a healthy server on a busy machine.
pub(crate) const PATIENT: Duration = Duration::from_secs(30);

/// How long a run may take that is meant to run out of time.
pub(crate) const IMPATIENT: Duration = Duration::from_millis(700);

/// The check that these options describe.
pub(crate) fn check<P: Probe>(options: Value) -> Arc<dyn Check> {
    let probe: P = serde_json::from_value(options).expect("the options");
    let mut faults = Vec::new();
    probe.faults(&Around::default(), &mut faults);
    assert_eq!(faults, []);
    probe.check(&Around::default())
}

/// The options that `options` finds fault with.
pub(crate) fn faults<P: Probe>(options: Value) -> Vec<&'static str> {
    let probe: P = serde_json::from_value(options).expect("the options");
    let mut faults = Vec::new();
    probe.faults(&Around::default(), &mut faults);
    faults.into_iter().map(|fault| fault.option).collect()
}

/// One run, cut short after `limit` as the engine does it.
pub(crate) async fn run(check: &dyn Check, limit: Duration) -> Outcome {
    match tokio::time::timeout(limit, check.run()).await {
        Ok(outcome) => outcome,
        Err(_) => Outcome::timed_out("timed out"),
    }
}

/// One patient run.
pub(crate) async fn look(check: &dyn Check) -> Outcome {
    run(check, PATIENT).await
}

/// Runs until the state is `state`, which must come.
pub(crate) async fn becomes(check: &dyn Check, state: State) -> Outcome {
    let what = format!("{state:?}");
    wait::until(&what, Duration::from_secs(120), || async {
        let outcome = run(check, Duration::from_secs(5)).await;
        eprintln!("waiting for {what}: {outcome:?}");
        (outcome.state == state).then_some(outcome)
    })
    .await
    .expect("the state")
}

/// Runs against peers that are no such server, and checks that each is told from the others in one safe sentence.
pub(crate) async fn misbehaving(make: impl Fn(std::net::SocketAddr) -> Arc<dyn Check>) {
    let nobody = make(seaworthy_testkit::address::free().expect("a port"));
    let outcome = look(&*nobody).await;
    assert_eq!(outcome.state, State::Fail);
    assert_eq!(
        outcome.message,
        "nothing listens there (connection refused)"
    );

    let (_peer, mute) = peer(&make, vec![Step::Hang]).await;
    assert_eq!(run(&*mute, IMPATIENT).await.state, State::TimedOut);

    let (_peer, closes) = peer(&make, vec![Step::Close]).await;
    let outcome = look(&*closes).await;
    assert_eq!(outcome.state, State::Fail);
    assert_eq!(outcome.message, "it ended the connection");

    let texts: [&[u8]; 4] = [
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n<script>hunter2</script>",
        &[0xff; 4096],
        &[b'+'; 200_000],
        b"*1000000000\r\n$1000000000\r\n",
    ];
    for text in texts {
        let (_peer, garbage) = peer(&make, vec![Step::Send(text.to_vec()), Step::Close]).await;
        let outcome = look(&*garbage).await;
        assert_eq!(outcome.state, State::Fail, "{outcome:?}");
        assert!(!outcome.message.contains("hunter2"), "{outcome:?}");
    }
    let (_peer, endless) = peer(&make, vec![Step::Flood(u64::MAX)]).await;
    let outcome = look(&*endless).await;
    assert_eq!(outcome.state, State::Fail, "{outcome:?}");
    assert!(outcome.message.contains("does not speak"), "{outcome:?}");
}

async fn peer(
    make: impl Fn(std::net::SocketAddr) -> Arc<dyn Check>,
    steps: Vec<Step>,
) -> (Origin, Arc<dyn Check>) {
    let origin = Origin::tcp(Script::steps_of(steps)).await.expect("a peer");
    let Address::Tcp(address) = origin.address() else {
        panic!("no port");
    };
    (origin, make(address))
}

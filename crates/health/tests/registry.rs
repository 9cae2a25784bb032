//! The registry at work, on a clock that tests turn.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use seaworthy_core::health::{State, Status};
use seaworthy_health::{Change, Health, Only, Operated, Outcome, Spec, blocking, from_fn};

const MS: Duration = Duration::from_millis(1);

/// A check whose next results are scripted, and that counts its runs.
#[derive(Clone, Default)]
struct Script {
    runs: Arc<AtomicUsize>,
    broken: Arc<AtomicUsize>,
}

impl Script {
    fn spec(&self, name: &str) -> Spec {
        let script = self.clone();
        let check = from_fn(move || {
            let script = script.clone();
            async move {
                script.runs.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(50 * MS).await;
                let broken = &script.broken;
                let fails = broken
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                        left.checked_sub(1)
                    })
                    .is_ok();
                if fails {
                    Outcome::unhealthy("refused")
                } else {
                    Outcome::healthy("fine")
                }
            }
        });
        Spec::new(name, check)
    }

    fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }

    fn break_for(&self, runs: usize) {
        self.broken.store(runs, Ordering::SeqCst);
    }
}

fn status(health: &Health, name: &str) -> Status {
    health.report().component(name).expect("it is there").status
}

#[tokio::test(start_paused = true)]
async fn component_creation() {
    let health = Health::default();
    health.register(Script::default().spec("db"));
    let report = health.report();
    let component = report.component("db").expect("it is there");
    assert_eq!(
        (component.state, component.message.as_str()),
        (State::Unknown, "no result yet")
    );
    assert!(
        !report.whole.open,
        "nothing is ready before its first result"
    );
    let checked = health.check_component("db").await.expect("it is there");
    assert_eq!((checked.state, checked.kind), (State::Ok, "function"));
    assert!(checked.duration.expect("it ran") >= 50 * MS);
    assert!(checked.metadata["latency_ms"].is_number());
}

#[tokio::test(start_paused = true)]
async fn checks_run_by_themselves_and_twice_as_fast_in_doubt() {
    let script = Script::default();
    let health = Health::default();
    health.register(script.spec("db"));
    tokio::time::sleep(Duration::from_secs(50)).await;
    let calm = script.runs();
    assert!(
        (10..=12).contains(&calm),
        "{calm} runs in 50 s of every 5 s"
    );
    script.break_for(1);
    let mut reports = health.subscribe();
    reports.mark_unchanged();
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(
        status(&health, "db"),
        Status::Healthy,
        "one failure is a blip"
    );
    script.break_for(usize::MAX);
    tokio::time::sleep(Duration::from_millis(5100 + 1600 + 100)).await;
    assert_eq!(status(&health, "db"), Status::Unhealthy);
    assert!(!health.report().whole.open);
    script.break_for(0);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(status(&health, "db"), Status::Healthy);
}

#[tokio::test(start_paused = true)]
async fn everybody_who_asks_at_once_shares_a_run() {
    let script = Script::default();
    let health = Health::default();
    health.register(script.spec("db"));
    let asked = (0..200).map(|_| health.check_component("db"));
    let answers = futures_util::future::join_all(asked).await;
    assert!(answers.iter().all(Result::is_ok));
    assert!(
        script.runs() <= 3,
        "{} runs for 200 questions",
        script.runs()
    );
}

#[tokio::test(start_paused = true)]
async fn all_at_once_takes_as_long_as_the_slowest() {
    let health = Health::default();
    for nth in 0..10 {
        let check = from_fn(async || {
            tokio::time::sleep(300 * MS).await;
            Outcome::healthy("")
        });
        health.register(Spec::new(format!("slow-{nth}"), check));
    }
    let hangs = from_fn(async || std::future::pending().await);
    let hangs = Spec::new("hangs", hangs).optional();
    health.register(hangs.timeout(Duration::from_secs(3600)));
    let start = tokio::time::Instant::now();
    let report = health
        .check_all(Duration::from_secs(5), Only::Critical)
        .await;
    assert!(start.elapsed() < 700 * MS, "{:?}", start.elapsed());
    assert_eq!(report.components.len(), 10);
    assert!(report.whole.open);
    let report = health.check_all(Duration::from_secs(5), Only::All).await;
    assert_eq!(
        start.elapsed().as_secs(),
        5,
        "a hanging check costs the time that was given"
    );
    assert_eq!(
        (report.components.len(), report.whole.status),
        (11, Status::Degraded)
    );
}

#[tokio::test(start_paused = true)]
async fn a_late_check_says_after_how_long() {
    let health = Health::default();
    let hangs = from_fn(async || std::future::pending().await);
    health.register(Spec::new("hangs", hangs).timeout(200 * MS));
    let shown = health.check_component("hangs").await.expect("it is there");
    assert_eq!(
        (shown.state, shown.message.as_str()),
        (State::TimedOut, "timed out after 0.2s")
    );
    health
        .set_timeout("hangs", Some(50 * MS), None)
        .expect("it is there");
    let start = tokio::time::Instant::now();
    let shown = health.check_component("hangs").await.expect("it is there");
    assert_eq!(shown.message, "timed out after 0.05s");
    assert!(start.elapsed() < 200 * MS);
}

#[tokio::test]
async fn one_that_panics_or_blocks_harms_no_other() {
    let health = Health::default();
    health.register(Spec::new(
        "async",
        from_fn(async || panic!("a check went wrong")),
    ));
    health.register(Spec::new("sync", blocking(|| panic!("a check went wrong"))));
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let blocks = blocking(move || {
        wait.lock().expect("nobody panics").recv().ok();
        Outcome::healthy("")
    });
    health.register(Spec::new("blocks", blocks).timeout(50 * MS));
    health.register(Spec::new("fine", blocking(|| Outcome::healthy("fine"))));
    for name in ["async", "sync"] {
        let shown = health.check_component(name).await.expect("it is there");
        assert_eq!(
            (shown.state, shown.message.as_str()),
            (State::Fail, "the check panicked")
        );
    }
    let first = health.check_component("blocks").await.expect("it is there");
    assert_eq!(first.state, State::TimedOut);
    let again = health.check_component("blocks").await.expect("it is there");
    assert_eq!(again.message, "the last run has not ended yet");
    let fine = health.check_component("fine").await.expect("it is there");
    assert_eq!(fine.state, State::Ok);
    drop(go);
}

#[tokio::test(start_paused = true)]
async fn what_is_switched_off_neither_runs_nor_counts() {
    let script = Script::default();
    script.break_for(usize::MAX);
    let health = Health::default();
    health.register(script.spec("db"));
    health.check_component("db").await.expect("it is there");
    assert!(!health.report().whole.open);
    let hour = Duration::from_secs(3600);
    health.disable("db", Some(hour)).expect("it is there");
    assert!(health.report().whole.open);
    let runs = script.runs();
    tokio::time::sleep(hour / 2).await;
    assert_eq!(script.runs(), runs);
    assert!(matches!(
        health
            .report()
            .component("db")
            .expect("it is there")
            .operated,
        Some(Operated::Disabled { until: Some(_) })
    ));
    tokio::time::advance(hour).await;
    health.enable("db").expect("it is there");
    health.check_component("db").await.expect("it is there");
    assert!(!health.report().whole.open);
    assert!(health.disable("nothing", None).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_forced_word_is_shown_and_every_change_is_told() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = told.clone();
    let health = Health::new(move |change| {
        if let Change::Status { from, now } = change {
            let words = (from.word(), now.status.word());
            sink.lock().expect("nobody panics").push(words);
        }
    });
    health.register(Script::default().spec("db"));
    health.check_component("db").await.expect("it is there");
    for word in [Status::Degraded, Status::Unhealthy, Status::Healthy] {
        health.force("db", word, None).expect("it is there");
        assert_eq!(health.report().whole.status, word);
    }
    let told = told.lock().expect("nobody panics").clone();
    assert_eq!(
        told,
        [
            ("unhealthy", "healthy"),
            ("healthy", "degraded"),
            ("degraded", "unhealthy"),
            ("unhealthy", "healthy")
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_check_of_the_same_name_replaces_the_old_one() {
    let (old, new) = (Script::default(), Script::default());
    let health = Health::default();
    health.register(old.spec("db"));
    health.register(Script::default().spec("cache").optional());
    health.check_component("db").await.expect("it is there");
    let runs = old.runs();
    health.register(new.spec("db"));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(old.runs(), runs);
    assert!(new.runs() > 5);
    let report = health.report();
    let names: Vec<_> = (report.components.iter())
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(names, ["db", "cache"]);
    health.remove("db").expect("it is there");
    assert_eq!(health.report().components.len(), 1);
    assert!(health.remove("db").is_err());
}

#[tokio::test(start_paused = true)]
async fn the_global_registry_is_one() {
    Health::global().register(Script::default().spec("from-one-module"));
    let report = Health::global().report();
    assert!(report.component("from-one-module").is_some());
}

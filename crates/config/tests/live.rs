//! Settings of a program that change while it runs.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use schemars::JsonSchema;
use seaworthy_config::live::{Commit, ConfigSource, Live};
use seaworthy_config::{Findings, Format, Layer, Loader, Validate};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Shop {
    workers: u32,
    greeting: String,
    #[schemars(extend("x-restart" = true))]
    port: u16,
}

impl Validate for Shop {
    fn validate(&self, findings: &mut Findings) {
        if self.workers > 100 {
            findings.error("workers", "there are not so many machines");
        }
    }
}

/// A source that a test can change.
fn text() -> (Arc<Mutex<String>>, Box<dyn ConfigSource<Shop>>) {
    let text = Arc::new(Mutex::new(
        "workers: 1\ngreeting: hello\nport: 80\n".to_owned(),
    ));
    let said = text.clone();
    let source = move |loader: Loader<Shop>| {
        let said = said
            .lock()
            .expect("no test fails while it holds it")
            .clone();
        Ok(loader.text(Layer::File, "shop.yaml", said, Format::Yaml))
    };
    (text, Box::new(source))
}

fn say(text: &Mutex<String>, new: &str) {
    *text.lock().expect("no test fails while it holds it") = new.to_owned();
}

#[tokio::test]
async fn all_follow_or_nothing_changes() {
    let (text, source) = text();
    let live = Live::load(vec![source]).expect("a sound configuration");
    let workers = Arc::new(AtomicU32::new(0));
    let seen = workers.clone();
    let pool = move |shop: &Shop| -> Result<Commit, String> {
        let (seen, workers) = (seen.clone(), shop.workers);
        Ok(Box::new(move || seen.store(workers, Ordering::SeqCst)))
    };
    live.subscribe("pool", pool).expect("it can live by them");
    let door = |shop: &Shop| -> Result<Commit, String> {
        match shop.greeting.is_empty() {
            true => Err("somebody has to be greeted".to_owned()),
            false => Ok(Box::new(|| {})),
        }
    };
    live.subscribe("door", door).expect("it can live by them");
    assert_eq!(workers.load(Ordering::SeqCst), 1);

    say(&text, "workers: 2\ngreeting: hi\nport: 81\n");
    let report = live.reload().await;
    assert!(report.is_ok(), "{report:?}");
    assert_eq!((report.generation, live.generation()), (2, 2));
    assert_eq!(report.requires_restart, ["port"]);
    assert_eq!((live.get().workers, live.get().port), (2, 80));
    assert_eq!(workers.load(Ordering::SeqCst), 2);

    // One of them cannot follow.
    say(&text, "workers: 3\ngreeting: ''\n");
    let report = live.reload().await;
    assert_eq!((report.is_ok(), report.generation), (false, 2));
    assert_eq!(
        report.problems[0]["message"],
        "door: somebody has to be greeted"
    );
    assert_eq!((live.get().workers, workers.load(Ordering::SeqCst)), (2, 2));

    // And a wrong one is told with its place.
    say(&text, "workers: 101\n");
    let report = live.reload().await;
    assert_eq!(report.problems[0]["place"]["line"], 1);
    assert_eq!(live.get().workers, 2);
    let report = serde_json::to_value(&report).expect("plain data");
    for key in [
        "status",
        "generation",
        "results",
        "requires_restart",
        "duration_ms",
        "problems",
    ] {
        assert!(report.get(key).is_some(), "{key}");
    }
}

#[tokio::test]
async fn reloads_at_the_same_time_are_one_after_the_other() {
    let (text, source) = text();
    let live = Live::load(vec![source]).expect("a sound configuration");
    let mut reloads = tokio::task::JoinSet::new();
    for round in 0..50 {
        say(&text, &format!("workers: {}\n", round % 100));
        let live = live.clone();
        reloads.spawn(async move { live.reload().await.is_ok() });
    }
    assert!(reloads.join_all().await.into_iter().all(|ok| ok));
    assert!(live.generation() <= 51);
    assert_eq!(live.get().workers, 49);
}

#[test]
fn a_subscriber_that_cannot_live_by_the_first_settings_does_not_follow() {
    let (_, source) = text();
    let live = Live::load(vec![source]).expect("a sound configuration");
    let never = |_: &Shop| -> Result<Commit, String> { Err("never".to_owned()) };
    assert_eq!(live.subscribe("never", never), Err("never".to_owned()));
    assert!(live.reload_now().is_ok());
}

//! The checks `count` and `heartbeat`: signs that somebody leaves.

mod looking;

use std::fs::File;
use std::time::{Duration, SystemTime};

use looking::{faults, once, probe, said};
use seaworthy_core::health::State;
use seaworthy_health::probe::count::Count;
use seaworthy_health::probe::heartbeat::{Beats, Heartbeat};
use serde_json::json;

fn ago(seconds: i64) -> String {
    let now = jiff::Timestamp::now().as_second();
    let then = jiff::Timestamp::from_second(now - seconds);
    then.expect("a time").to_string()
}

#[tokio::test]
async fn recent_lines_of_an_audit_log_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    let line = |seconds| format!("{{\"timestamp\":\"{}\",\"action\":\"x\"}}\n", ago(seconds));
    let old: String = [4000, 3000, 2000].map(line).concat();
    let new: String = [200, 150, 100, 50, 0].map(line).concat();
    std::fs::write(&file, format!("{old}{new}")).unwrap();
    let outcome = once(&Count::new(file.to_str().unwrap())).await;
    assert_eq!(outcome.state, State::Ok);
    assert_eq!(outcome.metadata["recent_log_count"], 5);
    assert_eq!(outcome.message, "5 lines in the last 5m");
    std::fs::write(&file, old).unwrap();
    let outcome = once(&Count::new(file.to_str().unwrap())).await;
    assert_eq!(outcome.state, State::Warn);
    assert_eq!(outcome.metadata["recent_log_count"], 0);
    let long: Count = probe(json!({"file": file, "window": "1h", "as": "lines"}));
    assert_eq!(once(&long).await.metadata["lines"], 2);
    let strict: Count = probe(json!({"file": file, "warn_below": 9, "fail_below": 1}));
    assert_eq!(once(&strict).await.state, State::Fail);
}

#[tokio::test]
async fn files_that_cannot_be_read_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let of = |path: &std::path::Path| Count::new(path.to_str().unwrap());
    let none = of(&folder.path().join("none"));
    assert_eq!(
        said(&none).await,
        (State::Fail, "the file does not exist".to_owned())
    );
    assert_eq!(said(&of(folder.path())).await.1, "it is not a file");
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    assert_eq!(said(&of(&pipe)).await.1, "it is not a file");
    let wrong: Count = probe(json!({"file": "", "window": "0s", "fail_below": 2}));
    assert_eq!(faults(&wrong), ["file", "window", "fail_below"]);
}

#[tokio::test]
async fn a_worker_is_alive_as_long_as_it_says_so() {
    let beats = Beats::default();
    let heartbeat: Heartbeat = probe(json!({"worker": "worker"}));
    assert_eq!(heartbeat.stale_after.get(), Duration::from_secs(60));
    let check = heartbeat.watching(&beats);
    assert_eq!(check.run().await.state, State::Unknown);
    assert!(beats.beat("worker"));
    let outcome = check.run().await;
    assert_eq!(outcome.state, State::Ok);
    let last = outcome.metadata["last_heartbeat"].as_str().unwrap();
    assert!(last.parse::<jiff::Timestamp>().is_ok(), "{last}");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    let outcome = check.run().await;
    assert_eq!(outcome.state, State::Fail);
    assert_eq!(outcome.message, "no heartbeat in the last 1m");
    assert!(beats.beat("worker"));
    assert_eq!(check.run().await.state, State::Ok);
    let silent = probe::<Heartbeat>(json!({"worker": "silent"})).watching(&beats);
    assert_eq!(silent.run().await.state, State::Unknown);
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(silent.run().await.state, State::Fail);
}

#[test]
fn names_are_bounded() {
    let beats = Beats::default();
    assert!(!beats.beat("") && !beats.beat(&"x".repeat(129)));
    assert!((0..1024).all(|index| beats.beat(&index.to_string())));
    assert!(!beats.beat("one more") && beats.beat("7"));
    assert_eq!(beats.all().len(), 1024);
    assert!(beats.last("7").is_some() && beats.last("one more").is_none());
}

#[tokio::test]
async fn a_file_that_is_touched_is_a_heartbeat() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("beat");
    let heartbeat: Heartbeat = probe(json!({"file": path, "stale_after": "1h"}));
    assert_eq!(
        said(&heartbeat).await,
        (State::Unknown, "no heartbeat yet".to_owned())
    );
    let file = File::create(&path).unwrap();
    assert_eq!(once(&heartbeat).await.state, State::Ok);
    file.set_modified(SystemTime::now() - Duration::from_secs(7200))
        .unwrap();
    let outcome = once(&heartbeat).await;
    assert_eq!(
        (outcome.state, outcome.message.as_str()),
        (State::Fail, "no heartbeat in the last 1h")
    );
    assert!(outcome.metadata["age_seconds"].as_u64().unwrap() >= 7200);
    file.set_modified(SystemTime::now() + Duration::from_secs(7200))
        .unwrap();
    assert_eq!(once(&heartbeat).await.state, State::Ok);
    assert_eq!(faults(&probe::<Heartbeat>(json!({}))), ["worker"]);
}

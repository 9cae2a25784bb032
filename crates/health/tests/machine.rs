//! The checks `disk` and `memory` on the machine that they run on.

mod looking;

use looking::{faults, once, probe};
use seaworthy_core::health::State;
use seaworthy_health::probe::disk::Disk;
use seaworthy_health::probe::memory::Memory;
use seaworthy_testkit::server::tool;
use seaworthy_testkit::wait::PATIENCE;
use serde_json::json;

#[tokio::test]
async fn free_space_is_that_of_df() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let words = ["-B1", "--output=avail,pcent", path];
    let df = tool::run("df", &words, PATIENCE).await.unwrap();
    let text = String::from_utf8(df.stdout).unwrap();
    let mut columns = text.lines().nth(1).unwrap().split_whitespace();
    let bytes: f64 = columns.next().unwrap().parse().unwrap();
    let used: f64 = columns
        .next()
        .unwrap()
        .trim_end_matches('%')
        .parse()
        .unwrap();
    let outcome = once(&probe::<Disk>(json!({"path": path}))).await;
    let (gb, percent) = (
        &outcome.metadata["free_gb"],
        &outcome.metadata["free_percent"],
    );
    let gib = bytes / f64::from(1 << 30);
    // Others write to the same disk.
    assert!(
        (gb.as_f64().unwrap() - gib).abs() <= gib * 0.01 + 0.1,
        "{gb} {gib}"
    );
    assert!(
        (percent.as_f64().unwrap() - (100.0 - used)).abs() <= 2.0,
        "{percent} {used}"
    );
}

#[tokio::test]
async fn limits_can_be_set() {
    let never: Disk = probe(json!({"warn_percent": 0, "fail_percent": 0}));
    assert_eq!(once(&never).await.state, State::Ok);
    let always: Disk = probe(json!({"fail_gb": 1e9, "warn_gb": 1e9}));
    assert_eq!(once(&always).await.state, State::Fail);
    let gone: Disk = probe(json!({"path": "/no/such/folder"}));
    assert_eq!(once(&gone).await.message, "the path does not exist");
    let wrong: Disk = probe(json!({"path": "a", "warn_percent": 1, "fail_gb": 2, "warn_gb": 1}));
    assert_eq!(faults(&wrong), ["path", "warn_percent", "warn_gb"]);
}

#[tokio::test]
async fn the_memory_of_this_machine_is_told() {
    let outcome = once(&probe::<Memory>(json!({}))).await;
    let number = |key: &str| outcome.metadata[key].as_f64().unwrap();
    assert!(
        number("limit_mb") > 100.0 && number("usage_mb") > 1.0,
        "{outcome:?}"
    );
    let percent = number("usage_mb") / number("limit_mb") * 100.0;
    assert!((percent - number("usage_percent")).abs() < 0.2);
}

#[tokio::test]
async fn a_folder_stands_for_the_system() {
    let folder = tempfile::tempdir().unwrap();
    let group = folder.path().join("sys/fs/cgroup");
    std::fs::create_dir_all(&group).unwrap();
    std::fs::write(group.join("memory.current"), "2147483648\n").unwrap();
    std::fs::write(group.join("memory.max"), "4294967296\n").unwrap();
    let memory: Memory = probe(json!({"root": folder.path()}));
    let metadata = once(&memory).await.metadata;
    let expected = json!({"usage_mb": 2048, "limit_mb": 4096, "usage_percent": 50});
    assert_eq!(serde_json::Value::from(metadata), expected);
}

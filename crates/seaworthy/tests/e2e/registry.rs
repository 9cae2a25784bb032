//! A registry that several instances follow: published, taken in, acknowledged, spread in stages, and taken back.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::Context as _;
use seaworthy_testkit::Result;
use seaworthy_testkit::client::{self, Connection};
use seaworthy_testkit::process::Seaworthy;
use seaworthy_testkit::wait::{self, PATIENCE};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::fleet::Fleet;
use crate::reload::reload;

async fn level(seaworthy: &Seaworthy) -> Result<String> {
    let config = seaworthy.look("/-/config").await?.json()?;
    Ok(config["config"]["log"]["level"]
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

#[tokio::test]
async fn a_version_reaches_everybody_and_each_says_so() -> Result<()> {
    let fleet = Fleet::of(3, "").await?;
    let done = fleet
        .publish(json!({"log.level": "debug"}), &["--author", "ada"])
        .await?;
    assert_eq!(done.code(), 0, "{}", done.stderr);
    assert!(
        done.stdout.contains("version 1: complete"),
        "{}",
        done.stdout
    );
    for seaworthy in &fleet.instances {
        assert_eq!(level(seaworthy).await?, "debug");
        let config = seaworthy.look("/-/config").await?.json()?;
        assert_eq!(config["generation"], 2);
        let latest = seaworthy.look("/-/config/history").await?.json()?[0].clone();
        assert_eq!(
            (&latest["source"], &latest["author"]),
            (&json!("registry"), &json!("ada"))
        );
    }
    let waited = fleet.verb(&["rollout", "status", "--wait"]).await?;
    assert_eq!(waited.code(), 0, "{}", waited.stdout);
    assert!(waited.stdout.contains("applied 3/3"), "{}", waited.stdout);
    // All that the registry says is in the latest version: what it no longer says is as the files have it.
    let done = fleet
        .publish(json!({"limits.response_timeout": "9s"}), &["--expect", "1"])
        .await?;
    assert_eq!(done.code(), 0, "{}", done.stderr);
    assert_eq!(level(&fleet.instances[0]).await?, "info");
    let late = fleet.publish(json!({}), &["--expect", "1"]).await?;
    assert_eq!(late.code(), 1);
    assert!(
        late.stderr.contains("version 2 holds and not 1"),
        "{}",
        late.stderr
    );
    Ok(())
}

#[tokio::test]
async fn what_a_registry_may_not_say_is_refused_before_it_is_published() -> Result<()> {
    let fleet = Fleet::of(1, "").await?;
    for (set, why) in [
        (
            json!({"app.command": ["rm"]}),
            "nothing that a registry may say",
        ),
        (json!({"log.format": "json"}), "only after a restart"),
        (
            json!({"headers.set": {"X-A": "${secret:db}"}}),
            "names variables or secrets",
        ),
        (json!({"log.level": "loud"}), "log.level"),
        (json!({"log.levle": "debug"}), "log.levle"),
        (
            json!({"limits": {"keys_file": "/etc/shadow"}}),
            "`limits.keys_file` reads files or variables or decides who comes in",
        ),
        (
            json!({"routes": [{"match": "/admin", "auth": "none"}]}),
            "`routes[0].auth` reads files or variables or decides who comes in",
        ),
        // It would be the most specific for what some other route guards.
        (
            json!({"routes": [{"match": "/admin/x", "timeout": "5s"}]}),
            "the route `/admin/x`, which nothing else names",
        ),
    ] {
        let refused = fleet.publish(set.clone(), &[]).await?;
        assert_eq!(refused.code(), 2, "{set}: {}", refused.stderr);
        assert!(refused.stderr.contains(why), "{set}: {}", refused.stderr);
    }
    assert_eq!(fleet.status().await?["record"], Value::Null);
    Ok(())
}

#[tokio::test]
async fn one_that_cannot_take_it_takes_everybody_back() -> Result<()> {
    let mut fleet = Fleet::of(2, "").await?;
    fleet.place += ", pin: [log.level]";
    let pinned = fleet.start("pinned", "").await?;
    fleet.wait_members(3).await?;
    let first = fleet
        .publish(json!({"limits.response_timeout": "9s"}), &[])
        .await?;
    assert_eq!(first.code(), 0, "{}", first.stderr);
    let done = fleet
        .publish(json!({"log.level": "debug"}), &["--json"])
        .await?;
    assert_eq!(done.code(), 1, "{}", done.stdout);
    assert!(done.stderr.contains("pinned: invalid"), "{}", done.stderr);
    let record: Value = serde_json::from_str(&done.stdout)?;
    assert_eq!(
        (&record["rollout"]["state"], &record["content"]["version"]),
        (&json!("reverted"), &json!(1))
    );
    for seaworthy in fleet.instances.iter().chain([&pinned]) {
        assert_eq!(level(seaworthy).await?, "info");
    }
    let page = pinned.look("/metrics").await?.text();
    assert!(
        page.contains("config_update_apply_total{result=\"invalid\"} 1"),
        "{page}"
    );
    Ok(())
}

/// What became of requests: how many there were, and how many were answered wrongly.
#[derive(Debug, Default, Clone, Copy)]
struct Fared {
    asked: usize,
    failed: usize,
}

/// Asks all instances for something slow, until it is told to stop.
fn load(fleet: &Fleet, stop: &Arc<AtomicBool>) -> JoinSet<Fared> {
    let mut load = JoinSet::new();
    for seaworthy in &fleet.instances {
        let (public, stop) = (seaworthy.public(), stop.clone());
        load.spawn(async move {
            let mut fared = Fared::default();
            let Ok(mut connection) = Connection::open(public).await else {
                return fared;
            };
            while !stop.load(Ordering::Relaxed) {
                let answer = connection.ask("GET", "/sleep/40", &[], b"").await;
                fared.asked += 1;
                fared.failed += usize::from(!answer.is_ok_and(|answer| answer.status == 200));
            }
            fared
        });
    }
    load
}

/// Publishes what does harm to three instances that are asked all the time, and then something better.
async fn harm_is_taken_back(fleet: &Fleet) -> Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    let load = load(fleet, &stop);
    let harmful = json!({"limits.response_timeout": "5ms"});
    let staged = ["--stages", "1,50%,100%", "--hold", "30s", "--json"];
    let began = Instant::now();
    let done = fleet.publish(harmful, &staged).await?;
    let took = began.elapsed();
    stop.store(true, Ordering::Relaxed);
    let fared = load.join_all().await;
    let all = fared.iter().fold(Fared::default(), |all, one| Fared {
        asked: all.asked + one.asked,
        failed: all.failed + one.failed,
    });
    eprintln!(
        "published and taken back after {:.1} s; {} of {} requests failed",
        took.as_secs_f64(),
        all.failed,
        all.asked
    );
    assert_eq!(done.code(), 1, "{}", done.stderr);
    assert!(done.stderr.contains("requests fail"), "{}", done.stderr);
    let record: Value = serde_json::from_str(&done.stdout)?;
    assert_eq!(record["rollout"]["state"], "reverted");
    let hurt = fared.iter().filter(|one| one.failed > 0).count();
    assert_eq!(hurt, 1, "only the first stage: {fared:?}");
    let mut had_it = 0;
    for seaworthy in &fleet.instances {
        let versions = seaworthy.look("/-/config/history").await?.json()?;
        had_it += usize::from(versions.to_string().contains("registry"));
        let answer = client::get(seaworthy.public(), "/sleep/40").await?;
        assert_eq!(answer.status, 200);
    }
    assert_eq!(had_it, 1, "only the first stage");
    // The number is used up, and a better version goes all the way.
    let better = json!({"limits.response_timeout": "9s"});
    let better = fleet
        .publish(better, &["--stages", "1,100%", "--hold", "0s"])
        .await?;
    assert_eq!(better.code(), 0, "{}", better.stderr);
    assert!(
        better.stdout.contains("version 2: complete"),
        "{}",
        better.stdout
    );
    let diff = fleet.drift().await?;
    assert_eq!(diff.code(), 0, "{}", diff.stdout);
    Ok(())
}

#[tokio::test]
async fn one_that_does_harm_is_taken_back_before_others_have_it() -> Result<()> {
    harm_is_taken_back(&Fleet::of(3, "").await?).await
}

#[tokio::test]
async fn what_an_instance_took_back_by_itself_stays_away_after_a_restart() -> Result<()> {
    let window = "config: {verify_window: 60s}\n";
    let mut fleet = Fleet::of(1, window).await?;
    let mut instance = fleet.instances.remove(0);
    let mut connection = Connection::open(instance.public()).await?;
    let path = "/sleep/40";
    for _ in 0..40 {
        assert_eq!(connection.ask("GET", path, &[], b"").await?.status, 200);
    }
    let harmful = json!({"limits.response_timeout": "5ms"});
    let done = fleet.publish(harmful, &["--no-wait"]).await?;
    assert_eq!(done.code(), 0, "{}", done.stderr);
    // A start in the time in which it is watched goes on watching it. With nothing to compare with, more than half must fail.
    let taken = || async {
        let said = fleet.status().await.ok()?["instances"][0].clone();
        (said["version"] == 1).then_some(())
    };
    wait::until("the version", PATIENCE, taken).await?;
    instance.stop(PATIENCE).await?;
    let mut instance = fleet.start("i0", window).await?;
    let mut connection = Connection::open(instance.public()).await?;
    let asking = async {
        while !instance.output().stderr().contains("config.rolled_back") {
            connection.ask("GET", "/sleep/300", &[], b"").await?;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, asking).await??;
    let reverted = || async {
        let said = fleet.status().await.ok()?["instances"][0].clone();
        (said["result"] == "reverted" && said["version"] == Value::Null).then_some(())
    };
    wait::until("word that it went back", PATIENCE, reverted).await?;
    instance.stop(PATIENCE).await?;
    let again = fleet.start("i0", window).await?;
    for _ in 0..40 {
        let answer = client::get(again.public(), path).await?;
        assert_eq!(answer.status, 200, "the log still says what did harm");
    }
    wait::until("word that it still does without", PATIENCE, reverted).await?;
    let better = fleet.publish(json!({"log.level": "debug"}), &[]).await?;
    assert_eq!(better.code(), 0, "{}", better.stderr);
    assert_eq!(level(&again).await?, "debug");
    Ok(())
}

#[tokio::test]
async fn a_version_that_somebody_takes_back_goes_no_further() -> Result<()> {
    let fleet = Fleet::of(2, "").await?;
    let staged = ["--stages", "1,100%", "--hold", "1m"];
    let rolling = || async {
        let status = fleet.status().await.ok()?;
        (status["applied"] == 1).then_some(())
    };
    let aborting = async {
        wait::until("the first stage", PATIENCE, rolling).await?;
        fleet.verb(&["rollout", "abort"]).await
    };
    let (publishing, aborted) = tokio::join!(
        fleet.publish(json!({"log.level": "debug"}), &staged),
        aborting
    );
    let publishing = publishing?;
    let said = || format!("it said: {}{}", publishing.stdout, publishing.stderr);
    assert_eq!(aborted.with_context(said)?.code(), 0);
    assert_eq!(publishing.code(), 1, "{}", publishing.stdout);
    assert!(
        publishing
            .stderr
            .contains("taken back or replaced by somebody else"),
        "{}",
        publishing.stderr
    );
    let status = fleet.status().await?;
    assert_eq!(status["record"]["rollout"]["state"], "aborted");
    for seaworthy in &fleet.instances {
        assert_eq!(level(seaworthy).await?, "info");
    }
    Ok(())
}

#[tokio::test]
async fn what_a_key_said_holds_no_longer_once_it_is_not_trusted() -> Result<()> {
    let mut fleet = Fleet::of(1, "").await?;
    let done = fleet.publish(json!({"log.level": "debug"}), &[]).await?;
    assert_eq!(done.code(), 0, "{}", done.stderr);
    fleet.instances.remove(0).stop(PATIENCE).await?;
    let keys = Seaworthy::verb(["config", "keygen", "--json"]).await?;
    let keys: Value = serde_json::from_str(&keys.stdout)?;
    fleet.public_key = keys["public"].as_str().unwrap_or_default().to_owned();
    let again = fleet.start("i0", "").await?;
    again.wait_event("config.rejected").await?;
    assert_eq!(level(&again).await?, "info");
    Ok(())
}

#[tokio::test]
async fn what_could_not_be_taken_in_is_once_the_files_are_mended() -> Result<()> {
    let fleet = Fleet::of(1, "").await?;
    let instance = &fleet.instances[0];
    let file = fleet.file("i0").join("seaworthy.yaml");
    let good = std::fs::read_to_string(&file)?;
    std::fs::write(&file, format!("{good}limits: {{max_headers: 0}}\n"))?;
    let done = fleet
        .publish(json!({"log.level": "debug"}), &["--no-wait"])
        .await?;
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let refused = || async {
        let said = fleet.status().await.ok()?["instances"][0].clone();
        (said["result"] == "invalid").then_some(())
    };
    wait::until("word that it does not go", PATIENCE, refused).await?;
    std::fs::write(&file, format!("{good}limits: {{max_headers: 99}}\n"))?;
    assert_eq!(reload(instance).await?.0, 200);
    let holds = || async { (level(instance).await.ok()? == "debug").then_some(()) };
    wait::until("the version in the end", PATIENCE, holds).await
}

#[tokio::test]
async fn whoever_publishes_learns_that_the_log_is_away() -> Result<()> {
    let home = tempfile::tempdir()?;
    let nobody = seaworthy_testkit::address::free()?;
    let file = home.path().join("seaworthy.yaml");
    let yaml = format!("registry: {{kafka: {{bootstrap: ['{nobody}']}}, unsigned: true}}\n");
    std::fs::write(&file, yaml)?;
    let file = file.display().to_string();
    for words in [
        ["config", "rollout", "status"].as_slice(),
        &["fleet", "diff"],
    ] {
        let all = ["-c", &file].into_iter().chain(words.iter().copied());
        let ended = Seaworthy::verb(all).await?;
        assert_eq!(ended.code(), 3, "{}", ended.stderr);
        assert!(
            ended.stderr.contains("connection refused"),
            "{}",
            ended.stderr
        );
    }
    Ok(())
}

#[tokio::test]
async fn instances_that_differ_are_listed() -> Result<()> {
    let mut fleet = Fleet::of(2, "").await?;
    assert_eq!(fleet.drift().await?.code(), 0);
    let odd = fleet.start("odd", "headers: {set: {X-Odd: '1'}}\n").await?;
    fleet.instances.push(odd);
    fleet.wait_members(3).await?;
    let diff = fleet.drift().await?;
    assert_eq!(diff.code(), 1);
    let last = diff.stdout.lines().last().unwrap_or_default();
    assert!(
        last.contains("odd"),
        "what few have comes last: {}",
        diff.stdout
    );
    Ok(())
}

#[tokio::test]
async fn a_rollout_whose_driver_is_gone_spreads_no_further_and_is_taken_back() -> Result<()> {
    let fleet = Fleet::of(2, "").await?;
    let staged = ["--stages", "1,100%", "--hold", "1h"];
    let driver = tokio::time::timeout(
        std::time::Duration::from_secs(3),
        fleet.publish(json!({"log.level": "debug"}), &staged),
    );
    assert!(driver.await.is_err(), "it would hold for an hour");
    let status = fleet.status().await?;
    assert_eq!(status["record"]["rollout"]["state"], "rolling");
    assert_eq!(status["record"]["cohort"].as_array().map(Vec::len), Some(1));
    let busy = fleet.publish(json!({}), &[]).await?;
    assert!(
        busy.stderr.contains("version 1 is under way"),
        "{}",
        busy.stderr
    );
    let aborted = fleet
        .verb(&["rollout", "abort", "--reason", "changed my mind"])
        .await?;
    assert_eq!(aborted.code(), 0, "{}", aborted.stderr);
    for seaworthy in &fleet.instances {
        assert_eq!(level(seaworthy).await?, "info");
    }
    Ok(())
}

/// Writes `text` as the next record of the folder.
fn smuggle(log: &Path, text: &str) -> Result<()> {
    let records = log.join("default/records");
    let next = std::fs::read_dir(&records)?.count() + 1;
    Ok(std::fs::write(
        records.join(format!("{next:012}.json")),
        text,
    )?)
}

#[tokio::test]
async fn only_what_is_signed_and_new_counts_whatever_else_is_written() -> Result<()> {
    let fleet = Fleet::of(1, "").await?;
    let seaworthy = &fleet.instances[0];
    assert_eq!(
        fleet
            .publish(json!({"log.level": "debug"}), &[])
            .await?
            .code(),
        0
    );
    let log = fleet.file("log");
    let first = std::fs::read_to_string(log.join("default/records/000000000001.json"))?;
    assert_eq!(
        fleet
            .publish(json!({"log.level": "warn"}), &[])
            .await?
            .code(),
        0
    );
    smuggle(&log, &first)?;
    smuggle(&log, &first.replace("\"sequence\":1", "\"sequence\":99"))?;
    smuggle(&log, "{\"version\":9,\"set\":{\"log.level\":\"error\"}}")?;
    smuggle(&log, &"x".repeat(50 << 20))?;
    seaworthy
        .wait_events("config.rejected", 2, PATIENCE)
        .await?;
    assert_eq!(level(seaworthy).await?, "warn");
    let done = fleet.publish(json!({"log.level": "error"}), &[]).await?;
    assert_eq!(
        done.code(),
        0,
        "what was smuggled in is in nobody's way: {}",
        done.stderr
    );
    assert_eq!(level(seaworthy).await?, "error");
    Ok(())
}

#[tokio::test]
async fn what_was_said_last_holds_while_the_log_is_away() -> Result<()> {
    let mut fleet = Fleet::of(1, "").await?;
    assert_eq!(
        fleet
            .publish(json!({"log.level": "debug"}), &[])
            .await?
            .code(),
        0
    );
    let (log, elsewhere) = (fleet.file("log"), fleet.file("elsewhere"));
    let mut first = fleet.instances.remove(0);
    std::fs::rename(&log, &elsewhere)?;
    std::fs::write(&log, "no folder")?;
    first.wait_event("registry.away").await?;
    first.stop(PATIENCE).await?;
    let again = fleet.start("i0", "").await?;
    assert_eq!(level(&again).await?, "debug");
    again.wait_event("registry.away").await?;
    std::fs::remove_file(&log)?;
    // A log that was emptied cannot bring anything older back.
    again.wait_event("registry.back").await?;
    assert_eq!(level(&again).await?, "debug");
    fleet.wait_members(1).await?;
    assert_eq!(
        fleet
            .publish(json!({"log.level": "warn"}), &[])
            .await?
            .code(),
        0
    );
    assert_eq!(level(&again).await?, "warn");
    Ok(())
}

/// Needs the servers themselves.
mod real {
    use seaworthy_testkit::server::{Kafka, Postgres};

    use super::*;

    #[tokio::test]
    async fn kafka_carries_versions_and_acknowledgements() -> Result<()> {
        let kafka = Kafka::start().await?;
        for topic in ["config_updates", "config_acks"] {
            kafka.create(topic, 1).await?;
        }
        let place = format!("kafka: {{bootstrap: ['{}']}}", kafka.address());
        let fleet = Fleet::following(tempfile::tempdir()?, place, 3, "").await?;
        harm_is_taken_back(&fleet).await
    }

    #[tokio::test]
    async fn postgres_carries_versions_and_acknowledgements() -> Result<()> {
        let postgres = Postgres::start().await?;
        let place = format!("postgres: {{url: '{}'}}", postgres.url());
        let fleet = Fleet::following(tempfile::tempdir()?, place, 3, "").await?;
        harm_is_taken_back(&fleet).await
    }
}

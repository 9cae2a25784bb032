//! Checks of dependencies, as probes, operators and scripts see them.

use std::net::SocketAddr;
use std::time::Duration;

use seaworthy_testkit::Result;
use seaworthy_testkit::client;
use seaworthy_testkit::process::{Ended, Seaworthy};
use seaworthy_testkit::wait::{PATIENCE, until};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::front::Front;

/// A dependency that only listens, and can stop doing so and begin again on the same port.
struct Dependency {
    address: SocketAddr,
    listener: Option<TcpListener>,
}

impl Dependency {
    async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        Ok(Self {
            address: listener.local_addr()?,
            listener: Some(listener),
        })
    }

    fn stop(&mut self) {
        self.listener = None;
    }

    async fn restart(&mut self) -> Result<()> {
        self.listener = Some(TcpListener::bind(self.address).await?);
        Ok(())
    }
}

fn config(checks: &[String]) -> String {
    let checks: String = checks
        .iter()
        .map(|check| format!("    - {check}\n"))
        .collect();
    format!("health:\n  interval: 200ms\n  timeout: 500ms\n  recheck: 100ms\n  checks:\n{checks}")
}

fn tcp(name: &str, address: SocketAddr, more: &str) -> String {
    format!("{{kind: tcp, name: {name}, addr: \"{address}\"{more}}}")
}

async fn ready(seaworthy: &Seaworthy) -> Result<u16> {
    Ok(client::get(seaworthy.public(), "/health/ready")
        .await?
        .status)
}

async fn wait_ready(seaworthy: &Seaworthy, code: u16) -> Result<()> {
    until(&format!("readiness {code}"), PATIENCE, || async {
        ready(seaworthy).await.ok().filter(|found| *found == code)
    })
    .await
    .map(drop)
}

async fn check(seaworthy: &Seaworthy, name: &str) -> Result<Value> {
    seaworthy
        .look(&format!("/-/checks/{name}?fresh=1"))
        .await?
        .json()
}

/// Front and binary with checks that are down at the start; the kit would wait for readiness.
async fn started(yaml: &str) -> Result<Front> {
    let mock = seaworthy_testkit::server::App::Mock.start().await?;
    let builder = Seaworthy::build().config(yaml).connect(mock.address);
    let seaworthy = builder.start().await?;
    seaworthy.wait_event("listener.opened").await?;
    Ok(Front {
        seaworthy,
        _mock: mock,
    })
}

#[tokio::test]
async fn a_critical_dependency_closes_readiness_and_nothing_else() -> Result<()> {
    let mut database = Dependency::start().await?;
    let yaml = config(&[tcp("database", database.address, "")]);
    let front = Front::configured(&yaml).await?;
    wait_ready(&front.seaworthy, 200).await?;
    database.stop();
    wait_ready(&front.seaworthy, 503).await?;
    let to = front.seaworthy.public();
    assert_eq!(client::get(to, "/health/live").await?.status, 200);
    assert_eq!(
        client::get(to, "/health/startup").await?.status,
        200,
        "it has been ready"
    );
    assert_eq!(
        client::get(to, "/echo").await?.status,
        200,
        "requests are the app's business"
    );
    let told = client::get(to, "/health/ready").await?.text();
    assert!(
        !told.contains("database"),
        "a stranger is told too much: {told}"
    );
    let detail = front.seaworthy.look("/health").await?;
    assert_eq!(detail.status, 503);
    assert_eq!(
        detail.json()?["message"],
        "database: nothing listens there (connection refused)"
    );
    database.restart().await?;
    wait_ready(&front.seaworthy, 200).await?;
    let events = front
        .seaworthy
        .wait_events("check.changed", 3, PATIENCE)
        .await?;
    let words: Vec<_> = events.iter().map(|event| event["status"].clone()).collect();
    assert_eq!(words, ["healthy", "unhealthy", "healthy"]);
    Ok(())
}

#[tokio::test]
async fn what_is_optional_or_shared_only_degrades() -> Result<()> {
    let mut gone = Dependency::start().await?;
    gone.stop();
    for more in [", critical: false", ", shared: true"] {
        let front = Front::configured(&config(&[tcp("cache", gone.address, more)])).await?;
        front.seaworthy.wait_event("check.changed").await?;
        let detail = front.seaworthy.look("/health").await?;
        assert_eq!(
            (detail.status, &detail.json()?["status"]),
            (200, &"degraded".into())
        );
        let page = front.seaworthy.look("/metrics").await?.text();
        let level = if more.contains("shared") { "0" } else { "0.5" };
        let line = format!("seaworthy_component_up{{component=\"cache\"}} {level}");
        assert!(page.contains(&line), "{page}");
    }
    Ok(())
}

#[tokio::test]
async fn a_gentle_word_leaves_the_gate_closed_unless_the_gate_follows_words() -> Result<()> {
    let mut gone = Dependency::start().await?;
    gone.stop();
    for (gate, code) in [("state", 503), ("label", 200)] {
        let yaml = config(&[tcp("database", gone.address, ", on_error: degraded")])
            .replace("  checks:", &format!("  gate: {gate}\n  checks:"));
        let front = started(&yaml).await?;
        front.seaworthy.wait_event("check.changed").await?;
        let detail = front.seaworthy.look("/health").await?;
        assert_eq!(
            (detail.status, &detail.json()?["status"]),
            (code, &"degraded".into())
        );
    }
    Ok(())
}

#[tokio::test]
async fn checks_are_steered_by_hand_and_every_step_is_told() -> Result<()> {
    let mut database = Dependency::start().await?;
    let yaml = config(&[tcp("database", database.address, "")]);
    let front = Front::configured(&yaml).await?;
    let seaworthy = &front.seaworthy;
    wait_ready(seaworthy, 200).await?;
    database.stop();
    wait_ready(seaworthy, 503).await?;
    let disabled = seaworthy
        .steer_with("POST", "/-/checks/database/disable", r#"{"for": "10m"}"#)
        .await?
        .json()?;
    assert_eq!(disabled["enabled"], false);
    assert!(
        disabled["seconds_left"]
            .as_u64()
            .is_some_and(|left| left > 500)
    );
    assert_eq!(ready(seaworthy).await?, 200);
    seaworthy.steer("/-/checks/database/enable").await?;
    wait_ready(seaworthy, 503).await?;
    for word in ["healthy", "degraded", "unhealthy"] {
        let body = format!(r#"{{"status": "{word}"}}"#);
        let path = "/-/checks/database/force";
        let forced = seaworthy.steer_with("POST", path, &body).await?.json()?;
        assert_eq!(
            (&forced["status"], &forced["forced"]),
            (&word.into(), &true.into())
        );
        assert_eq!(seaworthy.look("/health").await?.json()?["status"], word);
    }
    let nothing = seaworthy.steer("/-/checks/nothing/enable").await?;
    assert_eq!(nothing.status, 404);
    let actions = seaworthy.output().events("check.operated");
    assert_eq!(actions.len(), 5, "{actions:?}");
    Ok(())
}

#[tokio::test]
async fn changing_needs_the_token() -> Result<()> {
    let front = Front::start().await?;
    let admin = front.seaworthy.admin()?;
    let headers = [("Host", "localhost"), ("Content-Type", "application/json")];
    for (method, path) in [
        ("PUT", "/-/checks/x"),
        ("DELETE", "/-/checks/x"),
        ("POST", "/-/checks/x/disable"),
    ] {
        let answer = client::send(admin.clone(), method, path, &headers, b"{}").await?;
        assert_eq!(answer.status, 401, "{method} {path}");
    }
    Ok(())
}

#[tokio::test]
async fn a_check_can_be_added_while_it_runs() -> Result<()> {
    let mut gone = Dependency::start().await?;
    let front = Front::start().await?;
    let seaworthy = &front.seaworthy;
    let body = format!(
        r#"{{"kind": "tcp", "addr": "{}", "required": true}}"#,
        gone.address
    );
    let added = seaworthy.steer_with("PUT", "/-/checks/x", &body).await?;
    assert_eq!(
        (added.status, &added.json()?["status"]),
        (201, &"healthy".into())
    );
    gone.stop();
    until("the check notices", PATIENCE, || async {
        check(seaworthy, "x")
            .await
            .ok()
            .filter(|one| one["status"] == "unhealthy")
    })
    .await?;
    assert_eq!(ready(seaworthy).await?, 503);
    for (body, reason) in [
        (r#"{"kind": "tcp"}"#, "addr"),
        (r#"{"kind": "tpc", "addr": "a:1"}"#, "tpc"),
        (
            r#"{"kind": "tcp", "addr": "a:1", "intreval": "1s"}"#,
            "intreval",
        ),
        (
            r#"{"kind": "tcp", "address": "a:1"}"#,
            "did you mean `addr`?",
        ),
        (
            r#"{"kind": "tcp", "addr": "a:1", "interval": "1ms"}"#,
            "at most every 100ms",
        ),
        (
            r#"{"kind": "tcp", "addr": "169.254.169.254:80"}"#,
            "link-local",
        ),
    ] {
        let refused = seaworthy.steer_with("PUT", "/-/checks/y", body).await?;
        assert_eq!(refused.status, 400, "{body}");
        assert!(refused.text().contains(reason), "{}", refused.text());
    }
    let removed = seaworthy.steer_with("DELETE", "/-/checks/x", "").await?;
    assert_eq!(removed.status, 204);
    assert_eq!(ready(seaworthy).await?, 200);
    Ok(())
}

/// Runs a verb for the instance.
async fn verb(seaworthy: &Seaworthy, words: &[&str]) -> Result<Ended> {
    let mut all: Vec<_> = words.iter().map(std::ffi::OsString::from).collect();
    all.extend(["--state-dir".into(), seaworthy.state_dir().into_os_string()]);
    Seaworthy::verb(all).await
}

#[tokio::test]
async fn the_command_line_shows_and_steers() -> Result<()> {
    let mut database = Dependency::start().await?;
    let yaml = config(&[tcp("database", database.address, "")]);
    let front = Front::configured(&yaml).await?;
    let seaworthy = &front.seaworthy;
    wait_ready(seaworthy, 200).await?;
    let run = async |words| verb(seaworthy, words).await;
    let up = run(&["health", "--fresh"]).await?;
    assert_eq!(up.code(), 0, "{}", up.stderr);
    assert!(
        up.stdout
            .starts_with("healthy   database  it accepts connections"),
        "{}",
        up.stdout
    );
    database.stop();
    wait_ready(seaworthy, 503).await?;
    let down = run(&["health", "--component", "database", "--json"]).await?;
    assert_eq!(down.code(), 1);
    let shown: Value = serde_json::from_str(&down.stdout)?;
    assert_eq!(
        (&shown["status"], &shown["passes"]),
        (&"unhealthy".into(), &false.into())
    );
    assert_eq!(run(&["health", "--component", "nothing"]).await?.code(), 2);
    let off = run(&["ctl", "checks", "disable", "database", "--for", "1h"]).await?;
    assert!(off.stdout.contains("[disabled, for "), "{}", off.stdout);
    assert_eq!(ready(seaworthy).await?, 200);
    assert_eq!(
        run(&["ctl", "checks", "set", "database", "timeout=250ms"])
            .await?
            .code(),
        0
    );
    assert_eq!(
        run(&["ctl", "checks", "force", "database", "degraded"])
            .await?
            .code(),
        0
    );
    let list = run(&["ctl", "checks", "list"]).await?;
    assert!(
        list.stdout
            .starts_with("degraded  database  set to degraded by hand"),
        "{}",
        list.stdout
    );
    let unknown = run(&["ctl", "checks", "enable", "nothing"]).await?;
    assert_eq!(unknown.code(), 1);
    assert!(
        unknown
            .stderr
            .contains("there is no check called `nothing`"),
        "{}",
        unknown.stderr
    );
    Ok(())
}

#[tokio::test]
async fn a_blip_changes_nothing() -> Result<()> {
    let mut database = Dependency::start().await?;
    // Long enough between looks that the test decides what the second one finds.
    let yaml = format!(
        "health:\n  checks:\n    - {}\n",
        tcp("database", database.address, ", interval: 1h")
    );
    let front = Front::configured(&yaml.replace("health:\n", "health:\n  recheck: 1h\n")).await?;
    let seaworthy = &front.seaworthy;
    wait_ready(seaworthy, 200).await?;
    database.stop();
    assert_eq!(
        check(seaworthy, "database").await?["status"],
        "healthy",
        "once is a blip"
    );
    database.restart().await?;
    assert_eq!(check(seaworthy, "database").await?["status"], "healthy");
    database.stop();
    check(seaworthy, "database").await?;
    assert_eq!(check(seaworthy, "database").await?["status"], "unhealthy");
    assert_eq!(seaworthy.output().events("check.changed").len(), 2);
    Ok(())
}

#[tokio::test]
async fn variables_become_checks_that_only_degrade() -> Result<()> {
    let mut cache = Dependency::start().await?;
    cache.stop();
    let builder = Seaworthy::build()
        .config("health: {interval: 200ms, recheck: 100ms}")
        .env("REDIS_URL", format!("redis://:hunter2@{}", cache.address))
        .env("DATABASE_URL", "oracle://u:hunter2@db");
    let front = Front::with(builder).await?;
    let seaworthy = &front.seaworthy;
    seaworthy.wait_event("check.changed").await?;
    let detail = seaworthy.look("/health").await?;
    let document = detail.json()?;
    assert_eq!(
        (detail.status, &document["status"]),
        (200, &"degraded".into())
    );
    let names: Vec<_> = document["components"]
        .as_array()
        .map(|all| all.iter().map(|one| one["name"].clone()).collect())
        .unwrap_or_default();
    assert_eq!(names, ["app", "redis"]);
    let warning = seaworthy.wait_event("config.warning").await?;
    assert_eq!(warning["setting"], "health.auto");
    let said = seaworthy.output().stderr() + &detail.text();
    assert!(
        said.contains("DATABASE_URL") && !said.contains("hunter2"),
        "{said}"
    );
    Ok(())
}

#[tokio::test]
async fn a_check_without_its_variable_is_unknown() -> Result<()> {
    let check = |more: &str| format!("{{kind: redis, name: cache, env: NOT_SET{more}}}");
    for (more, code) in [("", 503), (", critical: false", 200)] {
        let front = started(&config(&[check(more)])).await?;
        let seaworthy = &front.seaworthy;
        until("the check to have run", PATIENCE, || async {
            let one = self::check(seaworthy, "cache").await.ok()?;
            (one["message"] == "NOT_SET is not set").then_some(())
        })
        .await?;
        wait_ready(seaworthy, code).await?;
    }
    Ok(())
}

#[tokio::test]
async fn probes_do_not_look_for_themselves() -> Result<()> {
    let database = Dependency::start().await?;
    let yaml = format!(
        "health:\n  checks:\n    - {}\n",
        tcp("database", database.address, ", interval: 1h")
    );
    let front = Front::configured(&yaml).await?;
    wait_ready(&front.seaworthy, 200).await?;
    let listener = database.listener.as_ref().expect("it listens");
    listener.accept().await?;
    let mut connection = client::Connection::open(front.seaworthy.public()).await?;
    for _ in 0..1000 {
        let answer = connection.ask("GET", "/health/ready", &[], b"").await?;
        assert_eq!(answer.status, 200);
    }
    let more = tokio::time::timeout(Duration::from_millis(1), listener.accept()).await;
    assert!(more.is_err(), "a probe made a connection");
    Ok(())
}

#[tokio::test]
async fn a_worker_that_pushes_its_heartbeat_is_a_gauge_and_a_check() -> Result<()> {
    let front = started(&config(&[
        "{kind: heartbeat, name: mailer, worker: mailer, stale_after: 60s}".to_owned(),
    ]))
    .await?;
    let seaworthy = &front.seaworthy;
    let pushed = seaworthy.steer("/-/heartbeat/mailer").await?;
    assert_eq!(pushed.status, 204);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    wait_ready(seaworthy, 200).await?;
    let name = "worker_last_heartbeat_timestamp{worker=\"mailer\"}";
    let at = until("the gauge", PATIENCE, || async {
        seaworthy.metric(name).await.ok()
    })
    .await?;
    assert!((at - now.as_secs_f64()).abs() < 60.0, "{at} {now:?}");
    Ok(())
}

/// Each asks the other whether it is ready. Questions that go round in a circle end.
#[tokio::test]
async fn two_services_that_watch_each_other_do_not_ask_for_ever() -> Result<()> {
    let port = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let watching = |other: SocketAddr| {
        config(&[format!(
            "{{kind: upstream, name: other, url: \"http://{other}/health/ready\", critical: false}}"
        )])
    };
    let first = started(&watching(port)).await?;
    let mock = seaworthy_testkit::server::App::Mock.start().await?;
    let builder = Seaworthy::build()
        .config(&watching(first.seaworthy.public()))
        .listen(port);
    let second = builder.connect(mock.address).ready().await?;
    wait_ready(&first.seaworthy, 200).await?;
    until("somebody who does not ask", PATIENCE, || async {
        for seaworthy in [&first.seaworthy, &second] {
            let other = check(seaworthy, "other").await.ok()?;
            if other["message"].as_str()?.contains("in a circle") {
                return Some(());
            }
        }
        None
    })
    .await?;
    assert_eq!(ready(&first.seaworthy).await?, 200);
    assert_eq!(ready(&second).await?, 200);
    Ok(())
}

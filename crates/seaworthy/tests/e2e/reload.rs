//! Taking a configuration in while the service runs: by signal, by API, by command line, by a path, and by itself.

use std::time::Duration;

use seaworthy_testkit::Result;
use seaworthy_testkit::client::{self, Connection};
use seaworthy_testkit::process::{Seaworthy, Signal};
use seaworthy_testkit::server::App;
use seaworthy_testkit::wait::{self, PATIENCE};
use serde_json::{Value, json};

use crate::front::Front;

pub(crate) fn write(seaworthy: &Seaworthy, yaml: &str) -> Result<()> {
    Ok(std::fs::write(
        seaworthy.home().join("seaworthy.yaml"),
        yaml,
    )?)
}

pub(crate) async fn reload(seaworthy: &Seaworthy) -> Result<(u16, Value)> {
    let answer = seaworthy.steer("/-/config/reload").await?;
    Ok((answer.status, serde_json::from_slice(&answer.body)?))
}

pub(crate) fn changes(report: &Value) -> Vec<&str> {
    let changes = report["results"]["seaworthy"]["changes"].as_array();
    let changes = changes.into_iter().flatten();
    changes
        .filter_map(|change| change["path"].as_str())
        .collect()
}

#[tokio::test]
async fn a_signal_takes_it_in_and_the_process_stays() -> Result<()> {
    let front = Front::configured("log: {level: info}\n").await?;
    let before = front.seaworthy.look("/-/config").await?.json()?;
    assert_eq!(before["generation"], 1);
    write(
        &front.seaworthy,
        "log: {level: debug}\nheaders: {set: {X-New: '1'}}\n",
    )?;
    front.seaworthy.signal(Signal::HUP)?;
    let told = front.seaworthy.wait_event("config.reloaded").await?;
    assert_eq!(
        (&told["generation"], &told["source"]),
        (&json!(2), &json!("signal"))
    );
    let now = front.seaworthy.look("/-/config").await?.json()?;
    assert_eq!(
        (&now["generation"], &now["config"]["log"]["level"]),
        (&json!(2), &json!("debug"))
    );
    assert_ne!(before["hash"], now["hash"]);
    let answer = client::get(front.seaworthy.public(), "/echo").await?;
    assert_eq!(answer.header("x-new"), Some("1"));
    assert_eq!(
        front.seaworthy.status().await?["pid"],
        front.seaworthy.pid()
    );
    Ok(())
}

#[tokio::test]
async fn the_report_says_what_changed_and_what_waits_for_a_restart() -> Result<()> {
    let front = Front::configured("log: {level: info}\n").await?;
    let public = front.seaworthy.public();
    write(
        &front.seaworthy,
        "shutdown: {grace: 7s}\nlog: {level: warn}\nlimits: {max_body: 1KiB}\n",
    )?;
    let (status, report) = reload(&front.seaworthy).await?;
    assert_eq!(
        (status, &report["status"], &report["generation"]),
        (200, &json!("ok"), &json!(2))
    );
    assert_eq!(report["requires_restart"], json!(["shutdown.grace"]));
    assert_eq!(
        changes(&report),
        ["limits.max_body", "log.level", "shutdown.grace"]
    );
    assert!(report["duration_ms"].as_f64().is_some_and(|ms| ms > 0.0));
    let large = vec![b'x'; 2048];
    let refused = client::send(public, "POST", "/echo", &[], &large).await?;
    assert_eq!(refused.status, 413);
    // The same again is no change, and not another generation.
    let (_, again) = reload(&front.seaworthy).await?;
    assert_eq!(
        (
            &again["generation"],
            &again["results"]["seaworthy"]["changed"]
        ),
        (&json!(2), &json!(false))
    );
    assert_eq!(again["requires_restart"], json!(["shutdown.grace"]));
    // Strictly, nothing of it is taken in.
    write(
        &front.seaworthy,
        "shutdown: {grace: 7s}\nlog: {level: error}\n",
    )?;
    let strict = front
        .seaworthy
        .steer_with("POST", "/-/config/reload", r#"{"strict": true}"#)
        .await?;
    assert_eq!(strict.status, 422);
    assert!(
        strict.text().contains("shutdown.grace"),
        "{}",
        strict.text()
    );
    let now = front.seaworthy.look("/-/config").await?.json()?;
    assert_eq!(now["config"]["log"]["level"], "warn");
    Ok(())
}

#[tokio::test]
async fn a_wrong_one_is_told_with_its_place_and_changes_nothing() -> Result<()> {
    let front = Front::configured("headers: {set: {X-Which: old}}\n").await?;
    write(
        &front.seaworthy,
        "headers: {set: {X-Which: new}}\nlog: {level: loud}\n",
    )?;
    let (status, report) = reload(&front.seaworthy).await?;
    assert_eq!(
        (status, &report["status"], &report["generation"]),
        (422, &json!("error"), &json!(1))
    );
    let problem = &report["problems"][0];
    assert_eq!(
        (&problem["path"], &problem["place"]["line"]),
        (&json!("log.level"), &json!(2))
    );
    let told = front.seaworthy.wait_event("config.rejected").await?;
    let message = told["message"].as_str().unwrap_or_default();
    assert!(message.contains("seaworthy.yaml:2:14"), "{message}");
    let answer = client::get(front.seaworthy.public(), "/echo").await?;
    assert_eq!(answer.header("x-which"), Some("old"));
    // A file that it names is looked at as well, before anything changes.
    let wrong = "headers: {set: {X-Which: new}}\nauth: {api_keys: {file: /nowhere/keys}}\n";
    write(&front.seaworthy, wrong)?;
    let (status, report) = reload(&front.seaworthy).await?;
    assert_eq!(status, 422);
    assert!(
        report["problems"][0]["message"]
            .as_str()
            .is_some_and(|it| it.contains("/nowhere/keys"))
    );
    let answer = client::get(front.seaworthy.public(), "/echo").await?;
    assert_eq!(answer.header("x-which"), Some("old"));
    let page = front.seaworthy.look("/metrics").await?.text();
    assert!(
        page.contains("config_update_apply_total{result=\"invalid\"} 2"),
        "{page}"
    );
    Ok(())
}

#[tokio::test]
async fn what_was_counted_and_blocked_goes_on() -> Result<()> {
    let yaml = |more: &str| {
        format!(
            "limits: {{tiers: {{anonymous: {{capacity: 5, refill_per_sec: 0}}}}}}\nbans: {{threshold: 1000}}\nbreakers: {{DB: {{routes: [/db*], failures: 5}}}}\n{more}"
        )
    };
    let front = Front::configured(&yaml("")).await?;
    let seaworthy = &front.seaworthy;
    for _ in 0..3 {
        assert_eq!(client::get(seaworthy.public(), "/echo").await?.status, 200);
    }
    seaworthy
        .steer_with(
            "POST",
            "/-/bans",
            r#"{"address": "203.0.113.9", "reason": "test"}"#,
        )
        .await?;
    seaworthy
        .steer_with("POST", "/-/breakers/DB/open", "")
        .await?;
    write(
        seaworthy,
        &yaml("routes: [{match: /echo}, {match: /other}]\n"),
    )?;
    let (status, report) = reload(seaworthy).await?;
    assert_eq!(
        (status, &report["results"]["seaworthy"]["changed"]),
        (200, &json!(true))
    );
    let passed = {
        let mut passed = 0;
        for _ in 0..4 {
            passed += usize::from(client::get(seaworthy.public(), "/echo").await?.status == 200);
        }
        passed
    };
    assert_eq!(passed, 2, "of five tokens three were taken before");
    let bans = seaworthy.look("/-/bans").await?.text();
    assert!(bans.contains("\"reason\":\"test\""), "{bans}");
    let page = seaworthy.look("/metrics").await?.text();
    let before = r#"http_requests_total{method="GET",endpoint="unmatched",status="200"} 3"#;
    let after = r#"http_requests_total{method="GET",endpoint="/echo",status="200"} 2"#;
    assert!(page.contains(before) && page.contains(after), "{page}");
    Ok(())
}

#[tokio::test]
async fn the_file_of_an_environment_is_taken_in_with_the_others() -> Result<()> {
    let mock = App::Mock.start().await?;
    let home = tempfile::tempdir()?;
    let write = |name: &str, level: &str| {
        let text = format!("log: {{level: {level}}}\n");
        std::fs::write(home.path().join(name), text)
    };
    write("seaworthy.yaml", "info")?;
    write("seaworthy.prod.yaml", "warn")?;
    let builder = Seaworthy::build().current_dir(home.path());
    let builder = builder.env("SEAWORTHY_ENV", "prod").connect(mock.address);
    let seaworthy = builder.ready().await?;
    let level = async || -> Result<Value> {
        let now = seaworthy.look("/-/config").await?.json()?;
        Ok(now["config"]["log"]["level"].clone())
    };
    assert_eq!(level().await?, "warn");
    let state = seaworthy.state_dir().display().to_string();
    let generation = async || -> Result<Value> {
        let words = [
            "config",
            "show",
            "--running",
            "--json",
            "--state-dir",
            &state,
        ];
        let shown = Seaworthy::verb(words).await?;
        let shown: Value = serde_json::from_str(&shown.stdout)?;
        Ok(shown["generation"].clone())
    };
    assert_eq!(generation().await?, 1);
    write("seaworthy.prod.yaml", "debug")?;
    seaworthy.signal(Signal::HUP)?;
    wait::until("the new level", PATIENCE, async || {
        (level().await.ok()? == "debug").then_some(())
    })
    .await?;
    assert_eq!(generation().await?, 2);
    // What the file of the environment says no longer is what the other one says.
    std::fs::remove_file(home.path().join("seaworthy.prod.yaml"))?;
    assert_eq!(reload(&seaworthy).await?.0, 200);
    assert_eq!(level().await?, "info");
    Ok(())
}

#[tokio::test]
async fn what_is_gone_is_no_longer_shown() -> Result<()> {
    let yaml = "limits: {tiers: {anonymous: {capacity: 5, refill_per_sec: 9}}}\nconcurrency: {max: 9}\nbreakers: {DB: {routes: [/db*], failures: 5}}\nhealth: {interval: 200ms, checks: [{kind: exec, name: first, command: ['true']}]}\n";
    let front = Front::configured(yaml).await?;
    let seaworthy = &front.seaworthy;
    let names = [
        r#"tier="anonymous""#,
        r#"pool="all""#,
        r#"name="DB""#,
        r#"component="first""#,
    ];
    let how_many = async |wanted| {
        let page = seaworthy.look("/metrics").await.ok()?.text();
        let shown = names.iter().filter(|name| page.contains(**name)).count();
        (shown == wanted).then_some(())
    };
    wait::until("all of them", PATIENCE, || how_many(names.len())).await?;
    write(seaworthy, "{}\n")?;
    assert_eq!(reload(seaworthy).await?.0, 200);
    wait::until("none of them", PATIENCE, || how_many(0)).await
}

#[tokio::test]
async fn requests_under_way_and_open_connections_notice_nothing() -> Result<()> {
    let front = Front::configured("headers: {set: {X-Which: old}}\n").await?;
    let mut kept = Connection::open(front.seaworthy.public()).await?;
    let first = kept.ask("GET", "/echo", &[], b"").await?;
    assert_eq!(first.header("x-which"), Some("old"));
    let mut slow = Connection::open(front.seaworthy.public()).await?;
    slow.send("GET /sleep/800 HTTP/1.1\r\nHost: a\r\n\r\n")
        .await?;
    front.seaworthy.wait_inflight(1).await?;
    write(&front.seaworthy, "headers: {set: {X-Which: new}}\n")?;
    assert_eq!(reload(&front.seaworthy).await?.0, 200);
    let next = kept.ask("GET", "/echo", &[], b"").await?;
    assert_eq!(next.header("x-which"), Some("new"), "the same connection");
    let slow = slow.response("GET").await?;
    assert_eq!(
        (slow.status, slow.header("x-which")),
        (200, Some("old")),
        "as it began"
    );
    Ok(())
}

#[tokio::test]
async fn a_storm_of_wishes_fails_no_request() -> Result<()> {
    let front = Front::configured("headers: {set: {X-N: '0'}}\n").await?;
    let public = front.seaworthy.public();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let stop = stop.clone();
            tokio::spawn(async move {
                let (mut asked, mut failed) = (0, 0);
                let mut connection = Connection::open(public).await?;
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let answer = connection.ask("GET", "/echo", &[], b"").await;
                    asked += 1;
                    failed += usize::from(!answer.is_ok_and(|answer| answer.status == 200));
                }
                anyhow::Ok((asked, failed))
            })
        })
        .collect();
    for round in 1..=50 {
        let wrong = if round % 2 == 0 { "nonsense: 1\n" } else { "" };
        write(
            &front.seaworthy,
            &format!("headers: {{set: {{X-N: '{round}'}}}}\n{wrong}"),
        )?;
        let (status, report) = reload(&front.seaworthy).await?;
        assert_eq!(status, if round % 2 == 0 { 422 } else { 200 }, "{report}");
    }
    for _ in 0..50 {
        front.seaworthy.signal(Signal::HUP)?;
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    for client in clients {
        let (asked, failed) = client.await??;
        assert!(asked > 0);
        assert_eq!(failed, 0, "of {asked}");
    }
    let now = front.seaworthy.look("/-/config").await?.json()?;
    assert_eq!(
        now["generation"], 26,
        "each sound one, and the wrong ones and signals none"
    );
    Ok(())
}

#[tokio::test]
async fn checks_come_and_go_with_it() -> Result<()> {
    let front = Front::configured(
        "health: {interval: 200ms, checks: [{kind: exec, name: first, command: ['true']}]}\n",
    )
    .await?;
    let status = |name: &'static str| {
        let path = format!("/-/checks/{name}");
        let seaworthy = &front.seaworthy;
        async move { anyhow::Ok(seaworthy.look(&path).await?.status) }
    };
    assert_eq!(
        (status("first").await?, status("second").await?),
        (200, 404)
    );
    write(
        &front.seaworthy,
        "health: {interval: 200ms, checks: [{kind: exec, name: second, command: ['false']}]}\n",
    )?;
    assert_eq!(reload(&front.seaworthy).await?.0, 200);
    assert_eq!(
        (status("first").await?, status("second").await?),
        (404, 200)
    );
    wait::until("not ready", PATIENCE, || async {
        let ready = client::get(front.seaworthy.public(), "/health/ready")
            .await
            .ok()?;
        (ready.status == 503).then_some(())
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn the_path_of_the_preset_is_for_this_machine() -> Result<()> {
    let front = Front::lonely(Seaworthy::build().config("preset: scry\n")).await?;
    let public = front.seaworthy.public();
    let path = "/api/v1/config/reload";
    let granted = client::send(public, "POST", path, &[], b"").await?;
    assert_eq!(granted.status, 200, "{}", granted.text());
    let report: Value = serde_json::from_slice(&granted.body)?;
    for key in ["status", "results", "requires_restart", "duration_ms"] {
        assert!(report.get(key).is_some(), "{key}: {report}");
    }
    let read = client::get(public, path).await?;
    assert_eq!((read.status, read.header("allow")), (405, Some("POST")));
    let page = [("Origin", "https://elsewhere.example")];
    let refused = client::send(public, "POST", path, &page, b"").await?;
    assert_eq!(refused.status, 401, "a web page is not this machine");
    let stranger = [("X-Forwarded-For", "203.0.113.7")];
    let refused = client::send(public, "POST", path, &stranger, b"").await?;
    assert_eq!(refused.status, 401);
    let bearer = format!(
        "Bearer {}",
        front.seaworthy.instance().token.clone().unwrap_or_default()
    );
    let known = [stranger[0], ("Authorization", &bearer)];
    assert_eq!(
        client::send(public, "POST", path, &known, b"")
            .await?
            .status,
        200
    );
    write(&front.seaworthy, "preset: scry\nlog: {level: loud}\n")?;
    assert_eq!(
        client::send(public, "POST", path, &[], b"").await?.status,
        422
    );
    Ok(())
}

#[tokio::test]
async fn the_command_line_has_it_taken_in_and_shows_what_came_of_it() -> Result<()> {
    let front = Front::configured("log: {level: info}\n").await?;
    let state = front.seaworthy.state_dir().to_string_lossy().into_owned();
    write(
        &front.seaworthy,
        "log: {level: warn}\nshutdown: {grace: 9s}\n",
    )?;
    let done = Seaworthy::verb(["config", "reload", "--state-dir", &state]).await?;
    assert_eq!(done.code(), 0, "{}", done.stderr);
    assert!(
        done.stdout.contains("log.level: info -> warn"),
        "{}",
        done.stdout
    );
    assert!(done.stdout.contains("(after a restart)"), "{}", done.stdout);
    write(&front.seaworthy, "log: {level: loud}\n")?;
    let refused = Seaworthy::verb(["config", "reload", "--state-dir", &state]).await?;
    assert_eq!(refused.code(), 1);
    assert!(
        refused.stderr.contains("seaworthy.yaml:1: log.level"),
        "{}",
        refused.stderr
    );
    let json = Seaworthy::verb(["config", "reload", "--json", "--state-dir", &state]).await?;
    assert_eq!(json.code(), 1);
    let report: Value = serde_json::from_str(&json.stdout)?;
    assert_eq!(report["status"], "error");
    Ok(())
}

/// The literal command of the seed: it meets both the supervisor, whose command line names the server, and the server.
#[tokio::test]
async fn the_seeds_own_command_reloads_and_kills_nobody() -> Result<()> {
    let name = format!("uvicorn-{}", std::process::id());
    let front = Seaworthy::build()
        .config("service: {kind: worker}\n")
        .app(["bash", "-c", &format!("exec -a {name} sleep 99")])
        .start()
        .await?;
    let pid = wait::until("the app", PATIENCE, || async {
        front.app_pids().await.ok()?.first().copied()
    })
    .await?;
    let kill = format!("kill -HUP $(pgrep -f {name} | grep -vx $$)");
    let killed = tokio::process::Command::new("bash")
        .args(["-c", &kill])
        .status()
        .await?;
    assert!(killed.success());
    front.wait_event("config.reloaded").await?;
    assert_eq!(front.app_pids().await?, [pid], "the app lives on");
    Ok(())
}

#[tokio::test]
async fn one_that_comes_while_the_service_stops_is_answered() -> Result<()> {
    let mut front = Front::configured("shutdown: {grace: 5s}\n").await?;
    let mut slow = Connection::open(front.seaworthy.public()).await?;
    slow.send("GET /sleep/1500 HTTP/1.1\r\nHost: a\r\n\r\n")
        .await?;
    front.seaworthy.wait_inflight(1).await?;
    front.seaworthy.terminate()?;
    front.seaworthy.wait_event("shutdown.signal").await?;
    let answer = tokio::time::timeout(Duration::from_secs(3), reload(&front.seaworthy)).await??;
    assert_eq!(answer.0, 503);
    assert_eq!(front.seaworthy.stop(PATIENCE).await?, 0);
    Ok(())
}

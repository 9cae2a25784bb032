//! What probes, dashboards and operators see, and where.

use std::time::{Duration, Instant};

use seaworthy_testkit::Result;
use seaworthy_testkit::client::{self, Connection};
use seaworthy_testkit::origin::{Origin, Script, ok};
use seaworthy_testkit::process::Seaworthy;
use seaworthy_testkit::server::App;
use serde_json::Value;

use crate::front::{Front, before_with};

#[tokio::test]
async fn probes_answer_on_their_canonical_paths() -> Result<()> {
    let builder = Seaworthy::build().config("service: {name: shop}");
    let front = Front::with(builder).await?;
    let mut connection = Connection::open(front.seaworthy.public()).await?;
    for path in ["/health/live", "/health/ready", "/health/startup"] {
        let answer = connection.ask("GET", path, &[], b"").await?;
        assert_eq!(
            (answer.status, answer.header("cache-control")),
            (200, Some("no-store")),
            "{path}"
        );
        let document = answer.json()?;
        assert_eq!(
            (&document["status"], &document["service"]),
            (&"healthy".into(), &"shop".into())
        );
        let head = connection.ask("HEAD", path, &[], b"").await?;
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn nothing_of_ours_is_public_that_nobody_asked_for() -> Result<()> {
    let origin = Origin::tcp(Script::always(ok("the app"))).await?;
    let seaworthy = Seaworthy::build().connect(origin.address()).ready().await?;
    for path in [
        "/health",
        "/metrics",
        "/health/summary",
        "/-/status",
        "/-/prestop",
        "/health/live/",
        "/health/livex",
    ] {
        let answer = client::get(seaworthy.public(), path).await?;
        assert_eq!(answer.text(), "the app", "{path}");
    }
    let post = client::send(seaworthy.public(), "POST", "/health/live", &[], b"x").await?;
    assert_eq!(post.text(), "the app", "other methods are the app's");
    Ok(())
}

#[tokio::test]
async fn the_admin_listener_shows_everything() -> Result<()> {
    let front = Front::start().await?;
    for path in [
        "/health/live",
        "/health/ready",
        "/health/startup",
        "/health",
        "/health/detailed",
        "/health/summary",
        "/-/status",
    ] {
        let document = ask_admin(&front.seaworthy, path).await?.1;
        assert!(document.is_object(), "{path}: {document}");
    }
    let (status, summary) = ask_admin(&front.seaworthy, "/health/summary").await?;
    assert_eq!((status, &summary["state"]), (200, &"running".into()));
    let (status, missing) = ask_admin(&front.seaworthy, "/no/such/path").await?;
    assert_eq!(
        (status, &missing["error"]["type"]),
        (404, &"NotFound".into())
    );
    Ok(())
}

/// Asks the admin listener as someone on this machine would.
async fn ask_admin(seaworthy: &Seaworthy, path: &str) -> Result<(u16, Value)> {
    let mut connection = Connection::open(seaworthy.admin()?).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    connection.send(request).await?;
    let answer = connection.response("GET").await?;
    Ok((answer.status, answer.json()?))
}

#[tokio::test]
async fn a_page_on_the_web_cannot_reach_the_admin_listener() -> Result<()> {
    let front = Front::start().await?;
    let token = front.seaworthy.instance().token.clone().unwrap_or_default();
    let bearer = format!("Bearer {token}");
    for headers in [
        "Host: evil.example\r\n".to_owned(),
        format!("Host: evil.example\r\nAuthorization: {bearer}\r\n"),
        format!("Host: localhost\r\nOrigin: http://evil.example\r\nAuthorization: {bearer}\r\n"),
    ] {
        let mut connection = Connection::open(front.seaworthy.admin()?).await?;
        connection
            .send(format!("POST /-/stop HTTP/1.1\r\n{headers}\r\n"))
            .await?;
        assert_eq!(
            connection.response("POST").await?.error_type().as_deref(),
            Some("Forbidden")
        );
    }
    let mut connection = Connection::open(front.seaworthy.admin()?).await?;
    connection
        .send("POST /-/stop HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await?;
    assert_eq!(
        connection.response("POST").await?.error_type().as_deref(),
        Some("Unauthorized")
    );
    assert_eq!(
        client::get(front.seaworthy.public(), "/health/ready")
            .await?
            .status,
        200
    );
    Ok(())
}

#[tokio::test]
async fn the_admin_listener_can_be_a_unix_socket_or_off() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("admin.sock");
    let builder = Seaworthy::build().admin(format!("unix:{}", path.display()));
    let front = Front::with(builder).await?;
    assert_eq!(ask_admin(&front.seaworthy, "/health/summary").await?.0, 200);
    let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata()?.permissions());
    assert_eq!(mode & 0o777, 0o600);
    let front = Front::with(Seaworthy::build().admin("off")).await?;
    assert!(front.seaworthy.admin().is_err());
    assert_eq!(
        client::get(front.seaworthy.public(), "/health/live")
            .await?
            .status,
        200
    );
    Ok(())
}

#[tokio::test]
async fn endpoints_give_views_other_paths() -> Result<()> {
    let yaml = "endpoints:\n\
        - {path: /livez, view: live}\n\
        - {path: /ready, view: ready}\n\
        - {path: /open, view: ready, detail: true}\n\
        - {path: /v1/healthz/detailed, view: detailed}\n\
        - {path: /sum, view: summary}\n\
        - {path: /numbers, view: metrics, mode: own}\n\
        - {path: /inner, view: live, listen: admin}\n";
    let front = Front::configured(yaml).await?;
    let to = front.seaworthy.public();
    for path in [
        "/livez",
        "/ready",
        "/v1/healthz/detailed",
        "/sum",
        "/health/live",
    ] {
        let answer = client::get(to, path).await?;
        assert_eq!(
            (answer.status, &answer.json()?["status"]),
            (200, &"healthy".into()),
            "{path}"
        );
    }
    let numbers = client::get(to, "/numbers").await?;
    assert!(
        numbers.text().contains("http_requests_total"),
        "{}",
        numbers.text()
    );
    assert_eq!(
        client::get(to, "/inner").await?.status,
        404,
        "it is on the admin listener"
    );
    assert_eq!(ask_admin(&front.seaworthy, "/inner").await?.0, 200);
    let detail = client::get(to, "/open?detailed=true").await?.json()?;
    assert_eq!(detail["components"][0]["name"], "app");
    let closed = client::get(to, "/ready?detailed=true").await?.json()?;
    assert_eq!(
        closed.get("components"),
        None,
        "strangers learn nothing of what is behind"
    );
    Ok(())
}

#[tokio::test]
async fn what_is_for_loopback_is_hidden_from_those_behind_a_proxy() -> Result<()> {
    let yaml = "endpoints: [{path: /secret, view: detailed, allow: [loopback]}]";
    let front = Front::configured(yaml).await?;
    let to = front.seaworthy.public();
    assert_eq!(client::get(to, "/secret").await?.status, 200);
    for name in ["X-Forwarded-For", "Forwarded", "X-Real-IP"] {
        let answer = client::send(to, "GET", "/secret", &[(name, "127.0.0.1")], b"").await?;
        assert_eq!(answer.status, 404, "{name}");
        assert!(!answer.text().contains("components"), "{name}");
    }
    Ok(())
}

const APPS_OWN: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{\"app\":1}";

#[tokio::test]
async fn own_pass_and_merge_decide_who_answers() -> Result<()> {
    let yaml = "endpoints:\n\
        - {path: /own, view: detailed}\n\
        - {path: /pass, view: detailed, mode: pass}\n\
        - {path: /merge, view: detailed, mode: merge}\n";
    let (seaworthy, _origin) =
        before_with(Script::always(APPS_OWN), Seaworthy::build().config(yaml)).await?;
    let own = client::get(seaworthy.public(), "/own").await?.json()?;
    assert_eq!(
        (&own["status"], &own["app"]),
        (&"healthy".into(), &Value::Null)
    );
    let pass = client::get(seaworthy.public(), "/pass").await?;
    assert_eq!(pass.text(), "{\"app\":1}");
    let merged = client::get(seaworthy.public(), "/merge").await?.json()?;
    let names: Vec<_> = merged["components"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|part| part["name"].clone())
        .collect();
    assert_eq!(names, ["app", "upstream"], "{merged}");
    assert!(merged.to_string().contains("{\"app\":1}"), "{merged}");
    Ok(())
}

#[tokio::test]
async fn every_shape_has_the_apps_part_in_its_own_place() -> Result<()> {
    let formats = [
        ("full", "/components/1/metadata/body/app"),
        ("scry", "/components/0/metadata/body/app"),
        ("kronos", "/checks/upstream/body/app"),
        ("house", "/components/upstream/metadata/body/app"),
        ("soma", "/components/0/metadata/body/app"),
        ("harvester", "/components/0/check_duration_ms"),
    ];
    let entries = formats.map(|(format, _)| {
        format!("- {{path: /{format}, view: detailed, mode: merge, format: {format}}}\n")
    });
    let yaml = format!("endpoints:\n{}", entries.concat());
    let builder = Seaworthy::build().config(&yaml);
    let (seaworthy, _origin) = before_with(Script::always(APPS_OWN), builder).await?;
    for (format, at) in formats {
        let merged = client::get(seaworthy.public(), &format!("/{format}")).await?;
        let document = merged.json()?;
        let found = document.pointer(at).and_then(Value::as_f64);
        assert!(found.is_some(), "{format}: {document}");
    }
    Ok(())
}

#[tokio::test]
async fn merged_metrics_hold_both_pages() -> Result<()> {
    let page = "# TYPE app_jobs_total counter\napp_jobs_total 5\n# TYPE http_requests_total counter\nhttp_requests_total 1\n";
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{page}",
        page.len()
    );
    let yaml = "endpoints: [{path: /metrics, view: metrics}]";
    let (seaworthy, _origin) =
        before_with(Script::always(answer), Seaworthy::build().config(yaml)).await?;
    let text = client::get(seaworthy.public(), "/metrics").await?.text();
    assert!(text.contains("app_jobs_total 5\n"), "{text}");
    assert_eq!(
        text.matches("# TYPE http_requests_total ").count(),
        1,
        "{text}"
    );
    Ok(())
}

#[tokio::test]
async fn probes_are_answered_while_the_app_hangs() -> Result<()> {
    let front = Front::start().await?;
    let to = front.seaworthy.public();
    let mut wedged = Connection::open(to).await?;
    wedged
        .send(client::request("GET", "/hang/all", &[], b""))
        .await?;
    let mut waiting = Vec::new();
    for _ in 0..20 {
        let mut connection = Connection::open(to).await?;
        connection
            .send(client::request("GET", "/bytes/1", &[], b""))
            .await?;
        waiting.push(connection);
    }
    for _ in 0..20 {
        assert_eq!(client::get(to, "/health/live").await?.status, 200);
    }
    Ok(())
}

#[tokio::test]
async fn startup_and_ready_open_when_the_app_listens() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mock = App::Mock.command()?.join(" ");
    let script = format!("while [ ! -e go ]; do sleep 0.02; done; exec {mock}");
    let seaworthy = Seaworthy::run(["sh", "-c", &script])
        .current_dir(folder.path())
        .start()
        .await?;
    let to = seaworthy.public();
    assert_eq!(client::get(to, "/health/live").await?.status, 200);
    for path in ["/health/ready", "/health/startup"] {
        let closed = client::get(to, path).await?;
        assert_eq!(
            (closed.status, &closed.json()?["status"]),
            (503, &"unhealthy".into()),
            "{path}"
        );
        assert!(closed.json()?["message"].is_string(), "{}", closed.text());
    }
    let mut parked = Connection::open(to).await?;
    parked
        .send(client::request("GET", "/bytes/4", &[], b""))
        .await?;
    std::fs::write(folder.path().join("go"), "")?;
    assert_eq!(
        parked.response("GET").await?.body.len(),
        4,
        "parked until the app was there"
    );
    seaworthy.ready(seaworthy_testkit::wait::PATIENCE).await?;
    assert_eq!(client::get(to, "/health/startup").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn the_summary_tells_when_it_started_and_how_long_that_took() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mock = App::Mock.command()?.join(" ");
    let script = format!("while [ ! -e go ]; do sleep 0.02; done; exec {mock}");
    let (before, begun) = (jiff::Timestamp::now(), Instant::now());
    let seaworthy = Seaworthy::run(["sh", "-c", &script])
        .current_dir(folder.path())
        .start()
        .await?;
    let listening = Instant::now();
    let startup = ask_admin(&seaworthy, "/health/summary").await?.1["startup"].clone();
    assert_eq!(startup["duration_ms"], Value::Null, "{startup}");
    let at: jiff::Timestamp = startup["started_at"].as_str().unwrap_or_default().parse()?;
    // Whole seconds are shown.
    let second = jiff::SignedDuration::from_secs(1);
    assert!(before - second < at && at <= jiff::Timestamp::now(), "{at}");

    let least = listening.elapsed();
    std::fs::write(folder.path().join("go"), "")?;
    seaworthy.ready(seaworthy_testkit::wait::PATIENCE).await?;
    let most = begun.elapsed();
    let now = ask_admin(&seaworthy, "/health/summary").await?.1["startup"].clone();
    assert_eq!(now["started_at"], startup["started_at"], "it does not move");
    let took = Duration::from_millis(now["duration_ms"].as_u64().unwrap_or_default());
    assert!(least <= took && took <= most, "{least:?} {took:?} {most:?}");
    // The metric is the same reading.
    let count = seaworthy.metric("service_startup_seconds_count").await?;
    let sum = seaworthy.metric("service_startup_seconds_sum").await?;
    assert!((count - 1.0).abs() < f64::EPSILON, "{count}");
    assert!((sum - took.as_secs_f64()).abs() < 0.002, "{sum} {took:?}");
    Ok(())
}

const PRESETS: &[(&str, &[&str])] = &[
    (
        "scry",
        &["/health", "/ready", "/health/detailed", "/metrics"],
    ),
    (
        "kronos",
        &["/v1/healthz", "/v1/readyz", "/v1/healthz/detailed"],
    ),
    (
        "house",
        &[
            "/health/live",
            "/health/ready",
            "/health/check",
            "/health/summary",
        ],
    ),
    ("soma", &["/live", "/ready", "/health", "/metrics"]),
    (
        "harvester",
        &[
            "/health/live",
            "/health/ready",
            "/health/startup",
            "/metrics",
        ],
    ),
];

#[tokio::test]
async fn each_preset_starts_and_answers_its_paths() -> Result<()> {
    for (preset, paths) in PRESETS {
        let mut seaworthy = crate::presets::preset(*preset).await?;
        for path in *paths {
            let answer = client::get(seaworthy.public(), path).await?;
            assert_eq!(answer.status, 200, "{preset} {path}: {}", answer.text());
            if *path != "/metrics" {
                let word = answer.json()?["status"].clone();
                // A machine with a full disk is degraded and none the worse for this test.
                let fine = ["healthy", "alive", "degraded"];
                assert!(
                    fine.iter().any(|fine| word == *fine),
                    "{preset} {path}: {word}"
                );
            }
        }
        assert_eq!(
            client::get(seaworthy.public(), "/bytes/1").await?.status,
            200
        );
        assert_eq!(
            seaworthy.stop(seaworthy_testkit::wait::PATIENCE).await?,
            0,
            "{preset}"
        );
    }
    Ok(())
}

//! Breakers on the real binary: when they open, what they answer, how they close, and how they are steered.

use std::time::{Duration, Instant};

use seaworthy_testkit::Result;
use seaworthy_testkit::client::{self, Connection, Response};
use seaworthy_testkit::origin::{Gate, Origin, Script, Step, ok};
use seaworthy_testkit::process::{Builder, Ended, Seaworthy};
use seaworthy_testkit::wait::{self, PATIENCE};
use serde_json::Value;

use crate::front::before_with;

pub(crate) fn status(code: u16) -> Vec<u8> {
    format!("HTTP/1.1 {code} Trouble\r\nContent-Length: 7\r\n\r\ntrouble").into_bytes()
}

/// Answers these, then this for ever.
pub(crate) fn first(answers: &[u16], last: Vec<Step>) -> Script {
    let mut steps: Vec<Step> = Vec::new();
    for code in answers {
        steps.extend([Step::Request, Step::Send(status(*code))]);
    }
    // Nothing repeats from the middle, so there is enough of the last.
    for _ in 0..100 {
        steps.extend(last.clone());
    }
    let last = [last, vec![Step::Repeat]].concat();
    Script::by_connection(move |index| {
        if index == 0 {
            steps.clone()
        } else {
            last.clone()
        }
    })
}

pub(crate) fn well() -> Vec<Step> {
    vec![Step::Request, Step::Send(ok("well"))]
}

/// One worker, so that one connection has all requests in their order.
pub(crate) fn one_worker() -> Builder {
    Seaworthy::build().set("threads", 1)
}

fn fast(scale: u32) -> Builder {
    one_worker()
        .flag("--allow-time-scale")
        .env("SEAWORTHY_TIME_SCALE", scale)
}

pub(crate) async fn get(seaworthy: &Seaworthy, path: &str) -> Result<Response> {
    client::get(seaworthy.public(), path).await
}

/// What the admin listener answers.
pub(crate) async fn admin(seaworthy: &Seaworthy, path: &str) -> Result<Response> {
    client::send(
        seaworthy.admin()?,
        "GET",
        path,
        &[("Host", "127.0.0.1")],
        b"",
    )
    .await
}

async fn breaker(seaworthy: &Seaworthy, name: &str) -> Result<Value> {
    let all = admin(seaworthy, "/-/breakers").await?.json()?;
    let all = all.as_array().cloned().unwrap_or_default();
    let one = all.into_iter().find(|one| one["name"] == name);
    one.ok_or_else(|| anyhow::anyhow!("no breaker {name}"))
}

async fn ctl(seaworthy: &Seaworthy, words: &[&str]) -> Result<Ended> {
    let state = seaworthy.state_dir();
    let mut all = vec!["ctl", "breakers"];
    all.extend(words);
    all.extend(["--json", "--state-dir", state.to_str().unwrap_or_default()]);
    Seaworthy::verb(all).await
}

async fn wait_state(seaworthy: &Seaworthy, name: &str, state: &str) -> Result<()> {
    wait::until(&format!("{name} {state}"), PATIENCE, || async {
        let one = breaker(seaworthy, name).await.ok()?;
        (one["state"] == state).then_some(())
    })
    .await
}

#[tokio::test]
async fn five_failures_open_the_default_for_a_minute_and_a_probe_closes_it() -> Result<()> {
    let builder = fast(60).set("breakers", "{default: {failures: 5, recovery: 60s}}");
    let (seaworthy, origin) = before_with(first(&[503; 5], well()), builder).await?;
    let one = breaker(&seaworthy, "default").await?;
    assert_eq!(
        (&one["state"], &one["failure_count"]),
        (&"closed".into(), &0.into())
    );
    for _ in 0..3 {
        assert_eq!(get(&seaworthy, "/").await?.status, 503);
    }
    let one = breaker(&seaworthy, "default").await?;
    assert_eq!(
        (&one["state"], &one["failure_count"]),
        (&"closed".into(), &3.into())
    );
    for _ in 0..2 {
        assert_eq!(get(&seaworthy, "/").await?.body, b"trouble");
    }
    let refused = get(&seaworthy, "/").await?;
    assert_eq!(refused.status, 503);
    assert_eq!(refused.error_type().as_deref(), Some("CircuitOpen"));
    assert_eq!(
        refused.header("retry-after"),
        Some("1"),
        "a minute is a second here"
    );
    assert_eq!(refused.json()?["error"]["details"]["breaker"], "default");
    assert_eq!(
        origin.requests().len(),
        5,
        "an open breaker does not ask the app"
    );
    let page = admin(&seaworthy, "/metrics").await?;
    let page = String::from_utf8_lossy(&page.body).into_owned();
    assert!(
        page.contains("circuit_breaker_failures_total{name=\"default\"} 5"),
        "{page}"
    );
    assert!(
        page.contains("circuit_breaker_state{name=\"default\"}"),
        "{page}"
    );
    let opened = seaworthy.wait_event("breaker.opened").await?;
    assert_eq!(opened["evidence"], "5 calls in a row failed");
    let text = opened["next"].as_str().unwrap_or_default();
    assert!(text.contains("1m"), "{opened}");
    wait_state(&seaworthy, "default", "half_open").await?;
    assert_eq!(get(&seaworthy, "/").await?.body, b"well");
    let one = breaker(&seaworthy, "default").await?;
    assert_eq!(
        (&one["state"], &one["failure_count"]),
        (&"closed".into(), &0.into())
    );
    seaworthy.wait_event("breaker.half_open").await?;
    seaworthy.wait_event("breaker.closed").await?;
    Ok(())
}

#[tokio::test]
async fn a_rate_opens_at_its_least_calls_and_answers_without_the_app() -> Result<()> {
    let builder = fast(30).set(
        "breakers",
        "{model: {mode: rate, threshold: 0.5, min_calls: 10, window: 30s, cooldown: 30s, half_open: 1, routes: [/model]}}",
    );
    let (seaworthy, origin) = before_with(first(&[500; 10], well()), builder).await?;
    for _ in 0..10 {
        assert_eq!(get(&seaworthy, "/model").await?.status, 500);
    }
    let mut connection = Connection::open(seaworthy.public()).await?;
    let mut quickest = Duration::MAX;
    for _ in 0..5 {
        let began = Instant::now();
        let refused = connection
            .ask("GET", "/model", &[("Host", "t")], b"")
            .await?;
        quickest = quickest.min(began.elapsed());
        assert_eq!(refused.error_type().as_deref(), Some("CircuitOpen"));
        assert!(refused.header("retry-after").is_some());
    }
    // The best of five: what the machine does besides is not the breaker's.
    assert!(quickest < Duration::from_millis(5), "{quickest:?}");
    assert_eq!(origin.requests().len(), 10);
    assert_eq!(
        get(&seaworthy, "/elsewhere").await?.status,
        200,
        "other routes have no breaker"
    );
    wait_state(&seaworthy, "model", "half_open").await?;
    assert_eq!(get(&seaworthy, "/model").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn answers_to_wrong_requests_open_nothing() -> Result<()> {
    let builder = one_worker().set("breakers", "{default: {failures: 2}}");
    let (seaworthy, origin) = before_with(Script::always(status(404)), builder).await?;
    for _ in 0..20 {
        assert_eq!(get(&seaworthy, "/").await?.status, 404);
    }
    assert_eq!(origin.requests().len(), 20);
    assert_eq!(breaker(&seaworthy, "default").await?["state"], "closed");
    Ok(())
}

#[tokio::test]
async fn an_app_that_hangs_opens_it() -> Result<()> {
    let builder = one_worker()
        .set("breakers", "{default: {failures: 2, recovery: 60s}}")
        .set("limits.response_timeout", "300ms");
    let silent = Script::steps_of(vec![Step::Request, Step::Hang]);
    let (seaworthy, origin) = before_with(silent, builder).await?;
    for _ in 0..2 {
        assert_eq!(get(&seaworthy, "/").await?.status, 504);
    }
    assert_eq!(
        get(&seaworthy, "/").await?.error_type().as_deref(),
        Some("CircuitOpen")
    );
    assert_eq!(origin.requests().len(), 2);
    Ok(())
}

#[tokio::test]
async fn five_hundred_callers_make_exactly_three_probes() -> Result<()> {
    let gate = Gate::new();
    let held = vec![
        Step::Request,
        Step::Wait(gate.clone()),
        Step::Send(ok("well")),
    ];
    let builder = fast(60).set(
        "breakers",
        "{default: {failures: 5, recovery: 60s, half_open: 3, half_open_timeout: 10h}}",
    );
    let (seaworthy, origin): (Seaworthy, Origin) =
        before_with(first(&[503; 5], held), builder).await?;
    for _ in 0..5 {
        get(&seaworthy, "/").await?;
    }
    wait_state(&seaworthy, "default", "half_open").await?;
    let mut callers = tokio::task::JoinSet::new();
    let public = seaworthy.public();
    for _ in 0..500 {
        callers.spawn(async move { client::get(public, "/").await });
    }
    for _ in 0..497 {
        let answer = callers.join_next().await.expect("a caller")??;
        assert_eq!(answer.error_type().as_deref(), Some("CircuitOpen"));
    }
    origin.wait_requests(5 + 3).await?;
    gate.open();
    while let Some(answer) = callers.join_next().await {
        assert_eq!(answer??.status, 200);
    }
    assert_eq!(origin.requests().len(), 5 + 3);
    assert_eq!(breaker(&seaworthy, "default").await?["state"], "closed");
    Ok(())
}

#[tokio::test]
async fn a_breaker_can_be_held_open_held_closed_and_reset_by_hand() -> Result<()> {
    let builder = one_worker().set(
        "breakers",
        "{default: {failures: 1}, other: {routes: [/o]}}",
    );
    let (seaworthy, _origin) = before_with(first(&[500, 500, 500], well()), builder).await?;
    let listed = ctl(&seaworthy, &[]).await?;
    let listed: Value = serde_json::from_str(&listed.stdout)?;
    assert_eq!(listed.as_array().map(Vec::len), Some(2));
    assert_eq!(listed[0]["state"], "closed");
    let said = ctl(&seaworthy, &["default", "force_closed"]).await?;
    assert_eq!(said.code(), 0, "{}", said.stderr);
    for _ in 0..3 {
        assert_eq!(get(&seaworthy, "/").await?.status, 500);
    }
    let said = ctl(&seaworthy, &["default", "force_open"]).await?;
    let one: Value = serde_json::from_str(&said.stdout)?;
    assert_eq!(one["state"], "forced_open");
    assert_eq!(
        get(&seaworthy, "/").await?.error_type().as_deref(),
        Some("CircuitOpen")
    );
    assert_eq!(get(&seaworthy, "/o").await?.status, 200);
    ctl(&seaworthy, &["default", "reset"]).await?;
    assert_eq!(get(&seaworthy, "/").await?.status, 200);
    let said = ctl(&seaworthy, &["nobody", "reset"]).await?;
    assert_eq!(said.code(), 1);
    assert!(
        said.stderr.contains("there is no breaker called `nobody`"),
        "{}",
        said.stderr
    );
    // Changing needs the token, reading does not.
    let bare = client::send(
        seaworthy.admin()?,
        "POST",
        "/-/breakers/default/reset",
        &[("Host", "127.0.0.1")],
        b"",
    )
    .await?;
    assert_eq!(bare.status, 401);
    Ok(())
}

#[tokio::test]
async fn what_contradicts_itself_is_refused_with_its_place() -> Result<()> {
    let yaml = "\
breakers:
  one: {recovery: 30s, cooldown: 30s, routes: [/a], egress: [nowhere]}
  two: {recovery: 30s, recovery_max: 10s, routes: [/a]}
  three: {threshold: 0, failures: 0}
routes:
  - {match: /b, breaker: nobody, attempt_timeout: 2m}
retry: {on: [connect, 200], methods: [get]}
fallbacks:
  edge: {default: 'not a name'}
";
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("seaworthy.yaml");
    std::fs::write(&file, yaml)?;
    let path = file.to_str().unwrap_or_default().to_owned();
    let ended = Seaworthy::verb(["config", "validate", "-c", &path]).await?;
    assert_eq!(ended.code(), 2, "{}", ended.stdout);
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert!(said.contains("seaworthy.yaml:"), "{said}");
    Ok(())
}

#[tokio::test]
async fn house_has_its_three_breakers_by_name() -> Result<()> {
    let builder = one_worker().flag("--preset").flag("house");
    let origin = Origin::tcp(first(&[500; 3], well())).await?;
    let seaworthy = builder.connect(origin.address()).start().await?;
    let shown = get(&seaworthy, "/health/check").await?.json()?;
    let breakers = shown["circuit_breakers"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    let names: Vec<&str> = breakers.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "ALGORITHM_CIRCUIT_BREAKER",
            "DB_CIRCUIT_BREAKER",
            "NOTIFICATION_CIRCUIT_BREAKER"
        ]
    );
    let recovery: Vec<_> = breakers
        .values()
        .map(|one| one["recovery_s"].as_f64())
        .collect();
    assert_eq!(recovery, [Some(60.0), Some(30.0), Some(120.0)]);
    let name = "ALGORITHM_CIRCUIT_BREAKER";
    // What asks for something has a fallback; what does something shows the breaker bare.
    let ask = |method: &'static str| {
        client::send(
            seaworthy.public(),
            method,
            "/api/algorithm/current",
            &[("Host", "t")],
            b"",
        )
    };
    for _ in 0..2 {
        assert_eq!(ask("POST").await?.status, 500);
    }
    assert_eq!(breaker(&seaworthy, name).await?["state"], "closed");
    assert_eq!(ask("POST").await?.status, 500);
    assert_eq!(breaker(&seaworthy, name).await?["state"], "open");
    let refused = ask("POST").await?;
    assert_eq!(
        (refused.status, refused.error_type().as_deref()),
        (503, Some("CircuitOpen"))
    );
    assert_eq!(origin.requests().len(), 3);
    Ok(())
}

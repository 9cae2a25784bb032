//! The health endpoints of the five presets: paths, keys, words and codes.

use seaworthy_testkit::Result;
use seaworthy_testkit::client;
use seaworthy_testkit::process::Seaworthy;
use seaworthy_testkit::server::App;
use seaworthy_testkit::wait::{PATIENCE, until};
use serde_json::{Value, json};

/// One that runs without any of the servers of its preset: what waits for a variable is switched off.
pub(crate) async fn preset<'a>(name: impl Into<Option<&'a str>>) -> Result<Seaworthy> {
    let builder = Seaworthy::run(App::Mock.command()?);
    let builder = match name.into() {
        Some(name) => builder.flag("--preset").flag(name),
        None => builder,
    };
    let builder = builder.set("shutdown.propagation", "0s");
    let seaworthy = builder.set("health.auto", false).start().await?;
    for warning in seaworthy.output().events("config.warning") {
        let setting = warning["setting"].as_str().unwrap_or_default();
        if !setting.starts_with("health.checks") {
            continue;
        }
        let named = warning["message"]
            .as_str()
            .and_then(|said| said.split('`').nth(1));
        let path = format!("/-/checks/{}/disable", named.unwrap_or_default());
        let disabled = seaworthy.steer(&path).await?;
        assert_eq!(disabled.status, 200, "{warning}: {}", disabled.text());
    }
    seaworthy.ready(PATIENCE).await?;
    Ok(seaworthy)
}

async fn ask(seaworthy: &Seaworthy, path: &str) -> Result<(u16, Value)> {
    let answer = client::get(seaworthy.public(), path).await?;
    Ok((answer.status, answer.json()?))
}

fn keys(document: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = document
        .as_object()
        .map(|object| object.keys().map(String::as_str).collect())
        .unwrap_or_default();
    keys.sort_unstable();
    keys
}

/// Adds a critical check that fails, and waits until readiness follows.
async fn break_a_dependency(seaworthy: &Seaworthy, ready: &str) -> Result<()> {
    let body = r#"{"kind": "tcp", "addr": "127.0.0.1:1"}"#;
    let added = seaworthy
        .steer_with("PUT", "/-/checks/database", body)
        .await?;
    assert_eq!(added.status, 201, "{}", added.text());
    until("readiness to fail", PATIENCE, || async {
        let (status, _) = ask(seaworthy, ready).await.ok()?;
        (status == 503).then_some(())
    })
    .await
}

#[tokio::test]
async fn scry_lives_with_three_keys_and_tells_components_when_asked() -> Result<()> {
    let seaworthy = preset("scry").await?;
    let (_, ready) = ask(&seaworthy, "/ready").await?;
    assert_eq!(
        keys(&ready),
        [
            "checked_at",
            "service",
            "status",
            "uptime_seconds",
            "version"
        ]
    );
    break_a_dependency(&seaworthy, "/ready").await?;
    let (code, live) = ask(&seaworthy, "/health").await?;
    assert_eq!((code, &live["status"]), (200, &"healthy".into()));
    assert_eq!(keys(&live), ["checked_at", "service", "status"]);
    for path in ["/ready?detailed=true", "/health/detailed"] {
        let (code, detail) = ask(&seaworthy, path).await?;
        assert_eq!((code, &detail["status"]), (503, &"unhealthy".into()));
        let names: Vec<_> = detail["components"]
            .as_array()
            .map(|all| all.iter().map(|one| one["name"].clone()).collect())
            .unwrap_or_default();
        assert_eq!(
            names,
            ["database", "redis", "celery", "kafka", "api"],
            "{path}"
        );
        assert_eq!(
            keys(&detail["components"][0]),
            ["message", "metadata", "name", "status"]
        );
    }
    Ok(())
}

#[tokio::test]
async fn kronos_has_checks_by_name_with_their_facts() -> Result<()> {
    let seaworthy = preset("kronos").await?;
    let (_, detail) = ask(&seaworthy, "/v1/healthz/detailed").await?;
    assert!(detail["timestamp"].is_string() && detail["uptime_seconds"].is_number());
    let memory = &detail["checks"]["memory"];
    for fact in ["usage_mb", "limit_mb", "usage_percent"] {
        assert!(memory[fact].is_number(), "{memory}");
    }
    assert!(detail["checks"]["disk"]["free_gb"].is_number(), "{detail}");
    assert_eq!(ask(&seaworthy, "/v1/healthz").await?.1["status"], "healthy");
    break_a_dependency(&seaworthy, "/v1/readyz").await?;
    assert_eq!(ask(&seaworthy, "/v1/healthz").await?.0, 200);
    Ok(())
}

#[tokio::test]
async fn house_has_response_times_breakers_and_a_summary() -> Result<()> {
    let seaworthy = preset("house").await?;
    break_a_dependency(&seaworthy, "/health/ready").await?;
    let (code, check) = ask(&seaworthy, "/health/check").await?;
    assert_eq!(code, 503);
    assert!(check["components"]["database"]["response_time_ms"].is_number());
    assert!(check["circuit_breakers"].is_object());
    let (code, summary) = ask(&seaworthy, "/health/summary").await?;
    assert_eq!(code, 200);
    for key in [
        "status",
        "uptime_seconds",
        "counts",
        "degraded_features",
        "startup",
    ] {
        assert!(summary.get(key).is_some(), "{key}: {summary}");
    }
    assert_eq!(ask(&seaworthy, "/health/live").await?.0, 200);
    Ok(())
}

#[tokio::test]
async fn soma_is_alive_and_nothing_else() -> Result<()> {
    let seaworthy = preset("soma").await?;
    break_a_dependency(&seaworthy, "/ready").await?;
    assert_eq!(
        ask(&seaworthy, "/live").await?,
        (200, json!({"status": "alive"}))
    );
    let (code, health) = ask(&seaworthy, "/health").await?;
    let components = health["components"].as_array().cloned().unwrap_or_default();
    let names: Vec<_> = components.iter().map(|one| one["name"].clone()).collect();
    assert_eq!(
        (code, names),
        (
            503,
            ["postgres", "kafka", "redis", "database"]
                .map(Value::from)
                .to_vec()
        )
    );
    Ok(())
}

#[tokio::test]
async fn harvester_tells_status_version_uptime_and_components() -> Result<()> {
    let seaworthy = preset("harvester").await?;
    let (code, ready) = ask(&seaworthy, "/health/ready").await?;
    assert_eq!(code, 200, "{ready}");
    assert_eq!(keys(&ready), ["components", "status", "uptime", "version"]);
    assert_eq!(
        keys(&ready["components"][0]),
        ["check_duration_ms", "message", "name", "status"]
    );
    break_a_dependency(&seaworthy, "/health/ready").await?;
    assert_eq!(
        ask(&seaworthy, "/health/startup").await?.0,
        200,
        "it has been ready"
    );
    assert_eq!(ask(&seaworthy, "/health/live").await?.0, 200);
    Ok(())
}

#[tokio::test]
async fn a_feature_is_put_on_its_fallback_by_hand() -> Result<()> {
    let seaworthy = preset("house").await?;
    let steer = async |method, path: &str, body| seaworthy.steer_with(method, path, body).await;
    let component = async || -> Result<Value> {
        Ok(ask(&seaworthy, "/health/check").await?.1["components"]["algorithm"].clone())
    };
    until("the algorithm to be healthy", PATIENCE, || async {
        (component().await.ok()?["status"] == "healthy").then_some(())
    })
    .await?;
    assert_eq!(component().await?["metadata"]["active"], "primary");
    let set = steer(
        "PUT",
        "/-/features/algorithm",
        r#"{"reason": "odds are off", "for": "10m"}"#,
    )
    .await?;
    assert_eq!(
        (set.status, &set.json()?["active"]),
        (200, &"FIXED_HOUSE_EDGE".into())
    );
    until("the fallback to be shown", PATIENCE, || async {
        (component().await.ok()?["status"] == "degraded").then_some(())
    })
    .await?;
    let shown = component().await?;
    assert_eq!(shown["metadata"]["active"], "FIXED_HOUSE_EDGE");
    assert_eq!(
        shown["message"],
        "FIXED_HOUSE_EDGE is served instead: odds are off"
    );
    assert_eq!(ask(&seaworthy, "/health/ready").await?.0, 200);
    let summary = ask(&seaworthy, "/health/summary").await?.1;
    assert_eq!(summary["degraded_features"], json!(["algorithm"]));
    seaworthy.wait_event("feature.degraded").await?;
    assert_eq!(
        steer("DELETE", "/-/features/algorithm", "").await?.status,
        204
    );
    until("the algorithm to be healthy", PATIENCE, || async {
        (component().await.ok()?["status"] == "healthy").then_some(())
    })
    .await?;
    seaworthy.wait_event("feature.recovered").await?;
    assert_eq!(
        steer("DELETE", "/-/features/algorithm", "").await?.status,
        404
    );
    for bad in [r#"{"active": "a b"}"#, r#"{"actvie": "a"}"#] {
        let refused = steer("PUT", "/-/features/algorithm", bad).await?;
        assert!(
            (400..500).contains(&refused.status),
            "{bad}: {}",
            refused.status
        );
    }
    Ok(())
}

#[tokio::test]
async fn the_apps_process_is_a_component_when_asked_for() -> Result<()> {
    let yaml = "health: {interval: 200ms, checks: [{kind: process, name: app_process}]}";
    let builder = Seaworthy::run(App::Mock.command()?).config(yaml);
    let seaworthy = builder.ready().await?;
    let pid = seaworthy.app_pids().await?[0];
    let facts = until("the facts of two looks", PATIENCE, || async {
        let one = seaworthy
            .look("/-/checks/app_process")
            .await
            .ok()?
            .json()
            .ok()?;
        let has_two = one["metadata"]["cpu_percent"].is_number();
        has_two.then(|| one["metadata"].clone())
    })
    .await?;
    assert_eq!(
        (&facts["pids"], &facts["running"]),
        (&json!([pid]), &1.into())
    );
    assert!(facts["memory_mb"].as_f64() > Some(0.5) && facts["uptime_seconds"].is_number());
    seaworthy.kill_app(0).await?;
    until("the restart to be told", PATIENCE, || async {
        let one = seaworthy
            .look("/-/checks/app_process?fresh=1")
            .await
            .ok()?
            .json()
            .ok()?;
        (one["metadata"]["restarts"] == 1).then_some(())
    })
    .await
}

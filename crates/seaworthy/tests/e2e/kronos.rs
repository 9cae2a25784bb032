//! The life of a prediction service, end to end.

use jiff::Timestamp;
use seaworthy_testkit::Result;
use seaworthy_testkit::client::{self, Connection, Response};
use seaworthy_testkit::process::Seaworthy;
use seaworthy_testkit::server::App;
use seaworthy_testkit::wait::{self, PATIENCE};
use serde_json::json;

/// `seaworthy run --preset kronos -- seaworthy mock --profile kronos`, once it takes requests.
async fn start() -> Result<Seaworthy> {
    let mut command = App::Mock.command()?;
    command.extend(["--profile".to_owned(), "kronos".to_owned()]);
    let builder = Seaworthy::run(command).flag("--preset").flag("kronos");
    builder.set("shutdown.propagation", "100ms").ready().await
}

async fn predict(seaworthy: &Seaworthy, path: &str, body: &str) -> Result<Response> {
    let headers = [("Content-Type", "application/json")];
    client::send(seaworthy.public(), "POST", path, &headers, body.as_bytes()).await
}

/// Waits until the model has been loaded.
async fn loaded(seaworthy: &Seaworthy) -> Result<()> {
    let to = seaworthy.public();
    wait::until("the model", PATIENCE, || async move {
        let answer = client::get(to, "/internal/ready").await.ok()?;
        (answer.status == 200).then_some(())
    })
    .await
}

#[tokio::test]
async fn startup_model_loading() -> Result<()> {
    let seaworthy = start().await?;
    let early = predict(&seaworthy, "/v1/predict", r#"{"features": [1]}"#).await?;
    assert!(matches!(early.status, 200 | 503), "{}", early.text());
    assert_eq!(
        client::get(seaworthy.public(), "/v1/healthz").await?.status,
        200
    );
    loaded(&seaworthy).await?;
    let late = predict(&seaworthy, "/v1/predict", r#"{"features": [1]}"#).await?;
    assert_eq!(late.status, 200);
    assert_eq!(
        client::get(seaworthy.public(), "/v1/readyz").await?.status,
        200
    );
    let phases: Vec<_> = seaworthy
        .output()
        .events("startup.phase")
        .iter()
        .map(|event| event["phase"].clone())
        .collect();
    assert_eq!(phases.first(), Some(&json!("config")), "{phases:?}");
    assert_eq!(phases.last(), Some(&json!("complete")), "{phases:?}");
    Ok(())
}

#[tokio::test]
async fn single_prediction() -> Result<()> {
    let seaworthy = start().await?;
    loaded(&seaworthy).await?;
    let answer = predict(
        &seaworthy,
        "/v1/predict",
        r#"{"features": [1.0, 2.0, 6.0]}"#,
    )
    .await?;
    assert_eq!(
        (answer.status, answer.json()?["prediction"].as_f64()),
        (200, Some(3.0))
    );
    assert!(answer.header("x-request-id").is_some());
    Ok(())
}

#[tokio::test]
async fn batch_prediction() -> Result<()> {
    let seaworthy = start().await?;
    loaded(&seaworthy).await?;
    let body = json!({"inputs": (0..1000).map(|n| vec![n, n + 2]).collect::<Vec<_>>()}).to_string();
    let answer = predict(&seaworthy, "/v1/predict/batch", &body)
        .await?
        .json()?;
    let expected: Vec<_> = (1..=1000).map(f64::from).collect();
    assert_eq!(answer["predictions"], json!(expected));
    Ok(())
}

#[tokio::test]
async fn error_handling() -> Result<()> {
    let seaworthy = start().await?;
    loaded(&seaworthy).await?;
    // What is no JSON never reaches the app.
    let broken = predict(&seaworthy, "/v1/predict", "{").await?;
    assert_eq!(
        (broken.status, broken.error_type().as_deref()),
        (422, Some("ValidationError"))
    );
    for (body, status) in [(r#"{"features": "x"}"#, 422), ("{}", 422)] {
        let answer = predict(&seaworthy, "/v1/predict", body).await?;
        // The app's own words, and not an envelope.
        assert_eq!(
            (answer.status, answer.json()?["error"].is_string()),
            (status, true),
            "{body}"
        );
    }
    let crashed = client::get(seaworthy.public(), "/crash").await?;
    assert_eq!(
        (crashed.status, crashed.error_type().as_deref()),
        (502, Some("UpstreamCrashed"))
    );
    loaded(&seaworthy).await?;
    seaworthy.ready(PATIENCE).await?;
    let after = predict(&seaworthy, "/v1/predict", r#"{"features": [4]}"#).await?;
    assert_eq!(after.status, 200);
    Ok(())
}

#[tokio::test]
async fn graceful_shutdown() -> Result<()> {
    let mut seaworthy = start().await?;
    let mut inside = Vec::new();
    for _ in 0..20 {
        let mut connection = Connection::open(seaworthy.public()).await?;
        connection
            .send(client::request("GET", "/sleep/1500", &[], b""))
            .await?;
        inside.push(connection);
    }
    let all_are_inside = || {
        let status = client::get(seaworthy.public(), "/bytes/1");
        async move { status.await.ok().map(|_| ()) }
    };
    wait::until("an answer behind them", PATIENCE, all_are_inside).await?;
    seaworthy.terminate()?;
    for connection in &mut inside {
        let answer = connection.response("GET").await?;
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, "slept 1500ms\n")
        );
    }
    assert_eq!(seaworthy.wait(PATIENCE).await?.code(), Some(0));
    let output = seaworthy.output();
    assert!(
        output.stderr().contains("Shutting down gracefully..."),
        "{}",
        output.stderr()
    );
    Ok(())
}

#[tokio::test]
async fn predictions_that_succeed_are_counted() -> Result<()> {
    let seaworthy = start().await?;
    loaded(&seaworthy).await?;
    let before = Timestamp::now();
    for _ in 0..3 {
        predict(&seaworthy, "/v1/predict", r#"{"features": [1]}"#).await?;
    }
    predict(&seaworthy, "/v1/predict", "{").await?;
    client::get(seaworthy.public(), "/v1/healthz").await?;
    let model = seaworthy.look("/-/checks/model?fresh=1").await?.json()?;
    assert_eq!(model["metadata"]["predictions_total"], 3, "{model}");
    let detail = client::get(seaworthy.public(), "/v1/healthz/detailed")
        .await?
        .json()?;
    let shown = &detail["checks"]["model"];
    assert_eq!(shown["predictions_total"], 3, "{detail}");
    let last: Timestamp = shown["last_prediction"]
        .as_str()
        .unwrap_or_default()
        .parse()?;
    assert!(last.duration_since(before).as_secs().abs() <= 2, "{last}");
    Ok(())
}

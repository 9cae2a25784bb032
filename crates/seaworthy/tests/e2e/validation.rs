//! Bodies held against rules: what is refused, in which words, and what of it reaches the app.

use seaworthy_testkit::Result;
use seaworthy_testkit::client::{self, Response};
use seaworthy_testkit::origin::{Origin, Script, ok};
use seaworthy_testkit::process::Seaworthy;
use seaworthy_testkit::wait::{self, PATIENCE};
use serde_json::{Value, json};

use crate::front::before_with;

const JSON: (&str, &str) = ("Content-Type", "application/json");

async fn kronos() -> Result<(Seaworthy, Origin)> {
    let origin = Origin::tcp(Script::always(ok("predicted"))).await?;
    let builder = Seaworthy::build().flag("--preset").flag("kronos");
    Ok((builder.connect(origin.address()).start().await?, origin))
}

async fn post(seaworthy: &Seaworthy, path: &str, body: &str) -> Result<Response> {
    let headers = [JSON, ("X-Request-ID", "abc123")];
    client::send(seaworthy.public(), "POST", path, &headers, body.as_bytes()).await
}

fn sample(count: usize) -> Value {
    let times = (0..count).map(|at| format!("2024-01-16T{:02}:{:02}:00Z", at / 60 % 24, at % 60));
    let times: Vec<String> = if count > 1440 {
        (0..count)
            .map(|at| at.to_string())
            .map(|at| format!("{at:0>8}"))
            .collect()
    } else {
        times.collect()
    };
    let candle = json!({"open": 10, "high": 12.5, "low": 8, "close": 9});
    json!({"timestamps": times, "candles": vec![candle; count]})
}

fn details(answer: &Response) -> Result<(u16, Value)> {
    assert_eq!(
        answer.error_type().as_deref(),
        Some("ValidationError"),
        "{}",
        answer.text()
    );
    let details = answer.json()?["error"]["details"].clone();
    let names: Vec<&String> = details
        .as_object()
        .into_iter()
        .flat_map(|details| details.keys())
        .collect();
    assert_eq!(names, ["field", "index", "value"]);
    Ok((answer.status, details))
}

async fn failures(seaworthy: &Seaworthy, mode: &str) -> Result<String> {
    let metrics = seaworthy.look("/metrics").await?.text();
    let series = format!("validation_failures_total{{mode=\"{mode}\"}} ");
    let line = metrics.lines().find_map(|line| line.strip_prefix(&series));
    Ok(line.unwrap_or_default().to_owned())
}

#[tokio::test]
async fn the_sample_of_the_seed_is_answered_as_it_says() -> Result<()> {
    let (seaworthy, origin) = kronos().await?;
    let mut body = sample(60);
    assert_eq!(
        post(&seaworthy, "/v1/predict", &body.to_string())
            .await?
            .status,
        200
    );
    body["timestamps"][42] = json!("2024-01-15T10:00:00Z");
    let answer = post(&seaworthy, "/v1/predict", &body.to_string()).await?;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let error = answer.json()?["error"].clone();
    assert_eq!(answer.status, 422);
    assert_eq!(error["type"], "ValidationError");
    assert_eq!(
        error["message"],
        "Invalid input: timestamps not in ascending order"
    );
    assert_eq!(
        error["details"],
        json!({"field": "timestamps", "index": 42, "value": "2024-01-15T10:00:00Z"})
    );
    assert_eq!(error["request_id"], "abc123");
    assert!(error["timestamp"].is_string());
    details(&answer)?;
    assert_eq!(origin.requests().len(), 1);
    assert_eq!(failures(&seaworthy, "enforce").await?, "1");
    Ok(())
}

#[tokio::test]
async fn candles_are_whole_and_make_sense() -> Result<()> {
    let (seaworthy, origin) = kronos().await?;
    let mut body = sample(8);
    body["candles"][3] = json!({"open": 10, "high": 9, "low": 8, "close": 9});
    let (status, found) = details(&post(&seaworthy, "/v1/predict", &body.to_string()).await?)?;
    assert_eq!(
        (status, &found["field"], &found["index"]),
        (422, &json!("candles"), &json!(3))
    );
    let answer = post(&seaworthy, "/v1/predict", &body.to_string())
        .await?
        .text();
    assert!(answer.contains("`ohlc`"), "{answer}");
    for close in [Value::Null, json!("NaN"), json!("Infinity")] {
        let mut body = sample(8);
        body["candles"][5]["close"] = close;
        let (status, found) = details(&post(&seaworthy, "/v1/predict", &body.to_string()).await?)?;
        assert_eq!(
            (status, &found["field"], &found["index"]),
            (422, &json!("candles[5].close"), &json!(5))
        );
    }
    let mut body = sample(8);
    body["candles"][5]
        .as_object_mut()
        .map(|candle| candle.remove("close"));
    let (_, found) = details(&post(&seaworthy, "/v1/predict", &body.to_string()).await?)?;
    assert_eq!(found["field"], "candles[5].close");
    let mut body = sample(8);
    body["timestamps"].as_array_mut().map(Vec::pop);
    let (_, found) = details(&post(&seaworthy, "/v1/predict", &body.to_string()).await?)?;
    assert_eq!(found["field"], "candles");
    assert_eq!(origin.requests().len(), 0);
    Ok(())
}

#[tokio::test]
async fn too_much_is_refused_and_just_enough_is_not() -> Result<()> {
    let (seaworthy, origin) = kronos().await?;
    let large = format!("{{\"x\": \"{}\"}}", "x".repeat(2 << 20));
    let answer = post(&seaworthy, "/v1/predict", &large).await?;
    assert_eq!(
        (answer.status, answer.error_type().as_deref()),
        (413, Some("PayloadTooLarge"))
    );
    let (status, found) =
        details(&post(&seaworthy, "/v1/predict", &sample(2049).to_string()).await?)?;
    assert_eq!((status, &found["field"]), (422, &json!("candles")));
    assert_eq!(
        post(&seaworthy, "/v1/predict", &sample(2048).to_string())
            .await?
            .status,
        200
    );
    assert_eq!(origin.requests().len(), 1);
    Ok(())
}

#[tokio::test]
async fn bombs_are_refused_and_cost_little() -> Result<()> {
    let (seaworthy, origin) = kronos().await?;
    let before = seaworthy.usage()?.rss;
    for body in [
        "[".repeat(100_000),
        "{\"a\":".repeat(100_000),
        "9".repeat(1_000_000),
        "[1e999]".to_owned(),
        "{\"a\":1,\"a\":2}".to_owned(),
        "{\"a\":1,\"\\u0061\":2}".to_owned(),
        "[NaN]".to_owned(),
        "[-Infinity]".to_owned(),
        "{".to_owned(),
        String::new(),
        "\u{feff}{}".to_owned(),
    ] {
        let (status, _) = details(&post(&seaworthy, "/v1/predict", &body).await?)?;
        assert_eq!(status, 422);
    }
    let wrong = [
        (vec![JSON, ("Content-Encoding", "gzip")], 415),
        (vec![("Content-Type", "text/plain")], 415),
        (vec![], 415),
    ];
    for (headers, status) in wrong {
        let answer =
            client::send(seaworthy.public(), "POST", "/v1/predict", &headers, b"{}").await?;
        assert_eq!(
            (answer.status, answer.error_type().as_deref()),
            (status, Some("UnsupportedMedia"))
        );
    }
    assert_eq!(origin.requests().len(), 0);
    let more = seaworthy.usage()?.rss.saturating_sub(before);
    assert!(more < 64 << 20, "{more}");
    Ok(())
}

const VERSIONS: &str = "\
routes:
  - match: POST /v1/predict
    validate: {rules: [{ascending: timestamps}]}
  - match: POST /v2/predict
    validate: {mode: enforce, rules: [{ascending: timestamps, strict: true}]}
";

#[tokio::test]
async fn an_old_version_is_only_observed_and_gets_the_very_same_bytes() -> Result<()> {
    let builder = Seaworthy::build().config(VERSIONS);
    let (seaworthy, origin) = before_with(Script::always(ok("taken")), builder).await?;
    let body = "{ \"timestamps\" :\t[2,\n1],\"z\":1.50, \"a\":\"\\u0061\" } ";
    assert_eq!(post(&seaworthy, "/v1/predict", body).await?.status, 200);
    assert!(origin.text().ends_with(body), "{}", origin.text());
    assert_eq!(failures(&seaworthy, "observe").await?, "1");
    let (status, found) = details(&post(&seaworthy, "/v2/predict", body).await?)?;
    assert_eq!((status, &found["index"]), (422, &json!(1)));
    assert_eq!(failures(&seaworthy, "enforce").await?, "1");
    let twice = r#"{"timestamps": [1, 1]}"#;
    assert_eq!(post(&seaworthy, "/v1/predict", twice).await?.status, 200);
    assert_eq!(post(&seaworthy, "/v2/predict", twice).await?.status, 422);
    assert_eq!(failures(&seaworthy, "observe").await?, "1");
    // A body that cannot be checked passes whole where it is only observed.
    let large = "x".repeat(3 << 20);
    assert_eq!(post(&seaworthy, "/v1/predict", &large).await?.status, 200);
    assert!(origin.text().contains(&large));
    Ok(())
}

#[tokio::test]
async fn a_secret_is_neither_answered_nor_logged() -> Result<()> {
    let rules = "validate: {mode: enforce, rules: [{ascending: api_key}, {ascending: note}, {ascending: plain}]}\n";
    for echo in [true, false] {
        let builder = Seaworthy::build()
            .config(rules)
            .set("errors.echo_values", echo);
        let (seaworthy, _origin) = before_with(Script::always(ok("taken")), builder).await?;
        for (body, value) in [
            (json!({"api_key": ["z", "hunter2"]}), json!("[REDACTED]")),
            (json!({"note": ["z", "sk-hunter2"]}), json!("[REDACTED]")),
            (
                json!({"plain": [{"password": "hunter2"}]}),
                if echo {
                    json!("[object]")
                } else {
                    json!("[REDACTED]")
                },
            ),
            (
                json!({"plain": ["z".repeat(300), "y".repeat(300)]}),
                if echo {
                    json!("y".repeat(200))
                } else {
                    json!("[REDACTED]")
                },
            ),
        ] {
            let answer = post(&seaworthy, "/any", &body.to_string()).await?;
            let (status, found) = details(&answer)?;
            assert_eq!((status, &found["value"]), (422, &value), "{body}");
            assert!(!answer.text().contains("hunter2"));
        }
        let told = seaworthy.output().stderr();
        assert!(!told.contains("hunter2"), "{told}");
    }
    Ok(())
}

#[tokio::test]
async fn a_schema_is_a_file_and_its_patterns_are_harmless() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("order.json");
    let schema = json!({"type": "object", "required": ["name"], "properties": {"name": {"type": "string", "pattern": "^(a+)+$"}, "n": {"type": "integer"}}});
    std::fs::write(&file, schema.to_string())?;
    let yaml = format!(
        "routes: [{{match: POST /orders, validate: {{mode: enforce, schema: {}}}}}]\n",
        file.display()
    );
    let (seaworthy, _origin) = before_with(
        Script::always(ok("taken")),
        Seaworthy::build().config(&yaml),
    )
    .await?;
    assert_eq!(
        post(&seaworthy, "/orders", r#"{"name": "aaa", "n": 1}"#)
            .await?
            .status,
        200
    );
    for (body, field) in [
        ("{}".to_owned(), "name"),
        (r#"{"name": "a", "n": "1"}"#.to_owned(), "n"),
        (
            json!({"name": format!("{}b", "a".repeat(60_000))}).to_string(),
            "name",
        ),
    ] {
        let (status, found) = details(&post(&seaworthy, "/orders", &body).await?)?;
        assert_eq!((status, &found["field"]), (422, &json!(field)));
    }
    Ok(())
}

#[tokio::test]
async fn rules_that_are_none_are_errors_with_their_place() -> Result<()> {
    for (rule, says) in [
        (
            "{each: candles, name: x, expr: \"low <= \"}",
            "no condition",
        ),
        (
            "{each: candles, name: x, expr: \"minimum(low, high) > 1\"}",
            "there is no function `minimum`",
        ),
        ("{each: candles, name: x, expr: \"low + high\"}", "gives a"),
        (
            "{name: x, expr: \"a.all(x, b.all(y, x < y))\"}",
            "a loop stands within another one",
        ),
        ("{expr: \"a > 1\"}", "the rule has no name"),
        ("{ascending: \"a[\"}", "is no path"),
        ("{ascending: a, not_null: b}", "this is not one rule"),
        ("{not_null: a, strict: true}", "belongs to `ascending`"),
    ] {
        let yaml =
            format!("routes:\n  - match: POST /a\n    validate:\n      rules:\n        - {rule}\n");
        let builder = Seaworthy::build()
            .config(&yaml)
            .connect(seaworthy_testkit::address::free()?);
        let ended = builder.end(PATIENCE).await?;
        assert_eq!(ended.code(), 2, "{}", ended.stderr);
        for part in [
            says,
            "seaworthy.yaml:5:",
            "^",
            "routes[0].validate.rules[0]",
        ] {
            assert!(
                ended.stderr.contains(part),
                "{rule}: {part} is missing in\n{}",
                ended.stderr
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_apps_own_description_is_a_schema_once_it_is_there() -> Result<()> {
    let description = json!({
        "openapi": "3.1.0",
        "paths": {"/orders": {"post": {"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}}}}}},
        "components": {"schemas": {"Order": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}}},
    });
    let yaml = "routes: [{match: POST /orders, validate: {mode: enforce, schema: openapi}}]\n";
    let builder = Seaworthy::build().config(yaml);
    let script = Script::always(ok(&description.to_string()));
    let (seaworthy, _origin) = before_with(script, builder).await?;
    wait::until("the description", PATIENCE, || async {
        let answer = post(&seaworthy, "/orders", "{}").await.ok()?;
        (answer.status == 422).then_some(())
    })
    .await?;
    let (_, found) = details(&post(&seaworthy, "/orders", r#"{"name": 7}"#).await?)?;
    assert_eq!(found["field"], "name");
    assert_eq!(
        post(&seaworthy, "/orders", r#"{"name": "x"}"#)
            .await?
            .status,
        200
    );
    Ok(())
}

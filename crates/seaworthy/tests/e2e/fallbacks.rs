//! What is served instead, and features that are degraded, on the real binary.

use seaworthy_testkit::Result;
use seaworthy_testkit::client;
use seaworthy_testkit::origin::{Origin, Script, Step};
use seaworthy_testkit::process::Seaworthy;
use seaworthy_testkit::wait::{self, PATIENCE};
use serde_json::{Value, json};

use crate::breakers::{admin, first, get, one_worker, status, well};
use crate::front::{Front, before_with, fields, values};

async fn feature(seaworthy: &Seaworthy, name: &str) -> Result<Value> {
    let all = admin(seaworthy, "/-/features").await?.json()?;
    let all = all.as_array().cloned().unwrap_or_default();
    Ok(all
        .into_iter()
        .find(|one| one["name"] == name)
        .unwrap_or_default())
}

#[tokio::test]
async fn house_serves_the_fixed_edge_when_the_algorithm_fails_and_says_so() -> Result<()> {
    let origin = Origin::tcp(Script::always(status(500))).await?;
    let builder = one_worker().flag("--preset").flag("house");
    let seaworthy = builder.connect(origin.address()).start().await?;
    for _ in 0..5 {
        let answer = get(&seaworthy, "/api/algorithm/current").await?;
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.json()?,
            json!({"algorithm": "FIXED_HOUSE_EDGE", "fallback": true})
        );
        assert_eq!(
            answer.header("x-fallback"),
            Some("algorithm=FIXED_HOUSE_EDGE")
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    assert_eq!(origin.requests().len(), 3, "then the breaker is open");
    let used = seaworthy.wait_event("fallback.used").await?;
    assert_eq!(
        (&used["fallback"], &used["cause"]),
        (&"algorithm".into(), &"upstream_error".into())
    );
    seaworthy.wait_event("feature.degraded").await?;
    let page = admin(&seaworthy, "/metrics").await?;
    let page = String::from_utf8_lossy(&page.body).into_owned();
    for line in [
        "seaworthy_fallbacks_total{fallback=\"algorithm\",cause=\"upstream_error\"} 3",
        "seaworthy_fallbacks_total{fallback=\"algorithm\",cause=\"breaker_open\"} 2",
    ] {
        assert!(page.contains(line), "{page}");
    }
    let shown = wait::until("a degraded algorithm", PATIENCE, || async {
        let shown = get(&seaworthy, "/health/check").await.ok()?.json().ok()?;
        let algorithm = shown["components"]["algorithm"].clone();
        (algorithm["status"] == "degraded").then_some(algorithm)
    })
    .await?;
    assert_eq!(shown["metadata"]["active"], "FIXED_HOUSE_EDGE");
    assert_eq!(
        get(&seaworthy, "/elsewhere").await?.status,
        500,
        "other routes have none"
    );
    Ok(())
}

#[tokio::test]
async fn an_app_that_hangs_is_answered_for_without_a_breaker() -> Result<()> {
    let origin = Origin::tcp(Script::silent()).await?;
    let seaworthy = one_worker()
        .set("fallbacks", "{edge: {default: FIXED, routes: [/edge]}}")
        .set("limits.response_timeout", "500ms")
        .connect(origin.address())
        .start()
        .await?;
    let answer = get(&seaworthy, "/edge").await?;
    assert_eq!(
        (answer.status, answer.header("x-fallback")),
        (200, Some("edge=FIXED"))
    );
    Ok(())
}

#[tokio::test]
async fn the_feature_recovers_when_the_app_serves_again() -> Result<()> {
    let builder = one_worker().set("fallbacks", "{edge: {default: FIXED, routes: [/edge], status: 203, body: {edge: 1}, headers: {X-Edge: fixed}}}");
    let (seaworthy, _origin) = before_with(first(&[502], well()), builder).await?;
    let answer = get(&seaworthy, "/edge").await?;
    assert_eq!(
        (answer.status, answer.header("x-edge")),
        (203, Some("fixed"))
    );
    assert_eq!(answer.json()?, json!({"edge": 1}));
    let one = feature(&seaworthy, "edge").await?;
    assert_eq!(
        (&one["degraded"], &one["active"]),
        (&true.into(), &"FIXED".into())
    );
    let answer = get(&seaworthy, "/edge").await?;
    assert_eq!(
        (answer.body.as_slice(), answer.header("x-fallback")),
        (&b"well"[..], None)
    );
    assert_eq!(feature(&seaworthy, "edge").await?["degraded"], false);
    seaworthy.wait_event("feature.recovered").await?;
    Ok(())
}

#[tokio::test]
async fn a_flag_that_is_missing_or_unknown_is_the_safe_value() -> Result<()> {
    const RULES: &str = "{algorithm: {default: FIXED, routes: [/a], variable: ALGORITHM, values: [FIXED, DYNAMIC]}}";
    for (value, expected) in [
        (None, Some("flag_missing")),
        (Some("WILD"), Some("invalid")),
        (Some("DYNAMIC"), None),
    ] {
        let mut builder = one_worker().set("fallbacks", RULES);
        if let Some(value) = value {
            builder = builder.env("ALGORITHM", value);
        }
        let (seaworthy, origin) = before_with(first(&[], well()), builder).await?;
        let answer = get(&seaworthy, "/a").await?;
        assert_eq!(
            answer.header("x-fallback").is_some(),
            expected.is_some(),
            "{value:?}"
        );
        assert_eq!(origin.requests().is_empty(), expected.is_some());
        let one = feature(&seaworthy, "algorithm").await?;
        assert_eq!(one["reason"].as_str(), expected);
    }
    Ok(())
}

#[tokio::test]
async fn the_app_is_told_while_somebody_says_that_the_feature_is_degraded() -> Result<()> {
    let builder = Seaworthy::build().set(
        "fallbacks",
        "{mail: {default: QUEUE, routes: [/echo], to: app}}",
    );
    let front = Front::with(builder).await?;
    let seaworthy = &front.seaworthy;
    let told = || async {
        let lie = [("Host", "t"), ("X-Fallback", "mail=LIE")];
        let answer = client::send(seaworthy.public(), "GET", "/echo?headers", &lie, b"").await?;
        let fields = fields(&answer.json()?);
        Ok::<_, anyhow::Error>(values(&fields, "x-fallback").join(","))
    };
    assert_eq!(told().await?, "");
    let token = format!(
        "Bearer {}",
        seaworthy.instance().token.clone().unwrap_or_default()
    );
    let may = [
        ("Authorization", token.as_str()),
        ("Content-Type", "application/json"),
        ("Host", "127.0.0.1"),
    ];
    let set = client::send(
        seaworthy.admin()?,
        "PUT",
        "/-/features/mail",
        &may,
        br#"{"reason":"smtp down"}"#,
    )
    .await?;
    assert_eq!(set.status, 200, "{}", String::from_utf8_lossy(&set.body));
    assert_eq!(told().await?, "mail=QUEUE");
    client::send(seaworthy.admin()?, "DELETE", "/-/features/mail", &may, b"").await?;
    assert_eq!(told().await?, "");
    Ok(())
}

#[tokio::test]
async fn an_open_breaker_degrades_the_feature_that_it_names() -> Result<()> {
    let builder = one_worker().set(
        "breakers",
        "{pay: {failures: 1, routes: [/pay], feature: payments}}",
    );
    let (seaworthy, _origin) = before_with(first(&[500], well()), builder).await?;
    assert_eq!(get(&seaworthy, "/pay").await?.status, 500);
    let one = feature(&seaworthy, "payments").await?;
    assert_eq!(one["reason"], "the breaker pay is open");
    let state = seaworthy.state_dir();
    let reset = [
        "ctl",
        "breakers",
        "pay",
        "reset",
        "--json",
        "--state-dir",
        state.to_str().unwrap_or_default(),
    ];
    Seaworthy::verb(reset).await?;
    assert_eq!(feature(&seaworthy, "payments").await?, Value::Null);
    seaworthy.wait_event("feature.recovered").await?;
    Ok(())
}

#[tokio::test]
async fn a_feature_is_degraded_and_recovers_by_hand() -> Result<()> {
    let front = Front::start().await?;
    let seaworthy = &front.seaworthy;
    let state = seaworthy.state_dir();
    let verb = |words: &'static [&'static str]| {
        let mut all = vec!["ctl", "features"];
        all.extend(words);
        all.extend(["--json", "--state-dir", state.to_str().unwrap_or_default()]);
        Seaworthy::verb(all)
    };
    let said = verb(&["degrade", "notifications", "--reason", "smtp down"]).await?;
    assert_eq!(said.code(), 0, "{}", said.stderr);
    let one = feature(seaworthy, "notifications").await?;
    assert_eq!(
        (&one["degraded"], &one["reason"]),
        (&true.into(), &"smtp down".into())
    );
    let listed: Value = serde_json::from_str(&verb(&["list"]).await?.stdout)?;
    assert_eq!(listed[0]["name"], "notifications");
    let said = verb(&["recover", "notifications"]).await?;
    assert_eq!(said.code(), 0, "{}", said.stderr);
    assert_eq!(feature(seaworthy, "notifications").await?, Value::Null);
    seaworthy.wait_event("feature.recovered").await?;
    Ok(())
}

/// The documents that a receiver of webhooks was sent.
fn received(receiver: &Origin) -> Vec<Value> {
    let requests = receiver.requests();
    let bodies = requests.iter().filter_map(|request| {
        let (head, body) = request.split_once("\r\n\r\n")?;
        assert!(head.starts_with("POST /hooks/features HTTP/1.1"), "{head}");
        serde_json::from_str(body).ok()
    });
    bodies.collect()
}

async fn heard(receiver: &Origin, count: usize) -> Result<Vec<Value>> {
    wait::until("the webhook", PATIENCE, || async {
        let all = received(receiver);
        (all.len() >= count).then_some(all)
    })
    .await
}

async fn summary(seaworthy: &Seaworthy) -> Result<Value> {
    admin(seaworthy, "/health/summary").await?.json()
}

#[tokio::test]
async fn whoever_wants_to_know_is_told_of_features_and_the_summary_says_why() -> Result<()> {
    // The first document is refused once, and sent again.
    let receiver = Origin::tcp(first(&[503], well())).await?;
    let webhook = format!("{{url: 'http://{}/hooks/features'}}", receiver.address());
    let front = Front::with(Seaworthy::build().set("features.webhook", webhook)).await?;
    let seaworthy = &front.seaworthy;
    assert_eq!(summary(seaworthy).await?["features"], json!([]));
    let wish = r#"{"degraded": true, "reason": "smtp down"}"#;
    let path = "/-/features/notifications";
    let set = seaworthy.steer_with("PUT", path, wish).await?;
    assert_eq!(set.status, 200);
    let shown = summary(seaworthy).await?;
    assert_eq!(shown["degraded_features"], json!(["notifications"]));
    assert_eq!(
        (
            &shown["features"][0]["name"],
            &shown["features"][0]["reason"]
        ),
        (&json!("notifications"), &json!("smtp down")),
        "{shown}"
    );
    let told = heard(&receiver, 2).await?;
    assert_eq!(told[0], told[1], "the same document, sent again");
    assert_eq!(told[0]["event"], "feature.degraded");
    assert_eq!(told[0]["feature"], "notifications");
    assert_eq!(told[0]["reason"], "smtp down");

    assert_eq!(seaworthy.steer_with("DELETE", path, "").await?.status, 204);
    let shown = summary(seaworthy).await?;
    assert_eq!(
        (&shown["degraded_features"], &shown["features"]),
        (&json!([]), &json!([]))
    );
    let told = heard(&receiver, 3).await?;
    assert_eq!(
        (&told[2]["event"], &told[2]["active"]),
        (&json!("feature.recovered"), &json!("primary"))
    );
    seaworthy.wait_event("feature.recovered").await?;
    Ok(())
}

#[tokio::test]
async fn a_fallback_that_ends_by_itself_is_an_event_and_told() -> Result<()> {
    let receiver = Origin::tcp(Script::steps_of([well(), vec![Step::Repeat]].concat())).await?;
    let webhook = format!("{{url: 'http://{}/hooks/features'}}", receiver.address());
    let front = Front::with(Seaworthy::build().set("features.webhook", webhook)).await?;
    let wish = r#"{"degraded": true, "reason": "smtp down", "for": "1s"}"#;
    let path = "/-/features/notifications";
    front.seaworthy.steer_with("PUT", path, wish).await?;
    let event = front.seaworthy.wait_event("feature.recovered").await?;
    let text = event.to_string();
    assert!(
        text.contains("the time that was set for its fallback is over"),
        "{text}"
    );
    let told = heard(&receiver, 2).await?;
    assert_eq!(told[1]["event"], "feature.recovered");
    assert_eq!(summary(&front.seaworthy).await?["features"], json!([]));
    Ok(())
}

#[tokio::test]
async fn a_receiver_that_hangs_holds_nobody_up_and_is_given_up() -> Result<()> {
    let receiver = Origin::tcp(Script::silent()).await?;
    let webhook = format!(
        "{{url: 'http://{}/hooks/features', timeout: 100ms, attempts: 2}}",
        receiver.address()
    );
    let front = Front::with(Seaworthy::build().set("features.webhook", webhook)).await?;
    let path = "/-/features/notifications";
    let wish = r#"{"degraded": true, "reason": "smtp down"}"#;
    front.seaworthy.steer_with("PUT", path, wish).await?;
    assert_eq!(get(&front.seaworthy, "/echo").await?.status, 200);
    let lost = front.seaworthy.wait_event("feature.webhook_failed").await?;
    assert!(lost.to_string().contains("did not answer within"), "{lost}");
    for url in ["http://169.254.169.254/x", "file:///etc/passwd"] {
        let set = format!("features.webhook={{url: '{url}'}}");
        let ended = Seaworthy::verb(["config", "--set", set.as_str(), "validate"]).await?;
        assert_eq!(ended.code(), 2, "{url}: {}", ended.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn what_was_told_last_is_posted_before_the_end() -> Result<()> {
    let taken = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let slow = Script::slow(taken, std::time::Duration::from_millis(10));
    let receiver = Origin::tcp(slow).await?;
    let webhook = format!("{{url: 'http://{}/hooks/features'}}", receiver.address());
    let mut front = Front::with(Seaworthy::build().set("features.webhook", webhook)).await?;
    let path = "/-/features/notifications";
    let wish = r#"{"degraded": true, "reason": "smtp down"}"#;
    front.seaworthy.steer_with("PUT", path, wish).await?;
    assert_eq!(front.seaworthy.stop(PATIENCE).await?, 0);
    assert_eq!(received(&receiver).len(), 1);
    let said = front.seaworthy.output().stderr();
    assert!(!said.contains("are lost"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_feature_that_begins_on_its_fallback_is_told_as_well() -> Result<()> {
    let receiver = Origin::tcp(Script::steps_of([well(), vec![Step::Repeat]].concat())).await?;
    let webhook = format!("{{url: 'http://{}/hooks/features'}}", receiver.address());
    let builder = Seaworthy::build().set("features.webhook", webhook).set(
        "fallbacks",
        "{odds: {default: FIXED, variable: NOBODY_SETS_THIS, routes: [/odds]}}",
    );
    let _front = Front::with(builder).await?;
    let told = heard(&receiver, 1).await?;
    assert_eq!(
        (&told[0]["feature"], &told[0]["active"]),
        (&json!("odds"), &json!("FIXED"))
    );
    Ok(())
}

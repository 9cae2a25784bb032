//! The errors of each service: how many, whether they become more, and which came last.

use std::net::SocketAddr;

use seaworthy_testkit::Result;
use seaworthy_testkit::client::{self, Connection};
use seaworthy_testkit::process::Seaworthy;
use seaworthy_testkit::wait::{self, PATIENCE};
use serde_json::{Value, json};

use crate::front::Front;

async fn ask(front: &Front, path: &str, times: usize) -> Result<()> {
    let mut connection = Connection::open(front.seaworthy.public()).await?;
    for _ in 0..times {
        connection
            .ask("GET", path, &[("Host", "test")], b"")
            .await?;
    }
    Ok(())
}

async fn errors(seaworthy: &Seaworthy) -> Result<Value> {
    seaworthy.look("/-/errors").await?.json()
}

fn service(errors: &Value, kind: &str, name: &str) -> Value {
    let services = errors["services"].as_array().into_iter().flatten();
    let mut found = services.filter(|one| one["kind"] == kind && one["service"] == name);
    found.next().cloned().unwrap_or_default()
}

#[tokio::test]
async fn five_errors_and_then_fifty_are_fifty_five_and_go_up() -> Result<()> {
    let front = Front::configured("metrics: {enabled: false}\nlog: {access: false}").await?;
    ask(&front, "/status/404", 10).await?;
    ask(&front, "/status/500", 5).await?;
    let early = errors(&front.seaworthy).await?;
    assert_eq!(early["total"], 5, "{early}");
    ask(&front, "/status/503", 50).await?;
    let shown = errors(&front.seaworthy).await?;
    assert_eq!(
        (&shown["total"], &shown["trend"]),
        (&json!(55), &json!("up"))
    );
    assert_eq!(shown["counts"], json!({"1m": 55, "5m": 55, "1h": 55}));
    let app = service(&shown, "app", "app");
    assert_eq!(app["last"]["type"], "http_503", "{shown}");
    assert!(app["last"]["at"].is_string());

    let state = front.seaworthy.state_dir();
    let state = state.to_str().unwrap_or_default();
    let verb = ["errors", "summary", "--json", "--state-dir", state];
    let said = Seaworthy::verb(verb).await?;
    assert_eq!(said.code(), 0, "{}", said.stderr);
    let summary: Value = serde_json::from_str(&said.stdout)?;
    assert_eq!(
        (&summary["total"], &summary["trend"]),
        (&json!(55), &json!("up"))
    );
    let said = Seaworthy::verb(["errors", "summary", "--state-dir", state]).await?;
    assert!(said.stdout.contains("app: 55 errors"), "{}", said.stdout);
    assert!(said.stdout.contains("trend up; last http_503 at"));
    let said = Seaworthy::verb(["errors", "--state-dir", state]).await?;
    assert!(said.stdout.starts_with("SERVICE"), "{}", said.stdout);
    Ok(())
}

#[tokio::test]
async fn breakers_ways_out_and_checks_have_a_ledger_of_their_own() -> Result<()> {
    let yaml = "breakers: {all: {failures: 100, routes: ['/*']}}\n\
        egress: [{name: pay, listen: '127.0.0.1:0', target: 'http://127.0.0.1:1'}]\n\
        health: {checks: [{name: cache, kind: tcp, addr: '127.0.0.1:1', critical: false, interval: 1s}]}\n";
    let front = Front::configured(yaml).await?;
    ask(&front, "/status/502", 3).await?;
    let opened = front.seaworthy.wait_event("egress.opened").await?;
    let way: SocketAddr = opened["address"].as_str().unwrap_or_default().parse()?;
    let refused = client::get(way, "/charge").await?;
    assert!(refused.status >= 500, "{}", refused.status);
    let shown = wait::until("a failed check", PATIENCE, || async {
        let shown = errors(&front.seaworthy).await.ok()?;
        (service(&shown, "check", "cache")["total"].as_u64()? > 0).then_some(shown)
    })
    .await?;
    let breaker = service(&shown, "breaker", "all");
    assert_eq!(
        (&breaker["total"], &breaker["last"]["type"]),
        (&json!(3), &json!("http_502"))
    );
    let pay = service(&shown, "egress", "pay");
    assert_eq!(
        (&pay["total"], &pay["last"]["type"]),
        (&json!(1), &json!("UpstreamUnreachable")),
        "{shown}"
    );
    assert_eq!(
        service(&shown, "check", "cache")["last"]["type"],
        "failed",
        "{shown}"
    );
    assert_eq!(shown["total"], 3, "what the app answered: {shown}");
    Ok(())
}

#[tokio::test]
async fn an_app_that_is_gone_is_named_by_the_type_of_the_error() -> Result<()> {
    let front = Front::lonely(Seaworthy::build()).await?;
    let Front { seaworthy, _mock } = front;
    drop(_mock);
    let answer = wait::until("an app that is gone", PATIENCE, || async {
        let answer = client::get(seaworthy.public(), "/echo").await.ok()?;
        answer.error_type()
    })
    .await?;
    let shown = errors(&seaworthy).await?;
    assert_eq!(shown["services"][0]["last"]["type"], answer.as_str());
    Ok(())
}

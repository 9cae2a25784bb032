//! `seaworthy check endpoints` against real instances and against apps that answer badly.

use std::time::Duration;

use seaworthy_testkit::Result;
use seaworthy_testkit::address::free;
use seaworthy_testkit::origin::{Origin, Script, Step, ok};
use seaworthy_testkit::process::{Ended, Seaworthy};
use seaworthy_testkit::wait::{PATIENCE, until};
use serde_json::Value;

async fn check(address: impl std::fmt::Display, more: &[&str]) -> Result<Ended> {
    let url = format!("http://{address}");
    let mut words = vec!["check", "endpoints", "--url", &url];
    words.extend(more);
    Seaworthy::verb(words).await
}

async fn results(address: impl std::fmt::Display) -> Result<(i32, Vec<Value>)> {
    let ended = check(address, &["--json"]).await?;
    let report: Value = serde_json::from_str(&ended.stdout)?;
    let results = report["results"].as_array().cloned().unwrap_or_default();
    Ok((ended.code(), results))
}

fn status(results: &[Value], name: &str) -> String {
    let found = results.iter().find(|one| one["name"] == name);
    found.map_or_else(String::new, |one| {
        one["status"].as_str().unwrap_or_default().to_owned()
    })
}

#[tokio::test]
async fn every_preset_passes_and_fails_when_it_is_not_ready() -> Result<()> {
    let presets = ["scry", "kronos", "house", "soma", "harvester"];
    for preset in std::iter::once(None).chain(presets.map(Some)) {
        let seaworthy = crate::presets::preset(preset).await?;
        // A full disk or a missing audit log is no concern of this test.
        let checks = seaworthy.look("/-/checks").await?.json()?;
        for check in checks["checks"].as_array().into_iter().flatten() {
            let path = format!("/-/checks/{}", check["name"].as_str().unwrap_or_default());
            seaworthy.steer_with("DELETE", &path, "").await?;
        }
        // On a machine that is busy with other tests one answer may be slow.
        let passed = until("four passes", PATIENCE, || async {
            let ended = check(seaworthy.public(), &[]).await.ok()?;
            (ended.stdout.matches("PASS").count() == 4).then_some(ended)
        })
        .await?;
        assert_eq!(passed.code(), 0, "{preset:?}: {}", passed.stdout);
        let body = r#"{"kind": "tcp", "addr": "127.0.0.1:1"}"#;
        seaworthy.steer_with("PUT", "/-/checks/gone", body).await?;
        let (code, found) = until("a failure to be found", PATIENCE, || async {
            let found = results(seaworthy.public()).await.ok()?;
            (found.0 == 1).then_some(found)
        })
        .await?;
        assert_eq!(
            (code, status(&found, "ready").as_str()),
            (1, "FAIL"),
            "{preset:?}"
        );
        assert_ne!(status(&found, "live"), "FAIL", "{preset:?}");
        assert!(found[1]["fix"].is_string(), "{found:?}");
        assert!(found[1]["metadata"]["path"].is_string(), "{found:?}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_slow_warns_and_is_strictly_a_failure() -> Result<()> {
    let answer = "{\"status\": \"ok\"}";
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{answer}",
        answer.len()
    );
    let pause = Step::Pause(Duration::from_millis(300));
    let slow = vec![
        Step::Request,
        pause,
        Step::Send(answer.into()),
        Step::Repeat,
    ];
    let slow = Script::steps_of(slow);
    let origin = Origin::tcp(slow).await?;
    let (code, found) = results(origin.address()).await?;
    assert_eq!(
        (code, status(&found, "live").as_str()),
        (0, "WARN"),
        "{found:?}"
    );
    assert_eq!(check(origin.address(), &["--strict"]).await?.code(), 1);
    Ok(())
}

#[tokio::test]
async fn an_app_without_health_fails_and_one_that_is_not_there_is_told_apart() -> Result<()> {
    let origin = Origin::tcp(Script::always(ok("<html>hello</html>"))).await?;
    let (code, found) = results(origin.address()).await?;
    let words: Vec<_> = found.iter().map(|one| one["status"].clone()).collect();
    assert_eq!(
        (code, words),
        (
            1,
            ["FAIL", "FAIL", "WARN", "PASS"].map(Value::from).to_vec()
        )
    );
    let nobody = check(free()?, &[]).await?;
    assert_eq!(nobody.code(), 3, "{}", nobody.stderr);
    let strange = Seaworthy::verb(["check", "endpoints", "--url", "ftp://localhost"]).await?;
    assert_eq!(strange.code(), 2, "{}", strange.stderr);
    Ok(())
}

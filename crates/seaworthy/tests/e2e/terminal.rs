//! What a person sees of `run`: what listens where first, then one line for each event, and nothing twice.

use seaworthy_testkit::Result;
use seaworthy_testkit::process::Seaworthy;
use seaworthy_testkit::server::App;
use seaworthy_testkit::wait::{self, PATIENCE};

/// The lines that are Seaworthy's own: those of the announcement and those that begin with a time.
fn own(text: &str) -> Vec<&str> {
    let is_own =
        |line: &&str| line.starts_with(['✓', '!', ' ']) || line.as_bytes().get(8) == Some(&b'Z');
    text.lines().filter(is_own).collect()
}

/// Fails when a line says in a field what its sentence says.
fn says_nothing_twice(lines: &[&str]) {
    for line in lines {
        for field in ["cause=", "evidence=", "next=", "event=", "starting:"] {
            assert!(!line.contains(field), "{line}");
        }
    }
}

#[tokio::test]
async fn what_listens_where_comes_first_and_events_are_one_line_each() -> Result<()> {
    let mut seaworthy = Seaworthy::run(App::Mock.command()?)
        .set("log.format", "text")
        .set("shutdown.propagation", "0s")
        .start()
        .await?;
    let public = seaworthy.public().to_string();
    let ready = || seaworthy.output().stderr().contains("the service is ready");
    wait::holds("readiness to be told", PATIENCE, ready).await?;
    assert_eq!(seaworthy.stop(PATIENCE).await?, 0);
    let text = seaworthy.output().stderr();
    let lines = own(&text);
    says_nothing_twice(&lines);
    let heads = [
        "✓ app ",
        "  changed ",
        "✓ public ",
        "✓ admin ",
        "  probes ",
        "  shutdown ",
        "  next ",
    ];
    for (line, head) in lines.iter().zip(heads) {
        assert!(line.starts_with(head), "{head}: {text}");
    }
    assert!(lines[2].ends_with(&public), "{text}");
    let told: Vec<_> = lines.iter().skip(heads.len()).collect();
    for part in [
        "the app was started",
        "the app is ready",
        "the service is ready",
        "the app has stopped",
    ] {
        let count = told.iter().filter(|line| line.contains(part)).count();
        assert_eq!(count, 1, "{part}: {text}");
    }
    assert!(told.len() <= 10, "{text}");
    Ok(())
}

#[tokio::test]
async fn an_app_that_dies_is_told_once_for_each_death() -> Result<()> {
    let ended = Seaworthy::run(["sh", "-c", "exit 3"])
        .set("log.format", "text")
        .set("app.restart.base", "1ms")
        .end(PATIENCE)
        .await?;
    assert_eq!(ended.code(), 3);
    let lines = own(&ended.stderr);
    says_nothing_twice(&lines);
    let deaths: Vec<_> = lines
        .iter()
        .filter(|line| line.contains("the app ended with exit code 3"))
        .collect();
    assert_eq!(deaths.len(), 5, "{}", ended.stderr);
    assert!(deaths[4].contains("error") && deaths[4].contains("giving up"));
    Ok(())
}

#[tokio::test]
async fn a_port_that_is_taken_is_all_that_is_said() -> Result<()> {
    let first = Seaworthy::run(App::Mock.command()?).start().await?;
    let ended = Seaworthy::run(App::Mock.command()?)
        .set("log.format", "text")
        .listen(first.public())
        .end(PATIENCE)
        .await?;
    assert_eq!(ended.code(), 2);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    assert!(ended.stderr.starts_with("error: "), "{}", ended.stderr);
    Ok(())
}

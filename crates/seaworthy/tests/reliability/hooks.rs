//! What is done between the drain and the end of the app.

use std::path::Path;

use rustix::process::Signal;
use seaworthy_testkit::process::{Builder, Seaworthy};
use seaworthy_testkit::server::App;
use seaworthy_testkit::wait::{PATIENCE, holds};
use seaworthy_testkit::{Result, client, fixtures};
use serde_json::Value;
use tempfile::TempDir;

/// A mock with these hooks, one YAML flow mapping each; `T` in them is a folder of the test.
fn hooked(folder: &Path, hooks: &[&str]) -> Result<Builder> {
    let list: String = hooks
        .iter()
        .map(|hook| format!("    - {hook}\n").replace("$T", &folder.to_string_lossy()))
        .collect();
    let yaml = format!("shutdown:\n  hooks:\n{list}");
    Ok(Seaworthy::run(App::Mock.command()?).config(&yaml))
}

/// Names and outcomes of the hooks that ran, in their order.
fn outcomes(seaworthy: &Seaworthy) -> Vec<(String, bool)> {
    let outcome = |event: &Value| {
        let name = event["hook"].as_str().unwrap_or_default().to_owned();
        (name, event["ok"] == true)
    };
    let events = seaworthy.output().events("shutdown.hook");
    events.iter().map(outcome).collect()
}

fn names(outcomes: &[(String, bool)]) -> Vec<(&str, bool)> {
    outcomes
        .iter()
        .map(|(name, ok)| (name.as_str(), *ok))
        .collect()
}

#[tokio::test]
async fn hooks_run_last_first() -> Result<()> {
    let folder = TempDir::new()?;
    let hook = |name: &str| format!("{{name: {name}, exec: [sh, -c, 'echo {name} >> $T/log']}}");
    let hooks = ["a", "b", "c"].map(hook);
    let builder = hooked(folder.path(), &hooks.each_ref().map(String::as_str))?;
    let mut seaworthy = builder.ready().await?;
    assert_eq!(seaworthy.stop(PATIENCE).await?, 0);
    let log = std::fs::read_to_string(folder.path().join("log"))?;
    assert_eq!(log, "c\nb\na\n");
    let outcomes = outcomes(&seaworthy);
    assert_eq!(names(&outcomes), [("c", true), ("b", true), ("a", true)]);
    Ok(())
}

#[tokio::test]
async fn a_failing_hook_stops_no_other() -> Result<()> {
    for (fail_exit, code) in [(0, 0), (9, 9)] {
        let folder = TempDir::new()?;
        let hooks = [
            "{name: ok1, exec: [touch, $T/ok1]}",
            "{name: bad, exec: ['false']}",
            "{name: missing, exec: [no-such-program-here]}",
            "{name: ok2, exec: [touch, $T/ok2]}",
        ];
        let builder = hooked(folder.path(), &hooks)?.set("shutdown.fail_exit", fail_exit);
        let mut seaworthy = builder.ready().await?;
        assert_eq!(seaworthy.stop(PATIENCE).await?, code);
        assert!(folder.path().join("ok1").exists() && folder.path().join("ok2").exists());
        let outcomes = outcomes(&seaworthy);
        let expected = [
            ("ok2", true),
            ("missing", false),
            ("bad", false),
            ("ok1", true),
        ];
        assert_eq!(names(&outcomes), expected);
        let complete = seaworthy.output().events("shutdown.complete");
        assert_eq!(complete[0]["hooks_failed"], 2, "{complete:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_hanging_hook_is_ended_with_all_that_it_started() -> Result<()> {
    let folder = TempDir::new()?;
    let hooks = [
        "{name: last, exec: [touch, $T/done]}",
        "{name: hangs, timeout: 3s, exec: [sh, -c, 'sleep 997 & sleep 996']}",
    ];
    let mut seaworthy = hooked(folder.path(), &hooks)?.ready().await?;
    seaworthy.terminate()?;
    let sleepers = || {
        let mut below = seaworthy.group().descendants();
        below.retain(|process| process.name == "sleep");
        below
    };
    holds("the hook", PATIENCE, || sleepers().len() == 2).await?;
    let pids: Vec<_> = sleepers().iter().map(|process| process.pid).collect();
    assert_eq!(seaworthy.code(PATIENCE).await?, 0);
    assert!(folder.path().join("done").exists());
    let outcomes = outcomes(&seaworthy);
    assert_eq!(names(&outcomes), [("hangs", false), ("last", true)]);
    let left = pids
        .iter()
        .filter(|pid| seaworthy_testkit::process::Process::read(**pid).is_some());
    assert_eq!(left.count(), 0, "the hook's processes outlived it");
    let complete = seaworthy.output().events("shutdown.complete");
    assert_eq!(complete[0]["forced"], true, "{complete:?}");
    Ok(())
}

#[tokio::test]
async fn a_tree_is_removed_and_its_absence_is_fine() -> Result<()> {
    let folder = TempDir::new()?;
    let hooks = [
        "{name: cache, remove_tree: $T/cache}",
        "{name: absent, remove_tree: $T/never/was}",
    ];
    std::fs::create_dir_all(folder.path().join("cache/deep/er"))?;
    std::fs::write(folder.path().join("cache/deep/file"), "x")?;
    // What a link points at belongs to somebody else.
    std::fs::write(folder.path().join("kept"), "x")?;
    std::os::unix::fs::symlink(folder.path().join("kept"), folder.path().join("cache/link"))?;
    let mut seaworthy = hooked(folder.path(), &hooks)?.ready().await?;
    assert_eq!(seaworthy.stop(PATIENCE).await?, 0);
    assert!(!folder.path().join("cache").exists());
    assert!(folder.path().join("kept").exists());
    let outcomes = outcomes(&seaworthy);
    assert_eq!(names(&outcomes), [("absent", true), ("cache", true)]);
    Ok(())
}

#[tokio::test]
async fn the_app_is_called_before_it_is_told_to_stop() -> Result<()> {
    let folder = TempDir::new()?;
    let ledger = folder.path().join("ledger");
    let yaml = "shutdown: {hooks: [{name: unload, http: {url: /internal/unload}}, {name: file, exec: [touch, $T/file]}]}";
    let mut seaworthy = Seaworthy::run(App::Ledger.command()?)
        .config(&yaml.replace("$T", &folder.path().to_string_lossy()))
        .current_dir(fixtures())
        .env("LEDGER", ledger.display())
        .ready()
        .await?;
    client::send(seaworthy.public(), "POST", "/work", &[], b"1").await?;
    assert_eq!(seaworthy.stop(PATIENCE).await?, 0);
    let entries = std::fs::read_to_string(&ledger)?;
    assert_eq!(entries, "/work 1\n/internal/unload \nSIGTERM\n");
    assert!(folder.path().join("file").exists());
    Ok(())
}

#[tokio::test]
async fn a_repeated_sigterm_changes_nothing() -> Result<()> {
    let folder = TempDir::new()?;
    let hooks = [
        "{name: once, exec: [sh, -c, 'echo run >> $T/log; until [ -e $T/go ]; do sleep 0.05; done']}",
    ];
    let mut seaworthy = hooked(folder.path(), &hooks)?.ready().await?;
    for _ in 0..5 {
        seaworthy.terminate()?;
    }
    let log = folder.path().join("log");
    holds("the hook", PATIENCE, || log.exists()).await?;
    for _ in 0..5 {
        seaworthy.signal(Signal::TERM)?;
    }
    std::fs::write(folder.path().join("go"), "")?;
    assert_eq!(seaworthy.code(PATIENCE).await?, 0);
    assert_eq!(std::fs::read_to_string(&log)?, "run\n");
    assert_eq!(seaworthy.output().events("shutdown.complete").len(), 1);
    Ok(())
}

//! Seeing and steering a running instance from the command line.

use seaworthy_testkit::Result;
use seaworthy_testkit::client;
use seaworthy_testkit::process::{Ended, Process, Seaworthy};
use seaworthy_testkit::server::App;
use seaworthy_testkit::wait::{self, PATIENCE};
use serde_json::Value;

/// Runs a verb on the instance of this state folder.
async fn verb(seaworthy: &Seaworthy, words: &[&str]) -> Result<Ended> {
    let folder = seaworthy.state_dir().to_string_lossy().into_owned();
    let mut all = words.to_vec();
    all.extend(["--state-dir", &folder]);
    Seaworthy::verb(all).await
}

async fn start() -> Result<Seaworthy> {
    let builder = Seaworthy::run(App::Mock.command()?);
    builder.set("shutdown.propagation", "0s").ready().await
}

#[tokio::test]
async fn status_tells_people_and_machines_the_same() -> Result<()> {
    let seaworthy = start().await?;
    let words = verb(&seaworthy, &["status"]).await?;
    assert_eq!(words.code(), 0, "{}", words.stderr);
    let pid = seaworthy.pid().to_string();
    for part in ["running", "healthy", &pid, &seaworthy.public().to_string()] {
        assert!(words.stdout.contains(part), "{part}: {}", words.stdout);
    }
    assert!(!words.stdout.contains(['{', '"']), "{}", words.stdout);
    let json = verb(&seaworthy, &["status", "--json"]).await?;
    let status: Value = serde_json::from_str(&json.stdout)?;
    assert_eq!(
        (&status["state"], &status["health"], &status["inflight"]),
        (&"running".into(), &"healthy".into(), &0.into())
    );
    let app = seaworthy.group().descendants()[0].pid;
    assert_eq!(status["app"]["instances"][0]["pid"], app, "{status}");
    Ok(())
}

#[tokio::test]
async fn stop_with_wait_returns_when_it_is_gone() -> Result<()> {
    let seaworthy = start().await?;
    let pid = seaworthy.pid();
    let stopped = verb(&seaworthy, &["stop", "--wait", "--timeout", "15s"]).await?;
    assert_eq!(stopped.code(), 0, "{}", stopped.stderr);
    // Only its parent, this test, may remove the last trace of it.
    let gone = Process::read(pid).is_none_or(|process| process.state == 'Z');
    assert!(gone, "{:?}", Process::read(pid));
    Ok(())
}

#[tokio::test]
async fn nothing_to_ask_is_said_with_the_folder_that_was_looked_in() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().to_string_lossy().into_owned();
    for words in [&["status"][..], &["stop"], &["prestop"]] {
        let mut all = words.to_vec();
        all.extend(["--state-dir", &path]);
        let ended = Seaworthy::verb(all).await?;
        assert_eq!((ended.code(), ended.stdout.as_str()), (1, ""));
        assert!(ended.stderr.contains(&path), "{}", ended.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn an_instance_file_that_is_damaged_is_said_to_be_that() -> Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("instance.json"), "{")?;
    let path = folder.path().to_string_lossy().into_owned();
    let ended = Seaworthy::verb(["status", "--state-dir", &path]).await?;
    assert_eq!(ended.code(), 1);
    for part in ["instance.json", "damaged"] {
        assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn an_address_that_cannot_be_had_is_told_with_the_way_out() -> Result<()> {
    let seaworthy = start().await?;
    let taken = seaworthy.public().to_string();
    // An address for documentation (RFC 5737), which no machine has.
    for (address, part) in [
        (taken.as_str(), "is taken"),
        ("192.0.2.1:80", "192.0.2.1:80"),
    ] {
        let mock = Seaworthy::verb(["mock", "--listen", address]).await?;
        let run = Seaworthy::verb(["run", "--listen", address, "--", "true"]).await?;
        for ended in [mock, run] {
            assert_eq!(ended.code(), 2, "{}", ended.stderr);
            for part in [part, "choose"] {
                assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_instance_that_lives_and_does_not_answer_is_told_from_none() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("admin.sock");
    let admin = format!("unix:{}", socket.display());
    let builder = Seaworthy::run(App::Mock.command()?).admin(&admin);
    let mut seaworthy = builder.ready().await?;
    std::fs::remove_file(&socket)?;
    let pid = seaworthy.pid().to_string();
    for words in [&["status"][..], &["stop", "--json"], &["prestop"]] {
        let ended = verb(&seaworthy, words).await?;
        assert_eq!(ended.code(), 3, "{words:?}: {}", ended.stderr);
        for part in [&admin, &pid, "kill -TERM"] {
            assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
        }
    }
    assert_eq!(seaworthy.stop(PATIENCE).await?, 0);
    Ok(())
}

#[tokio::test]
async fn the_instance_file_is_for_its_owner_and_gone_at_the_end() -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut seaworthy = start().await?;
    let file = seaworthy.state_dir().join("instance.json");
    assert_eq!(file.metadata()?.permissions().mode() & 0o777, 0o600);
    assert_eq!(seaworthy.instance().pid, u64::from(seaworthy.pid()));
    assert_eq!(seaworthy.stop(PATIENCE).await?, 0);
    assert!(!file.exists());
    Ok(())
}

#[tokio::test]
async fn prestop_takes_it_out_of_rotation_and_lets_it_live() -> Result<()> {
    let builder = Seaworthy::run(App::Mock.command()?).set("shutdown.propagation", "300ms");
    let mut seaworthy = builder.ready().await?;
    let to = seaworthy.public();
    let done = verb(&seaworthy, &["prestop"]).await?;
    assert_eq!(done.code(), 0, "{}", done.stderr);
    assert_eq!(client::get(to, "/health/ready").await?.status, 503);
    assert_eq!(client::get(to, "/health/live").await?.status, 200);
    assert_eq!(
        client::get(to, "/bytes/1").await?.status,
        200,
        "still served"
    );
    assert_eq!(seaworthy.stop(PATIENCE).await?, 0);
    Ok(())
}

#[tokio::test]
async fn the_default_admin_port_moves_on_when_it_is_taken() -> Result<()> {
    // Whoever has 9900 now, the second of two instances cannot have it.
    let mut started = Vec::new();
    for _ in 0..2 {
        let folder = tempfile::tempdir()?;
        let mut command = tokio::process::Command::new(seaworthy_testkit::binary::seaworthy()?);
        command.args(["run", "--listen", "127.0.0.1:0", "--set"]);
        command.arg(format!(
            "state_dir={}",
            folder.path().join("state").display()
        ));
        command.arg("--").args(App::Mock.command()?);
        command.current_dir(folder.path());
        let group = seaworthy_testkit::process::Group::start("seaworthy", command)?;
        let state = folder.path().join("state");
        let instance = wait::until("an instance", PATIENCE, || {
            std::future::ready(seaworthy_testkit::process::Instance::read(&state))
        })
        .await?;
        started.push((folder, group, instance));
    }
    assert!(started[1].2.admin.is_some());
    assert_ne!(started[0].2.admin, started[1].2.admin);
    Ok(())
}
